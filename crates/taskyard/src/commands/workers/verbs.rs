//! What `taskyard workers` does with one of them, and with the internal ones of a server.

use std::process::ExitCode;

use serde::Serialize;
use taskyard_api::pool::Pool;
use taskyard_api::worker::{Running, Worker};
use taskyard_core::time::Timestamp;

use super::super::list::age;
use super::super::{Done, client, now};
use super::{all_for_star, all_or, found, heard, tint};
use crate::cli::WorkerVerb;
use crate::output::{self, Column, Format, Shown, Value};

pub(super) async fn run(verb: &WorkerVerb, format: Format) -> Done {
    match verb {
        WorkerVerb::List(args) => return super::list(args, format).await,
        WorkerVerb::Show(named) => {
            let client = client(&named.connection)?;
            let worker = found(client.worker(&named.worker).await, &named.worker)?;
            let now = now(&client);
            format.print(&OneWorker { worker, now })?;
        }
        WorkerVerb::Drain(named) => {
            let client = client(&named.connection)?;
            let worker = found(client.drain_worker(&named.worker).await, &named.worker)?;
            let now = now(&client);
            format.print(&OneWorker { worker, now })?;
        }
        WorkerVerb::Kill(named) => {
            let client = client(&named.connection)?;
            let worker = found(client.kill_worker(&named.worker).await, &named.worker)?;
            let now = now(&client);
            format.print(&OneWorker { worker, now })?;
        }
        WorkerVerb::Delete(named) => {
            let deleted = client(&named.connection)?
                .delete_worker(&named.worker)
                .await;
            found(deleted, &named.worker)?;
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

#[derive(Serialize)]
struct OneWorker {
    #[serde(flatten)]
    worker: Worker,
    /// The server's time.
    #[serde(skip)]
    now: Timestamp,
}

impl Shown for OneWorker {
    fn table(&self) -> String {
        let worker = &self.worker;
        let status = Value::tinted(worker.status.as_str(), tint(worker.status));
        let mut rows = vec![
            ("worker", (&worker.worker_id).into()),
            ("status", status),
            (
                "held",
                format!("{}/{}", worker.held, worker.capacity).into(),
            ),
            (
                "runs",
                format!("{} completed, {} failed", worker.completed, worker.failed).into(),
            ),
            ("heard", heard(worker, self.now, " ago").into()),
            ("registered", worker.registered_at.into()),
            ("queues", all_or(worker.queues.as_deref()).into()),
            ("kinds", all_for_star(&worker.kinds).into()),
        ];
        if !worker.labels.is_empty() {
            rows.push(("labels", output::pairs(&worker.labels, " ").into()));
        }
        let running = worker.running.as_deref().unwrap_or_default();
        let sheet = output::sheet(&rows);
        if running.is_empty() {
            return sheet;
        }
        format!("{sheet}\n\n{}", runs(running, self.now))
    }

    fn ids(&self) -> Vec<String> {
        vec![self.worker.worker_id.clone()]
    }
}

fn runs(running: &[Running], now: Timestamp) -> String {
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
            age(run.started_at.unwrap_or(run.assigned_at), now).into(),
            done.unwrap_or_default().into(),
            run.kind.clone().into(),
        ]
    };
    output::table(&columns, running.iter().map(row).collect())
}

impl Shown for Pool {
    fn table(&self) -> String {
        let worker = |worker: &taskyard_api::pool::PoolWorker| {
            let draining = if worker.draining { " (draining)" } else { "" };
            format!("{}{draining}", worker.worker_id)
        };
        let workers: Vec<String> = self.workers.iter().map(worker).collect();
        output::sheet(&[
            ("desired", self.desired.into()),
            ("running", self.running.into()),
            ("workers", workers.join(", ").into()),
        ])
    }

    fn ids(&self) -> Vec<String> {
        let workers = self.workers.iter();
        workers.map(|worker| worker.worker_id.clone()).collect()
    }
}
