"""A worker in plain Python: {"kind": "count-words", "input": {"text": "one two"}} becomes {"words": 2}.

Nothing but the standard library. "seconds_a_word" in the input makes it slow, to see that it keeps its task.
"""

import http.client, json, os, signal, sys, threading, time, urllib.error, urllib.request

API = os.environ.get("TASKYARD_URL", "http://127.0.0.1:8000") + "/api/v1"
HEADERS = {"content-type": "application/json", "authorization": "Bearer " + os.environ.get("TASKYARD_TOKEN", "")}
WORKER = f"counter-{os.getpid()}"


def call(path, body):
    """Says it until the server answers; a refusal ends the program."""
    is_away = False
    while True:
        request = urllib.request.Request(f"{API}/{path}", json.dumps(body).encode(), HEADERS)
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            if refused.code not in (429, 500, 502, 503, 504, 507):
                sys.exit(f"the server refuses {path}: {refused.read().decode()}")
        except (OSError, http.client.HTTPException) as away:
            if not is_away:
                print(f"the server at {API} is away, waiting for it: {away}", file=sys.stderr, flush=True)
            is_away = True
        time.sleep(1)


def keep(every):
    """Renews the leases, for the tasks of a worker that says nothing are given to others; and hears what is over."""
    while True:
        time.sleep(every)
        leases = [lease | {"running": True} for lease, _ in list(held.values())]
        heard = call(f"workers/{WORKER}/heartbeat", {"held": leases})
        for task in held.keys() & {*heard["lost"], *heard["cancel"]}:
            held.pop(task)[1].set()


def count(is_over, text, seconds_a_word=0):
    """The work itself. `is_over` is set when nobody wants the result any more."""
    words = text.split()
    is_over.wait(seconds_a_word * len(words))
    return {"words": len(words)}


def run(is_over, input):
    try:
        return {"outcome": "completed", "output": count(is_over, **input)}
    except Exception as error:
        code, again = type(error).__name__, not isinstance(error, TypeError)  # which means that the input is wrong
        return {"outcome": "failed", "retry": again, "error": {"code": code, "message": str(error)}}


held, drain = {}, False
signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    registered = call("workers/register", {"worker_id": WORKER, "kinds": ["count-words"]})
    threading.Thread(target=keep, args=[registered["heartbeat_ms"] / 1000], daemon=True).start()
    while not drain:
        claimed = call(f"workers/{WORKER}/claim", {"limit": 1, "wait_ms": 30000, "begin": True})
        drain = claimed.get("drain", False)
        for task in claimed["tasks"]:
            lease, is_over = {"task_id": task["id"], "lease_token": task["lease_token"]}, threading.Event()
            held[task["id"]] = lease, is_over
            result = lease | run(is_over, task["input"])
            if held.pop(task["id"], None):
                call(f"workers/{WORKER}/report", {"results": [result]})
except KeyboardInterrupt:
    if held:
        call(f"workers/{WORKER}/report", {"results": [lease | {"outcome": "released"} for lease, _ in held.values()]})
    sys.exit(130)
