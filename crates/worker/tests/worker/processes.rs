//! Real processes, found by a variable that only one test's commands carry.

use std::fs;
use std::time::Duration;

/// The variable that tests set in the commands they start.
pub(crate) const MARK: &str = "TASK_MARK";

const PATIENCE: Duration = Duration::from_secs(20);

/// Of this run of the tests alone: others may run beside it.
pub(crate) fn own(mark: &str) -> String {
    format!("{mark}-{}", std::process::id())
}

/// The living processes that carry this mark.
pub(crate) fn marked(mark: &str) -> Vec<i32> {
    let wanted = format!("{MARK}={}", own(mark));
    let pids = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| {
        // A zombie has no environment any more.
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ
            .split(|byte| *byte == 0)
            .any(|variable| variable == wanted.as_bytes())
    })
    .collect()
}

pub(crate) fn parent(pid: i32) -> i32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))
        .unwrap();
    line.trim().parse().unwrap()
}

/// What it runs now: a child that has not come to its program yet bears its parent's name.
pub(crate) fn name(pid: i32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

pub(crate) fn is_alive(pid: i32) -> bool {
    // A zombie that its parent has not seen yet is dead.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
}

/// What the kernel says it does: `T` is stopped. None when it is gone.
pub(crate) fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// Polls until it is so; the kernel has no signal to wait for here.
pub(crate) async fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let polled = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, polled).await.is_ok(),
        "it did not come about: {what}"
    );
}
