//! Runs that did not end their task, and reports that came too late.

use taskyard_core::id::{Fence, RunKey, WorkerNumber};
use taskyard_core::rows::{Attempt, LateResult};

use crate::columns;
use crate::fields::{Database, Fields, Read};

pub(crate) fn run<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, RunKey> {
    Ok(RunKey {
        slot: fields.slot()?,
        fence: Fence(fields.take()?),
    })
}

pub(crate) fn attempt<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Attempt> {
    Ok(Attempt {
        run: run(fields)?,
        number: fields.take()?,
        worker: WorkerNumber(fields.take()?),
        claimed_at: fields.time()?,
        started_at: fields.time_or_none()?,
        ended_at: fields.time()?,
        end: fields.decode(columns::end)?,
        error: fields.failure()?,
    })
}

pub(crate) fn late_result<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, LateResult> {
    Ok(LateResult {
        run: run(fields)?,
        at: fields.time()?,
        said: fields.decode(columns::said)?,
        error: fields.failure()?,
        output: fields.json_or_none()?,
    })
}
