"""A worker in plain Python: {"kind": "count-words", "input": {"text": "one two"}} becomes {"words": 2}.

Nothing but the standard library. `"seconds_a_word"` in the input makes it slow, to see that it keeps its task.
"""

import json
import os
import threading
import time
import urllib.error
import urllib.request

API = os.environ.get("TASKYARD_URL", "http://127.0.0.1:8000") + "/api/v1"
HEADERS = {"content-type": "application/json"}
if "TASKYARD_TOKEN" in os.environ:
    HEADERS["authorization"] = "Bearer " + os.environ["TASKYARD_TOKEN"]
WORKER = f"counter-{os.getpid()}"


def call(path, body):
    """Says it until the server has answered; a refusal is an error, and is not said again."""
    while True:
        request = urllib.request.Request(f"{API}/{path}", json.dumps(body).encode(), HEADERS)
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            if refused.code not in (429, 500, 502, 503, 504, 507):
                raise RuntimeError(refused.read().decode()) from None
        except OSError as away:
            print("the server is away:", away, flush=True)
        time.sleep(1)


def heartbeats(held, every):
    """Keeps the leases: the server gives the tasks of a worker that says nothing to others."""
    while True:
        time.sleep(every)
        leases = [{"task_id": id, "lease_token": token, "running": True} for id, token in list(held.items())]
        call(f"workers/{WORKER}/heartbeat", {"held": leases})


def count(text, seconds_a_word=0):
    words = text.split()
    time.sleep(seconds_a_word * len(words))
    return {"words": len(words)}


def work():
    registered = call("workers/register", {"worker_id": WORKER, "kinds": ["count-words"]})
    held = {}
    threading.Thread(target=heartbeats, args=(held, registered["heartbeat_ms"] / 1000), daemon=True).start()
    while True:
        for task in call(f"workers/{WORKER}/claim", {"limit": 1, "wait_ms": 30000, "begin": True})["tasks"]:
            held[task["id"]] = lease = task["lease_token"]
            try:
                said = "complete", {"output": count(**task["input"])}
            except Exception as error:
                said = "fail", {"error": {"code": "bad_input", "message": str(error)}, "retry": False}
            try:
                call(f"tasks/{task['id']}/{said[0]}", {"lease_token": lease, **said[1]})
            except RuntimeError as refused:  # It was cancelled, or is somebody else's by now.
                print(refused, flush=True)
            del held[task["id"]]


work()
