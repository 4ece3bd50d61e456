//! A task as it was submitted, and its end.

use taskyard_core::id::{Fence, WorkerNumber};
use taskyard_core::lane::Lane;
use taskyard_core::retry::Retry;
use taskyard_core::rows::{Closed, Input, Outcome, Task};
use taskyard_core::slot::Limits;
use taskyard_core::status::Status;

use crate::columns::{self, BadColumn};
use crate::fields::{Database, Fields, Read};

/// As decisions load it. What of it cannot be read counts as not said, so that damage keeps no run from its end, and no
/// command from its answer.
pub(crate) fn task<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Task> {
    said(fields, &mut None)
}

/// As it is shown: nothing of it is made up.
pub(crate) fn whole_task<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Task> {
    let mut unreadable = None;
    let task = said(fields, &mut unreadable)?;
    unreadable.map_or(Ok(task), Err)
}

/// What can be read of it, and the first reason why something else cannot.
fn said<D: Database>(
    fields: &mut Fields<'_, D>,
    unreadable: &mut Option<D::Error>,
) -> Read<D, Task> {
    let id = fields.task()?;
    let lane = Lane(fields.take()?);
    let order_key = fields.order_key()?;
    let priority = or_not(fields.priority(), unreadable);
    let (run_at, created_at) = (fields.time()?, fields.time()?);
    let limits = Limits {
        max_attempts: fields.take()?,
        max_losses: fields.take()?,
    };
    let timeout = or_not(fields.duration(), unreadable);
    let retry = Retry {
        backoff: or_not(fields.duration(), unreadable),
        factor: fields.take()?,
        max: or_not(fields.duration(), unreadable),
        jitter: fields.take()?,
    };
    let labels = fields.labels()?;
    let digest = or_not(fields.digest_or_none(), unreadable);
    let input = input(fields)?;
    let is_exclusive = fields.take()?;
    Ok(Task {
        id,
        lane,
        order_key,
        priority,
        run_at,
        created_at,
        input,
        limits,
        timeout,
        retry,
        labels,
        digest,
        is_exclusive,
        unique_key: or_not(fields.text_or_none(), unreadable),
        retry_of: or_not(fields.task_or_none(), unreadable),
        origin: or_not(fields.decode(columns::origin), unreadable),
    })
}

fn or_not<T: Default, E>(read: Result<T, E>, unreadable: &mut Option<E>) -> T {
    read.unwrap_or_else(|error| {
        unreadable.get_or_insert(error);
        T::default()
    })
}

/// Its length, and itself where the statement wants it.
pub(crate) fn input<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Input> {
    let bytes: i64 = fields.take()?;
    let left = Input::Left(usize::try_from(bytes).unwrap_or(usize::MAX));
    Ok(fields.json_or_none()?.map_or(left, Input::Here))
}

pub(crate) const OUTCOME_WIDTH: usize = 18;

pub(crate) fn outcome<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Outcome> {
    let task = fields.task()?;
    let lane = Lane(fields.take()?);
    let status = status(fields)?;
    let (claimed_at, started_at) = (fields.time_or_none()?, fields.time_or_none()?);
    let ended_at = fields.time()?;
    let worker = fields.take::<Option<i32>>()?.map(WorkerNumber);
    let counts = fields.counts()?;
    let fence = Fence(fields.take()?);
    let reported = fields.reported()?;
    let error = fields.failure()?;
    let output = fields.json_or_none()?;
    Ok(Outcome {
        task,
        lane,
        status,
        output,
        error,
        claimed_at,
        started_at,
        ended_at,
        worker,
        counts,
        fence,
        reported,
    })
}

/// As much of one as decisions go by.
pub(crate) fn closed<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Closed> {
    Ok(Closed {
        status: status(fields)?,
        fence: Fence(fields.take()?),
        reported: fields.reported()?,
    })
}

pub(super) fn status<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Status> {
    fields.decode(|code| {
        Status::from_code(code).ok_or_else(|| BadColumn::new("outcome.status", code))
    })
}
