//! `taskyard patch`: another time or another priority for a task that waits.

use std::process::ExitCode;

use serde::Serialize;
use taskyard_api::change::Patch;
use taskyard_api::task::{Status, Task};

use super::explain::warn_if_it_stays;
use super::{Done, client, named};
use crate::cli::PatchArgs;
use crate::failure::{About, Failure};
use crate::output::{self, Format, Shown};
use crate::settings::units::millis_sent;

/// The task as it stands now.
#[derive(Serialize)]
#[serde(transparent)]
struct Patched(Task);

impl Shown for Patched {
    fn table(&self) -> String {
        output::sheet(&[
            ("task", self.0.id.into()),
            ("status", output::status(self.0.status)),
            ("runs at", self.0.run_at.into()),
            ("priority", self.0.priority.into()),
        ])
    }

    fn ids(&self) -> Vec<String> {
        vec![self.0.id.to_string()]
    }
}

pub(super) async fn run(args: &PatchArgs, format: Format) -> Done {
    let patch = Patch {
        priority: args.priority,
        run_at: args.at,
        delay_ms: match args.now {
            true => Some(0),
            false => args.delay.map(millis_sent),
        },
    };
    if patch == Patch::default() {
        return Err(Failure::usage(
            "nothing is changed; give one of --now, --at and --in, or --priority",
        ));
    }
    let client = client(&args.connection)?;
    let task = named::task(&client, &args.task).await?;
    let patched = client.patch(task, &patch).await;
    let patched = patched.map_err(|error| Failure::about(error, About::Task(task)))?;
    let status = patched.status;
    format.print(&Patched(patched))?;
    if format == Format::Table && status == Status::Pending {
        warn_if_it_stays(&client, task).await;
    }
    Ok(ExitCode::SUCCESS)
}
