//! `taskyard cancel`.

use std::process::ExitCode;

use taskyard_api::task::Standing;

use super::{Done, client};
use crate::cli::CancelArgs;
use crate::output::{self, Column, Format, Shown};

/// Tasks and where they stand now.
#[derive(serde::Serialize)]
#[serde(transparent)]
struct Standings(Vec<Standing>);

impl Shown for Standings {
    fn table(&self) -> String {
        let rows = self.0.iter();
        let rows = rows.map(|standing| {
            vec![
                standing.task_id.into(),
                output::status_cell(standing.status),
            ]
        });
        let columns = [Column::new("task"), Column::new("status").leaves(1)];
        output::table(&columns, rows.collect())
    }

    fn ids(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|standing| standing.task_id.to_string())
            .collect()
    }
}

/// Cancels each; what could not be cancelled is said, and the others are cancelled all the same.
pub(super) async fn run(args: &CancelArgs, format: Format) -> Done {
    let client = client(&args.connection)?;
    let mut cancelled = Vec::new();
    let mut failure = None;
    for task in &args.tasks {
        match client.cancel(*task).await {
            Ok(standing) => cancelled.push(standing),
            Err(error) => {
                let refused: crate::failure::Failure = error.into();
                if args.tasks.len() > 1 {
                    output::note(&format!("taskyard: {task}: {}", refused.message));
                }
                failure = Some(refused);
            }
        }
    }
    // A program reads a document whatever became of them.
    if !cancelled.is_empty() || format == Format::Json {
        format.print(&Standings(cancelled))?;
    }
    match failure {
        None => Ok(ExitCode::SUCCESS),
        Some(failure) if args.tasks.len() > 1 => Ok(ExitCode::from(failure.code)),
        Some(failure) => Err(failure),
    }
}
