//! Takes away logs of tasks that are gone: the two lie apart, so nothing takes them away together. Retention has those of
//! the tasks that it takes away forgotten at once; a walk through all logs finds what a crash, or a line that came late,
//! leaves behind.

use taskyard_core::id::TaskId;
use taskyard_core::query::Query;

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
        count += forget_gone(engine, &tasks).await?;
        // At the end it begins anew.
        looked.after = tasks.last().copied();
        if tasks.len() < STEP_ROWS_MAX {
            looked.after = None;
            break;
        }
    }
    Ok(count)
}

/// Takes away the logs of those among these tasks that are gone by now. They stand in the order of their ids, behind
/// `behind`.
pub(super) async fn of_discarded(
    engine: &Engine,
    behind: TaskId,
    discarded: &[TaskId],
) -> Result<(), Error> {
    let mut behind = behind;
    while discarded.last().is_some_and(|last| behind < *last) && !engine.is_stopping() {
        let logs = engine.store().logs();
        let logged = logs.tasks(Some(behind), STEP_ROWS_MAX).await;
        let logged = logged.map_err(Error::Logs)?;
        let Some(last) = logged.last().copied() else {
            break;
        };
        behind = last;
        let is_discarded = |task: &TaskId| discarded.binary_search(task).is_ok();
        let theirs: Vec<TaskId> = logged.into_iter().filter(is_discarded).collect();
        if !theirs.is_empty() {
            forget_gone(engine, &theirs).await?;
        }
    }
    Ok(())
}

/// Answers of how many of these it took the logs away. A task is there before its first line is: what is not found now was
/// there before.
async fn forget_gone(engine: &Engine, tasks: &[TaskId]) -> Result<usize, Error> {
    let query = Query::Known(tasks.to_vec());
    let known = engine.read(query).await?.known();
    let mut count = 0;
    for task in tasks.iter().filter(|task| !known.contains(task)) {
        let forgot = engine.store().logs().forget(*task).await;
        forgot.map_err(Error::Logs)?;
        count += 1;
    }
    Ok(count)
}
