//! A PgBouncer of a test's own in front of the tests' PostgreSQL, in transaction mode: each transaction gets one of few
//! connections. What the tests of several crates share, by `#[path]`.
//!
//! It ends with its value, and with the test's process, however that ends: a shell waits beside it for its end.

use std::fmt::Write as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, timeout};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use url::Url;

/// Set where a test without one must fail rather than be left out.
const REQUIRED: &str = "TASKYARD_REQUIRE_POSTGRES";
const PATIENCE: Duration = Duration::from_secs(60);
/// Names its socket alone.
const PORT: u16 = 6432;
/// Of each database. A server has seven connections to its pooler at the most, so they go from hand to hand.
const CONNECTIONS: usize = 3;
/// Runs beside it, and ends it when nobody holds its standard input any more.
const KEEPER: &str = r#""$@" & pooler=$!; read -r _; kill -TERM "$pooler"; wait"#;

pub(crate) struct Pooler {
    pub(crate) directory: TempDir,
    /// To each database.
    pub(crate) connections: usize,
    keeper: Child,
}

impl Pooler {
    /// None where none is installed and none has to be.
    pub(crate) fn before(server: &str) -> Option<Self> {
        Self::with(server, CONNECTIONS)
    }

    /// With so many connections to each database.
    pub(crate) fn with(server: &str, connections: usize) -> Option<Self> {
        let Some(program) = program() else {
            assert!(
                std::env::var_os(REQUIRED).is_none(),
                "there is no pgbouncer, and {REQUIRED} asks for one"
            );
            eprintln!("skipped: there is no pgbouncer");
            return None;
        };
        let directory = TempDir::new().unwrap();
        let settings = directory.path().join("pgbouncer.ini");
        let text = text_of(server, directory.path(), connections);
        std::fs::write(&settings, text).unwrap();
        if is_root() {
            // It refuses to run as root.
            let mut own = Command::new("chown");
            own.args(["-R", "postgres"]).arg(directory.path());
            assert!(own.status().unwrap().success());
        }
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "sh", program, "--quiet"]);
        if is_root() {
            command.args(["--user", "postgres"]);
        }
        command.arg(&settings).stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let keeper = command.spawn().unwrap();
        let pooler = Self {
            directory,
            connections,
            keeper,
        };
        let until = Instant::now() + PATIENCE;
        let socket = pooler.directory.path().join(format!(".s.PGSQL.{PORT}"));
        while UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < until, "{}", pooler.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(pooler)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Where this database is to be found.
    pub(crate) fn url(&self, database: &str) -> String {
        let socket = self.directory.path().display().to_string();
        let socket = socket.replace('/', "%2F");
        format!("postgresql://postgres@{socket}:{PORT}/{database}")
    }

    /// What transactions left to those that come after them, in any of the connections to this database. Nobody may be in
    /// one for long.
    pub(crate) async fn kept(&self, database: &str) -> Vec<String> {
        let url = self.url(database);
        let mut clients: Vec<Client> = Vec::new();
        let mut kept = Vec::new();
        for _ in 0..self.connections {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
            tokio::spawn(async move { connection.await.ok() });
            // Whoever is in a transaction keeps its connection, so all of them are gone through.
            let answer = timeout(PATIENCE, client.simple_query(KEPT)).await;
            let answer = answer.unwrap_or_else(|_| panic!("all are busy: {}", self.log()));
            for message in answer.unwrap() {
                if let SimpleQueryMessage::Row(row) = message {
                    kept.push(row.get(0).unwrap_or_default().to_owned());
                }
            }
            clients.push(client);
        }
        kept
    }
}

/// The pooler itself says what each client is called, and how its texts are encoded.
const KEPT: &str = "begin;
    select 'prepared: ' || statement from pg_prepared_statements
    union all
    select 'listens: ' || channel from pg_listening_channels() as channel
    union all
    select 'set: ' || name || ' = ' || setting from pg_settings
    where source = 'session' and name not in ('application_name', 'client_encoding')
    union all
    select 'cursor: ' || name from pg_cursors
    union all
    select 'lock: ' || objid from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
    union all
    select 'table: ' || relname from pg_class where relpersistence = 't'";

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Its settings.
pub(crate) fn text_of(server: &str, directory: &Path, connections: usize) -> String {
    let server = Url::parse(server).unwrap();
    let mut text = String::from("[databases]\n*");
    let host = server.host_str().unwrap().replace("%2F", "/");
    let (port, user) = (server.port().unwrap_or(5432), server.username());
    let _ = write!(text, " = host={host} port={port} user={user}");
    if let Some(password) = server.password() {
        let _ = write!(text, " password={password}");
    }
    let folder = directory.display();
    let _ = write!(
        text,
        "\n[pgbouncer]\npool_mode = transaction\nauth_type = any\nlisten_port = {PORT}\nunix_socket_dir = {folder}\n\
         logfile = {folder}/log\npidfile = {folder}/pid\ndefault_pool_size = {connections}\nmax_client_conn = 200\nserver_login_retry = 1\n"
    );
    text
}

/// Debian keeps it with what is for administrators, who alone have it in PATH.
fn program() -> Option<&'static str> {
    [
        "/usr/sbin/pgbouncer",
        "/usr/bin/pgbouncer",
        "/usr/local/bin/pgbouncer",
    ]
    .into_iter()
    .find(|program| Path::new(program).exists())
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}
