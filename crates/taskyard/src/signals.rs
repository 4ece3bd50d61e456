//! The signals that ask a process to stop: SIGTERM, SIGINT from a terminal, and SIGHUP when the terminal is closed. The
//! first one begins an orderly end, the second one ends the process where it stands. And the one that would end it for a
//! write too much.

use std::process::ExitCode;

use nix::sys::signal::Signal;
use tokio::signal::unix::{self, SignalKind, signal};

use crate::logs;

pub(crate) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: Option<unix::Signal>,
}

impl Signals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        // A file that may not grow any more is a write that fails, not the end of the process. Commands are not given
        // the handler: theirs is the default again.
        let _ = signal(SignalKind::from_raw(Signal::SIGXFSZ as i32))?;
        // Under `nohup` it is to go on without its terminal, as long as nobody listens to that.
        let hangup = (!is_ignored(Signal::SIGHUP)).then(|| signal(SignalKind::hangup()));
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: hangup.transpose()?,
        })
    }

    /// Resolves with the next signal.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::SIGTERM,
            _ = self.interrupt.recv() => Signal::SIGINT,
            () = received(self.hangup.as_mut()) => Signal::SIGHUP,
        }
    }

    /// Ends the process at the next signal, as that signal would have. What was acknowledged is on the disk; runs under
    /// way are lost, and run again when their leases have run out.
    pub(crate) fn end_at_next(mut self) {
        tokio::spawn(async move {
            let signal = self.next().await;
            tracing::warn!(%signal, "ended at once; runs that were under way run again elsewhere");
            logs::finish();
            std::process::exit(i32::from(code(signal)));
        });
    }
}

/// Whether this process was started so that it does not notice it.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (signal as u32 - 1) & 1 == 1)
}

async fn received(signal: Option<&mut unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// As a shell shows a process that the signal ended.
pub(crate) fn exit_code(signal: Signal) -> ExitCode {
    ExitCode::from(code(signal))
}

fn code(signal: Signal) -> u8 {
    match signal {
        Signal::SIGHUP => 129,
        Signal::SIGINT => 130,
        _ => 143,
    }
}
