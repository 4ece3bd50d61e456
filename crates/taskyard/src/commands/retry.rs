//! `taskyard retry`.

use taskyard_api::operation::Act;
use taskyard_api::submit::Submitted;
use taskyard_core::id::TaskId;

use super::submit::new_key;
use super::{Done, Each, bulk, client, ending, named, to_each};
use crate::cli::RetryArgs;
use crate::failure::Failure;
use crate::output::{self, Column, Format, Shown};

/// A new task, with the one that it runs again.
#[derive(serde::Serialize)]
struct Again {
    retry_of: TaskId,
    #[serde(flatten)]
    submitted: Submitted,
}

impl Shown for Each<Again> {
    fn table(&self) -> String {
        let rows = self.done.iter().map(|again| {
            vec![
                again.submitted.id.into(),
                output::status_cell(again.submitted.status),
                again.retry_of.into(),
            ]
        });
        let columns = [
            Column::new("task").id(),
            Column::new("status").leaves(2),
            Column::new("retry of").leaves(1),
        ];
        output::table(&columns, rows.collect())
    }

    fn ids(&self) -> Vec<String> {
        let ids = self.done.iter().map(|again| again.submitted.id.to_string());
        ids.collect()
    }
}

pub(super) async fn run(args: &RetryArgs, format: Format) -> Done {
    let client = client(&args.connection)?;
    if args.tasks.is_empty() {
        return bulk::run(&client, Act::Retry, &args.bulk, &args.away, format).await;
    }
    if args.bulk.is_asked() {
        return Err(Failure::usage(
            "tasks are named by their ids, or by flags such as --kind that say which; not by both",
        ));
    }
    let again = async |task| {
        // The client may have to ask twice for one answer.
        let submitted = client.retry(task, Some(&new_key())).await?;
        Ok(Again {
            retry_of: task,
            submitted,
        })
    };
    let tasks = named::tasks(&client, &args.tasks).await?;
    let each = to_each(&tasks, again).await;
    if !each.done.is_empty() || format == Format::Json {
        format.print(&each)?;
    }
    ending(args.tasks.len(), each.failure)
}
