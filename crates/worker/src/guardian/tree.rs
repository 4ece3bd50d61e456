//! The processes below a guardian, as `/proc` shows them, and how they are signalled.
//!
//! A listing of `/proc` is not a snapshot: processes come and go while it is read. So nobody trusts one pass; the
//! guardian repeats it until the kernel says that it has no children left, and with a subreaper no children means no
//! descendants. A worker that kills in its stead repeats it until the guardian has reported that.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

struct Process {
    pid: i32,
    state: u8,
    parent: i32,
    group: i32,
    session: i32,
}

/// Sends the signal once to each descendant of this guardian and says how many there were.
///
/// Whole groups at a time: that reaches a member forked since the listing. A group of a descendant holds only
/// descendants, because groups do not cross sessions and the guardian leads its own; only those that joined the
/// guardian's own group are signalled one by one.
pub(crate) fn signal_descendants(guardian: Pid, signal: Signal) -> usize {
    let guardian = guardian.as_raw();
    let descendants = descendants(guardian);
    // It leads its session, and so a group of its own number.
    let groups: BTreeSet<i32> = descendants
        .iter()
        .map(|process| process.group)
        .filter(|id| *id != guardian)
        .collect();

    for group in groups {
        let _ = killpg(Pid::from_raw(group), signal);
    }
    for process in descendants
        .iter()
        .filter(|process| process.group == guardian)
    {
        let _ = kill(Pid::from_raw(process.pid), signal);
    }
    descendants.len()
}

/// Kills every process whose environment holds this `NAME=value` or that is in the session of this dead guardian, and
/// says how many there were: the way to find a tree that has lost its root.
pub(crate) fn kill_orphans(guardian: Pid, mark: &str) -> usize {
    let orphans = pids().into_iter().filter(|pid| {
        *pid != guardian.as_raw() && (is_marked(*pid, mark) || is_in_session(*pid, guardian))
    });
    orphans
        .filter(|pid| kill(Pid::from_raw(*pid), Signal::SIGKILL).is_ok())
        .count()
}

fn is_marked(pid: i32, mark: &str) -> bool {
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| {
        environ
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark.as_bytes())
    })
}

/// Whether it is, and lives: what has died stays there until its parent has taken note.
fn is_in_session(pid: i32, leader: Pid) -> bool {
    read(pid).is_some_and(|process| {
        process.session == leader.as_raw() && !matches!(process.state, b'Z' | b'X')
    })
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
    // `pid (name) state parent group session …`; the name may hold anything, also parentheses and spaces.
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let rest = str::from_utf8(&stat[after_name..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    Some(Process {
        pid,
        state: *fields.next()?.as_bytes().first()?,
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
        session: fields.next()?.parse().ok()?,
    })
}
