//! What is known of a task → a task as answers show it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use taskyard_api::payload::Payload;
use taskyard_api::task::{Progress, Task, TaskError};
use taskyard_api::time::Time;
use taskyard_core::json::Json;
use taskyard_core::labels::Labels;
use taskyard_core::query::{Standing, TaskView};
use taskyard_core::rows::{self, Failure, Lease, Origin};
use taskyard_core::status::Status;
use taskyard_core::time::Timestamp;

/// With its input and output, or as lists show it.
pub(crate) fn task(view: &TaskView, payload: bool) -> Task<Payload> {
    let row = &*view.task;
    let (counts, when) = (view.counts(), When::of(view));
    let input = row.input.here().filter(|_| payload).cloned();
    let (problem_id, parameters) = problem(view).filter(|_| payload).unzip();
    Task {
        id: row.id,
        kind: view.lane.kind.to_string(),
        queue: view.lane.queue.to_string(),
        status: view.status().into(),
        input: input.map(Into::into),
        output: payload.then(|| output(view).into()),
        error: error(view).map(task_error),
        priority: view.priority().get(),
        labels: texts(row.labels.iter().flat_map(Labels::iter)),
        requires: texts(view.lane.demands.iter()),
        run_at: view.run_at().into(),
        created_at: row.created_at.into(),
        assigned_at: when.assigned,
        started_at: when.started,
        ended_at: when.ended,
        timeout_ms: ms(row.timeout),
        attempts: count(counts.attempts),
        failures: count(counts.failures),
        losses: count(counts.losses),
        max_attempts: count(row.limits.max_attempts),
        max_losses: count(row.limits.max_losses),
        retry: row.retry.into(),
        worker_id: view.worker.as_ref().map(ToString::to_string),
        progress: lease(view).and_then(progress),
        job_id: None,
        exclusive: row.is_exclusive,
        unique_key: row.unique_key.as_deref().map(str::to_owned),
        retry_of: row.retry_of,
        origin: row.origin.map(|origin| origin.as_str().to_owned()),
        problem_id,
        parameters,
        required_submissions: 1,
        unreadable: unreadable_labels(view).collect(),
    }
}

/// What stands in their place is empty; the payloads are found where the answer is written.
fn unreadable_labels(view: &TaskView) -> impl Iterator<Item = String> {
    let is_damaged = view.task.labels.is_none();
    is_damaged.then(|| "/labels".to_owned()).into_iter()
}

/// Of a task that was submitted by naming a problem: its input holds the two, and nothing else.
fn problem(view: &TaskView) -> Option<(String, Payload)> {
    #[derive(Deserialize)]
    struct Input<'a> {
        problem_id: String,
        #[serde(borrow)]
        parameters: &'a RawValue,
    }
    let is_named = view.task.origin == Some(Origin::V1);
    let input = view.task.input.here().filter(|_| is_named)?;
    let input: Input<'_> = serde_json::from_str(input.as_str()).ok()?;
    let parameters = Json::stored(input.parameters.get());
    Some((input.problem_id, parameters.into()))
}

#[derive(Default)]
pub(crate) struct When {
    pub(crate) assigned: Option<Time>,
    pub(crate) started: Option<Time>,
    pub(crate) ended: Option<Time>,
}

impl When {
    pub(crate) fn of(view: &TaskView) -> Self {
        let time = |at: Option<Timestamp>| at.map(Time::from);
        match &view.standing {
            Standing::Scheduled(_) | Standing::Ready => Self::default(),
            Standing::Leased(lease) => Self {
                assigned: Some(lease.claimed_at.into()),
                started: time(lease.started_at),
                ended: None,
            },
            Standing::Ended(outcome) => Self {
                assigned: time(outcome.claimed_at),
                started: time(outcome.started_at),
                ended: Some(outcome.ended_at.into()),
            },
        }
    }
}

/// Null until it is completed.
pub(crate) fn output(view: &TaskView) -> Json {
    match &view.standing {
        Standing::Ended(outcome) => outcome.output.clone().unwrap_or_else(Json::null),
        Standing::Scheduled(_) | Standing::Ready | Standing::Leased(_) => Json::null(),
    }
}

/// Why it ended, or why its latest run did not end it. What went wrong before it was completed is for its attempts.
pub(crate) fn error(view: &TaskView) -> Option<&Failure> {
    let carried = || view.carry.as_ref().and_then(|carry| carry.error.here());
    match &view.standing {
        Standing::Ended(outcome) if outcome.status == Status::Completed => None,
        Standing::Ended(outcome) => outcome.error.as_ref().or_else(carried),
        Standing::Scheduled(_) | Standing::Ready | Standing::Leased(_) => carried(),
    }
}

fn lease(view: &TaskView) -> Option<&Lease> {
    match &view.standing {
        Standing::Leased(lease) => Some(lease),
        Standing::Scheduled(_) | Standing::Ready | Standing::Ended(_) => None,
    }
}

fn progress(lease: &Lease) -> Option<Progress> {
    lease.progress.as_ref().map(said)
}

pub(crate) fn said(progress: &rows::Progress) -> Progress {
    Progress {
        fraction: progress.fraction,
        message: progress.message.as_deref().map(str::to_owned),
    }
}

pub(crate) fn task_error(failure: &Failure) -> TaskError<Payload> {
    TaskError {
        code: failure.code.to_string(),
        message: failure.message.to_string(),
        detail: failure.detail.clone().map(Payload::from),
    }
}

pub(crate) fn texts<'a, K: ToString>(
    entries: impl Iterator<Item = (K, &'a str)>,
) -> BTreeMap<String, String> {
    entries
        .map(|(name, value)| (name.to_string(), value.to_owned()))
        .collect()
}

pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Counts never fall below zero.
pub(crate) fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default()
}
