//! The processes below this one, as `/proc` shows them, and how they are signalled.
//!
//! A listing of `/proc` is not a snapshot: processes come and go while it is read. So nobody trusts one pass; the
//! guardian repeats it until the kernel says that it has no children left, and with a subreaper no children means no
//! descendants.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgrp};

struct Process {
    pid: i32,
    parent: i32,
    group: i32,
}

/// Sends the signal once to each descendant of this process and says how many there were.
///
/// Whole groups at a time: that reaches a member forked since the listing. A group of a descendant holds only
/// descendants, because groups do not cross sessions and the guardian leads its own; only those that joined the
/// guardian's own group are signalled one by one.
pub(super) fn signal_descendants(signal: Signal) -> usize {
    let descendants = descendants(Pid::this().as_raw());
    let own_group = getpgrp().as_raw();
    let groups: BTreeSet<i32> = descendants
        .iter()
        .map(|process| process.group)
        .filter(|id| *id != own_group)
        .collect();

    for group in groups {
        let _ = killpg(Pid::from_raw(group), signal);
    }
    for process in descendants
        .iter()
        .filter(|process| process.group == own_group)
    {
        let _ = kill(Pid::from_raw(process.pid), signal);
    }
    descendants.len()
}

/// Kills every process whose environment holds this `NAME=value`, and says how many there were: the way to find a
/// tree that has lost its root.
pub(crate) fn kill_marked(mark: &str) -> usize {
    let mark = mark.as_bytes();
    let marked = pids().into_iter().filter(|pid| {
        fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| {
            environ
                .split(|byte| *byte == 0)
                .any(|variable| variable == mark)
        })
    });
    marked
        .filter(|pid| kill(Pid::from_raw(*pid), Signal::SIGKILL).is_ok())
        .count()
}

fn descendants(root: i32) -> Vec<Process> {
    let mut children: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
    for process in pids().into_iter().filter_map(read) {
        children.entry(process.parent).or_default().push(process);
    }

    let mut found = children.remove(&root).unwrap_or_default();
    let mut next = 0;
    while let Some(process) = found.get(next) {
        if let Some(below) = children.remove(&process.pid) {
            found.extend(below);
        }
        next += 1;
    }
    found
}

fn pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// None when the process is gone.
fn read(pid: i32) -> Option<Process> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // `pid (name) state parent group …`; the name may hold anything, also parentheses and spaces.
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let rest = str::from_utf8(&stat[after_name..]).ok()?;
    let mut fields = rest.split_ascii_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    Some(Process { pid, parent, group })
}
