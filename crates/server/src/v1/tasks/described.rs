//! What `/openapi.json` says of the routes under `/tasks`.

use serde_json::{Value, json};
use taskyard_api::attempt::Attempts;
use taskyard_api::change::Patch;
use taskyard_api::explain::Explanation;
use taskyard_api::operation::{Matching, Operate, Operation};
use taskyard_api::page::TaskPage;
use taskyard_api::payload::Payload;
use taskyard_api::run::{Complete, Fail, Release, Renewed, ReportProgress, Snooze, Start, Started};
use taskyard_api::stats::Stats;
use taskyard_api::submit::{Submit, SubmitProblem, Submitted, SubmittedBatch};
use taskyard_api::task::{Standing, Task};
use taskyard_core::labels::LABELS_MAX;
use taskyard_core::status::Status;

use super::{WAIT_MS_MAX, logs};
use crate::openapi::bounds::{label_pattern, path_name, plain_name, search, text};
use crate::openapi::operation::Routes;
use crate::openapi::shapes::{BATCH, LINES, TASK_ID};
use crate::openapi::{RUNS, TASKS};
use crate::problem::Code;
use crate::request::{JSON, NDJSON};
use crate::v1::operations::example;

pub(crate) fn describe(routes: &mut Routes<'_>) {
    routes.under("/api/v1", TASKS);
    submitting(routes);
    looking(routes);
    logs::described::shown(routes);
    changing(routes);
    routes
        .post("/tasks/{id}/cancel", "cancel_task")
        .says(
            "Cancel a task",
            "At once and for good, wherever it stands. A worker that runs it is told with its next heartbeat, and its \
             late result is refused.",
        )
        .of_task()
        .takes_nothing()
        .answers::<Standing>(200, "It is cancelled.", &standing("cancelled"))
        .refuses(&[Code::AlreadyEnded]);
    bulk(routes);
    routes.under("/api/v1", RUNS);
    beginning(routes);
    ending(routes);
    logs::described::appended(routes);
}

fn submitting(routes: &mut Routes<'_>) {
    routes
        .post("/tasks", "submit_task")
        .says(
            "Submit a task",
            "With an `id` of its own, or an `Idempotency-Key`, it can be sent again where the answer was lost: it is \
             answered the same and made once. The older form, which names a problem, is run once.",
        )
        .takes_parameter("Idempotency-Key")
        .takes_either::<Submit<Payload>, SubmitProblem<Payload>>(&[
            ("least", json!({"kind": "echo", "input": "hello"})),
            ("more", json!({
                "kind": "resize", "input": {"width": 80}, "queue": "images", "priority": 10, "delay_ms": 5000,
                "max_attempts": 3, "timeout_ms": 60_000, "labels": {"customer": "42"},
                "requires": {"gpu": "a100", "memory_gb": ">=16"}, "retry": {"backoff_ms": 500},
            })),
            ("problem", json!({"problem_id": "test-problem", "parameters": {"max_steps": 30}})),
        ])
        .answers::<Submitted>(201, "It is stored.", &json!({"id": TASK_ID, "status": "pending"}))
        .with_header(201, "Location")
        .leads_to(201, "show_task", &[("id", "/id")])
        .leads_to(201, "task_attempts", &[("id", "/id")])
        .leads_to(201, "cancel_task", &[("id", "/id")])
        .answers::<Submitted>(
            200,
            "Another task of its queue has its `unique_key` and has not ended: it stands in its place.",
            &json!({"id": TASK_ID, "status": "running"}),
        )
        .with_header(200, "Location")
        .refuses(&[Code::IdTaken, Code::IdempotencyKeyReused, Code::TooManyLanes]);
    let mut batch = routes.post("/tasks/batch", "submit_batch").says(
        "Submit many tasks",
        "An array is stored whole or not at all. Lines of JSON, one task each, may be as many as `--stream-max` lets; \
         they are stored in pieces as they come, and the same stream sent again with the same `Idempotency-Key` goes on \
         where it stopped.",
    );
    let tasks = batch.list_of::<Submit<Payload>>(BATCH);
    let lines = batch.list_of::<Submit<Payload>>(LINES);
    let example = json!([{"kind": "echo", "input": 1}, {"kind": "echo", "input": 2}]);
    batch
        .takes_parameter("Idempotency-Key")
        .takes_as(
            &[
                (JSON[0], tasks, &[("two", example.clone())]),
                // The array is what a sequential media type stands for (OpenAPI 3.2, 4.14.4): each element is a line.
                (NDJSON[0], lines, &[("two_lines", example)]),
            ],
            true,
        )
        .answers::<SubmittedBatch>(
            201,
            "They are stored; the ids are in the order of the tasks.",
            &json!({"ids": [TASK_ID]}),
        )
        .refuses(&[
            Code::IdTaken,
            Code::IdempotencyKeyReused,
            Code::TooManyLanes,
        ]);
}

