//! How many files this process may have open, which connections count as. Systems give a process few by default and let
//! it ask for more: the soft limit is for programs that would break over many, and this is none of them.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use taskyard_server::settings::Limits;

use crate::failure::Failure;

/// What a server has open besides connections and internal workers: the database's files or connections, what the runtime
/// waits with, the log.
const OWN: usize = 64;
/// What an internal worker has open at most, while its command runs.
const WORKER: usize = 8;
/// With fewer connections than that, none of them spare, it would be no server.
const CONNECTIONS_LEAST: usize = 2;

/// Raises the soft limit to the hard one, and answers what is in force. A command that a task runs has a limit of its
/// own.
pub(crate) fn raise() -> usize {
    let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files (ulimit -n) cannot be read");
            return usize::MAX;
        }
    };
    let raised = soft == hard || setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
    let limit = if raised { hard } else { soft };
    if !raised {
        tracing::warn!(
            soft,
            hard,
            "the limit of open files (ulimit -Sn) cannot be raised"
        );
    }
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// Lets in no more connections than so many open files leave room for: a process that has none left is deaf, to probes
/// too, until one of its connections ends by itself.
pub(crate) fn leave_room(
    limits: &mut Limits,
    files: usize,
    internal_workers: u16,
) -> Result<(), Failure> {
    let own = OWN + WORKER * usize::from(internal_workers);
    let room = files.saturating_sub(own);
    let (max, spare) = (limits.connections_max, limits.connections_spare);
    if max.saturating_add(spare) <= room {
        return Ok(());
    }
    if room < CONNECTIONS_LEAST {
        return Err(Failure::usage(format!(
            "this process may have {files} files open, and needs {own} of them for other things than connections; \
             raise the limit (ulimit -Hn, LimitNOFILE= of a systemd unit), or lower --internal-workers"
        )));
    }
    // Probes come in by the spare ones, so some of these stay.
    limits.connections_spare = spare.min(room / 2);
    limits.connections_max = max.min(room - limits.connections_spare);
    let (allowed, spare_allowed) = (limits.connections_max, limits.connections_spare);
    tracing::warn!(
        files,
        own,
        "--connections-max is {max} and --connections-spare {spare}, but this process may have {files} files open, and \
         keeps {own} for other things: {allowed} connections are let in and {spare_allowed} beside them; raise the limit \
         of open files (ulimit -Hn, LimitNOFILE= of a systemd unit), or lower these settings"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: usize, wanted: (usize, usize), allowed: Option<(usize, usize)>) {
        let mut limits = Limits {
            connections_max: wanted.0,
            connections_spare: wanted.1,
            ..Limits::default()
        };
        let fits = leave_room(&mut limits, files, 3).is_ok();
        let found = fits.then_some((limits.connections_max, limits.connections_spare));
        assert_eq!(found, allowed, "{files} files");
    }

    #[test]
    fn connections_leave_room_for_what_else_is_open() {
        let own = OWN + 3 * WORKER;

        check(own + 1100, (1000, 100), Some((1000, 100)));
        check(own + 1099, (1000, 100), Some((999, 100)));
        check(own + 200, (1000, 100), Some((100, 100)));
        check(own + 199, (1000, 100), Some((100, 99)));
        check(own + 199, (10, 1000), Some((10, 99)));
        check(own + 2, (1000, 100), Some((1, 1)));
        check(own + 1, (1000, 100), None);
        check(own + 2, (1, 1), Some((1, 1)));
        check(0, (1, 1), None);
    }
}
