//! What `/openapi.json` says of the dialects' routes.

use serde_json::{Value, json};
use taskyard_api::payload::Payload;

use super::LIMIT_MAX;
use super::shared::LIMIT_DEFAULT;
use super::simple::task::{SimpleSubmit, SimpleTask};
use super::simple::tasks::{SimpleClaim, SimpleComplete};
use super::simple::workers::{SimpleHeartbeat, WorkerCount};
use super::status;
use super::taskmaster::task::{TaskmasterSchedule, TaskmasterStatus};
use super::taskmaster::tasks::{TaskmasterScheduled, TaskmasterTasks};
use super::taskmaster::workers::{
    self, TaskmasterKill, TaskmasterKilled, TaskmasterScale, TaskmasterScaled, TaskmasterStats,
    TaskmasterWorkers,
};
use crate::openapi::bounds::{path_name, plain_name};
use crate::openapi::operation::Routes;
use crate::openapi::shapes::TASK_ID;
use crate::openapi::{SIMPLE, TASKMASTER};
use crate::problem::Code;
use crate::settings::Limits;

pub(crate) fn describe(routes: &mut Routes<'_>, limits: &Limits) {
    simple(routes, limits);
    taskmaster(routes, limits);
}

/// What holds of the values, besides what the types say.
pub(crate) fn bounds() -> Vec<(&'static str, Value)> {
    vec![
        ("SimpleTask/status", json!({"enum": status::SIMPLE.all()})),
        ("SimpleSubmit/kind", path_name()),
        ("SimpleClaim/worker_id", plain_name()),
        ("SimpleComplete/worker_id", plain_name()),
        ("SimpleHeartbeat/status", json!({"const": "ok"})),
        (
            "TaskmasterScheduled/status",
            json!({"const": status::TASKMASTER.waits}),
        ),
        (
            "TaskmasterStatus/status",
            json!({"enum": status::TASKMASTER.all()}),
        ),
        (
            "TaskmasterTask/status",
            json!({"enum": status::TASKMASTER.all()}),
        ),
        (
            "TaskmasterWorker/status",
            json!({"enum": [workers::IDLE, workers::BUSY, workers::OFFLINE]}),
        ),
        ("TaskmasterSchedule/command", json!({"pattern": "\\S"})),
        (
            "TaskmasterScale/count",
            json!({"minimum": 1, "maximum": taskyard_engine::pool::COUNT_MAX}),
        ),
        // It would be another dialect's.
        ("SimpleSubmit", json!({"not": {"required": ["text"]}})),
    ]
}

