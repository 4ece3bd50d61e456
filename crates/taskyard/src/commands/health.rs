//! `taskyard health`: what a health check asks that has this program and nothing else.

use std::process::ExitCode;

use serde::Serialize;
use taskyard_api::health::Readiness;
use taskyard_api::worker::{Worker, WorkerStatus};

use super::workers::found;
use super::{Done, client};
use crate::cli::HealthArgs;
use crate::failure::Failure;
use crate::output::{self, Format, Shown, Value};

/// That all is well; what is not is a failure.
#[derive(Serialize)]
struct Well {
    #[serde(flatten)]
    server: Readiness,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<Worker>,
}

impl Shown for Well {
    fn table(&self) -> String {
        let mut rows = vec![("server", Value::from("ready"))];
        if let Some(worker) = &self.worker {
            rows.push(("worker", worker.status.as_str().into()));
        }
        output::sheet(&rows)
    }

    fn ids(&self) -> Vec<String> {
        Vec::new()
    }
}

pub(super) async fn run(args: &HealthArgs, format: Format) -> Done {
    let client = client(&args.connection)?;
    let server = client.ready().await?;
    if !server.ready {
        let why = server.message.as_deref().unwrap_or("it does not say why");
        return Err(Failure::new(format!("the server takes no requests: {why}")));
    }
    let worker = match &args.worker {
        Some(name) => Some(heard(found(client.worker(name).await, name)?)?),
        None => None,
    };
    format.print(&Well { server, worker })?;
    Ok(ExitCode::SUCCESS)
}

fn heard(worker: Worker) -> Result<Worker, Failure> {
    match worker.status {
        WorkerStatus::Idle | WorkerStatus::Busy | WorkerStatus::Draining => Ok(worker),
        WorkerStatus::Offline => Err(Failure::new(format!(
            "the worker {:?} is offline: no server has heard of it lately",
            worker.worker_id
        ))),
    }
}
