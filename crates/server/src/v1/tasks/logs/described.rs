//! What `/openapi.json` says of a task's log.

use serde_json::json;
use taskyard_api::logs::{AppendLogs, AppendedLogs, FollowEnd, LogLine};
use taskyard_core::log::SEQ_MAX;

use crate::openapi::bounds::text;
use crate::openapi::operation::Routes;
use crate::problem::Code;

const LEASE: &str = "tD1_4XkvQ0sAAAABAAAAAV9-kS7f0b";

pub(crate) fn shown(routes: &mut Routes<'_>) {
    routes
        .get("/tasks/{id}/logs", "task_logs")
        .says(
            "See what the runs of a task printed",
            "Oldest first. With `follow=true` the answer is `application/x-ndjson`: a record for each line, which has the \
             `cursor` to go on behind it, until the task has ended and all of it was told; the last record is \
             `{\"status\", \"next_cursor\"}`, whose `status` is null where the server stops before that. An empty line \
             in between shows that it is there. `limit` is for pages alone.",
        )
        .of_task()
        .query(
            "attempt",
            "Lines of this attempt alone.",
            &json!({"type": "integer", "minimum": 1, "maximum": SEQ_MAX}),
        )
        .query(
            "stream",
            "Lines of this stream alone.",
            &text(json!({"enum": ["stdout", "stderr", "worker"]})),
        )
        .query(
            "follow",
            "Told as NDJSON until the task has ended.",
            &json!({"type": "boolean", "default": false}),
        )
        .takes_parameter("limit")
        .takes_parameter("cursor")
        .answers_page_of::<LogLine>(
            "A page of lines.",
            &json!({"items": [{
                "seq": 1, "at": "2026-01-31T12:00:00.000Z", "attempt": 1, "stream": "stdout", "line": "read 40 rows",
            }], "next_cursor": null}),
        )
        .or_lines_of::<LogLine, FollowEnd>(&json!([
            {
                "seq": 1, "at": "2026-01-31T12:00:00.000Z", "attempt": 1, "stream": "stdout", "line": "read 40 rows",
                "cursor": "AAAAAAAAAAGlY2Zj",
            },
            {"status": "completed", "next_cursor": null},
        ]))
        .refuses(&[Code::LogsUnavailable, Code::FollowsFull]);
}

pub(crate) fn appended(routes: &mut Routes<'_>) {
    routes
        .post("/tasks/{id}/logs", "append_logs")
        .says(
            "Append to the log of a run",
            "The run began with its first line. Lines count from 1 within each run; with `first_seq` they can be sent \
             again, and each is kept once. What is refused besides a lost lease concerns no task.",
        )
        .of_task()
        .takes::<AppendLogs>(&[(
            "two",
            json!({"lease_token": LEASE, "first_seq": 1, "lines": [
                {"stream": "stdout", "line": "read 40 rows"}, {"stream": "stderr", "line": "row 41 is odd"},
            ]}),
        )])
        .answers::<AppendedLogs>(200, "They are kept, as far as there is room.", &json!({"next_seq": 3, "full": false}))
        .refuses(&[Code::StaleLease, Code::AlreadyEnded, Code::LogsUnavailable]);
}
