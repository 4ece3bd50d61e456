//! The guardian's children: the command, and every orphan below it that the kernel handed over.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Child;

use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use super::protocol::Ended;

pub(super) struct Family {
    command: Child,
    end: Option<End>,
}

#[derive(Clone, Copy, Default)]
struct End {
    exit_code: Option<i32>,
    signal: Option<i32>,
}

impl Family {
    pub(super) fn of(command: Child) -> Self {
        Self { command, end: None }
    }

    pub(super) fn command_has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Takes note of everyone who died, and says whether anyone is still there.
    pub(super) fn is_left(&mut self) -> bool {
        loop {
            // The command first and by its own handle: nix does not know the real-time signals.
            if let Ok(Some(status)) = self.command.try_wait() {
                self.end.get_or_insert(End {
                    exit_code: status.code(),
                    signal: status.signal(),
                });
            }
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => return true,
                Ok(status) => self.bury(status),
                Err(Errno::ECHILD) => return false,
                // Somebody died of a signal that nix has no name for.
                Err(_) => {}
            }
        }
    }

    /// The command may have ended between the two questions.
    fn bury(&mut self, status: WaitStatus) {
        let (pid, end) = match status {
            WaitStatus::Exited(pid, code) => (
                pid,
                End {
                    exit_code: Some(code),
                    signal: None,
                },
            ),
            WaitStatus::Signaled(pid, signal, _) => (
                pid,
                End {
                    exit_code: None,
                    signal: Some(signal as i32),
                },
            ),
            _ => return,
        };
        if u32::try_from(pid.as_raw()) == Ok(self.command.id()) {
            self.end.get_or_insert(end);
        }
    }

    pub(super) fn ended(&self, survivors: usize) -> Ended {
        let End { exit_code, signal } = self.end.unwrap_or_default();
        // Of all who died and were waited for, by the guardian or by their own parents.
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok();
        let cpu_ms = usage.map_or(0, |usage| {
            millis(usage.user_time()) + millis(usage.system_time())
        });
        let kilobytes = usage.map_or(0, |usage| u64::try_from(usage.max_rss()).unwrap_or(0));
        Ended {
            exit_code,
            signal,
            cpu_ms,
            rss_bytes_max: kilobytes * 1024,
            survivors,
        }
    }
}

fn millis(time: TimeVal) -> u64 {
    u64::try_from(time.tv_sec() * 1000 + time.tv_usec() / 1000).unwrap_or(0)
}
