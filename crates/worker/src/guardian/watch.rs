//! From the start of the command to the moment when nothing of it is left.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getppid};

use super::confine::WAKE;
use super::family::Family;
use super::protocol::{self, Ended, Order};
use super::tree;

/// How long killed processes may take to go. One that hangs in the kernel does not die before the kernel lets it.
pub(crate) const KILLING_MAX: Duration = Duration::from_secs(5);

/// The time between two passes of killing.
const KILLING_PAUSE: Duration = Duration::from_millis(10);

#[derive(Clone, Copy)]
enum Phase {
    Running,
    /// Every process was sent SIGTERM and may use the time until then.
    Stopping {
        until: Instant,
    },
    /// They are sent SIGKILL, again and again until then.
    Killing {
        until: Instant,
    },
}

/// Waits for the command to end or for a reason to end it, then for every descendant to be gone.
pub(super) fn until_nothing_is_left(
    command: Child,
    channel: &mut UnixStream,
    worker: u32,
) -> io::Result<Ended> {
    let wakes = SigSet::from_iter([Signal::SIGCHLD, WAKE]);
    let signals = SignalFd::with_flags(&wakes, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let mut family = Family::of(command);
    let mut phase = Phase::Running;

    while family.is_left() {
        phase = phase.due(&family, is_orphaned(worker));
        if let Phase::Killing { until } = phase {
            let survivors = tree::signal_descendants(Pid::this(), Signal::SIGKILL);
            if until <= now() {
                return Ok(family.ended(survivors));
            }
        }
        if wait(&signals, channel, phase)? {
            phase = phase.heed(protocol::receive(channel));
        }
    }
    Ok(family.ended(0))
}

impl Phase {
    fn killing() -> Self {
        Self::Killing {
            until: now() + KILLING_MAX,
        }
    }

    /// The phase that time, the end of the command or the worker's death has led to.
    fn due(self, family: &Family, orphaned: bool) -> Self {
        match self {
            // What a command leaves behind when it ends by itself has nobody to work for.
            Self::Running if orphaned || family.command_has_ended() => Self::killing(),
            Self::Stopping { until } if orphaned || until <= now() => Self::killing(),
            Self::Running | Self::Stopping { .. } | Self::Killing { .. } => self,
        }
    }

    fn heed(self, order: io::Result<Option<Order>>) -> Self {
        match order {
            Ok(Some(Order::Stop { grace_ms: 0 })) => Self::killing(),
            Ok(Some(Order::Stop { grace_ms })) => {
                // All are told, not only the command's group: who is not told uses up the grace for nothing.
                tree::signal_descendants(Pid::this(), Signal::SIGTERM);
                Self::Stopping {
                    until: now() + Duration::from_millis(grace_ms),
                }
            }
            Ok(Some(Order::Run(_))) => self,
            // The worker is dead, and the task is or will be somebody else's.
            Ok(None) | Err(_) => Self::killing(),
        }
    }

    /// How long nothing may happen before it is time to look again.
    fn patience(self) -> PollTimeout {
        match self {
            Self::Running => PollTimeout::NONE,
            // A millisecond more, so that a rounded-down wait does not end just before the time.
            Self::Stopping { until } => {
                PollTimeout::try_from(until.saturating_duration_since(now()).as_millis() + 1)
                    .unwrap_or(PollTimeout::MAX)
            }
            Self::Killing { .. } => {
                PollTimeout::try_from(KILLING_PAUSE).unwrap_or(PollTimeout::ZERO)
            }
        }
    }
}

/// Waits for a signal, the worker's word or the phase's time, and says whether there is something to read.
fn wait(signals: &SignalFd, channel: &UnixStream, phase: Phase) -> io::Result<bool> {
    let signal = PollFd::new(signals.as_fd(), PollFlags::POLLIN);
    let word = PollFd::new(channel.as_fd(), PollFlags::POLLIN);
    let mut all = [signal, word];
    // When it kills it takes no more orders, and a channel that is closed would be ready at all times.
    let watched = if matches!(phase, Phase::Killing { .. }) {
        &mut all[..1]
    } else {
        &mut all[..]
    };
    match poll(watched, phase.patience()) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    let spoken = watched.get(1).and_then(PollFd::any).unwrap_or(false);

    // Which signals there were does not matter: each is followed by a look at what it could have told.
    while signals.read_signal()?.is_some() {}
    Ok(spoken)
}

fn is_orphaned(worker: u32) -> bool {
    u32::try_from(getppid().as_raw()) != Ok(worker)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a process without a runtime: there is no other clock to take"
)]
fn now() -> Instant {
    Instant::now()
}
