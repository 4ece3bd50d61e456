//! Stores over PostgreSQL servers that the tests stop, kill and fail over.

#[path = "../../../../tests/support/cluster.rs"]
mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use taskyard_core::command::Command;
use taskyard_core::id::TaskId;
use taskyard_core::json::Json;
use taskyard_core::policy::Policy;
use taskyard_core::query::Query;
use taskyard_core::random::Seeded;
use taskyard_core::store::{Away, Error, Store};
use taskyard_core::verbs::submit::{NewTask, Submit};
use taskyard_store::postgres::{Options, PostgresStore};
use tokio::time::Instant;

pub(crate) use self::support::{Cluster, signal, url_of};
use crate::conformance::yard::lane;

const PATIENCE: Duration = Duration::from_secs(60);

/// One server, as far as it is its store.
pub(crate) struct Server {
    pub(crate) store: PostgresStore,
    policy: Policy,
    made: AtomicU64,
}

impl Server {
    pub(crate) async fn at(url: &str) -> Self {
        Self::at_within(url, taskyard_store::postgres::WITHIN).await
    }

    pub(crate) async fn at_within(url: &str, within: Duration) -> Self {
        let options = Options {
            clock: None,
            hints: false,
            pooled: false,
            random: Box::new(Seeded::new(1)),
            within,
        };
        Self::by(url, options).await
    }

    pub(crate) async fn by(url: &str, options: Options) -> Self {
        Self {
            store: PostgresStore::connect(url, options).await.unwrap(),
            policy: Policy::default(),
            made: AtomicU64::new(0),
        }
    }

    fn task(&self) -> NewTask {
        let serial = self.made.fetch_add(1, Ordering::SeqCst);
        let id = TaskId::new(self.store.now(), u128::from(serial) << 40);
        NewTask::new(
            id,
            lane("default", "work", None),
            Json::stored("null".to_owned()),
        )
    }

    pub(crate) async fn submit(&self) -> Result<TaskId, Error> {
        let task = self.task();
        self.submit_this(&task).await
    }

    async fn submit_this(&self, task: &NewTask) -> Result<TaskId, Error> {
        let submit = Submit {
            tasks: vec![task.clone()],
            once: None,
            again: true,
        };
        let ran = self.store.run(vec![Command::Submit(submit)], &self.policy);
        ran.await?.replies.remove(0)?.unwrap();
        Ok(task.id)
    }

    /// As its client would, until it is taken: how long that was.
    pub(crate) async fn submit_until_taken(&self) -> (TaskId, Duration) {
        let (task, begun) = (self.task(), Instant::now());
        loop {
            match self.submit_this(&task).await {
                Ok(id) => return (id, begun.elapsed()),
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What is wrong as soon as anything is, and how long that was.
    pub(crate) async fn trouble(&self) -> (Away, Duration) {
        let begun = Instant::now();
        loop {
            if let Some(Error::Unavailable(away)) = self.store.trouble() {
                return (away, begun.elapsed());
            }
            assert!(begun.elapsed() < PATIENCE, "nothing is wrong");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn well_again(&self) -> Duration {
        let begun = Instant::now();
        while let Some(error) = self.store.trouble() {
            assert!(begun.elapsed() < PATIENCE, "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        begun.elapsed()
    }

    pub(crate) async fn can_be_read(&self) -> Result<(), Error> {
        self.store.read(Query::Counts).await.map(drop)
    }
}

/// Whether this one has the task.
pub(crate) fn has(cluster: &Cluster, task: TaskId) -> bool {
    let count = format!("select count(*) from task where id = '{task}'");
    cluster.ask(&count) == "1"
}

/// Until the standby has all that the primary has written.
pub(crate) async fn caught_up(primary: &Cluster, standby: &Cluster) {
    let at = primary.ask("select pg_current_wal_lsn()");
    let has_it = format!("select pg_last_wal_replay_lsn() >= '{at}'");
    let begun = Instant::now();
    while standby.ask(&has_it) != "t" {
        assert!(begun.elapsed() < PATIENCE, "{}", standby.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
