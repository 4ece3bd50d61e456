//! Works off operations: looks for the tasks of the next piece of each, and sends them as one command, which judges every
//! one again. A piece waits for its answer before the next is looked for, so whatever else is asked stands in between.

use taskyard_core::filter::Filter;
use taskyard_core::id::TaskId;
use taskyard_core::operation::{Act, Operation};
use taskyard_core::query::{List, Query};
use taskyard_core::store;
use taskyard_core::verbs::clear::{Clear, Cleared, ended_before};
use taskyard_core::verbs::proceed::{Proceed, Proceeded};

use super::STEP_ROWS_MAX;
use crate::engine::Engine;
use crate::error::Error;

/// Does the next piece of each operation that is under way, the oldest first. Answers whether there may be more to do at
/// once; where another server is at it as well, that is left to it for now.
pub async fn run_once(engine: &Engine) -> Result<bool, Error> {
    let open = Query::OpenOperations {
        limit: engine.policy().operations_max,
    };
    let open = engine.read(open).await?.operations();
    let (mut goes_on, mut failed) = (false, None);
    for operation in open {
        match piece(engine, &operation).await {
            Ok(Some(after)) => goes_on |= after.is_running(),
            Ok(None) => {}
            Err(Error::Stopping) => return Err(Error::Stopping),
            // The others may go on.
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(goes_on), Err)
}

/// The operation as it is then; none if somebody else has moved it on. Where the database refuses a piece the pieces get
/// smaller, until the task that it refuses stands alone and is passed over.
async fn piece(engine: &Engine, operation: &Operation) -> Result<Option<Operation>, Error> {
    let mut limit = STEP_ROWS_MAX;
    loop {
        let look = look_for_piece(operation, limit);
        let found = engine.read(look).await?.tasks();
        let (tasks, unreadable) = (found.items.len(), found.unreadable.clone());
        let piece = Proceed::of(operation, found, engine.store().now(), || engine.new_task());
        match engine.call_of_ours(piece.clone()).await {
            Ok(Proceeded { operation, .. }) => {
                tell_unreadable(operation.as_ref(), &unreadable);
                return Ok(operation);
            }
            Err(Error::Store(store::Error::Failed(_))) if tasks > 1 => limit = tasks / 2,
            Err(Error::Store(error @ store::Error::Failed(_))) => {
                let operation = operation.id;
                tracing::error!(%operation, %error, "a task is bad and is passed over; the others go on");
                let after: Proceeded = engine.call_of_ours(piece.passing_over()).await?;
                tell_unreadable(after.operation.as_ref(), &unreadable);
                return Ok(after.operation);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Once, by who moved the operation past them.
fn tell_unreadable(operation: Option<&Operation>, tasks: &[TaskId]) {
    if let Some(operation) = operation
        && !tasks.is_empty()
    {
        let operation = operation.id;
        tracing::error!(%operation, ?tasks, "tasks cannot be read and are skipped; the others go on");
    }
}

/// What the service asks for, for a piece of so many tasks.
pub fn look_for_piece(operation: &Operation, limit: usize) -> Query {
    Query::Tasks(List {
        filter: Filter::clone(&operation.filter),
        after: operation.cursor,
        limit,
        // A task that is made again takes the input along.
        payload: operation.act == Act::Retry,
        ..List::default()
    })
}

/// Takes away operations that ended long ago. Answers how many.
pub async fn clear(engine: &Engine) -> Result<usize, Error> {
    let mut count = 0;
    loop {
        let old = Query::OldOperations {
            ended: ended_before(engine.policy(), engine.store().now()),
            limit: STEP_ROWS_MAX,
        };
        let operations = engine.read(old).await?.old_operations();
        let candidates = operations.len();
        if candidates == 0 {
            return Ok(count);
        }
        let step: Cleared = engine.call_of_ours(Clear { operations }).await?;
        count += step.count;
        if step.count < candidates || candidates < STEP_ROWS_MAX {
            return Ok(count);
        }
    }
}
