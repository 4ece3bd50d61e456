//! What happens in the demo, in its order: work is handed in, things go wrong on purpose, everything ends, and it is
//! looked at whether it ended as it should have.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use taskyard_api::client::Client;
use taskyard_api::page::TasksQuery;
use taskyard_api::submit::Submit;
use taskyard_api::task::{Retry, Status, Task};
use taskyard_api::worker::WorkerStatus;
use taskyard_core::id::TaskId;
use tokio::time::Instant;

use super::fate::{Fate, unless, wrong_counts, wrong_losses};
use super::files::{self, TextFile};
use super::{OUTSIDE, say};
use crate::commands::away::Patience;
use crate::commands::wait::ended;
use crate::process::Process;

const FILES: usize = 300;
/// How long anything may take before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it looks whether something has begun.
const LOOK: Duration = Duration::from_millis(20);

type Work = Submit<Value>;

pub(super) struct Story<'a> {
    pub(super) client: Client,
    pub(super) directory: &'a Path,
    /// The worker outside of the server; it does not live to see the end.
    pub(super) worker: Process,
}

pub(super) struct Ending {
    pub(super) fates: Vec<Fate>,
    pub(super) took: Duration,
}

impl Story<'_> {
    pub(super) async fn tell(mut self) -> anyhow::Result<Ending> {
        let begun = Instant::now();
        self.worker_comes().await?;
        let held = self
            .submit(&[(); 5].map(|()| command(&["sleep", "1"])))
            .await?;
        let victim = self.running_outside().await?;
        let texts = files::generate(self.directory, FILES)?;
        let counts = self
            .submit(&texts.iter().map(count).collect::<Vec<_>>())
            .await?;
        say(&format!(
            "Submitted  {FILES} word counts over generated files"
        ))?;
        self.worker.kill().await?;
        say(&format!(
            "kill -9    worker `{OUTSIDE}`, in the middle of task {victim}"
        ))?;
        let flaky = self.submit(&[flaky(self.directory)]).await?;
        let slow = self.submit(&[slow()]).await?;
        let unwanted = self.submit(&[unwanted()]).await?;
        self.cancel_while_it_runs(unwanted[0]).await?;
        say(&format!("Cancelled  task {}, while it ran", unwanted[0]))?;

        let held = self.ended(held).await?;
        let (lost, held): (Vec<_>, Vec<_>) = held.into_iter().partition(|task| task.losses > 0);
        let counts = self.ended(counts).await?;
        let (flaky, slow, unwanted) = (
            self.ended(flaky).await?,
            self.ended(slow).await?,
            self.ended(unwanted).await?,
        );
        let fates = vec![
            Fate::new("word counts", &counts, wrong_counts(&counts, &texts)),
            Fate::new(
                "slept a second",
                &held,
                unless(&held, |task| task.status == Status::Completed),
            ),
            Fate::new("lost, then run again", &lost, wrong_losses(&lost, victim)),
            Fate::new(
                "failed at first, retried",
                &flaky,
                unless(&flaky, is_retried),
            ),
            Fate::new(
                "longer than its 500 ms",
                &slow,
                unless(&slow, |task| task.status == Status::Timeout),
            ),
            Fate::new(
                "cancelled while it ran",
                &unwanted,
                unless(&unwanted, |task| task.status == Status::Cancelled),
            ),
        ];
        Ok(Ending {
            fates,
            took: begun.elapsed(),
        })
    }

    async fn submit(&self, work: &[Work]) -> anyhow::Result<Vec<TaskId>> {
        Ok(self.client.submit_batch(work, None).await?.ids)
    }

    async fn worker_comes(&self) -> anyhow::Result<()> {
        let is_here = || async {
            let workers = self.client.all_workers().await?;
            let here = |name: &str, status| name == OUTSIDE && status != WorkerStatus::Offline;
            Ok(workers
                .iter()
                .find(|worker| here(&worker.worker_id, worker.status))
                .map(drop))
        };
        look("the worker", is_here).await?;
        say(&format!(
            "Worker     `{OUTSIDE}`, a process of its own, two tasks at a time"
        ))
    }

    /// A task that the worker outside has in hand and has begun.
    async fn running_outside(&self) -> anyhow::Result<TaskId> {
        let query = TasksQuery::default().with_status(&[Status::Running]);
        look("a task at the worker outside", || async {
            let page = self.client.list(&query).await?;
            let outside = page
                .items
                .iter()
                .find(|task| task.worker_id.as_deref() == Some(OUTSIDE));
            Ok(outside.map(|task| task.id))
        })
        .await
    }

    async fn cancel_while_it_runs(&self, id: TaskId) -> anyhow::Result<()> {
        look("the task to be cancelled", || async {
            let task = self.client.task(id, None).await?;
            Ok((task.status == Status::Running).then_some(()))
        })
        .await?;
        self.client.cancel(id).await?;
        Ok(())
    }

    async fn ended(&self, ids: Vec<TaskId>) -> anyhow::Result<Vec<Task>> {
        let until = Instant::now() + PATIENCE;
        let mut patience = Patience::of(Duration::ZERO);
        let mut tasks = Vec::with_capacity(ids.len());
        for id in ids {
            let task = ended(&self.client, id, Some(until), &mut patience).await;
            tasks.push(task.map_err(|failure| anyhow::anyhow!(failure.message))?);
        }
        Ok(tasks)
    }
}

fn is_retried(task: &Task) -> bool {
    task.status == Status::Completed && task.failures == 1 && task.attempts == 2
}

/// Asks until there is an answer.
async fn look<T, F>(what: &str, ask: impl Fn() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<Option<T>>>,
{
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask().await.with_context(|| what.to_owned())? {
            return Ok(found);
        }
        if Instant::now() > until {
            bail!("{what} did not come within {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn command(argv: &[&str]) -> Work {
    Submit::new("command", json!({ "argv": argv }))
}

fn count(text: &TextFile) -> Work {
    command(&["wc", "-w", &text.path.to_string_lossy()])
}

/// Fails as long as a file is not there, and makes the file.
fn flaky(directory: &Path) -> Work {
    let marker = directory.join("tried-before");
    let script = format!("test -e {0} || {{ touch {0}; exit 3; }}", marker.display());
    Work {
        max_attempts: Some(3),
        retry: Some(Retry {
            backoff_ms: 200,
            ..Retry::default()
        }),
        ..command(&["sh", "-c", &script])
    }
}

fn slow() -> Work {
    Work {
        timeout_ms: Some(500),
        ..command(&["sleep", "60"])
    }
}

/// Before everything else, since it is only there to be cancelled.
fn unwanted() -> Work {
    Work {
        priority: Some(100),
        ..Submit::new("sleep", json!({ "ms": 600_000 }))
    }
}