fn changing(routes: &mut Routes<'_>) {
    routes
        .patch("/tasks/{id}", "change_task")
        .says(
            "Change a task that waits",
            "Another priority, or another time: also to run at once what waits to run again. What is not named stays \
             as it is.",
        )
        .of_task()
        .takes::<Patch>(&[
            ("sooner", json!({"priority": 50})),
            ("now", json!({"delay_ms": 0})),
        ])
        .answers::<Task<Payload>>(200, "The task as it stands now.", &task())
        .refuses(&[Code::NotWaiting, Code::AlreadyEnded, Code::AnswersFull]);
    routes
        .post("/tasks/{id}/retry", "retry_task")
        .says(
            "Run a task again that has ended",
            "As a new one with the same input and settings, whose `retry_of` names the first, which stays as it is.",
        )
        .of_task()
        .takes_parameter("Idempotency-Key")
        .takes_nothing()
        .answers::<Submitted>(201, "It is stored.", &json!({"id": TASK_ID, "status": "pending"}))
        .with_header(201, "Location")
        .answers::<Submitted>(
            200,
            "Another task of its queue has its `unique_key` and has not ended: it stands in its place.",
            &json!({"id": TASK_ID, "status": "running"}),
        )
        .with_header(200, "Location")
        .refuses(&[
            Code::NotEnded,
            Code::InputDamaged,
            Code::IdempotencyKeyReused,
            Code::TooManyLanes,
        ]);
}

fn bulk(routes: &mut Routes<'_>) {
    let how = "Of those that there are by now: none that is submitted later. Answered at once; the work is done piece by \
               piece, and goes on after a restart. With `dry_run` nothing is changed, and 200 tells how many tasks there \
               are, up to `--matching-max` (10,000).";
    let matching = json!({"matched": 1500, "at_least": false});
    let refused = &[Code::IdempotencyKeyReused, Code::TooManyOperations];
    routes
        .post("/tasks/cancel", "cancel_tasks")
        .says(
            "Cancel all tasks that fit",
            &format!("Those that have not ended. {how}"),
        )
        .takes_parameter("Idempotency-Key")
        .takes::<Operate>(&[
            (
                "kind",
                json!({"filter": {"status": ["pending"], "kind": "resize"}}),
            ),
            (
                "try",
                json!({"filter": {"queue": "images"}, "dry_run": true}),
            ),
            ("all", json!({"all": true})),
        ])
        .answers::<Operation>(202, "It has begun.", &example("running"))
        .with_header(202, "Location")
        .leads_to(202, "show_operation", &[("id", "/id")])
        .leads_to(202, "cancel_operation", &[("id", "/id")])
        .answers::<Matching>(200, "What it would be done to.", &matching)
        .refuses(refused);
    routes
        .post("/tasks/retry", "retry_tasks")
        .says(
            "Run all tasks again that fit and have ended",
            &format!("Each as a new one, as `POST /tasks/{{id}}/retry` does. {how}"),
        )
        .takes_parameter("Idempotency-Key")
        .takes::<Operate>(&[
            (
                "failed",
                json!({"filter": {"status": ["failed", "timeout"], "created_after": AT}}),
            ),
            (
                "try",
                json!({"filter": {"worker_id": "worker-1"}, "dry_run": true}),
            ),
        ])
        .answers::<Operation>(202, "It has begun.", &example("running"))
        .with_header(202, "Location")
        .leads_to(202, "show_operation", &[("id", "/id")])
        .answers::<Matching>(200, "What it would be done to.", &matching)
        .refuses(refused);
}

