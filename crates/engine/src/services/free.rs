//! Takes away the rows of unique keys whose tasks have ended.

use taskyard_core::id::TaskId;
use taskyard_core::query::Query;
use taskyard_core::verbs::free::{Free, Freed};

use super::STEP_ROWS_MAX;
use crate::engine::Engine;
use crate::error::Error;

/// Goes on where it stopped the last time, as long as it finds any: tasks that end soon stand together, and those that
/// run for long are passed by a page a call. `place` is where it stopped.
pub async fn run_once(engine: &Engine, place: &mut Option<TaskId>) -> Result<usize, Error> {
    let mut count = 0;
    loop {
        let limit = STEP_ROWS_MAX;
        let query = Query::Freeable {
            after: *place,
            limit,
        };
        let found = engine.read(query).await?.freeable();
        *place = found.next;
        if found.keys.is_empty() {
            return Ok(count);
        }
        let step: Freed = engine.call_of_ours(Free { keys: found.keys }).await?;
        count += step.count;
        if place.is_none() {
            return Ok(count);
        }
    }
}
