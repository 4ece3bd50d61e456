//! A PostgreSQL of a run's own, which can be stopped, killed, started again, copied to a standby, and promoted.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use rand::RngExt as _;

use crate::stage::{exited, free_port, until};
use crate::yard::PATIENCE;

/// As a real one is set: what it acknowledged is on its disk.
const DURABLE: &str = "fsync = on\nsynchronous_commit = on\nfull_page_writes = on\nmax_connections = 100\n\
                       shared_buffers = 64MB\nlisten_addresses = '127.0.0.1'\nwal_level = replica\nhot_standby = on\n\
                       wal_keep_size = 256MB\n";
const DATABASE: &str = "yard";

/// One PostgreSQL server, of a directory of its own.
pub(crate) struct Node {
    bin: PathBuf,
    home: PathBuf,
    password: String,
    pub(crate) port: u16,
    owner: Option<User>,
    /// The postmaster; none while it is down.
    child: Option<Child>,
}

/// Where the programs are. None where there are none and none have to be.
pub(crate) fn installed() -> Option<PathBuf> {
    // Debian keeps them out of PATH, so that versions fit side by side: the newest of them.
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|version| {
            let version = version.ok()?;
            let number = version.file_name().to_str()?.parse().ok()?;
            Some((number, version.path().join("bin")))
        })
        .filter(|(_, bin)| bin.join("initdb").exists())
        .collect();
    found.sort();
    let in_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|bin| bin.join("initdb").exists())
    };
    let bin = found.pop().map(|(_, bin)| bin).or_else(in_path);
    if bin.is_none() {
        let must_be = std::env::var_os("TASKYARD_REQUIRE_POSTGRES").is_some();
        assert!(!must_be, "PostgreSQL is not installed");
        eprintln!("skipped: PostgreSQL is not installed");
    }
    bin
}

impl Node {
    /// A new one, started, with an empty database.
    pub(crate) async fn new(bin: &Path, home: &Path, settings: &str) -> Self {
        let password = format!("{:032x}", rand::rng().random::<u128>());
        let mut node = Self::at(bin, home, password);
        let file = node.home.join("password");
        std::fs::write(&file, &node.password).unwrap();
        let mut initdb = node.command("initdb");
        initdb
            .args(["--pgdata=data", "--username=postgres", "--pwfile=password"])
            .args(["--auth-local=trust", "--auth-host=scram-sha-256"])
            .args(["--encoding=UTF8", "--no-locale", "--no-sync"]);
        // Its files are its own user's, also the password.
        chown_to(&file, node.owner.as_ref());
        run(initdb);
        node.set(&format!("{DURABLE}{settings}"));
        node.start().await;
        node.psql_on("postgres", &format!("create database {DATABASE}"))
            .await
            .unwrap();
        node
    }

    fn at(bin: &Path, home: &Path, password: String) -> Self {
        let owner = geteuid().is_root().then(|| {
            let user = |name: &str| User::from_name(name).ok().flatten();
            user("postgres")
                .or_else(|| user("nobody"))
                .expect("there is a user besides root")
        });
        std::fs::DirBuilder::new().mode(0o700).create(home).unwrap();
        chown_to(home, owner.as_ref());
        Self {
            bin: bin.to_owned(),
            home: home.to_owned(),
            password,
            port: free_port(),
            owner,
            child: None,
        }
    }

    /// One that follows this one, started. It reaches it at this place.
    pub(crate) async fn standby(&self, home: &Path, place: SocketAddr) -> Self {
        let mut node = Self::at(&self.bin, home, self.password.clone());
        let mut copy = node.command("pg_basebackup");
        copy.args(["--pgdata=data", "--username=postgres", "--checkpoint=fast"])
            .args(["--write-recovery-conf", "--wal-method=stream", "--no-sync"])
            .args([
                "--host",
                &place.ip().to_string(),
                "--port",
                &place.port().to_string(),
            ])
            .env("PGPASSWORD", &self.password);
        tokio::task::block_in_place(|| run(copy));
        // Later lines win over those that came with the copy.
        node.set("synchronous_standby_names = ''\n");
        node.start().await;
        let follows = "select 1 from pg_stat_replication where state = 'streaming'";
        self.until(follows).await;
        node
    }

    /// From now on it answers a commit when one of its standbys has it on its disk.
    pub(crate) async fn wait_for_standby(&mut self) {
        self.set("synchronous_standby_names = '*'\n");
        self.signal(Signal::SIGHUP);
        self.until("select 1 from pg_stat_replication where sync_state = 'sync'")
            .await;
    }

    /// It takes writes from now on.
    pub(crate) async fn promote(&self) {
        self.psql("select pg_promote(wait := true)").await.unwrap();
        self.until("select 1 where not pg_is_in_recovery()").await;
    }

    /// Further lines of its settings.
    fn set(&mut self, settings: &str) {
        let mut file = std::fs::OpenOptions::new();
        let mut file = file
            .append(true)
            .open(self.home.join("data/postgresql.conf"))
            .unwrap();
        let (port, home) = (self.port, self.home.display());
        write!(
            file,
            "port = {port}\nunix_socket_directories = '{home}'\n{settings}"
        )
        .unwrap();
    }

