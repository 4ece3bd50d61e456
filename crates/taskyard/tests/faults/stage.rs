//! Servers and workers that can be killed, paused and started again at the same address.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use parking_lot::Mutex;
use rand::RngExt as _;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::postgres::Node;
use crate::yard::{PATIENCE, Process, QUICK, taskyard};

/// Asked so often is what gives no signal.
pub(crate) const SOON: Duration = Duration::from_millis(20);

/// What one run is played on. Processes end with it, before its directory goes.
pub(crate) struct Stage {
    pub(crate) servers: Vec<Server>,
    pub(crate) workers: Vec<Process>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) directory: Arc<Directory>,
}

/// A place for one run: gone with it, but for one that failed.
pub(crate) struct Directory {
    place: Option<TempDir>,
    /// How the run is repeated.
    again: String,
}

impl Directory {
    pub(crate) fn new(again: String) -> Self {
        let place = TempDir::with_prefix("taskyard-faults-").unwrap();
        // PostgreSQL does not run as root, and has to come by here.
        set_mode(place.path(), 0o711);
        Self {
            place: Some(place),
            again,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.place
            .as_ref()
            .expect("it is there until it is dropped")
            .path()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(place) = self.place.take()
        {
            let kept = place.keep();
            eprintln!(
                "its history and logs are in {}; {}",
                kept.display(),
                self.again
            );
        }
    }
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) struct Server {
    pub(crate) url: String,
    address: String,
    database: String,
    arguments: Vec<String>,
    log: PathBuf,
    /// None while it is down.
    process: Option<Process>,
}

impl Stage {
    pub(crate) fn new(directory: Arc<Directory>) -> Self {
        Self {
            servers: Vec::new(),
            workers: Vec::new(),
            nodes: Vec::new(),
            directory,
        }
    }

    pub(crate) fn sqlite(&self) -> String {
        format!(
            "sqlite:{}",
            self.directory.path().join("tasks.db").display()
        )
    }

    /// One more server, with short times and these arguments besides.
    pub(crate) async fn serve(&mut self, database: &str, arguments: &[&str]) {
        let number = self.servers.len();
        let address = format!("127.0.0.1:{}", free_port());
        let all = QUICK.iter().chain(arguments).map(|&word| word.to_owned());
        let mut server = Server {
            url: format!("http://{address}"),
            address,
            database: database.to_owned(),
            arguments: all.collect(),
            log: self.directory.path().join(format!("server-{number}.log")),
            process: None,
        };
        server.start().await;
        self.servers.push(server);
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.servers
            .iter()
            .map(|server| server.url.clone())
            .collect()
    }

    /// A worker process that goes to this server first, and to the others when that one is away.
    pub(crate) fn work(&mut self, server: usize, arguments: &[&str]) -> usize {
        let number = self.workers.len();
        let mut urls = self.urls();
        urls.rotate_left(server);
        let name = format!("process-{number}");
        let mut command = taskyard();
        command
            .args(["worker", "--server", &urls.join(","), "--name", &name])
            .args(arguments);
        let log = self.directory.path().join(format!("{name}.log"));
        self.workers.push(Process::start(command, log));
        number
    }

    /// Everybody who works is told to stop, and does.
    pub(crate) async fn stop(&mut self) {
        for worker in self.workers.drain(..) {
            ends(worker, Signal::SIGTERM).await;
        }
        for server in &mut self.servers {
            if server.process.is_some() {
                let ended = server.stop(Signal::SIGTERM).await;
                assert_eq!(ended.code(), Some(0), "{} did not end well", server.url);
            }
        }
    }
}

impl Server {
    /// At the address it has, and once it serves.
    pub(crate) async fn start(&mut self) {
        assert!(self.process.is_none(), "it is up");
        let mut command = taskyard();
        command
            .args(["serve", "--listen", &self.address])
            .args(["--database", &self.database])
            .args(&self.arguments);
        let mut process = Process::start(command, self.log.clone());
        let stdout = process.child.stdout.take().unwrap();
        let (says, said) = oneshot::channel();
        // Ends with its line or with the process, which is killed where it takes too long.
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(stdout).read_line(&mut line);
            let _ = says.send(line);
        });
        let line = timeout(PATIENCE, said).await;
        let is_up = matches!(&line, Ok(Ok(line)) if line.starts_with("serving on "));
        assert!(is_up, "a server did not start: {line:?} {}", process.log());
        self.process = Some(process);
    }

    pub(crate) fn process(&self) -> &Process {
        self.process.as_ref().expect("it is up")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process().signal(signal);
    }

    /// By this signal.
    pub(crate) async fn stop(&mut self, signal: Signal) -> ExitStatus {
        let process = self.process.take().expect("it is up");
        ends(process, signal).await
    }
}

/// By this signal, within bounds.
pub(crate) async fn ends(mut process: Process, signal: Signal) -> ExitStatus {
    process.signal(signal);
    exited(&mut process.child, PATIENCE).await
}

/// How a process ended.
pub(crate) async fn exited(child: &mut Child, within: Duration) -> ExitStatus {
    let id = child.id();
    let waiting = until(within, async || child.try_wait().unwrap());
    waiting
        .await
        .unwrap_or_else(|| panic!("process {id} does not end"))
}

/// What this says in the end, asked again and again; none if it does not within this time.
pub(crate) async fn until<T>(
    within: Duration,
    mut asked: impl AsyncFnMut() -> Option<T>,
) -> Option<T> {
    let end = Instant::now() + within;
    loop {
        if let Some(said) = asked().await {
            return Some(said);
        }
        if Instant::now() >= end {
            return None;
        }
        sleep(SOON).await;
    }
}

/// One below the range from which the kernel takes ports for connections, so that it is free again after a restart.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<Vec<u16>> = Mutex::new(Vec::new());
    let mut given = GIVEN.lock();
    loop {
        let port = rand::rng().random_range(10_000..32_000);
        if !given.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            given.push(port);
            return port;
        }
    }
}
