//! The signals that ask a process to stop: SIGTERM, and SIGINT from a terminal. The first one begins an orderly end, the
//! second one ends the process where it stands. And the one that would end it for a write too much.

use std::process::ExitCode;

use nix::sys::signal::Signal;
use tokio::signal::unix::{self, SignalKind, signal};

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
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: None,
        })
    }

    /// Also to SIGHUP, which a terminal that is closed sends.
    pub(crate) fn listen_to_hangup_too() -> std::io::Result<Self> {
        Ok(Self {
            hangup: Some(signal(SignalKind::hangup())?),
            ..Self::listen()?
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
            std::process::exit(i32::from(code(signal)));
        });
    }
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
