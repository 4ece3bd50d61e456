//! The worker's side of a guarded command: starts the guardian, reads what the command prints, passes on a stop, and
//! does the guardian's work where its command keeps it from that.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use taskyard_api::logs::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, ChildStderr, ChildStdout};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::capture::{Capture, Keep};
use super::environment::WORKDIR;
use super::lines::Lines;
use crate::executor::{Reports, Stop, StopSignal};
use crate::guardian::protocol::{self, MESSAGE_BYTES_MAX, Order, Report, Spec};
use crate::guardian::{Guardian, KILLING_MAX, WAKE, tree};

/// How long the streams may stay open after the end: only a process that could not be killed still holds them.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// How often it is looked whether the guardian was stopped.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long after the grace a guardian may take to say that all is over, before the worker kills beside it.
const REPORT_WITHIN: Duration = Duration::from_millis(500);

/// The time between two passes of killing beside it.
const KILLING_PAUSE: Duration = Duration::from_millis(20);

/// How often a tree without a guardian is looked for until nothing of it is found.
const SWEEPS_MAX: usize = 500;
const SWEEP_PAUSE: Duration = Duration::from_millis(10);

/// A running command. To drop it is to kill the command: its guardian finds the channel closed. One that is stopped
/// does not, so where that may be it has to be seen through with [`Guarded::finish`].
pub(super) struct Guarded {
    guardian: Child,
    pid: Pid,
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
        reports: &Arc<dyn Reports>,
        ending: impl Future<Output = T>,
    ) -> T {
        let mut told = Lines::new(Stream::Stdout, Arc::clone(reports));
        let mut complained = Lines::new(Stream::Stderr, Arc::clone(reports));
        let reading = async {
            tokio::join!(
                self.stdout.read(stdout, &mut told),
                self.stderr.read(stderr, &mut complained)
            )
        };
        let end = async {
            tokio::pin!(reading, ending);
            tokio::select! {
                end = &mut ending => {
                    let _ = tokio::time::timeout(DRAIN_MAX, reading).await;
                    end
                }
                // A command may close both long before it ends.
                _ = &mut reading => ending.await,
            }
        };
        let end = end.await;
        told.end();
        complained.end();
        end
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
        let pid = guardian.id().and_then(|id| i32::try_from(id).ok());
        let pid = pid.ok_or_else(|| io::Error::other("the guardian has no process id"))?;
        let (words, mut orders) = UnixStream::from_std(ours)?.into_split();

        let mark = format!("{WORKDIR}={}", spec.workdir.display());
        orders
            .write_all(&protocol::encode(&Order::Run(spec))?)
            .await?;
        Ok(Self {
            guardian,
            pid: Pid::from_raw(pid),
            mark,
            words,
            orders,
            stdout,
            stderr,
        })
    }

    /// To the end of the command, or of its grace when the signal fires before. Once nobody waits for it any more
    /// there is no grace.
    pub(super) async fn finish(
        self,
        keep: Keep,
        reports: &Arc<dyn Reports>,
        stop: &StopSignal,
        abandoned: &CancellationToken,
        grace: impl Fn(Stop) -> Duration,
    ) -> Outcome {
        let Self {
            mut guardian,
            pid,
            mark,
            words,
            orders,
            stdout,
            stderr,
        } = self;
        let mut output = Output {
            stdout: Capture::new(keep),
            stderr: Capture::new(keep),
        };
        let mut leash = Leash { pid, orders };
        let ending = async {
            let end = watch(words, &mut leash, stop, abandoned, grace).await;
            if end.0.is_none() {
                sweep(pid, mark).await;
            }
            end
        };
        let (report, stopped) = output
            .read_until_drained(stdout, stderr, reports, ending)
            .await;
        // It ends right after its report, so this does not wait; without it a zombie would stay for a moment. Not
        // before, since until then its number is nobody else's.
        let _ = guardian.wait().await;
        Outcome {
            report,
            stopped,
            output,
        }
    }
}

/// How the worker moves a guardian. Its number is good as long as nobody has waited for its end.
struct Leash {
    pid: Pid,
    orders: OwnedWriteHalf,
}

impl Leash {
    /// Wakes it if it was stopped since the last look.
    fn look(&self) {
        let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG;
        if let Ok(WaitStatus::Stopped(..)) = waitid(Id::Pid(self.pid), flags) {
            tracing::warn!(guardian = %self.pid, "a command's guardian was stopped, and is woken");
            self.wake();
        }
    }

    fn wake(&self) {
        let _ = kill(self.pid, WAKE);
    }

    async fn order_stop(&mut self, grace: Duration) {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        if let Ok(order) = protocol::encode(&Order::Stop { grace_ms }) {
            // A guardian that is gone is noticed by the report that does not come.
            let _ = self.orders.write_all(&order).await;
        }
        self.wake();
    }

    /// Kills all below it, again and again: then nobody keeps it from its work.
    async fn kill_below(&self) {
        let until = Instant::now() + KILLING_MAX;
        while Instant::now() < until {
            let pid = self.pid;
            let killing =
                tokio::task::spawn_blocking(move || tree::signal_descendants(pid, Signal::SIGKILL));
            let _ = killing.await;
            self.wake();
            sleep(KILLING_PAUSE).await;
        }
    }

    fn kill(&self) {
        tracing::warn!(guardian = %self.pid, "a command's guardian does not do its work, and is killed");
        let _ = kill(self.pid, Signal::SIGKILL);
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
    leash: &mut Leash,
    stop: &StopSignal,
    abandoned: &CancellationToken,
    grace: impl Fn(Stop) -> Duration,
) -> (Option<Report>, Option<Stop>) {
    let report = report(&mut words);
    tokio::pin!(report);
    let why = loop {
        tokio::select! {
            report = &mut report => return (report.ok(), None),
            why = stop.stopped() => break Some(why),
            () = abandoned.cancelled() => break None,
            () = sleep(LOOK_EVERY) => leash.look(),
        }
    };

    let grace = why.map_or(Duration::ZERO, grace);
    leash.order_stop(grace).await;
    let patience = sleep(grace.saturating_add(REPORT_WITHIN));
    tokio::pin!(patience);
    loop {
        tokio::select! {
            report = &mut report => return (report.ok(), why),
            () = &mut patience => break,
            () = abandoned.cancelled(), if why.is_some() => break,
            () = sleep(LOOK_EVERY) => leash.look(),
        }
    }
    tokio::select! {
        report = &mut report => return (report.ok(), why),
        () = leash.kill_below() => leash.kill(),
    }
    (report.await.ok(), why)
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
async fn sweep(guardian: Pid, mark: String) {
    for _ in 0..SWEEPS_MAX {
        let mark = mark.clone();
        let killing = tokio::task::spawn_blocking(move || tree::kill_orphans(guardian, &mark));
        if matches!(killing.await, Ok(0) | Err(_)) {
            return;
        }
        sleep(SWEEP_PAUSE).await;
    }
}
