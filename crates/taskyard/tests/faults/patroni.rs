//! The cluster that `tests/patroni` makes and breaks: two nodes of PostgreSQL with Patroni, etcd and HAProxy.

use std::path::PathBuf;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::stage::until;
use crate::yard::PATIENCE;

/// Set within it, to where its files are.
pub(crate) const PLACE: &str = "TASKYARD_TEST_PATRONI";
const PASSWORD: &str = "TASKYARD_TEST_PATRONI_PASSWORD";
/// Longer than what the script waits for itself.
const DONE_WITHIN: Duration = Duration::from_mins(3);

/// How a server comes to the leader.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// It is told both, and finds it.
    Hosts,
    /// HAProxy does.
    Haproxy,
}

pub(crate) struct Patroni {
    password: String,
}

pub(crate) fn script() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/patroni")
}

impl Patroni {
    /// With a leader that has a synchronous standby, and an empty database.
    pub(crate) async fn fresh() -> Self {
        let password = std::env::var(PASSWORD).expect("`tests/patroni with` sets it");
        let patroni = Self { password };
        patroni.does(&["fresh"]).await;
        patroni
    }

    pub(crate) fn url(&self, way: Way) -> String {
        let places = match way {
            Way::Hosts => "db-1,db-2",
            Way::Haproxy => "127.0.0.1:5000",
        };
        format!("postgresql://taskyard:{}@{places}/taskyard", self.password)
    }

    pub(crate) async fn leader(&self) -> String {
        self.does(&["leader"]).await
    }

    pub(crate) async fn other(&self, node: &str) -> String {
        self.does(&["other", node]).await
    }

    /// Once this one is the leader.
    pub(crate) async fn led_by(&self, node: &str) {
        let leads = async || said(&["leads", node]).await.ok();
        let led = until(PATIENCE, leads).await;
        assert!(led.is_some(), "{node} does not become the leader");
    }

    /// One of the script's words, and what comes of it.
    pub(crate) async fn does(&self, words: &[&str]) -> String {
        let done = said(words).await;
        done.unwrap_or_else(|why| panic!("tests/patroni {words:?}: {why}"))
    }
}

async fn said(words: &[&str]) -> Result<String, String> {
    let mut command = Command::new(script());
    let output = command.args(words).kill_on_drop(true).output();
    let output = timeout(DONE_WITHIN, output).await;
    let output = output.map_err(|_| "it does not end".to_owned())?.unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}
