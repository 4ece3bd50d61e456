//! A PostgreSQL of a run's own, which can be stopped, killed, started again, copied to a standby, and promoted.

#[allow(dead_code, reason = "the tests of each crate use a part of it")]
#[path = "../../../../tests/support/cluster.rs"]
mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::task::block_in_place;

use self::support::Cluster;
pub(crate) use self::support::{children, is_installed};
use crate::stage::until;
use crate::yard::PATIENCE;

/// As a real one is set: what it acknowledged is on its disk.
const DURABLE: [&str; 6] = [
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "max_connections=100",
    "shared_buffers=64MB",
    "wal_keep_size=256MB",
];
const USER: &str = "postgres";
const DATABASE: &str = "postgres";

/// One PostgreSQL server, of a directory of its own.
pub(crate) struct Node(Cluster);

impl Node {
    /// A new one, started, with an empty database, and with its log in this file.
    pub(crate) fn new(log: &Path, settings: &[&str]) -> Self {
        let settings = [&DURABLE[..], settings].concat();
        Self(block_in_place(|| Cluster::with(&settings, log)))
    }

    /// One that follows this one, started. It reaches it at this place.
    pub(crate) async fn standby(&self, log: &Path, place: SocketAddr) -> Self {
        let node = block_in_place(|| self.0.standby_by(place, log));
        self.until("select 1 from pg_stat_replication where state = 'streaming'")
            .await;
        Self(node)
    }

    /// From now on it answers a commit when one of its standbys has it on its disk.
    pub(crate) async fn wait_for_standby(&self) {
        self.psql("alter system set synchronous_standby_names = '*'")
            .await
            .unwrap();
        self.0.reload();
        self.until("select 1 from pg_stat_replication where sync_state = 'sync'")
            .await;
    }

    /// It takes writes from now on.
    pub(crate) async fn promote(&self) {
        block_in_place(|| self.0.promote());
        self.until("select 1 where not pg_is_in_recovery()").await;
    }

    /// `postgresql://…` of its database, at this host and port.
    pub(crate) fn url_at(&self, places: &str) -> String {
        format!("postgresql://{USER}@{places}/{DATABASE}")
    }

    pub(crate) fn url(&self) -> String {
        self.url_at(&self.place())
    }

    pub(crate) fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port
    }

    /// Once it takes connections.
    pub(crate) fn start(&mut self) {
        block_in_place(|| self.0.start());
    }

    /// Until it has ended: SIGINT is `fast`, SIGQUIT `immediate`.
    pub(crate) fn end(&mut self, signal: Signal) {
        let name = signal.as_str().trim_start_matches("SIG");
        block_in_place(|| self.0.end(name));
    }

    /// As when its machine dies.
    pub(crate) fn crash(&mut self) {
        block_in_place(|| self.0.crash());
    }

    /// What it answers, a row a line, columns with `|` between.
    pub(crate) async fn psql(&self, sql: &str) -> Result<String, String> {
        let mut command = tokio::process::Command::from(self.0.psql(sql));
        let output = command.kill_on_drop(true).output();
        let output = tokio::time::timeout(PATIENCE, output).await;
        let output = output.map_err(|_| "psql does not end".to_owned())?.unwrap();
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Runs beside everything else, as what a test holds a lock with.
    pub(crate) fn psql_beside(&self, sql: &str) -> tokio::process::Child {
        let mut command = tokio::process::Command::from(self.0.psql(sql));
        command.kill_on_drop(true).spawn().unwrap()
    }

    /// Until this has a row.
    pub(crate) async fn until(&self, sql: &str) {
        let is_so = async || self.psql(sql).await.ok().filter(|rows| !rows.is_empty());
        let came = until(PATIENCE, is_so).await;
        assert!(
            came.is_some(),
            "it never came to that: {sql}: {}",
            self.0.log()
        );
    }
}

/// How long a PostgreSQL may be away until everybody has noticed.
pub(crate) const NOTICED_WITHIN: Duration = Duration::from_secs(5);