fn simple(routes: &mut Routes<'_>, limits: &Limits) {
    routes.under("", SIMPLE);
    routes
        .post("/tasks", "simple_submit")
        .says("Submit a task", "It is run once.")
        .takes_parameter("Idempotency-Key")
        .takes::<SimpleSubmit<Payload>>(&[("text", json!({"data": "hello"}))])
        .answers::<SimpleTask>(201, "It is stored.", &task("pending"))
        .leads_to(201, "simple_task", &[("id", "/id")])
        .leads_to(201, "simple_claim", &[("id", "/id")])
        .leads_to(201, "simple_complete", &[("id", "/id")])
        .refuses(&[Code::IdempotencyKeyReused, Code::TooManyLanes])
        .passes_over_what_is_unknown();
    let mut list = routes.get("/tasks", "simple_tasks");
    let tasks = list.list_of::<SimpleTask>("SimpleTasks");
    list.says(
            "List tasks",
            "Newest first, of whatever dialect. It ends before its payloads grow past 8 MiB, so it may hold fewer than \
             `limit` and there be more: what follows begins behind as many as came.",
        )
        .query("limit", "How many at most.", &limit(LIMIT_DEFAULT))
        .query("offset", BEHIND, &offset(limits))
        .answers_as(200, "They are these.", &tasks, &json!([task("completed")]))
        .with_header(200, "X-Unreadable")
        .refuses(&[Code::AnswersFull])
        .passes_over_what_is_unknown();
    routes
        .get("/tasks/{id}", "simple_task")
        .says("Look at a task", "Of whatever dialect.")
        .of_task()
        .answers::<SimpleTask>(200, "As it is now.", &task("completed"))
        .refuses(&[Code::AnswersFull])
        .passes_over_what_is_unknown();
    routes
        .post("/tasks/{id}/claim", "simple_claim")
        .says(
            "Take a task",
            "Its run begins. A worker that nobody knew is known from here on.",
        )
        .of_task()
        .takes::<SimpleClaim>(&[("w1", json!({"worker_id": "w1"}))])
        .answers::<SimpleTask>(200, "The worker has it.", &task("processing"))
        .refuses(&[
            Code::NotClaimable,
            Code::WorkerIsInternal,
            Code::WorkerReplaced,
            Code::WorkerDraining,
            Code::TooManyWorkers,
            Code::AnswersFull,
        ])
        .passes_over_what_is_unknown();
    routes
        .post("/tasks/{id}/complete", "simple_complete")
        .says(
            "Complete a task",
            "By the worker that has it now, and by no other.",
        )
        .of_task()
        .takes::<SimpleComplete<Payload>>(&[(
            "w1",
            json!({"worker_id": "w1", "result": {"lines": 3}}),
        )])
        .answers::<SimpleTask>(200, "It is completed.", &task("completed"))
        .refuses(&[
            Code::StaleLease,
            Code::AlreadyEnded,
            Code::ReportedOtherwise,
            Code::WorkerIsInternal,
            Code::WorkerReplaced,
        ])
        .passes_over_what_is_unknown();
    workers(routes);
}

fn workers(routes: &mut Routes<'_>) {
    routes
        .post("/workers/{id}/heartbeat", "simple_heartbeat")
        .says(
            "Give a sign of life",
            "For the worker and all that it has. One that nobody knew is known from here on; one that was killed is refused \
             until it was deleted. Nothing is read of a body.",
        )
        .of_worker()
        .answers::<SimpleHeartbeat>(
            200,
            "It was heard.",
            &json!({"status": "ok", "worker_id": "w1", "last_heartbeat": AT}),
        )
        .refuses(&[
            Code::Invalid,
            Code::WorkerIsInternal,
            Code::WorkerReplaced,
            Code::TooManyWorkers,
        ])
        .passes_over_what_is_unknown();
    routes
        .get("/workers/count", "simple_worker_count")
        .says("Count active workers", "Internal ones too.")
        .answers::<WorkerCount>(200, "So many.", &json!({"count": 3}))
        .passes_over_what_is_unknown();
}

fn taskmaster(routes: &mut Routes<'_>, limits: &Limits) {
    routes.under("/api", TASKMASTER);
    let scheduled = "2024-01-23T10:00:00.000Z";
    let line = "process-data --input file.csv";
    routes
        .post("/schedule", "taskmaster_schedule")
        .says(
            "Schedule a command",
            "It is run once, at its time; a time that has passed means now. Which commands are run is said with \
             `--allow-command`; with `--simulate` none is, and each goes through its life all the same.",
        )
        .takes_parameter("Idempotency-Key")
        .takes::<TaskmasterSchedule>(&[("csv", json!({"command": line, "scheduled_at": scheduled}))])
        .answers::<TaskmasterScheduled>(
            201,
            "It is stored.",
            &json!({"task_id": TASK_ID, "status": "scheduled", "scheduled_at": scheduled}),
        )
        .refuses(&[Code::IdempotencyKeyReused, Code::TooManyLanes])
        .passes_over_what_is_unknown();
    let times = |ended| {
        json!({
            "task_id": TASK_ID, "command": line, "status": "completed", "scheduled_at": AT, "picked_at": AT,
            "started_at": AT, "completed_at": ended, "failed_at": null, "assigned_worker": "worker-1",
            "error_message": null,
        })
    };
    routes
        .get("/status", "taskmaster_status")
        .says(
            "Look at a task",
            "Of whatever dialect. What it has not reached is null.",
        )
        .query_that_must_be_there(
            "task_id",
            "The task's id.",
            &json!({"$ref": "#/components/schemas/TaskId"}),
        )
        .answers::<TaskmasterStatus>(200, "As it is now.", &times(AT))
        .refuses(&[Code::NotFound, Code::AnswersFull])
        .passes_over_what_is_unknown();
    routes
        .get("/tasks", "taskmaster_tasks")
        .says(
            "List tasks",
            "Newest first, of whatever dialect. It ends before it grows past 8 MiB: what follows begins behind as many as \
             came.",
        )
        .query("limit", "How many at most.", &limit(LIMIT_MAX))
        .query("offset", BEHIND, &offset(limits))
        .answers::<TaskmasterTasks>(200, "They are these.", &json!({"tasks": []}))
        .with_header(200, "X-Unreadable")
        .refuses(&[Code::AnswersFull])
        .passes_over_what_is_unknown();
    pool(routes);
}