fn looking(routes: &mut Routes<'_>) {
    let word = Status::ALL.map(Status::as_str).join("|");
    routes
        .get("/tasks", "list_tasks")
        .says(
            "List tasks",
            "Newest first. Every filter that is given must fit. A page may hold fewer items than `limit` and still have \
             a next one.",
        )
        .query(
            "status",
            "One status, or several with commas between: any of them fits.",
            &json!({"type": "string", "pattern": format!("^(?:{word})(?:,(?:{word}))*$")}),
        )
        .query("kind", "Tasks of this kind.", &text(path_name()))
        .query("queue", "Tasks of this queue.", &text(path_name()))
        .query("worker_id", "Tasks that this worker holds, or ended.", &plain_name())
        .query(
            "q",
            "The first six or more characters of an id; or up to eight words, each of which must stand in the kind or in a \
             label, in capital or small letters.",
            &text(search()),
        )
        .query(
            "created_after",
            "Created at this time or later, by the time that the task's id says.",
            &json!({"type": "string", "format": "date-time"}),
        )
        .query(
            "created_before",
            "Created before this time, by the time that the task's id says.",
            &json!({"type": "string", "format": "date-time"}),
        )
        .query(
            "label",
            "`name=value`, each in a parameter of its own: all of them must be on the task.",
            &json!({
                "type": "array", "maxItems": LABELS_MAX,
                "items": {"type": "string", "pattern": label_pattern()},
            }),
        )
        .query("sort", "By when they were created.", &json!({"enum": ["created", "-created"], "default": "-created"}))
        .query("include", "With inputs and outputs, which are left out else.", &json!({"enum": ["payload"]}))
        .takes_parameter("limit")
        .takes_parameter("cursor")
        .answers_page_as::<Task<Payload>, TaskPage<Payload>>(
            "A page of tasks.",
            &json!({"items": [], "next_cursor": null}),
        );
    routes
        .get("/tasks/stats", "task_stats")
        .says(
            "Count tasks, and how fast they come and go",
            "By status, queue and kind, exactly as they are now; and what happened in the last 1, 15 and 60 minutes: how \
             often a second, and how long tasks waited and ran. That is written down once a second, so a server that \
             is killed loses the last second of it, and the counts lose nothing. Of many queues and kinds those with \
             most are told apart (`--stats-lanes-max`); the others are added up as `other`.",
        )
        .answers::<Stats>(
            200,
            "The counts.",
            &json!({
                "total": 0, "by_status": counts(), "by_queue": {}, "by_kind": {}, "success_rate": null, "windows": [],
            }),
        )
        .refuses(&[Code::AnswersFull]);
    routes
        .get("/tasks/{id}", "show_task")
        .says(
            "Look at a task",
            "With `wait_ms` the answer is held back until the task has ended, or the time is up.",
        )
        .of_task()
        .query(
            "wait_ms",
            "How long the answer may be held back, in milliseconds.",
            &json!({"type": "integer", "minimum": 0, "maximum": WAIT_MS_MAX, "default": 0}),
        )
        .answers::<Task<Payload>>(200, "The task as it stands.", &task())
        .refuses(&[Code::AnswersFull]);
    routes
        .get("/tasks/{id}/attempts", "task_attempts")
        .says(
            "See each run of a task",
            "Oldest first; and the results that came too late, which changed nothing.",
        )
        .of_task()
        .answers::<Attempts<Payload>>(200, "Its runs.", &json!({"items": [], "late_results": []}))
        .refuses(&[Code::AnswersFull]);
    routes
        .get("/tasks/{id}/explain", "explain_task")
        .says(
            "See why a task is not running",
            "What has to change first stands first, each with what would help. Of a task that has ended, or that a \
             worker has, it says that.",
        )
        .of_task()
        .answers::<Explanation>(200, "Why it stands where it stands.", &explanation());
}

