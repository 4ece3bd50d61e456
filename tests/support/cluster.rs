//! PostgreSQL servers of a test's own, to be stopped, killed, paused and failed over: `initdb` in a temporary directory, and
//! copies of it that follow. What the tests of several crates share, by `#[path]`.
//!
//! A server ends with its value, and with the test's process, however that ends: a shell waits beside it for its end.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

/// Set where a test without PostgreSQL must fail rather than be left out.
const REQUIRED: &str = "TASKYARD_REQUIRE_POSTGRES";
const PATIENCE: Duration = Duration::from_secs(60);
/// Nothing outlives it, so it does not wait for its disk. Others that are asked for come behind these, and win.
const SETTINGS: [&str; 6] = [
    "fsync=off",
    "full_page_writes=off",
    "listen_addresses=127.0.0.1",
    "max_connections=60",
    "shared_buffers=16MB",
    "wal_keep_size=64MB",
];
/// Runs beside the server, which it ends when nobody holds its standard input any more.
const KEEPER: &str = r#""$@" & server=$!; echo "$server"; read -r _; kill -CONT "$server"; kill -QUIT "$server"; wait"#;

pub(crate) struct Cluster {
    directory: TempDir,
    settings: Vec<String>,
    log: PathBuf,
    pub(crate) port: u16,
    keeper: Option<Child>,
    server: u32,
}

impl Cluster {
    /// Started, with nothing in it. None where no PostgreSQL is installed and none has to be.
    pub(crate) fn new() -> Option<Self> {
        is_installed().then(|| Self::made(Self::in_a_directory()))
    }

    /// The same with further settings, and its log in this file, which outlives it.
    pub(crate) fn with(settings: &[&str], log: &Path) -> Self {
        let mut cluster = Self::in_a_directory();
        cluster.settings = settings.iter().map(|&one| one.to_owned()).collect();
        cluster.log = log.to_owned();
        Self::made(cluster)
    }

    fn made(mut self) -> Self {
        let initdb = program("initdb").unwrap();
        self.run(
            as_its_user(&initdb)
                .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
                .args(["--no-locale", "--no-sync", "--pgdata"])
                .arg(self.data()),
        );
        self.start();
        self
    }

    /// A copy of this one, which follows it.
    pub(crate) fn standby(&self) -> Self {
        let cluster = Self::in_a_directory();
        let host = self.directory.path().display().to_string();
        self.copy_to(cluster, &host, self.port)
    }

    /// One that follows it by way of somebody who listens there, with the same settings and its log in this file.
    pub(crate) fn standby_by(&self, place: SocketAddr, log: &Path) -> Self {
        let mut cluster = Self::in_a_directory();
        cluster.settings = self.settings.clone();
        cluster.log = log.to_owned();
        self.copy_to(cluster, &place.ip().to_string(), place.port())
    }

    fn copy_to(&self, mut copy: Self, host: &str, port: u16) -> Self {
        let backup = program("pg_basebackup").unwrap();
        copy.run(
            as_its_user(&backup)
                .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
                .args(["--username=postgres", "--host", host])
                .args(["--port", &port.to_string(), "--pgdata"])
                .arg(copy.data()),
        );
        // It waits for nobody itself.
        copy.settings.push("synchronous_standby_names=".to_owned());
        copy.start();
        copy
    }

