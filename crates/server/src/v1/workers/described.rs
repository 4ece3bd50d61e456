//! What `/openapi.json` says of the routes under `/workers`.

use serde_json::{Value, json};
use taskyard_api::payload::Payload;
use taskyard_api::report::{Report, Reported};
use taskyard_api::worker::{
    Claim, Claimed, Heard, Heartbeat, Limits, Register, Registered, Worker,
};

use crate::openapi::WORKERS;
use crate::openapi::operation::Routes;
use crate::openapi::shapes::TASK_ID;
use crate::problem::Code;

pub(crate) fn describe(routes: &mut Routes<'_>) {
    routes.under("/api/v1", WORKERS);
    routes
        .get("/workers", "list_workers")
        .says("List workers", "By name; internal ones too.")
        .takes_parameter("limit")
        .takes_parameter("cursor")
        .answers_page_of::<Worker>(
            "A page of workers.",
            &json!({"items": [worker()], "next_cursor": null}),
        )
        .refuses(&[Code::Invalid]);
    routes
        .post("/workers/register", "register_worker")
        .says(
            "Register a worker",
            "Once, when its process starts. The same name again takes the place of the process that had it: that one's \
             runs are given to others at once.",
        )
        .takes::<Register>(&[
            ("least", json!({"worker_id": "w1", "kinds": ["resize"]})),
            ("more", json!({
                "worker_id": "w2", "kinds": ["*"], "queues": ["images"], "labels": {"gpu": "a100"}, "capacity": 4,
            })),
        ])
        .answers::<Registered>(201, "It is known.", &json!({
            "worker_id": "w1", "number": 1, "epoch": 1, "heartbeat_ms": 10_000, "heartbeat_ttl_ms": 30_000,
            "lease_ms": 75_000, "timeout_margin_ms": 10_000, "limits": Limits::default(),
        }))
        .leads_to(201, "heartbeat", &[("id", "/worker_id"), ("body/epoch", "/epoch")])
        .leads_to(201, "claim_tasks", &[("id", "/worker_id"), ("body/epoch", "/epoch")])
        .leads_to(201, "report_runs", &[("id", "/worker_id"), ("body/epoch", "/epoch")])
        .refuses(&[Code::WorkerIsInternal, Code::TooManyWorkers]);
    calling(routes);
    looking_after(routes);
    super::pool::describe(routes);
}

fn looking_after(routes: &mut Routes<'_>) {
    routes
        .get("/workers/{id}", "show_worker")
        .says("Show a worker", "As in the list, with what it holds.")
        .of_worker()
        .answers::<Worker>(200, "The worker.", &at_work())
        .refuses(&[Code::AnswersFull]);
    routes
        .post("/workers/{id}/drain", "drain_worker")
        .says(
            "Drain a worker",
            "It gets nothing more, hears of it at its next call, finishes what it holds and leaves. A process that \
             registers under its name works again.",
        )
        .of_worker()
        .takes_nothing()
        .answers::<Worker>(200, "It drains.", &with_status("draining"));
    routes
        .post("/workers/{id}/kill", "kill_worker")
        .says(
            "Kill a worker",
            "What it holds runs elsewhere at no cost, but for exclusive tasks, which its leases keep until they end. \
             Whatever still calls under its name is refused with `worker_replaced`, until a process registers. An \
             internal one of this server is really gone when this is answered, and one less is `desired` there. Nothing happens \
             to a worker that is offline.",
        )
        .of_worker()
        .takes_nothing()
        .answers::<Worker>(200, "It has ended.", &with_status("offline"));
    routes
        .delete("/workers/{id}", "delete_worker")
        .says(
            "Delete a worker that is offline, or drained",
            "Lists show it no longer. One that is online must have been drained, and hold nothing. A process that registers \
             under its name brings it back; so does the next sign of life of the one that was deleted, if it is there \
             yet: it still drains.",
        )
        .of_worker()
        .answers_nothing("It is deleted.")
        .refuses(&[Code::WorkerOnline]);
}