fn beginning(routes: &mut Routes<'_>) {
    routes
        .post("/tasks/{id}/start", "start_run")
        .says("Say that a run began", "Its `timeout_ms` counts from then. Wanted only of runs that last.")
        .of_task()
        .takes::<Start>(&[("now", json!({"lease_token": LEASE}))])
        .answers::<Started>(200, "It is running.", &json!({
            "task_id": TASK_ID, "status": "running", "started_at": AT, "lease_expires_at": LATER,
        }))
        .refuses(&[Code::StaleLease, Code::AlreadyEnded]);
    routes
        .post("/tasks/{id}/progress", "report_progress")
        .says("Say how far a run is", "Renews its lease, and keeps a checkpoint that a later run may go on from.")
        .of_task()
        .takes::<ReportProgress<Payload>>(&[(
            "half",
            json!({
                "lease_token": LEASE, "progress": {"fraction": 0.5, "message": "half of it"}, "checkpoint": {"row": 40},
            }),
        )])
        .answers::<Renewed>(200, "Its lease holds on.", &json!({
            "task_id": TASK_ID, "status": "running", "lease_expires_at": LATER,
        }))
        .refuses(&[Code::StaleLease, Code::AlreadyEnded, Code::WorkerReplaced]);
}

fn ending(routes: &mut Routes<'_>) {
    routes
        .post("/tasks/{id}/complete", "complete_run")
        .says(
            "Complete a run",
            "The task has ended. Sent again, it is answered the same.",
        )
        .of_task()
        .takes::<Complete<Payload>>(&[(
            "bytes",
            json!({"lease_token": LEASE, "output": {"bytes": 1234}}),
        )])
        .answers::<Standing>(200, "It is taken.", &standing("completed"))
        .refuses(REPORTED);
    routes
        .post("/tasks/{id}/fail", "fail_run")
        .says("Fail a run", "The task runs again later, up to its `max_attempts`, unless `retry` is false.")
        .of_task()
        .takes::<Fail<Payload>>(&[(
            "gone",
            json!({"lease_token": LEASE, "error": {"code": "no_such_image", "message": "it is gone"}}),
        )])
        .answers::<Standing>(200, "It is taken.", &standing("scheduled"))
        .refuses(REPORTED);
    routes
        .post("/tasks/{id}/snooze", "snooze_run")
        .says(
            "Snooze a run",
            "The task runs again later, at no cost: it counts as no failure.",
        )
        .of_task()
        .takes::<Snooze>(&[("minute", json!({"lease_token": LEASE, "delay_ms": 60_000}))])
        .answers::<Standing>(200, "It is taken.", &standing("scheduled"))
        .refuses(REPORTED);
    routes
        .post("/tasks/{id}/release", "release_run")
        .says("Release a run", "At no cost; another worker gets the task.")
        .of_task()
        .takes::<Release>(&[("back", json!({"lease_token": LEASE}))])
        .answers::<Standing>(200, "It is taken.", &standing("pending"))
        .refuses(REPORTED);
}

/// Of a result.
const REPORTED: &[Code] = &[Code::StaleLease, Code::ReportedOtherwise];

const LEASE: &str = "tD1_4XkvQ0sAAAABAAAAAV9-kS7f0b";
const AT: &str = "2026-01-31T12:00:00.000Z";
const LATER: &str = "2026-01-31T12:01:15.000Z";

fn explanation() -> Value {
    json!({
        "task_id": TASK_ID, "status": "pending",
        "reasons": [{
            "code": "queue_paused", "detail": "the queue `images` is paused",
            "action": "taskyard queues resume images",
        }],
    })
}

fn standing(status: &str) -> Value {
    json!({"task_id": TASK_ID, "status": status})
}

fn task() -> Value {
    let retry = taskyard_api::task::Retry::default();
    json!({
        "id": TASK_ID, "kind": "echo", "queue": "default", "status": "completed", "input": "hello", "output": "hello",
        "error": null, "priority": 0, "labels": {}, "requires": {}, "run_at": AT, "created_at": AT, "assigned_at": AT,
        "started_at": AT, "ended_at": AT, "timeout_ms": 1_800_000, "attempts": 1, "failures": 0, "losses": 0,
        "max_attempts": 5, "max_losses": 5, "retry": retry, "worker_id": "worker-1", "progress": null, "job_id": null,
        "exclusive": false, "unique_key": null,
        "retry_of": null, "origin": null, "required_submissions": 1,
    })
}

fn counts() -> Value {
    json!(taskyard_api::stats::Counts::default())
}
