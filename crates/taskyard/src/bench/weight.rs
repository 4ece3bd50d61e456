//! What the system knows of a process: its memory, and the time that processors spent on it.

use std::time::Duration;

use anyhow::Context as _;
use nix::time::ClockId;
use nix::unistd::Pid;

/// In millions of bytes.
pub(super) struct Memory {
    /// What is in the machine's now.
    pub(super) resident_mb: f64,
    /// The most that ever was, since it started.
    pub(super) peak_mb: f64,
}

/// From `/proc`, where Linux tells it.
pub(super) fn memory(process: Pid) -> anyhow::Result<Memory> {
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(&path)
        .with_context(|| format!("{path}, where Linux tells what memory a process has"))?;
    let of = |name: &str| megabytes(&status, name).with_context(|| format!("{path} has no {name}"));
    Ok(Memory {
        resident_mb: of("VmRSS")?,
        peak_mb: of("VmHWM")?,
    })
}

/// It says `kB` and means 1,024 bytes.
fn megabytes(status: &str, name: &str) -> Option<f64> {
    let mut lines = status.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: f64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

/// By the process's own clock: `/proc` tells it in hundredths of a second, which is too coarse for one that is idle, and
/// of each thread exactly, but nothing of those that have ended.
pub(super) fn processor_time(process: Pid) -> anyhow::Result<Duration> {
    let clock = ClockId::pid_cpu_clock_id(process).context("the clock of the server's process")?;
    Ok(Duration::from(clock.now()?))
}
