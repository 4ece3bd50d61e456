//! A task as it was submitted, and its end.

use taskyard_core::id::{Fence, WorkerNumber};
use taskyard_core::labels::Labels;
use taskyard_core::lane::Lane;
use taskyard_core::retry::Retry;
use taskyard_core::rows::{Closed, Input, Outcome, Task};
use taskyard_core::slot::Limits;
use taskyard_core::status::Status;

use crate::columns::{self, BadColumn};
use crate::fields::{Database, Fields, Read};

pub(crate) fn task<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Task> {
    Ok(Task {
        id: fields.task()?,
        lane: Lane(fields.take()?),
        order_key: fields.order_key()?,
        priority: fields.priority()?,
        run_at: fields.time()?,
        created_at: fields.time()?,
        limits: Limits {
            max_attempts: fields.take()?,
            max_losses: fields.take()?,
        },
        timeout: fields.duration()?,
        retry: Retry {
            backoff: fields.duration()?,
            factor: fields.take()?,
            max: fields.duration()?,
            jitter: fields.take()?,
        },
        labels: fields.decode(|text: &str| {
            Labels::from_text(text).map_err(|_| BadColumn::new("task.labels", text))
        })?,
        digest: fields.digest_or_none()?,
        input: input(fields)?,
        is_exclusive: fields.take()?,
        unique_key: fields.text_or_none()?,
        retry_of: fields.task_or_none()?,
        origin: fields.decode(columns::origin)?,
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
