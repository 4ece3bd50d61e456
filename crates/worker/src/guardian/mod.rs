//! The guardian: a small process between the worker and one command, so that nothing the command started outlives
//! its run, whatever dies first.
//!
//! It is this same program, started again as `taskyard __exec`. It has one thread and no runtime, because it sets up
//! what a child inherits, and in a process with several threads that cannot be done safely. It is the parent of the
//! command and, as a subreaper, of every orphan below it, so the tree it has to kill is always the tree below itself,
//! also where descendants made sessions of their own.
//!
//! | what ends first | what the guardian does |
//! | --- | --- |
//! | the command | kills what it left behind, reports |
//! | the worker wants it to stop | SIGTERM to the tree, waits for its grace, SIGKILL, reports |
//! | the worker itself | its end of the channel closes: SIGKILL to the tree |
//! | the guardian | the worker kills whatever is in its session, or carries the run's mark in its environment |
//!
//! A command runs as the same user and can stop its guardian. The worker looks for that every second and wakes it; one
//! that is stopped again and again, and so does not do what it is told, has its tree killed by the worker, and is
//! killed itself if that does not bring it to report. If the worker dies, the kernel wakes it.
//!
//! In each case the work directory goes too. The guardian makes it, once it has its order: a worker that died between the
//! two would leave it behind. The channel is a socket on the guardian's standard input; standard
//! output and error are pipes to the worker and are handed to the command as they are.

mod confine;
mod family;
pub(crate) mod protocol;
pub(crate) mod tree;
mod watch;
pub(crate) mod workdir;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

pub(crate) use self::confine::WAKE;
pub(crate) use self::watch::KILLING_MAX;

use self::protocol::{Order, Report, Spec};

/// The hidden subcommand that makes this program a guardian.
const SUBCOMMAND: &str = "__exec";

/// How a guardian is started.
#[derive(Clone, Debug)]
pub struct Guardian {
    pub program: PathBuf,
    pub args: Vec<OsString>,
}

impl Default for Guardian {
    /// The running program itself, also after its file was replaced by a newer version: both sides of the channel
    /// have to be of one build.
    fn default() -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            args: vec![OsString::from(SUBCOMMAND)],
        }
    }
}

/// Does a guardian's work if this process was started as one, and says how to exit; else returns at once.
///
/// To be called first thing in `main`: before there are threads, and before anything has opened a file, because a
/// guardian closes every descriptor that it was not given on purpose.
pub fn take_over() -> Option<ExitCode> {
    (std::env::args_os().nth(1)? == SUBCOMMAND).then(|| match guard() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The worker may be gone, so this is for whoever started the subcommand by hand.
            let _ = writeln!(
                io::stderr(),
                "{SUBCOMMAND} is started by a worker, to guard a command: {error}"
            );
            ExitCode::from(2)
        }
    })
}

fn guard() -> io::Result<()> {
    confine::close_strays()?;
    let mut channel = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    confine::become_guardian()?;
    let Some(Order::Run(spec)) = protocol::receive(&mut channel)? else {
        return Err(io::ErrorKind::InvalidData.into());
    };

    let report = match workdir::make(&spec.workdir) {
        Ok(()) => {
            let report = run(&spec, &mut channel);
            let _ = workdir::remove(&spec.workdir);
            report?
        }
        Err(error) => Report::NotBegun {
            message: format!("no work directory {}: {error}", spec.workdir.display()),
        },
    };
    protocol::send(&mut channel, &report)
}

fn run(spec: &Spec, channel: &mut UnixStream) -> io::Result<Report> {
    match confine::start(spec) {
        Ok(command) => {
            watch::until_nothing_is_left(command, channel, spec.worker).map(Report::Ended)
        }
        Err(report) => Ok(report),
    }
}
