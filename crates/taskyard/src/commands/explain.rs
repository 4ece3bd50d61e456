//! `taskyard explain`: why a task is not running, or is.

use std::process::ExitCode;

use taskyard_api::client::Client;
use taskyard_api::explain::{Explanation, Reason};
use taskyard_core::id::TaskId;

use super::{Done, client, named};
use crate::cli::ExplainArgs;
use crate::failure::{About, Failure};
use crate::output::{self, Format, Shown};

/// What somebody has to do something about; everything else passes by itself.
const STAY: [&str; 6] = [
    "command_not_allowed",
    "queue_paused",
    "no_worker_for_kind",
    "no_worker_for_queue",
    "requires_unmet",
    "workers_draining",
];

#[derive(serde::Serialize)]
#[serde(transparent)]
struct Explained(Explanation);

impl Shown for Explained {
    fn table(&self) -> String {
        let status = ("status", output::status(self.0.status));
        let reasons = self.0.reasons.iter();
        let reasons = reasons.map(|reason| (reason.code.as_str(), sentence(reason, "\n").into()));
        output::sheet(&std::iter::once(status).chain(reasons).collect::<Vec<_>>())
    }

    fn ids(&self) -> Vec<String> {
        let codes = self.0.reasons.iter().map(|reason| reason.code.clone());
        codes.collect()
    }
}

fn sentence(reason: &Reason, between: &str) -> String {
    let action = reason.action.as_deref();
    let action = action.map(|action| format!("{between}{action}"));
    format!("{}{}", reason.detail, action.unwrap_or_default())
}

pub(super) async fn run(args: &ExplainArgs, format: Format) -> Done {
    let client = client(&args.connection)?;
    let task = named::task(&client, &args.task).await?;
    let explanation = client.explain(task).await;
    let explanation = explanation.map_err(|error| Failure::about(error, About::Task(task)))?;
    format.print(&Explained(explanation))?;
    Ok(ExitCode::SUCCESS)
}

/// Says so if the task will wait until somebody does something: who mistyped a kind should hear of it.
pub(super) async fn warn_if_it_stays(client: &Client, task: TaskId) {
    // What cannot be asked is not worth a failure: the task was taken.
    let Ok(explanation) = client.explain(task).await else {
        return;
    };
    let stays = |reason: &&Reason| STAY.contains(&reason.code.as_str());
    for reason in explanation.reasons.iter().filter(stays) {
        output::note(&format!("The task waits: {}", sentence(reason, "; ")));
    }
}
