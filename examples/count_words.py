"""A worker in plain Python: {"kind": "count-words", "input": {"text": "one two"}} becomes {"words": 2}.

Nothing but the standard library. "seconds_a_word" in the input makes it slow, to see that it keeps its task.
"""

import http.client, json, os, signal, sys, threading, time, urllib.request

API = os.environ.get("TASKYARD_URL", "http://127.0.0.1:8000") + "/api/v1"
HEADERS = {"content-type": "application/json", "authorization": "Bearer " + os.environ.get("TASKYARD_TOKEN", "")}
WORKER = f"counter-{os.getpid()}"


def count(is_over, text, seconds_a_word=0):  # the work itself; is_over is set when nobody wants its result any more
    if not isinstance(text, str):
        raise TypeError(f"text must be a string, not {text!r}")  # a wrong input, with which it is not run again
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


def run(lease, is_over, input):  # until its result is stored, or nobody wants it
    try:
        result = {"outcome": "completed", "output": count(is_over, **input)}
    except Exception as error:
        code, again = type(error).__name__, not isinstance(error, TypeError)
        result = {"outcome": "failed", "retry": again, "error": {"code": code, "message": str(error)[:1000]}}
    while not is_over.is_set():
        answer = call(f"workers/{WORKER}/report", {"results": [lease | result]})["results"][0]
        if answer["status"] in (413, 422):  # not to be had so, such as an output that is too long
            result = {"outcome": "failed", "retry": False, "error": {"code": answer["code"], "message": answer["detail"]}}
        elif answer["status"] not in (429, 500, 503, 507) or is_over.wait(1):
            is_over.set()


for told_to_stop in signal.SIGINT, signal.SIGTERM, signal.SIGALRM:
    signal.signal(told_to_stop, lambda *_: sys.exit(130))
call("workers/register", {"worker_id": WORKER, "kinds": ["count-words"]})
claim, claimed = {}, {}
try:
    while not claimed.get("drain"):
        claim = {"limit": 1, "wait_ms": 30000, "begin": True, "seq": time.time_ns()}  # said again, it gets the same
        claimed = call(f"workers/{WORKER}/claim", claim)
        for task in claimed["tasks"]:
            lease, is_over = {"task_id": task["id"], "lease_token": task["lease_token"]}, threading.Event()
            threading.Thread(target=keep, args=[lease, is_over, claimed["heartbeat_ms"] / 1000], daemon=True).start()
            run(lease, is_over, task["input"])
except SystemExit:  # hands back what it runs, or what a claim brought just now
    signal.alarm(5)  # the longest that a server that is away is waited for
    for task in call(f"workers/{WORKER}/claim", claim | {"wait_ms": 0})["tasks"]:
        call(f"tasks/{task['id']}/release", {"lease_token": task["lease_token"]})
    raise
