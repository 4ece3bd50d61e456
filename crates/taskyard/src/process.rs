//! Taskyard's own processes, started beside this one: what the demo and the benchmark run against. None outlives it.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, getppid};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::settings;

/// How long a server may take until it serves, and a process until it has stopped.
const PATIENCE: Duration = Duration::from_secs(60);

/// A settings file that sets nothing, in place of the one in the present directory.
const NO_FILE: &str = "/dev/null";

/// Before a process's arguments, and before the id of the one that it is not to outlive.
const WITH_PARENT: &str = "__with-parent";

/// The arguments of this process, without the two that bind it to its parent. If there are these, the kernel kills it
/// when the thread that started it ends; none if its parent has ended already.
pub(crate) fn bound_to_parent(mut arguments: Vec<OsString>) -> Option<Vec<OsString>> {
    if arguments.get(1).is_none_or(|word| word != WITH_PARENT) {
        return Some(arguments);
    }
    let parent = arguments.get(2).and_then(|id| id.to_str()?.parse().ok());
    prctl::set_pdeathsig(Signal::SIGKILL).ok()?;
    if parent != Some(getppid().as_raw()) {
        return None;
    }
    arguments.drain(1..3);
    Some(arguments)
}

/// Another `taskyard`. Killed when dropped, or when this process ends, in whatever way.
pub(crate) struct Process(Child);

impl Drop for Process {
    /// Returns when it is gone, so that whoever dropped it can remove what it wrote to.
    fn drop(&mut self) {
        if let Some(id) = self.id()
            && self.0.start_kill().is_ok()
        {
            let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
            let _ = waitid(Id::Pid(id), flags);
        }
    }
}

impl Process {
    /// This same program with these arguments, and else by its defaults, whatever the environment and the file say that
    /// set something for this process; what it logs goes to a file. To be called on a thread that lives as long as the
    /// process is wanted.
    pub(crate) fn start(arguments: &[String], log: &Path) -> anyhow::Result<Self> {
        Self::start_with(arguments, &[], log)
    }

    /// The same with these variables, for what no argument may show.
    pub(crate) fn start_with(
        arguments: &[String],
        variables: &[(&str, &str)],
        log: &Path,
    ) -> anyhow::Result<Self> {
        let log = File::create(log).with_context(|| format!("{} cannot be made", log.display()))?;
        let mut command = Command::new(std::env::current_exe()?);
        for (name, _) in std::env::vars_os() {
            if settings::is_variable(&name) {
                command.env_remove(name);
            }
        }
        let child = command
            .args([WITH_PARENT, &std::process::id().to_string()])
            .args(arguments)
            .env(settings::FILE_VARIABLE, NO_FILE)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("taskyard cannot be started")?;
        Ok(Self(child))
    }

    /// Its number; none once it has ended.
    pub(crate) fn id(&self) -> Option<Pid> {
        let id = self.0.id()?;
        i32::try_from(id).ok().map(Pid::from_raw)
    }

    /// How it has ended; none while it goes on.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.0.try_wait()?)
    }

    /// Ends it without a chance to tidy up.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.0.kill().await?)
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(id) = self.id() {
            kill(id, Signal::SIGTERM)?;
        }
        let status = tokio::time::timeout(PATIENCE, self.0.wait()).await;
        let status = status.context("it does not stop")??;
        if !status.success() {
            bail!("it stopped with {status}");
        }
        Ok(())
    }
}

/// A server and where it listens.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) url: String,
}

impl Server {
    /// `taskyard serve` on a free port, once it serves.
    pub(crate) async fn start(arguments: &[String], log: &Path) -> anyhow::Result<Self> {
        let mut all = vec![
            "serve".to_owned(),
            "--listen".to_owned(),
            "127.0.0.1:0".to_owned(),
        ];
        all.extend_from_slice(arguments);
        let mut process = Process::start(&all, log)?;
        let stdout = process
            .0
            .stdout
            .take()
            .context("it has no standard output")?;
        let mut line = String::new();
        let mut lines = BufReader::new(stdout);
        let read = tokio::time::timeout(PATIENCE, lines.read_line(&mut line)).await;
        read.context("the server does not start")??;
        let Some(url) = line.trim().strip_prefix(SERVING) else {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            bail!("the server did not start:\n{}", said.trim());
        };
        Ok(Self {
            process,
            url: url.to_owned(),
        })
    }
}

/// What a server prints once it serves, before its address.
pub(crate) const SERVING: &str = "serving on ";
