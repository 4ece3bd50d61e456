//! What `taskyard workers` does with one of them, and with those inside of a server.

use std::process::ExitCode;

use taskyard_api::client;
use taskyard_api::pool::Pool;
use taskyard_api::worker::{Running, Worker};

use super::super::list::age;
use super::super::{Done, client};
use super::{all_for_star, all_or, heard, status};
use crate::cli::{WorkerNameArgs, WorkerVerb};
use crate::failure::Failure;
use crate::output::{self, Column, Format, Shown};

pub(super) async fn run(verb: &WorkerVerb, format: Format) -> Done {
    match verb {
        WorkerVerb::Show(named) => {
            let shown = client(&named.connection)?.worker(&named.worker).await;
            format.print(&found(shown, named)?)?;
        }
        WorkerVerb::Drain(named) => {
            let drained = client(&named.connection)?.drain_worker(&named.worker).await;
            format.print(&found(drained, named)?)?;
        }
        WorkerVerb::Kill(named) => {
            let killed = client(&named.connection)?.kill_worker(&named.worker).await;
            format.print(&found(killed, named)?)?;
        }
        WorkerVerb::Delete(named) => {
            let deleted = client(&named.connection)?
                .delete_worker(&named.worker)
                .await;
            found(deleted, named)?;
        }
        WorkerVerb::Scale(scale) => {
            let pool = client(&scale.connection)?.scale_pool(scale.count).await?;
            format.print(&pool)?;
        }
        WorkerVerb::Start(inside) => {
            format.print(&client(&inside.connection)?.start_pool().await?)?;
        }
        WorkerVerb::Stop(inside) => {
            format.print(&client(&inside.connection)?.stop_pool().await?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whoever mistypes a name learns where the right ones are.
fn found<T>(answer: Result<T, client::Error>, named: &WorkerNameArgs) -> Result<T, Failure> {
    answer.map_err(|error| match &error {
        client::Error::Problem(problem) if problem.code == "not_found" => Failure::new(format!(
            "no worker is called {:?}\n  `taskyard workers --all` lists them",
            named.worker
        )),
        _ => error.into(),
    })
}

impl Shown for Worker {
    fn table(&self) -> String {
        let (word, tint) = status(self.status);
        let mut rows = vec![
            ("worker", self.worker_id.clone()),
            ("status", tint.paint(word)),
            ("held", format!("{} of {}", self.held, self.capacity)),
            (
                "runs",
                format!("{} completed, {} failed", self.completed, self.failed),
            ),
            ("heard", heard(self, " ago")),
            ("registered", self.registered_at.to_string()),
            ("queues", all_or(self.queues.as_deref())),
            ("kinds", all_for_star(&self.kinds)),
        ];
        if !self.labels.is_empty() {
            rows.push(("labels", output::pairs(&self.labels, " ")));
        }
        let running = self.running.as_deref().unwrap_or_default();
        let sheet = output::sheet(&rows);
        if running.is_empty() {
            return sheet;
        }
        format!("{sheet}\n\n{}", runs(running))
    }

    fn ids(&self) -> Vec<String> {
        vec![self.worker_id.clone()]
    }
}

fn runs(running: &[Running]) -> String {
    let columns = [
        Column::new("task"),
        Column::new("status").leaves(5),
        Column::new("attempt").leaves(2),
        Column::new("since").leaves(4),
        Column::new("done").leaves(1),
        Column::new("kind").text().leaves(3),
    ];
    let row = |run: &Running| {
        let done = run.progress.as_ref().and_then(output::share);
        vec![
            run.task_id.into(),
            output::status_cell(run.status),
            run.attempt.to_string().into(),
            age(run.started_at.unwrap_or(run.assigned_at)).into(),
            done.unwrap_or_default().into(),
            run.kind.clone().into(),
        ]
    };
    output::table(&columns, running.iter().map(row).collect())
}

impl Shown for Pool {
    fn table(&self) -> String {
        let worker = |worker: &taskyard_api::pool::PoolWorker| {
            let leaves = if worker.draining { " (leaves)" } else { "" };
            format!("{}{leaves}", worker.worker_id)
        };
        let workers: Vec<String> = self.workers.iter().map(worker).collect();
        output::sheet(&[
            ("wanted", self.desired.to_string()),
            ("at work", self.running.to_string()),
            ("workers", workers.join(", ")),
        ])
    }

    fn ids(&self) -> Vec<String> {
        let workers = self.workers.iter();
        workers.map(|worker| worker.worker_id.clone()).collect()
    }
}
