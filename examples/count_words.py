"""A worker in plain Python: {"kind": "count-words", "input": {"text": "one two"}} becomes {"words": 2}.

Nothing but the standard library. "seconds_a_word" in the input makes it slow, to see that it keeps its task.
"""

import http.client, json, os, sys, threading, time, urllib.error, urllib.request

API = os.environ.get("TASKYARD_URL", "http://127.0.0.1:8000") + "/api/v1"
HEADERS = {"content-type": "application/json", "authorization": "Bearer " + os.environ.get("TASKYARD_TOKEN", "")}
WORKER = f"counter-{os.getpid()}"


def call(path, body):
    """Says it until the server answers; a refusal ends the worker, and is not said again."""
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
        except ValueError as wrong:
            sys.exit(f"the server at {API} is none: {wrong}")
        time.sleep(1)


def keep(held, every):
    """Renews the leases: the tasks of a worker that says nothing are given to others."""
    while True:
        time.sleep(every)
        call(f"workers/{WORKER}/heartbeat", {"held": [{**lease, "running": True} for lease in list(held.values())]})


def count(text, seconds_a_word=0):
    words = text.split()
    time.sleep(seconds_a_word * len(words))
    return {"words": len(words)}


def work():
    held = {}
    registered = call("workers/register", {"worker_id": WORKER, "kinds": ["count-words"]})
    threading.Thread(target=keep, args=(held, registered["heartbeat_ms"] / 1000), daemon=True).start()
    while True:
        for task in call(f"workers/{WORKER}/claim", {"limit": 1, "wait_ms": 30000, "begin": True})["tasks"]:
            lease = held[task["id"]] = {"task_id": task["id"], "lease_token": task["lease_token"]}
            try:
                result = {**lease, "outcome": "completed", "output": count(**task["input"])}
            except Exception as error:
                wrong = {"code": "bad_input", "message": str(error)}
                result = {**lease, "outcome": "failed", "retry": False, "error": wrong}
            call(f"workers/{WORKER}/report", {"results": [result]})
            del held[task["id"]]


try:
    work()
except KeyboardInterrupt:
    sys.exit(130)  # what it holds is given to others once its leases have run out
