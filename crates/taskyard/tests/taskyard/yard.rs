//! Processes of this build over a database of their own, and the few words that the tests are written in.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use taskyard_api::client::Client;
use taskyard_api::submit::Submit;
use taskyard_api::task::Task;
use taskyard_api::worker::Register;
use taskyard_core::id::TaskId;
use taskyard_store::postgres::scratch;
use tempfile::TempDir;
use tokio::time::Instant;

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Short times, so that a dead worker is found out within moments.
pub(crate) const QUICK: [&str; 10] = [
    "--heartbeat",
    "300ms",
    "--heartbeat-ttl",
    "1s",
    "--lease",
    "3s",
    "--grace",
    "1s",
    "--sweep",
    "100ms",
];

/// Older names of settings in the environment. One of them names a database.
const OLDER: [&str; 5] = [
    "DATABASE_URL",
    "HEARTBEAT_TTL_SECONDS",
    "LEASE_SECONDS",
    "REQUEUE_SWEEP_SECONDS",
    "MAX_ATTEMPTS_DEFAULT",
];

pub(crate) fn taskyard() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taskyard"));
    // Whatever stands in the environment of whoever runs the tests is not theirs.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TASKYARD_") {
            command.env_remove(name);
        }
    }
    for older in OLDER {
        command.env_remove(older);
    }
    command.stdin(Stdio::null());
    command
}

/// The same, become of a shell that has done this first.
pub(crate) fn after(first: &str) -> Command {
    let command = taskyard();
    let program = command.get_program().to_owned();
    let mut shell = Command::new("sh");
    for (name, _) in command.get_envs() {
        shell.env_remove(name);
    }
    shell
        .args(["-c", &format!("{first}; exec \"$0\" \"$@\"")])
        .arg(program)
        .stdin(Stdio::null());
    shell
}

/// A place for one test: a directory, and a database that is in it or on the PostgreSQL server of the tests.
pub(crate) struct Yard {
    pub(crate) directory: TempDir,
    postgres: Option<String>,
}

/// A process, killed when it is dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
    log: PathBuf,
}

pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) url: String,
    pub(crate) client: Client,
}

impl Yard {
    pub(crate) fn new() -> Self {
        // Fails only where it was done before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            directory: TempDir::new().unwrap(),
            postgres: None,
        }
    }

    /// None where there is no PostgreSQL server and none has to be.
    pub(crate) async fn on_postgres() -> Option<Self> {
        let mut yard = Self::new();
        let server = postgres_server()?;
        static MADE: AtomicU32 = AtomicU32::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("taskyard_process_{}_{made}", std::process::id());
        yard.postgres = Some(scratch::create(&server, &name).await.unwrap());
        Some(yard)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn database(&self) -> String {
        let file = || format!("sqlite:{}", self.path("tasks.db").display());
        self.postgres.clone().unwrap_or_else(file)
    }

    /// What `db check` says, when all is well.
    pub(crate) fn is_well(&self) {
        let check = run(
            self.directory.path(),
            &["db", "check", "--database", &self.database()],
            &[],
        );
        assert_eq!(check.stdout.trim(), "nothing is wrong", "{}", check.stderr);
    }

    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        self.serve_at("127.0.0.1:0", arguments)
    }

    pub(crate) fn serve_at(&self, address: &str, arguments: &[&str]) -> Server {
        self.serve_on(&self.database(), address, arguments)
    }

    pub(crate) fn serve_on(&self, database: &str, address: &str, arguments: &[&str]) -> Server {
        let mut command = taskyard();
        command
            .args(["serve", "--listen", address, "--database", database])
            .args(arguments);
        self.serve_by(command)
    }

    /// A server that a shell becomes, after it has done this.
    pub(crate) fn serve_after(&self, first: &str, arguments: &[&str]) -> Server {
        let mut command = after(first);
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(["--database", &self.database()])
            .args(arguments);
        self.serve_by(command)
    }

    fn serve_by(&self, command: Command) -> Server {
        Server::of(Process::start(command, self.path("server.log")))
    }

    pub(crate) fn worker(&self, server: &Server, name: &str, arguments: &[&str]) -> Process {
        let mut command = taskyard();
        command
            .args(["worker", "--server", &server.url, "--name", name])
            .args(arguments);
        Process::start(command, self.path(&format!("{name}.log")))
    }

    /// A command on its own, as it goes on.
    pub(crate) fn alone(
        &self,
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &Path)],
    ) -> Process {
        let mut command = taskyard();
        command.args(arguments).envs(environment.iter().copied());
        Process::start(command, self.path(&format!("{name}.log")))
    }

    /// A command that speaks to this server, as it goes on.
    pub(crate) fn command(&self, server: &Server, name: &str, arguments: &[&str]) -> Process {
        let mut command = taskyard();
        command.args(arguments).env("TASKYARD_URL", &server.url);
        command.current_dir(self.directory.path());
        Process::start(command, self.path(&format!("{name}.log")))
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        let Some(url) = self.postgres.take() else {
            return;
        };
        // On a thread of its own, because a test's runtime cannot be waited for inside itself.
        let removed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(scratch::remove(&url))
        });
        if !std::thread::panicking() {
            removed.join().unwrap().unwrap();
        }
    }
}

