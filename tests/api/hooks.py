"""What no schema says of a request: ids and keys that are good once or for a while, and answers that are held back."""

import json
import time

import schemathesis
from schemathesis import GenerationMode
from schemathesis.generation.meta import TestPhase

HELD_BACK_MS_MAX = 20
# The highest number of a line.
SEQ_MAX = 2**31 - 2
made = 0


@schemathesis.serializer("application/x-ndjson")
def lines(ctx, value):
    """An array stands for lines, one for each element (OpenAPI 3.2, 4.14.4)."""
    if not isinstance(value, list):
        return json.dumps(value).encode()
    return b"".join(json.dumps(element).encode() + b"\n" for element in value)


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Mends what fits the schema and is refused for a reason of its own; what does not fit it stays as it is."""
    shorten(case.query)
    if case.query:
        # What follows goes on until the task has ended.
        case.query.pop("follow", None)
    shorten(case.body)
    if isinstance(case.body, dict):
        shorten(case.body.get("claim"))
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    if case.meta.phase.name == TestPhase.STATEFUL:
        meet(case)
    case.body = plain_numbers(case.body)
    suit(case)
    # Who leaves holds nothing.
    if isinstance(case.body, dict) and case.body.get("leaves"):
        case.body["held"] = []
    # Each line of a log has a number.
    if isinstance(case.body, dict) and case.body.get("first_seq") and case.body.get("lines"):
        case.body["first_seq"] = min(case.body["first_seq"], SEQ_MAX - len(case.body["lines"]) + 1)
    # A cursor is good for the list that it came with only.
    if case.query:
        case.query.pop("cursor", None)
    # A key is good for one body only.
    if case.headers and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = fresh_id()
    # An id is good for a day, and for one task.
    tasks = case.body if isinstance(case.body, list) else [case.body]
    for task in tasks:
        if isinstance(task, dict) and task.get("id"):
            task["id"] = fresh_id()


@schemathesis.hook
def filter_failure(ctx, failure, case, response):
    """A request of the negative sort in which nothing is wrong after all (a body that may be left out was) is no find."""
    return "Invalid component: positive test case" not in failure.message


def meet(case):
    """Workers take everything, a little at a time, so that claims bring runs that there is more to say about."""
    name = case.operation.definition.raw.get("operationId")
    if not isinstance(case.body, dict):
        return
    if name == "register_worker":
        case.body["kinds"] = ["*"]
        case.body.pop("queues", None)
    if name == "claim_tasks" and isinstance(case.body.get("limit"), (int, float)):
        case.body["limit"] = 1


def suit(case):
    """Of the statuses that a bulk act is to look for, at least one is of its concern; and one for every task says so."""
    concerns = {
        "cancel_tasks": ["scheduled", "pending", "assigned", "running"],
        "retry_tasks": ["completed", "failed", "timeout", "cancelled"],
    }.get(case.operation.definition.raw.get("operationId"))
    if not concerns or not isinstance(case.body, dict):
        return
    wanted = case.body.get("filter")
    if not wanted or not any(wanted.values()):
        case.body["all"] = True
    statuses = wanted.get("status") if isinstance(wanted, dict) else None
    if isinstance(statuses, list) and statuses and not set(concerns) & set(statuses):
        statuses.append(concerns[1])
    if isinstance(statuses, str) and statuses not in concerns:
        wanted["status"] = concerns[1]


def plain_numbers(value):
    """Whole numbers are written without a point, though to a schema 1.0 is one; and none in a payload is longer than what
    every language can hold."""
    if isinstance(value, dict):
        return {name: plain_numbers(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain_numbers(inner) for inner in value]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return str(value)
    return value


def shorten(values):
    """Nothing is to be waited for here."""
    wait = values.get("wait_ms") if isinstance(values, dict) else None
    # A whole number may be written with a point.
    wait = int(wait) if isinstance(wait, float) and wait.is_integer() else wait
    if str(wait).isdecimal() and HELD_BACK_MS_MAX < int(wait) <= 60_000:
        values["wait_ms"] = HELD_BACK_MS_MAX


def fresh_id():
    """A UUIDv7 of this moment."""
    global made
    made += 1
    at, count = f"{time.time_ns() // 1_000_000:012x}", f"{made:012x}"
    return f"{at[:8]}-{at[8:]}-7000-8000-{count}"
