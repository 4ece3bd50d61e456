//! The runs of a task: those that did not end it, the one that did, and the one under way.

use taskyard_api::attempt::{Attempt, Attempts, LateResult, Outcome};
use taskyard_api::payload::Payload;
use taskyard_api::time::Time;
use taskyard_core::id::WorkerNumber;
use taskyard_core::name::Name;
use taskyard_core::query::{Standing, TaskView};
use taskyard_core::rows::{self, End, Said};
use taskyard_core::status::Status;

use super::task::{count, task_error};

pub(crate) fn attempts(
    view: &TaskView,
    ended: &[(rows::Attempt, Option<Name>)],
    late: &[rows::LateResult],
    detail_max: usize,
) -> Attempts<Payload> {
    let of_rows = ended.iter();
    let mut items: Vec<Attempt<Payload>> = of_rows
        .map(|(attempt, worker)| of_row(attempt, named(worker.as_ref(), attempt.worker)))
        .collect();
    items.extend(latest(view).map(|mut attempt| {
        // The task itself shows it whole.
        if let Some(error) = &mut attempt.error {
            error.detail.take_if(|detail| detail.0.len() > detail_max);
        }
        attempt
    }));
    items.sort_by_key(|attempt| attempt.fence);
    Attempts {
        items,
        late_results: late.iter().map(late_result).collect(),
        unreadable: Vec::new(),
    }
}

fn named(name: Option<&Name>, number: WorkerNumber) -> String {
    name.map_or_else(|| format!("#{number}"), Name::to_string)
}

fn of_row(row: &rows::Attempt, worker_id: String) -> Attempt<Payload> {
    Attempt {
        attempt: row.number.map(count),
        fence: count(row.run.fence.0),
        worker_id,
        outcome: Some(match row.end {
            End::Failed => Outcome::Failed,
            End::TimedOut => Outcome::TimedOut,
            End::Snoozed => Outcome::Snoozed,
            End::Released => Outcome::Released,
            End::Lost => Outcome::Lost,
        }),
        claimed_at: row.claimed_at.into(),
        started_at: row.started_at.map(Time::from),
        ended_at: Some(row.ended_at.into()),
        error: row.error.as_ref().map(task_error),
    }
}

/// The run that ended the task, or the one that goes on.
fn latest(view: &TaskView) -> Option<Attempt<Payload>> {
    let name = |number| named(view.worker.as_ref(), number);
    let number = count(view.counts().attempts);
    match &view.standing {
        Standing::Scheduled(_) | Standing::Ready => None,
        Standing::Leased(lease) => Some(Attempt {
            attempt: lease.started_at.map(|_| number),
            fence: count(lease.fence.0),
            worker_id: name(lease.worker),
            outcome: None,
            claimed_at: lease.claimed_at.into(),
            started_at: lease.started_at.map(Time::from),
            ended_at: None,
            error: None,
        }),
        // A task that was cancelled while it waited was ended by no run.
        Standing::Ended(outcome) => Some(Attempt {
            attempt: outcome.started_at.map(|_| number),
            fence: count(outcome.fence.0),
            worker_id: name(outcome.worker?),
            outcome: Some(how(outcome)),
            claimed_at: outcome.claimed_at?.into(),
            started_at: outcome.started_at.map(Time::from),
            ended_at: Some(outcome.ended_at.into()),
            error: outcome.error.as_ref().map(task_error),
        }),
    }
}

fn how(outcome: &rows::Outcome) -> Outcome {
    match outcome.status {
        Status::Failed if outcome.was_lost() => Outcome::Lost,
        Status::Failed => Outcome::Failed,
        Status::Timeout => Outcome::TimedOut,
        Status::Cancelled => Outcome::Cancelled,
        Status::Completed => Outcome::Completed,
        Status::Scheduled | Status::Pending | Status::Assigned | Status::Running => {
            unreachable!("an outcome is final: {}", outcome.status)
        }
    }
}

fn late_result(row: &rows::LateResult) -> LateResult<Payload> {
    LateResult {
        fence: count(row.run.fence.0),
        at: row.at.into(),
        outcome: match row.said {
            Said::Completed => Outcome::Completed,
            Said::Failed => Outcome::Failed,
            Said::TimedOut => Outcome::TimedOut,
            Said::Snoozed => Outcome::Snoozed,
            Said::Released => Outcome::Released,
        },
        output: row.output.clone().map(Payload::from),
        error: row.error.as_ref().map(task_error),
    }
}