fn calling(routes: &mut Routes<'_>) {
    routes
        .post("/workers/{id}/heartbeat", "heartbeat")
        .says(
            "Give a sign of life",
            "With the runs in hand: only leases that it lists are renewed. The answer names those to end at once.",
        )
        .of_worker()
        .takes::<Heartbeat<Payload>>(&[("idle", json!({"held": []}))])
        .answers::<Heard>(200, "It was heard.", &json!({
            "expires_at": LATER, "lost": [], "cancel": [], "drain": false, "lease_ms": 75_000, "heartbeat_ms": 10_000,
        }))
        .refuses(REPLACED);
    routes
        .post("/workers/{id}/claim", "claim_tasks")
        .says(
            "Claim tasks",
            "With `wait_ms` the answer is held back until there is one. Sent again with the same `seq`, it is answered \
             with those of the same leases that stand.",
        )
        .of_worker()
        .takes_parameter("X-Again")
        .takes::<Claim>(&[("one", json!({"limit": 1}))])
        .answers::<Claimed<Payload>>(200, "What there is; empty when the time is up.", &json!({
            "tasks": [run()], "lease_ms": 75_000, "heartbeat_ms": 10_000,
        }))
        .leads_to(200, "start_run", RUN)
        .leads_to(200, "report_progress", RUN)
        .leads_to(200, "complete_run", RUN)
        .leads_to(200, "fail_run", RUN)
        .leads_to(200, "snooze_run", RUN)
        .leads_to(200, "release_run", RUN)
        .refuses(REPLACED)
        .refuses(&[Code::AnswersFull]);
    routes
        .post("/workers/{id}/report", "report_runs")
        .says(
            "Report many runs",
            "And claim new tasks in the same call. Each result is answered for itself, with where its task stands or \
             with its problem; one that cannot be taken, be it that its values do not fit, keeps no other from being \
             taken.",
        )
        .of_worker()
        .takes_parameter("X-Again")
        .takes::<Report<Payload>>(&[(
            "one",
            json!({"results": [{
                "task_id": TASK_ID, "lease_token": "tD1_4XkvQ0sAAAABAAAAAV9-kS7f0b", "outcome": "completed",
            }]}),
        )])
        .answers::<Reported<Payload>>(200, "What became of each, in their order.", &json!({
            "results": [{"task_id": TASK_ID, "status": "completed"}],
        }))
        .refuses(REPLACED);
}

/// The first run of a claim, as calls about it name it.
const RUN: &[(&str, &str)] = &[
    ("id", "/tasks/0/id"),
    ("body/lease_token", "/tasks/0/lease_token"),
];

/// Of a call that names its worker.
const REPLACED: &[Code] = &[Code::WorkerReplaced, Code::WorkerIsInternal];

const AT: &str = "2026-01-31T12:00:00.000Z";
const LATER: &str = "2026-01-31T12:01:15.000Z";

fn worker() -> Value {
    json!({
        "worker_id": "w1", "number": 1, "epoch": 1, "status": "idle", "internal": false, "kinds": ["resize"],
        "queues": null, "labels": {}, "capacity": 1, "held": 0, "completed": 7, "failed": 1, "registered_at": AT,
        "heard_at": AT, "expires_at": LATER,
    })
}

fn with_status(status: &str) -> Value {
    let mut worker = worker();
    worker["status"] = json!(status);
    worker
}

fn at_work() -> Value {
    let mut worker = with_status("busy");
    worker["held"] = json!(1);
    worker["running"] = json!([{
        "task_id": TASK_ID, "kind": "resize", "queue": "default", "attempt": 1, "status": "running",
        "assigned_at": AT, "started_at": AT, "lease_expires_at": LATER,
        "progress": {"fraction": 0.5, "message": "half of it"},
    }]);
    worker
}

fn run() -> Value {
    json!({
        "id": TASK_ID, "kind": "resize", "queue": "default", "input": {"width": 80}, "attempt": 1,
        "lease_token": "tD1_4XkvQ0sAAAABAAAAAV9-kS7f0b", "lease_expires_at": LATER, "timeout_ms": 1_800_000,
    })
}
