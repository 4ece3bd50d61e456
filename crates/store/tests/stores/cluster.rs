//! Stores over PostgreSQL servers that the tests stop, kill and fail over.

#[allow(dead_code, reason = "the tests of each crate use a part of it")]
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
use taskyard_core::store::{Away, Cause, Error, Store};
use taskyard_core::verbs::submit::{NewTask, Submit};
use taskyard_store::postgres::{Options, PostgresStore};
use tokio::time::{Instant, sleep};

pub(crate) use self::support::{Cluster, signal, url_of};
use crate::conformance::yard::lane;

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

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

    /// As its client would, until it is taken.
    pub(crate) async fn submit_until_taken(&self) -> TaskId {
        let task = self.task();
        until(async || {
            let taken = self.submit_this(&task).await;
            taken.map_err(|error| error.to_string())
        })
        .await
    }

    /// What is wrong, as soon as anything is.
    pub(crate) async fn trouble(&self) -> Away {
        self.trouble_where(|_| true).await
    }

    /// What is wrong, as soon as it is this.
    pub(crate) async fn trouble_where(&self, is_this: impl Fn(&Away) -> bool) -> Away {
        until(async || match self.store.trouble() {
            Some(Error::Unavailable(away)) if is_this(&away) => Ok(away),
            other => Err(format!("{other:?}")),
        })
        .await
    }

    pub(crate) async fn well_again(&self) {
        until(async || match self.store.trouble() {
            None => Ok(()),
            Some(error) => Err(error.to_string()),
        })
        .await;
    }

    /// Asked to write until it is refused for this, and meanwhile for no other reason than that nobody is found.
    pub(crate) async fn refused_where(&self, is_this: impl Fn(&Away) -> bool) -> Away {
        until(async || match self.submit().await {
            Err(Error::Unavailable(away)) if is_this(&away) => Ok(away),
            Err(Error::Unavailable(away)) if away.cause == Cause::Unreachable => {
                Err(away.to_string())
            }
            other => panic!("it was not refused so: {other:?}"),
        })
        .await
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
    until(async || match standby.ask(&has_it).as_str() {
        "t" => Ok(()),
        _ => Err(standby.log()),
    })
    .await;
}

/// What it comes to, however soon; that it never does fails a test that would hang.
pub(crate) async fn until<T>(mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(so_far) => assert!(begun.elapsed() < PATIENCE, "never: {so_far}"),
        }
        sleep(LOOK_EVERY).await;
    }
}