    fn in_a_directory() -> Self {
        let directory = TempDir::new().unwrap();
        if is_root() {
            let mut own = Command::new("chown");
            own.arg(owner()).arg(directory.path());
            assert!(own.status().unwrap().success());
        }
        Self {
            log: directory.path().join("log"),
            directory,
            settings: Vec::new(),
            port: free_port(),
            keeper: None,
            server: 0,
        }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn run(&self, command: &mut Command) -> Output {
        let output = command.current_dir(self.directory.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {said}");
        output
    }

    /// Where its database `postgres` is to be found.
    pub(crate) fn url(&self) -> String {
        url_of(&[self])
    }

    /// What a query answers: rows of columns with `|` between them.
    pub(crate) fn ask(&self, query: &str) -> String {
        self.try_to_ask(query).unwrap_or_else(|why| panic!("{why}"))
    }

    pub(crate) fn try_to_ask(&self, query: &str) -> Result<String, String> {
        let output = self.psql(query).output().unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Over its socket, whatever is done to the network.
    pub(crate) fn psql(&self, query: &str) -> Command {
        let mut command = Command::new(program("psql").unwrap());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet"])
            .args(["--set=ON_ERROR_STOP=1", "--username=postgres"])
            .args(["--port", &self.port.to_string(), "--dbname=postgres"])
            .arg("--host")
            .arg(self.directory.path())
            .args(["--command", query])
            .env("PGCONNECT_TIMEOUT", PATIENCE.as_secs().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts it, and waits until it lets somebody in.
    pub(crate) fn start(&mut self) {
        let until = Instant::now() + PATIENCE;
        while !self.start_once() {
            // The processes of one that was killed may hold its memory for a moment.
            assert!(Instant::now() < until, "{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn start_once(&mut self) -> bool {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .unwrap();
        let mut command = as_its_user(Path::new("sh"));
        command
            .args(["-c", KEEPER, "sh"])
            .arg(program("postgres").unwrap())
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string()])
            .arg("-k")
            .arg(self.directory.path());
        let further = self.settings.iter().map(String::as_str);
        for setting in SETTINGS.into_iter().chain(further) {
            command.args(["-c", setting]);
        }
        command
            .current_dir(self.directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut keeper = command.spawn().unwrap();
        let mut line = String::new();
        let mut says = BufReader::new(keeper.stdout.take().unwrap());
        says.read_line(&mut line).unwrap();
        self.server = line.trim().parse().unwrap();
        self.keeper = Some(keeper);
        let is_ready = program("pg_isready").unwrap();
        while Path::new(&format!("/proc/{}/exe", self.server)).exists() {
            let mut command = Command::new(&is_ready);
            command
                .args(["--quiet", "--port", &self.port.to_string()])
                .arg("--host")
                .arg(self.directory.path());
            if command.status().unwrap().success() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.gone();
        false
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// In order, but without waiting for anybody who is connected.
    pub(crate) fn stop(&mut self) {
        self.end("INT");
    }

    /// As if it had crashed: what is on the disk is left as it is.
    pub(crate) fn stop_at_once(&mut self) {
        self.end("QUIT");
    }

    /// The server without its processes, which find that out themselves.
    pub(crate) fn kill(&mut self) {
        self.end("KILL");
    }

    /// By this signal.
    pub(crate) fn end(&mut self, signal: &str) {
        self.signal(signal);
        self.gone();
    }

    /// As when its machine dies: nothing of it does anything any more.
    pub(crate) fn crash(&mut self) {
        let all = children(self.server);
        self.signal("KILL");
        signal("KILL", &all);
        self.gone();
    }

    /// Reads again what `alter system` has set.
    pub(crate) fn reload(&self) {
        self.signal("HUP");
    }

    /// All of its processes stand still: it takes connections as the system does for it, and says nothing.
    pub(crate) fn pause(&self) {
        // None is to come after those that stand still.
        self.signal("STOP");
        let until = Instant::now() + PATIENCE;
        while !stands_still(self.server) {
            assert!(Instant::now() < until, "it does not stop");
            std::thread::yield_now();
        }
        signal("STOP", &children(self.server));
    }

    pub(crate) fn resume(&self) {
        signal("CONT", &children(self.server));
        self.signal("CONT");
    }

    /// Makes a standby the primary.
    pub(crate) fn promote(&self) {
        assert_eq!(self.ask("select pg_promote()"), "t");
    }

    fn signal(&self, name: &str) {
        signal(name, &[self.server]);
    }

    /// Waits for the end of the server, and of the shell beside it.
    fn gone(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            let until = Instant::now() + PATIENCE;
            while Path::new(&format!("/proc/{}/exe", self.server)).exists() {
                assert!(Instant::now() < until, "it does not end: {}", self.log());
                std::thread::sleep(Duration::from_millis(10));
            }
            drop(keeper.stdin.take());
            keeper.wait().unwrap();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.keeper.is_some() {
            self.resume();
            self.signal("QUIT");
            self.gone();
        }
    }
}

/// One address for these, in their order.
pub(crate) fn url_of(clusters: &[&Cluster]) -> String {
    let hosts = clusters.iter().map(|one| format!("127.0.0.1:{}", one.port));
    let hosts: Vec<String> = hosts.collect();
    format!("postgresql://postgres@{}/postgres", hosts.join(","))
}

/// To processes that may have ended by themselves.
pub(crate) fn signal(name: &str, processes: &[u32]) {
    if processes.is_empty() {
        return;
    }
    let ids: Vec<String> = processes.iter().map(u32::to_string).collect();
    let line = format!("kill -{name} {} 2>/dev/null; true", ids.join(" "));
    assert!(
        Command::new("sh")
            .args(["-c", &line])
            .status()
            .unwrap()
            .success()
    );
}

fn stands_still(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // Behind its name, which may hold whatever it likes.
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| rest.trim_start().starts_with('T'))
}

/// The processes that this one has started, whichever of its threads did, as far as they are there.
pub(crate) fn children(of: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{of}/task"))
        .into_iter()
        .flatten();
    let listed = threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok());
    let listed: Vec<String> = listed.collect();
    let ids = listed.iter().flat_map(|ids| ids.split_whitespace());
    ids.filter_map(|id| id.parse().ok()).collect()
}

/// False where there is none and none has to be.
pub(crate) fn is_installed() -> bool {
    let is_there = program("initdb").is_some();
    if !is_there {
        assert!(
            std::env::var_os(REQUIRED).is_none(),
            "there is no initdb, and {REQUIRED} asks for one"
        );
        eprintln!("skipped: there is no initdb");
    }
    is_there
}

/// One of PostgreSQL's, of the newest version there is. Debian keeps them out of PATH.
fn program(name: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let versions = versions.filter_map(|version| version.ok()?.file_name().into_string().ok());
    let newest = versions.max_by_key(|version| version.parse::<u32>().unwrap_or(0));
    let debian = newest.map(|version| format!("/usr/lib/postgresql/{version}/bin"));
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = debian.iter().map(String::as_str).chain(path.split(':'));
    folders
        .map(|folder| Path::new(folder).join(name))
        .find(|program| program.exists())
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

/// PostgreSQL refuses to run as root.
fn as_its_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let owner = owner();
    let group = said(Command::new("id").args(["-g", owner])).expect("it has a group");
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", owner, "--regid", &group, "--init-groups"])
        .arg(program);
    command
}

/// Debian makes one for PostgreSQL.
fn owner() -> &'static str {
    if said(Command::new("id").args(["-u", "postgres"])).is_some() {
        "postgres"
    } else {
        "nobody"
    }
}

fn said(command: &mut Command) -> Option<String> {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| said.trim().to_owned())
}

/// Below those from which the system takes ports for connections, and not twice in this process.
fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let taken = TAKEN.fetch_add(1, Ordering::Relaxed);
        let serial = std::process::id().wrapping_mul(13).wrapping_add(taken);
        let port = 20_000 + u16::try_from(serial % 12_000).unwrap();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
