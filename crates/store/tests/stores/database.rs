//! PostgreSQL databases for tests: each its own, most of them copied from one that was migrated once, gone afterwards.

use std::thread;

use taskyard_core::random::Seeded;
use taskyard_store::postgres::{Options, PostgresStore};
use tokio_postgres::{Client, NoTls};
use url::Url;

/// Where a server is to be found; `tests/with-postgres` starts one and sets it.
const SERVER: &str = "TASKYARD_TEST_POSTGRES_URL";
/// Set where a test without a server must fail rather than be left out.
const REQUIRED: &str = "TASKYARD_REQUIRE_POSTGRES";
/// Two test processes must not make the template at once. Any number will do that only they use.
const TEMPLATE_LOCK: i64 = 7_234_017_283_807_667_301;

const MIGRATIONS: &str = concat!(
    include_str!("../../migrations/postgres/0001_tables.sql"),
    include_str!("../../migrations/postgres/0002_forgotten_workers.sql"),
    include_str!("../../migrations/postgres/0003_counter_columns.sql"),
    include_str!("../../migrations/postgres/0004_logs.sql"),
    include_str!("../../migrations/postgres/0005_changed_priorities.sql"),
    include_str!("../../migrations/postgres/0006_exclusive_and_unique_tasks.sql"),
    include_str!("../../migrations/postgres/0007_queues.sql"),
    include_str!("../../migrations/postgres/0008_draining_workers.sql"),
    include_str!("../../migrations/postgres/0009_origins.sql"),
    include_str!("../../migrations/postgres/0010_minutes.sql"),
    include_str!("../../migrations/postgres/0011_retention.sql"),
    include_str!("../../migrations/postgres/0012_operations.sql"),
    include_str!("../../migrations/postgres/0013_lists.sql"),
    include_str!("../../migrations/postgres/0014_given_before.sql"),
    include_str!("../../migrations/postgres/0015_killed_before.sql"),
    include_str!("../../migrations/postgres/0016_tasks_by_lane.sql"),
    include_str!("../../migrations/postgres/0017_log_chunks.sql"),
);

/// Dropped with its value.
pub(crate) struct Database {
    server: Url,
    name: String,
}

/// The server of the tests, if there is one.
pub(crate) fn server() -> Option<Url> {
    match std::env::var(SERVER) {
        Ok(url) => Some(Url::parse(&url).expect("the server's address is a URL")),
        Err(_) => {
            assert!(
                std::env::var_os(REQUIRED).is_none(),
                "{SERVER} names no server, and {REQUIRED} asks for one"
            );
            eprintln!("skipped: {SERVER} names no server");
            None
        }
    }
}

impl Database {
    /// With nothing in it.
    pub(crate) async fn empty() -> Option<Self> {
        Self::from_template("template0").await
    }

    /// With nothing in it, in an encoding that no server can work with.
    pub(crate) async fn in_latin1() -> Option<Self> {
        Self::create("template template0 encoding 'LATIN1' locale 'C'").await
    }

    /// With the tables of this version.
    pub(crate) async fn migrated() -> Option<Self> {
        let server = server()?;
        let template = template(&server).await;
        Self::from_template(&template).await
    }

    async fn from_template(template: &str) -> Option<Self> {
        Self::create(&format!("template {template} encoding 'UTF8'")).await
    }

    async fn create(how: &str) -> Option<Self> {
        let server = server()?;
        let name = format!("taskyard_test_{:032x}", rand::random::<u128>());
        let client = connect(server.as_str()).await;
        let create = format!("create database {name} {how}");
        client.batch_execute(&create).await.unwrap();
        Some(Self { server, name })
    }

    /// Where it is.
    pub(crate) fn server(&self) -> &str {
        self.server.as_str()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn url(&self) -> String {
        within(&self.server, &self.name).to_string()
    }

    pub(crate) async fn client(&self) -> Client {
        connect(&self.url()).await
    }

    /// A connection to the same server that outlives the database's own trouble.
    pub(crate) async fn beside(&self) -> Client {
        connect(self.server.as_str()).await
    }

    pub(crate) async fn store(&self, options: Options) -> PostgresStore {
        PostgresStore::connect(&self.url(), options).await.unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("drop database if exists {} with (force)", self.name);
        let server = self.server.clone();
        // On a thread of its own, because a test's runtime cannot be waited for inside itself.
        let dropped = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime
                .unwrap()
                .block_on(async { connect(server.as_str()).await.batch_execute(&drop).await })
        });
        if !thread::panicking() {
            dropped.join().unwrap().unwrap();
        }
    }
}

pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    // Ends with the client; that it was cut off is what some tests are about.
    tokio::spawn(async move { connection.await.ok() });
    client
}

fn within(server: &Url, database: &str) -> Url {
    let mut url = server.clone();
    url.set_path(database);
    url
}

/// The database that the others are copied from; made by whoever comes first.
async fn template(server: &Url) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(MIGRATIONS);
    let version: String = digest[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let name = format!("taskyard_template_{version}");
    let client = connect(server.as_str()).await;
    // Given back with the connection.
    let lock = "select pg_advisory_lock($1)";
    client.execute(lock, &[&TEMPLATE_LOCK]).await.unwrap();
    let made = "select from pg_database where datname = $1";
    if client.query_opt(made, &[&name]).await.unwrap().is_none() {
        make_template(server, &client, &name).await;
    }
    name
}

/// Under another name until it is whole, so that one half made is never taken for the template.
async fn make_template(server: &Url, client: &Client, name: &str) {
    let making = format!("{name}_making");
    for text in [
        format!("drop database if exists {making} with (force)"),
        format!("create database {making} template template0 encoding 'UTF8'"),
    ] {
        client.batch_execute(&text).await.unwrap();
    }
    let options = Options {
        clock: None,
        hints: true,
        pooled: false,
        random: Box::new(Seeded::new(1)),
        within: taskyard_store::postgres::WITHIN,
    };
    let url = within(server, &making);
    drop(PostgresStore::connect(url.as_str(), options).await.unwrap());
    let leave = "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = $1";
    client.query(leave, &[&making]).await.unwrap();
    let rename = format!("alter database {making} rename to {name}");
    client.batch_execute(&rename).await.unwrap();
}
