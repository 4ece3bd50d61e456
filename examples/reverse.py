"""The least that a worker in plain Python is: {"kind": "reverse", "input": "abc"} becomes "cba".

It ends where its server goes away, and runs to its end what was cancelled; count_words.py does neither.
"""

import json, os, threading, urllib.request

API = os.environ.get("TASKYARD_URL", "http://127.0.0.1:8000") + "/api/v1"
HEADERS = {"content-type": "application/json", "authorization": "Bearer " + os.environ.get("TASKYARD_TOKEN", "")}
WORKER = f"reverser-{os.getpid()}"


def call(path, body):
    request = urllib.request.Request(f"{API}/{path}", json.dumps(body).encode(), HEADERS)
    return json.load(urllib.request.urlopen(request, timeout=90))


def keep(lease, is_over, every):  # the task is given to nobody else for as long as this worker says that it runs it
    while not is_over.wait(every):
        call(f"workers/{WORKER}/heartbeat", {"held": [lease | {"running": True}]})


call("workers/register", {"worker_id": WORKER, "kinds": ["reverse"]})
claimed = {}
while not claimed.get("drain"):
    claimed = call(f"workers/{WORKER}/claim", {"limit": 1, "wait_ms": 30000, "begin": True})
    for task in claimed["tasks"]:
        lease, is_over = {"task_id": task["id"], "lease_token": task["lease_token"]}, threading.Event()
        threading.Thread(target=keep, args=[lease, is_over, claimed["heartbeat_ms"] / 1000], daemon=True).start()
        try:
            result = {"outcome": "completed", "output": task["input"][::-1]}  # the work itself
        except Exception as error:
            result = {"outcome": "failed", "error": {"code": type(error).__name__, "message": str(error)}}
        is_over.set()
        call(f"workers/{WORKER}/report", {"results": [lease | result]})
