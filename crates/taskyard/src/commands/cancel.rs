//! `taskyard cancel`.

use taskyard_api::operation::Act;
use taskyard_api::task::Standing;

use super::{Done, Each, bulk, client, ending, named, to_each};
use crate::cli::CancelArgs;
use crate::failure::Failure;
use crate::output::{self, Column, Format, Shown};

impl Shown for Each<Standing> {
    fn table(&self) -> String {
        let rows = self.done.iter();
        let rows = rows.map(|standing| {
            vec![
                standing.task_id.into(),
                output::status_cell(standing.status),
            ]
        });
        let columns = [Column::new("task").id(), Column::new("status").leaves(1)];
        output::table(&columns, rows.collect())
    }

    fn ids(&self) -> Vec<String> {
        let done = self.done.iter();
        done.map(|standing| standing.task_id.to_string()).collect()
    }
}

pub(super) async fn run(args: &CancelArgs, format: Format) -> Done {
    let client = client(&args.connection)?;
    if args.tasks.is_empty() {
        return bulk::run(&client, Act::Cancel, &args.bulk, &args.away, format).await;
    }
    if args.bulk.is_asked() {
        return Err(Failure::usage(
            "tasks are named by their ids, or by flags such as --kind that say which; not by both",
        ));
    }
    let tasks = named::tasks(&client, &args.tasks).await?;
    let each = to_each(&tasks, async |task| client.cancel(task).await).await;
    // A program reads a document whatever became of them.
    if !each.done.is_empty() || format == Format::Json {
        format.print(&each)?;
    }
    ending(args.tasks.len(), each.failure)
}