impl Process {
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Self {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let child = command.stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        Self { child, log }
    }

    /// One whose log the test has put somewhere itself.
    pub(crate) fn of(child: Child) -> Self {
        Self {
            child,
            log: PathBuf::new(),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its log, once these words stand in it: a line is written a moment after what it tells of.
    pub(crate) fn log_with(&self, words: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let log = self.log();
            if log.contains(words) {
                return log;
            }
            assert!(Instant::now() < until, "no {words:?} in its log: {log}");
            std::thread::yield_now();
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(
            Pid::from_raw(i32::try_from(self.child.id()).unwrap()),
            signal,
        )
        .unwrap();
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// All that it prints until it ends, and how it ended.
    pub(crate) fn finish(mut self) -> Printed {
        let mut stdout = String::new();
        if let Some(mut pipe) = self.child.stdout.take() {
            pipe.read_to_string(&mut stdout).unwrap();
        }
        let code = self.wait().code().unwrap_or(-1);
        let stderr = self.log();
        Printed {
            code,
            stdout,
            stderr,
        }
    }

    /// How many files it may have open: the soft and the hard limit.
    pub(crate) fn open_files(&self) -> (u64, u64) {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.child.id())).unwrap();
        let limit = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max open files"));
        let mut words = limit
            .unwrap()
            .split_whitespace()
            .map(|word| word.parse().unwrap());
        (words.next().unwrap(), words.next().unwrap())
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// This process, once it serves.
    pub(crate) fn of(mut process: Process) -> Self {
        let stdout = process.child.stdout.take().unwrap();
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("serving on ");
        let url = url
            .unwrap_or_else(|| panic!("the server did not start: {}", process.log()))
            .to_owned();
        let client = Client::new(&[url.parse().unwrap()], None).unwrap();
        Self {
            process,
            url,
            client,
        }
    }

    /// Its log, with all that its start tells.
    pub(crate) fn log_of_start(&self) -> String {
        let address = self.url.trim_start_matches("http://");
        self.process.log_with(&format!(r#""address":"{address}""#))
    }

    pub(crate) async fn submit(&self, kind: &str, input: Value) -> TaskId {
        self.submit_as(Submit::new(kind, input)).await
    }

    pub(crate) async fn submit_as(&self, task: Submit<Value>) -> TaskId {
        self.client.submit(&task).await.unwrap().id
    }

    /// A worker outside that takes whatever there is.
    pub(crate) async fn register_for_all(&self, name: &str) {
        let register = Register {
            worker_id: name.to_owned(),
            kinds: vec!["*".to_owned()],
            queues: None,
            labels: [].into(),
            capacity: None,
        };
        self.client.register(&register).await.unwrap();
    }

    pub(crate) async fn ended(&self, id: TaskId) -> Task {
        self.until(id, |task| task.status.is_final()).await
    }

    /// The task as soon as it is so.
    pub(crate) async fn until(&self, id: TaskId, mut is_so: impl FnMut(&Task) -> bool) -> Task {
        let looks = async {
            loop {
                let task = self
                    .client
                    .task(id, Some(Duration::from_millis(20)))
                    .await
                    .unwrap();
                if is_so(&task) {
                    return task;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, looks).await {
            Ok(task) => task,
            Err(_) => panic!(
                "it never came to that: {:?}",
                self.client.task(id, None).await
            ),
        }
    }

    pub(crate) fn stop(self) -> ExitStatus {
        self.process.stop()
    }
}

/// What a command printed, with its exit code.
pub(crate) struct Printed {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end in this directory.
pub(crate) fn run(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Printed {
    let output = taskyard()
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(directory)
        .output()
        .unwrap();
    Printed {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Whether this signal ends what these tests start: under `nohup` SIGHUP is ignored, and by them too.
pub(crate) fn is_heeded(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = u64::from_str_radix(ignored.unwrap().trim(), 16).unwrap();
    ignored & (1 << (signal as i32 - 1)) == 0
}

/// Where databases may be made. None where there is no PostgreSQL server and none has to be.
pub(crate) fn postgres_server() -> Option<String> {
    let server = std::env::var("TASKYARD_TEST_POSTGRES_URL").ok();
    if server.is_none() {
        assert!(
            std::env::var_os("TASKYARD_REQUIRE_POSTGRES").is_none(),
            "there is no PostgreSQL server"
        );
        eprintln!("skipped: TASKYARD_TEST_POSTGRES_URL names no server");
    }
    server
}