    /// `postgresql://…` of its database, at this host and port.
    pub(crate) fn url_at(&self, places: &str) -> String {
        format!(
            "postgresql://postgres:{}@{places}/{DATABASE}",
            self.password
        )
    }

    pub(crate) fn url(&self) -> String {
        self.url_at(&self.place())
    }

    pub(crate) fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Once it takes connections.
    pub(crate) async fn start(&mut self) {
        let took = until(PATIENCE, async || self.try_start().await.then_some(())).await;
        assert!(took.is_some(), "PostgreSQL does not start: {}", self.log());
    }

    /// False where it ended again, as one does that finds the memory of a killed one still in use.
    async fn try_start(&mut self) -> bool {
        let mut command = self.command("postgres");
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.home.with_extension("log"))
            .unwrap();
        let log_too = log.try_clone().unwrap();
        command.args(["-D", "data"]).stdout(log).stderr(log_too);
        let mut child = command.spawn().unwrap();
        let up = until(PATIENCE, async || {
            if child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            self.psql_on("postgres", "select 1")
                .await
                .ok()
                .map(|_| true)
        });
        match up.await {
            Some(false) => return false,
            Some(true) => self.child = Some(child),
            None => {
                self.child = Some(child);
                self.end(Signal::SIGKILL).await;
            }
        }
        self.child.is_some()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it is up");
        let id = i32::try_from(child.id()).unwrap();
        let _ = kill(Pid::from_raw(id), signal);
    }

    /// Until its postmaster has ended: SIGINT is `fast`, SIGQUIT `immediate`.
    pub(crate) async fn end(&mut self, signal: Signal) {
        self.signal(signal);
        let mut child = self.child.take().expect("it is up");
        exited(&mut child, PATIENCE).await;
    }

    /// As when its machine dies: nothing of it does anything any more.
    pub(crate) async fn crash(&mut self) {
        let id = self.child.as_ref().expect("it is up").id();
        let children = children(id);
        self.end(Signal::SIGKILL).await;
        for id in children {
            let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
        }
    }

    /// What it answers, a row a line, columns with `|` between.
    pub(crate) async fn psql(&self, sql: &str) -> Result<String, String> {
        self.psql_on(DATABASE, sql).await
    }

    async fn psql_on(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut command = tokio::process::Command::from(self.psql_command(database, sql));
        let output = command.kill_on_drop(true).output();
        let output = tokio::time::timeout(PATIENCE, output).await;
        let output = output.map_err(|_| "psql does not end".to_owned())?.unwrap();
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Over the socket, so that no password is wanted, and whatever is done to the network.
    pub(crate) fn psql_command(&self, database: &str, sql: &str) -> Command {
        let mut command = self.command("psql");
        command
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--username=postgres", "--set=ON_ERROR_STOP=1"])
            .arg(format!("--host={}", self.home.display()))
            .arg(format!("--port={}", self.port))
            .arg(format!("--dbname={database}"))
            .arg(format!("--command={sql}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs beside everything else, as what a test holds a lock with.
    pub(crate) fn psql_beside(&self, sql: &str) -> tokio::process::Child {
        let command = self.psql_command(DATABASE, sql);
        let mut command = tokio::process::Command::from(command);
        command.kill_on_drop(true).spawn().unwrap()
    }

    /// Until this has a row.
    pub(crate) async fn until(&self, sql: &str) {
        let is_so = async || self.psql(sql).await.ok().filter(|rows| !rows.is_empty());
        let came = until(PATIENCE, is_so).await;
        assert!(
            came.is_some(),
            "it never came to that: {sql}: {}",
            self.log()
        );
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.home.with_extension("log")).unwrap_or_default()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir(&self.home).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        if let Some(owner) = &self.owner {
            command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
        }
        command
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let id = i32::try_from(child.id()).unwrap();
            // Immediate: whoever else is in its group ends with it. A paused one hears it when it goes on.
            let _ = kill(Pid::from_raw(id), Signal::SIGQUIT);
            let _ = kill(Pid::from_raw(id), Signal::SIGCONT);
            let _ = child.wait();
        }
        // Only its log is of use to anybody.
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

/// The processes that this one has started, whichever of its threads did, as far as they are there.
pub(crate) fn children(id: u32) -> Vec<i32> {
    let threads = std::fs::read_dir(format!("/proc/{id}/task"))
        .into_iter()
        .flatten();
    let listed = threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok());
    let listed: Vec<String> = listed.collect();
    let ids = listed.iter().flat_map(|ids| ids.split_whitespace());
    ids.filter_map(|id| id.parse().ok()).collect()
}

fn chown_to(path: &Path, owner: Option<&User>) {
    if let Some(owner) = owner {
        chown(path, Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).unwrap();
    }
}

fn run(mut command: Command) {
    let output = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

/// How long a PostgreSQL may be away until everybody has noticed.
pub(crate) const NOTICED_WITHIN: Duration = Duration::from_secs(5);
