//! What a server says to a worker, and tasks that it gives out.

use serde_json::value::RawValue;
use taskyard_api::answered::Answered;
use taskyard_api::client;
use taskyard_api::problem::Problem;
use taskyard_api::report::{Report, Reported};
use taskyard_api::run::{Start, Started};
use taskyard_api::task::{Standing, Status};
use taskyard_api::time::Time;
use taskyard_api::worker::{Claimed, Heard, Limits, Registered, Run, TIMEOUT_MARGIN_MS};
use taskyard_core::id::TaskId;
use taskyard_core::time::Timestamp;

pub(super) const NOW: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);

pub(super) fn registered(epoch: u32) -> Registered {
    Registered {
        worker_id: "w".to_owned(),
        number: 1,
        epoch,
        heartbeat_ms: 10_000,
        heartbeat_ttl_ms: 30_000,
        lease_ms: 75_000,
        timeout_margin_ms: TIMEOUT_MARGIN_MS,
        limits: Limits::default(),
    }
}

pub(super) fn heard() -> Heard {
    Heard {
        expires_at: Time(NOW),
        lost: Vec::new(),
        cancel: Vec::new(),
        unconfirmed: Vec::new(),
        drain: false,
        lease_ms: None,
        heartbeat_ms: None,
    }
}

pub(super) fn begun(task_id: TaskId, start: &Start) -> Started {
    Started {
        task_id,
        status: Status::Running,
        started_at: start.started_at.unwrap(),
        lease_expires_at: Time(NOW),
    }
}

pub(super) fn id(number: u64) -> TaskId {
    TaskId::new(NOW, u128::from(number) << 40)
}

/// A run of the task of this number; its token is the number.
pub(super) fn task(number: u64, kind: &str) -> Run {
    Run {
        id: id(number),
        kind: kind.to_owned(),
        queue: "default".to_owned(),
        input: raw("7"),
        attempt: 2,
        lease_token: number.to_string(),
        lease_expires_at: Time(NOW),
        timeout_ms: 60_000,
        exclusive: false,
        checkpoint: None,
    }
}

pub(super) fn told(numbers: std::ops::Range<u64>) -> Vec<Run> {
    numbers.map(|number| task(number, "told")).collect()
}

pub(super) fn noops(numbers: std::ops::Range<u64>) -> Vec<Run> {
    numbers.map(|number| task(number, "noop")).collect()
}

/// The tokens of the leases that it reports of.
pub(super) fn tokens(report: &Report) -> Vec<&str> {
    let results = report.results.iter();
    results.map(|result| result.lease_token.as_str()).collect()
}

pub(super) fn taken(report: &Report, tasks: Vec<Run>) -> Reported {
    let standing = |task_id| Standing {
        task_id,
        status: Status::Completed,
    };
    let results = report.results.iter();
    Reported {
        results: results
            .map(|result| Answered::Taken(standing(result.task_id)))
            .collect(),
        tasks: report.claim.map(|_| tasks),
        drain: false,
        lease_ms: None,
        heartbeat_ms: None,
    }
}

pub(super) fn claimed(tasks: Vec<Run>) -> Claimed {
    Claimed {
        tasks,
        drain: false,
        lease_ms: None,
        heartbeat_ms: None,
    }
}

pub(super) fn problem(status: u16, code: &str) -> Problem {
    Problem {
        kind: format!("/problems/{code}"),
        title: code.to_owned(),
        status,
        detail: None,
        code: code.to_owned(),
        errors: Vec::new(),
        request_id: None,
        task_id: None,
        task_status: None,
        retry_after_ms: None,
    }
}

/// As a heartbeat, a report or a claim that is over a limit is refused.
pub(super) fn too_large() -> client::Error {
    error(413, "too_large")
}

pub(super) fn error(status: u16, code: &str) -> client::Error {
    client::Error::Problem(Box::new(problem(status, code)))
}

/// As good as no answer: what was asked may have been done.
pub(super) fn lost() -> client::Error {
    error(503, "unavailable")
}

pub(super) fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}
