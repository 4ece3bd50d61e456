//! The worker's side of a guarded command: starts the guardian, reads what the command prints, passes on a stop.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, ChildStderr, ChildStdout};

use super::capture::{Capture, Keep};
use super::environment::WORKDIR;
use crate::executor::{Stop, StopSignal};
use crate::guardian::protocol::{self, MESSAGE_BYTES_MAX, Order, Report, Spec};
use crate::guardian::{Guardian, tree};

/// How long the streams may stay open after the end: only a process that could not be killed still holds them.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// How often a tree without a guardian is looked for until nothing of it is found.
const SWEEPS_MAX: usize = 500;
const SWEEP_PAUSE: Duration = Duration::from_millis(10);

/// A running command. To drop it is to kill the command: its guardian finds the channel closed.
pub(super) struct Guarded {
    guardian: Child,
    /// What no process of another run has in its environment.
    mark: String,
    words: OwnedReadHalf,
    orders: OwnedWriteHalf,
    stdout: ChildStdout,
    stderr: ChildStderr,
}

/// What came of a command.
pub(super) struct Outcome {
    /// None when the guardian died before it could say.
    pub(super) report: Option<Report>,
    pub(super) stopped: Option<Stop>,
    pub(super) output: Output,
}

pub(super) struct Output {
    pub(super) stdout: Capture,
    pub(super) stderr: Capture,
}

impl Output {
    /// Reads both streams while `ending` lasts, and then what is still in them.
    async fn read_until_drained<T>(
        &mut self,
        stdout: ChildStdout,
        stderr: ChildStderr,
        ending: impl Future<Output = T>,
    ) -> T {
        let reading = async { tokio::join!(self.stdout.read(stdout), self.stderr.read(stderr)) };
        tokio::pin!(reading, ending);
        tokio::select! {
            end = &mut ending => {
                let _ = tokio::time::timeout(DRAIN_MAX, reading).await;
                end
            }
            // A command may close both long before it ends.
            _ = &mut reading => ending.await,
        }
    }
}

impl Guarded {
    pub(super) async fn start(guardian: &Guardian, spec: Spec) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut guardian = spawn(guardian, theirs.into())?;
        let missing = || io::Error::other("the guardian's output was not piped");
        let stdout = guardian.stdout.take().ok_or_else(missing)?;
        let stderr = guardian.stderr.take().ok_or_else(missing)?;
        let (words, mut orders) = UnixStream::from_std(ours)?.into_split();

        let mark = format!("{WORKDIR}={}", spec.workdir.display());
        orders
            .write_all(&protocol::encode(&Order::Run(spec))?)
            .await?;
        Ok(Self {
            guardian,
            mark,
            words,
            orders,
            stdout,
            stderr,
        })
    }

    /// To the end of the command, or of its grace when the signal fires before.
    pub(super) async fn finish(
        self,
        keep: Keep,
        stop: &StopSignal,
        grace: impl Fn(Stop) -> Duration,
    ) -> Outcome {
        let Self {
            mut guardian,
            mark,
            words,
            mut orders,
            stdout,
            stderr,
        } = self;
        let mut output = Output {
            stdout: Capture::new(keep),
            stderr: Capture::new(keep),
        };
        let ending = async {
            let end = watch(words, &mut orders, stop, grace).await;
            if end.0.is_none() {
                sweep(mark).await;
            }
            end
        };
        let (report, stopped) = output.read_until_drained(stdout, stderr, ending).await;
        // It ends right after its report, so this does not wait; without it a zombie would stay for a moment.
        let _ = guardian.wait().await;
        Outcome {
            report,
            stopped,
            output,
        }
    }
}

fn spawn(guardian: &Guardian, channel: OwnedFd) -> io::Result<Child> {
    // A command can read its guardian's environment, so there must be nothing in it. The builder goes away here and
    // with it the worker's copy of the guardian's end: else the guardian's death could not be noticed.
    tokio::process::Command::new(&guardian.program)
        .args(&guardian.args)
        .arg0("taskyard")
        .env_clear()
        .stdin(Stdio::from(channel))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

async fn watch(
    mut words: OwnedReadHalf,
    orders: &mut OwnedWriteHalf,
    stop: &StopSignal,
    grace: impl Fn(Stop) -> Duration,
) -> (Option<Report>, Option<Stop>) {
    let report = report(&mut words);
    tokio::pin!(report);
    let why = tokio::select! {
        report = &mut report => return (report.ok(), None),
        why = stop.stopped() => why,
    };

    let grace_ms = u64::try_from(grace(why).as_millis()).unwrap_or(u64::MAX);
    if let Ok(order) = protocol::encode(&Order::Stop { grace_ms }) {
        // A guardian that is gone is noticed by the report that does not come.
        let _ = orders.write_all(&order).await;
    }
    (report.await.ok(), Some(why))
}

async fn report(words: &mut OwnedReadHalf) -> io::Result<Report> {
    let length = words.read_u32().await?;
    if length > MESSAGE_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut message = vec![0; length as usize];
    words.read_exact(&mut message).await?;
    Ok(serde_json::from_slice(&message)?)
}

/// Kills what a dead guardian can no longer kill.
async fn sweep(mark: String) {
    for _ in 0..SWEEPS_MAX {
        let mark = mark.clone();
        let killed = tokio::task::spawn_blocking(move || tree::kill_marked(&mark)).await;
        if matches!(killed, Ok(0) | Err(_)) {
            return;
        }
        tokio::time::sleep(SWEEP_PAUSE).await;
    }
}
