//! What the system knows of this process, where it says so in `/proc`, as Linux does.

use std::fs;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Seconds, counter};

/// In how many parts of a second `/proc` counts: the same on every machine that Linux tells it to programs on.
const TICKS: f64 = 100.0;

pub(super) struct Process {
    resident_bytes: i64,
    open_files: i64,
    open_files_max: Option<i64>,
    cpu_seconds: f64,
    started_at: f64,
}

/// Reads a few files, one of them a folder with an entry for each open file: to be called where that may take a moment.
pub(super) fn look() -> Option<Process> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{name}")).ok();
    let status = read("self/status")?;
    let stat = read("self/stat")?;
    // The program's name may hold anything, also spaces and brackets.
    let (_, behind) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = behind.split_whitespace().collect();
    // proc(5) counts from 1, and the name is the second.
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    let booted = read("stat")?
        .lines()
        .find_map(|line| line.strip_prefix("btime ")?.parse::<f64>().ok())?;
    Some(Process {
        resident_bytes: resident(&status)?,
        open_files: i64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()?,
        open_files_max: read("self/limits").as_deref().and_then(open_files_max),
        cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS,
        started_at: booted + ticks(22)? / TICKS,
    })
}

fn resident(status: &str) -> Option<i64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The soft limit; none where there is none.
fn open_files_max(limits: &str) -> Option<i64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

impl Process {
    pub(super) fn register(&self, registry: &mut Registry) {
        let gauge = |value| {
            let gauge: Gauge = Gauge::default();
            gauge.set(value);
            gauge
        };
        registry.register(
            "taskyard_process_resident_memory_bytes",
            "Memory of this process that is in the machine's",
            gauge(self.resident_bytes),
        );
        registry.register(
            "taskyard_process_open_files",
            "Files and connections that this process has open",
            gauge(self.open_files),
        );
        if let Some(max) = self.open_files_max {
            registry.register(
                "taskyard_process_open_files_max",
                "How many it may have open",
                gauge(max),
            );
        }
        registry.register(
            "taskyard_process_cpu_seconds",
            "Time that processors spent on this process",
            counter(self.cpu_seconds),
        );
        let started = Seconds::default();
        started.set(self.started_at);
        registry.register(
            "taskyard_process_start_time_seconds",
            "When this process began, in seconds since 1970",
            started,
        );
    }
}
