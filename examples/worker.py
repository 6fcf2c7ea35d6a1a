"""A worker in Python, with the standard library alone.

    python3 examples/worker.py [SERVER] [QUEUE]

It claims tasks of one queue, keeps their leases alive while it works, and reports what became of them.
docs/workers.md explains each call.
"""

import json
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid

SERVER = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
QUEUE = sys.argv[2] if len(sys.argv) > 2 else "greetings"
WORKER = {"worker_id": f"python-{QUEUE}", "queues": [QUEUE]}


def work(input, cancelled):
    """The work itself: what it returns is the task's output, what it raises fails the attempt."""
    return {"text": f"Hello, {input['name']}!"}


def call(path, body=None):
    data = b"" if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if data else {}
    request = urllib.request.Request(f"{SERVER}/api/v1/{path}", data, headers, method="POST")
    with urllib.request.urlopen(request, timeout=90) as answer:
        return json.load(answer)


def keep(lease, done, cancelled):
    """Extends the lease at a third of its life, and learns whether the task is to stop."""
    while not done.wait(10):
        try:
            answer = call(f"leases/{lease}/heartbeat")
        except urllib.error.HTTPError as error:
            if error.code in (404, 409):  # the lease is lost: nothing that is reported counts any more
                cancelled.set()
                return
        except OSError:
            pass  # no server: try again, the lease has time left
        else:
            if answer["cancel_requested"]:
                cancelled.set()


def attempt(task):
    done, cancelled = threading.Event(), threading.Event()
    threading.Thread(target=keep, args=(task["lease_id"], done, cancelled), daemon=True).start()
    try:
        report = "complete", {"output": work(task["input"], cancelled)}
    except Exception as error:
        report = "fail", {"error": {"message": str(error)[:4000], "code": type(error).__name__}}
    while True:  # until it is heard: the same report again gets the same answer
        try:
            call(f"leases/{task['lease_id']}/{report[0]}", report[1])
            break
        except urllib.error.HTTPError as error:
            if error.code < 500:
                print(f"refused: {error.read().decode()}", file=sys.stderr)
                break
        except OSError:
            pass
        time.sleep(1)
    done.set()


claim_id = str(uuid.uuid4())
while True:
    try:
        claim = {**WORKER, "claim_id": claim_id, "wait": "30s", "lease_ttl": "30s"}
        claimed = call("tasks/claim", claim)
    except OSError as error:  # HTTPError is one of them
        print(error, file=sys.stderr)
        time.sleep(1)
        continue  # with the same claim_id: what an answer that got lost had granted is granted again
    claim_id = str(uuid.uuid4())
    for task in claimed["tasks"]:
        attempt(task)
