//! Which task is meant by the beginning of its id.

use taskyard_api::client::Client;
use taskyard_api::page::{TaskPage, TasksQuery};
use taskyard_api::task::Task;
use taskyard_core::id::TaskId;

use super::list;
use crate::cli::TaskName;
use crate::failure::{FAILED, Failure, USAGE};

/// So many of those that fit are shown.
const SHOWN_MAX: usize = 5;

/// The task that is named; refused where none is, or several could be.
pub(super) async fn task(client: &Client, name: &TaskName) -> Result<TaskId, Failure> {
    let beginning = match name {
        TaskName::Id(id) => return Ok(*id),
        TaskName::Beginning(beginning) => beginning,
    };
    let query = TasksQuery {
        q: Some(beginning.clone()),
        limit: u32::try_from(SHOWN_MAX + 1).ok(),
        ..TasksQuery::default()
    };
    let mut found = TaskPage::default();
    list::find(client, query, &mut found).await?;
    let is_meant = |task: &Task| task.id.to_string().starts_with(beginning);
    found.items.retain(is_meant);
    match found.items.as_slice() {
        [] => Err(Failure::with_code(
            FAILED,
            format!(
                "there is no task whose id begins with {beginning}\n  `taskyard list` shows the newest with their ids, \
                 and --search finds others."
            ),
        )),
        [only] => Ok(only.id),
        several => Err(ambiguous(beginning, several)),
    }
}

pub(super) async fn tasks(client: &Client, names: &[TaskName]) -> Result<Vec<TaskId>, Failure> {
    let mut tasks = Vec::with_capacity(names.len());
    for name in names {
        tasks.push(task(client, name).await?);
    }
    Ok(tasks)
}

fn ambiguous(beginning: &str, fit: &[Task]) -> Failure {
    let shown = fit.iter().take(SHOWN_MAX);
    let shown = shown.map(|task| format!("\n  {}  {}  {}", task.id, task.status, task.kind));
    let shown: String = shown.collect();
    let more = if fit.len() > SHOWN_MAX {
        format!("\n  and more: `taskyard list --search {beginning}`")
    } else {
        String::new()
    };
    Failure::with_code(
        USAGE,
        format!(
            "several ids begin with {beginning}; give more of the one that is meant:{shown}{more}"
        ),
    )
}
