"""A worker in plain Python: {"kind": "count-words", "input": {"text": "one two"}} becomes {"words": 2}.

Nothing but the standard library. "seconds_a_word" in the input makes it slow, to see that it keeps its task.
"""

import http.client, json, os, signal, sys, threading, time, urllib.request

API = os.environ.get("TASKYARD_URL", "http://127.0.0.1:8000") + "/api/v1"
HEADERS = {"content-type": "application/json", "authorization": "Bearer " + os.environ.get("TASKYARD_TOKEN", "")}
WORKER = f"counter-{os.getpid()}"


def count(is_over, text, seconds_a_word=0):  # the work itself; is_over is set when nobody wants its result any more
    is_over.wait(seconds_a_word * len(text.split()))
    return {"words": len(text.split())}


def call(path, body):  # says it until the server answers; what it refuses ends the program
    while True:
        try:
            request = urllib.request.Request(f"{API}/{path}", json.dumps(body).encode(), HEADERS)
            return json.load(urllib.request.urlopen(request, timeout=90))
        except (OSError, http.client.HTTPException) as away:
            if 400 <= getattr(away, "code", 0) < 500 and away.code != 429:
                sys.exit(f"the server refuses {path}: {away.read().decode()}")
            print(f"the server at {API} is away, waiting for it: {away}", file=sys.stderr, flush=True)
            time.sleep(1)


def keep(lease, is_over, every):  # renews the lease until the run has ended, or the server says that it is to
    try:
        while not is_over.wait(every):
            heard = call(f"workers/{WORKER}/heartbeat", {"held": [lease | {"running": True}]})
            if lease["task_id"] in heard["lost"] + heard["cancel"]:
                break
    finally:  # also where the server refuses, since this worker was killed or another has its name
        is_over.set()


for told_to_stop in signal.SIGINT, signal.SIGTERM:
    signal.signal(told_to_stop, lambda *_: sys.exit(130))
call("workers/register", {"worker_id": WORKER, "kinds": ["count-words"]})
claimed = {}
while not claimed.get("drain"):
    claim = {"limit": 1, "wait_ms": 30000, "begin": True, "seq": time.time_ns()}  # sent again, it gets the same task
    claimed = call(f"workers/{WORKER}/claim", claim)
    for task in claimed["tasks"]:
        lease, is_over = {"task_id": task["id"], "lease_token": task["lease_token"]}, threading.Event()
        threading.Thread(target=keep, args=[lease, is_over, claimed["heartbeat_ms"] / 1000], daemon=True).start()
        result = {"outcome": "released"}  # where the program is told to stop meanwhile
        try:
            result = {"outcome": "completed", "output": count(is_over, **task["input"])}
        except Exception as error:
            code, again = type(error).__name__, not isinstance(error, TypeError)  # which means that the input is wrong
            result = {"outcome": "failed", "retry": again, "error": {"code": code, "message": str(error)[:1000]}}
        finally:
            if not is_over.is_set():
                call(f"workers/{WORKER}/report", {"results": [lease | result]})
            is_over.set()
