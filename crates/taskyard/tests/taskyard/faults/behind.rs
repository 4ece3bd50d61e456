//! What a command that starts processes may leave behind.

use std::path::Path;

use tokio::time::Instant;

use crate::yard::PATIENCE;

/// The living processes that this one has started, found by the arguments that bind them to it.
pub(super) fn started_by(parent: u32) -> Vec<u32> {
    let bound = format!("\0__with-parent\0{parent}\0");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        // One that has died has none any more.
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(&bound)
    })
    .collect()
}

pub(super) fn is_empty(directory: &Path) -> bool {
    directory.read_dir().unwrap().next().is_none()
}

/// Polls: they are not this process's children.
pub(super) fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::yield_now();
    }
}
