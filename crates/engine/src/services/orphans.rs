//! Takes away logs of tasks that are gone: the two lie apart, so nothing takes them away together.

use taskyard_core::id::TaskId;
use taskyard_core::query::{Answer, Query};

use super::STEP_ROWS_MAX;
use crate::engine::Engine;
use crate::error::Error;

/// How many steps one round has, so that it ends however many logs there are; the next one goes on where it stopped.
const STEPS_MAX: usize = 10;

/// How far it has looked through the tasks that have logs.
#[derive(Debug, Default)]
pub struct Looked {
    after: Option<TaskId>,
}

/// Answers of how many tasks it took the logs away.
pub async fn run_once(engine: &Engine, looked: &mut Looked) -> Result<usize, Error> {
    let logs = engine.store().logs();
    let mut count = 0;
    for _ in 0..STEPS_MAX {
        let tasks = logs.tasks(looked.after, STEP_ROWS_MAX).await;
        let tasks = tasks.map_err(Error::Logs)?;
        if tasks.is_empty() {
            looked.after = None;
            break;
        }
        // A task is there before its first line is: what is not found now was there before.
        let query = Query::Known(tasks.clone());
        let Answer::Known(known) = engine.read(query).await? else {
            return Ok(count);
        };
        for task in tasks.iter().filter(|task| !known.contains(task)) {
            logs.forget(*task).await.map_err(Error::Logs)?;
            count += 1;
        }
        // At the end it begins anew.
        looked.after = tasks.last().copied();
        if tasks.len() < STEP_ROWS_MAX {
            looked.after = None;
            break;
        }
    }
    Ok(count)
}
