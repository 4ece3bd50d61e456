//! What a guardian does to itself before it starts the command: the command inherits it.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{close, setsid};
use signal_hook::consts::FORBIDDEN;
use signal_hook::flag;

use super::protocol::{Limits, Report, Spec};

/// What wakes the guardian to look whether its worker is gone: the kernel sends it when the worker's thread or process
/// ends, and the worker when it finds the guardian stopped. This one also wakes a guardian that its command has stopped.
pub(crate) const WAKE: Signal = Signal::SIGCONT;

/// Closes everything beyond the standard descriptors: what the worker's own parent leaked to it would otherwise be
/// open in the command.
pub(super) fn close_strays() -> io::Result<()> {
    let open: Vec<i32> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // The listing's own descriptor is among them and closed already.
        let _ = close(descriptor);
    }
    Ok(())
}

/// Away from the worker's session, adopting every orphan below.
pub(super) fn become_guardian() -> io::Result<()> {
    // So that killing every process named like the worker does not kill its guardians as well.
    prctl::set_name(c"task-guardian")?;
    setsid()?;
    prctl::set_child_subreaper(true)?;
    Ok(())
}

/// Starts the command in a process group of its own, with the limits and nothing else of this process. From then on
/// the guardian is deaf to every signal that it does not ask for.
pub(super) fn start(spec: &Spec) -> Result<Child, Report> {
    let not_begun = |error: io::Error| Report::NotBegun {
        message: error.to_string(),
    };
    let command = prepare(spec).map_err(not_begun)?;
    spawn(command).map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE) => not_begun(error),
        _ => Report::NotStarted {
            message: error.to_string(),
        },
    })
}

fn prepare(spec: &Spec) -> io::Result<Command> {
    // Before the limits, which hold for a file in memory as well.
    let stdin = stdin(spec.stdin.as_deref())?;
    umask(Mode::from_bits_truncate(0o077));
    prctl::set_no_new_privs()?;
    limit(spec.limits)?;

    let mut command = Command::new(&spec.program);
    if let Some((name, args)) = spec.argv.split_first() {
        command.arg0(name).args(args);
    }
    command
        .env_clear()
        .envs(spec.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&spec.workdir)
        .stdin(stdin)
        .process_group(0);
    Ok(command)
}

fn spawn(mut command: Command) -> io::Result<Child> {
    // Before there is a command that could stop the guardian; the command itself does not inherit it.
    prctl::set_pdeathsig(WAKE)?;
    ignore_none()?;
    // A child starts with its parent's mask. What kills the guardian before it is deaf is noticed by the worker.
    SigSet::empty().thread_set_mask()?;
    let child = command.spawn()?;
    SigSet::all().thread_block()?;
    Ok(child)
}

/// A command would inherit what its worker was started to ignore: SIGINT where a shell started that in the background,
/// SIGHUP under `nohup`. It inherits no handler, so each signal is given one. Nor would the guardian itself hear of an end where
/// SIGCHLD is ignored.
fn ignore_none() -> io::Result<()> {
    Signal::iterator()
        .map(|signal| signal as i32)
        .filter(|signal| !FORBIDDEN.contains(signal))
        .try_for_each(|signal| flag::register(signal, Arc::default()).map(drop))
}

/// A file in memory rather than a pipe: nobody has to feed it while the command runs.
fn stdin(text: Option<&str>) -> io::Result<Stdio> {
    let Some(text) = text else {
        return Ok(Stdio::null());
    };
    let mut file = File::from(memfd_create(c"stdin", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(Stdio::from(file))
}

fn limit(limits: Limits) -> io::Result<()> {
    for (resource, wanted) in [
        (Resource::RLIMIT_NOFILE, limits.open_files),
        (Resource::RLIMIT_FSIZE, limits.file_bytes),
        (Resource::RLIMIT_CORE, limits.core_bytes),
    ] {
        let (_, hard) = getrlimit(resource)?;
        let limit = wanted.min(hard);
        setrlimit(resource, limit, limit)?;
    }
    Ok(())
}