fn pool(routes: &mut Routes<'_>) {
    let worker = json!({
        "id": 1, "name": "worker-1", "status": workers::IDLE, "currentTaskId": null, "tasksCompleted": 7,
        "lastActiveAt": AT,
    });
    routes
        .get("/workers", "taskmaster_workers")
        .says(
            "List workers",
            "By number; of more than 1,000 the first by name.",
        )
        .answers::<TaskmasterWorkers>(200, "They are these.", &json!({"workers": [worker]}))
        .refuses(&[Code::AnswersFull])
        .passes_over_what_is_unknown();
    routes
        .get("/stats", "taskmaster_stats")
        .says("Count tasks", "And see the workers. What was cancelled, or took too long, has failed.")
        .answers::<TaskmasterStats>(
            200,
            "So many.",
            &json!({
                "total_tasks": 8, "pending_tasks": 1, "running_tasks": 0, "completed_tasks": 7, "failed_tasks": 0,
                "workers": [worker],
            }),
        )
        .refuses(&[Code::AnswersFull])
        .passes_over_what_is_unknown();
    routes
        .post("/workers/scale", "taskmaster_scale")
        .says(
            "Have so many internal workers",
            "Of this server. Those that are too many finish what they have first.",
        )
        .takes::<TaskmasterScale>(&[("five", json!({"count": 5}))])
        .answers::<TaskmasterScaled>(
            200,
            "It is done.",
            &json!({"count": 1, "workers": ["worker-1"]}),
        )
        .refuses(&[Code::NotFound])
        .passes_over_what_is_unknown();
    routes
        .post("/workers/kill", "taskmaster_kill")
        .says(
            "Kill a worker",
            "At once; what it has goes back, and runs elsewhere.",
        )
        .takes::<TaskmasterKill>(&[("two", json!({"name": "worker-2"}))])
        .answers::<TaskmasterKilled>(
            200,
            "It is gone.",
            &json!({"name": "worker-2", "tasks": [TASK_ID]}),
        )
        .refuses(&[Code::NotFound])
        .passes_over_what_is_unknown();
}

const BEHIND: &str = "Behind how many of the newest it begins.";

fn limit(default: usize) -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": default})
}

fn offset(limits: &Limits) -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": limits.offset_max, "default": 0})
}

const AT: &str = "2026-01-31T12:00:00.000Z";

fn task(status: &str) -> Value {
    let (is_taken, is_done) = (
        status != status::SIMPLE.waits,
        status == status::SIMPLE.completed,
    );
    json!({
        "id": TASK_ID, "data": "hello", "status": status, "result": is_done.then_some("hello"),
        "worker_id": is_taken.then_some("w1"), "created_at": AT, "started_at": is_taken.then_some(AT),
        "completed_at": is_done.then_some(AT),
    })
}
