//! What can be set of the rules, and of the engine around them: times and limits. One value for a server's life. Limits
//! that nobody has a reason to set stand as constants beside what they bound.

use std::time::Duration;

use crate::retention::Retention;
use crate::retry::Retry;
use crate::rows::{Origin, Task};
use crate::time::Timestamp;

/// The most that [`Policy::history_max`] is set to: a list of a task's attempts shows all that is kept.
pub const HISTORY_MOST: i32 = 1_000;

/// The kind whose input is a program with its arguments: its tasks have effects outside that nobody can take back.
pub const COMMAND: &str = "command";

/// What commands of the `taskmaster` routes were once called where none were run. Some may still wait for their time.
const COMMAND_REFUSED: &str = "command-refused";

/// Whether tasks of this kind are commands, under whichever of its names.
pub fn is_command(kind: &str) -> bool {
    kind == COMMAND || kind == COMMAND_REFUSED
}

#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// How often workers are asked to send a heartbeat. Default 10 s.
    pub heartbeat: Duration,
    /// A worker without a sign of life for so long is offline and its leases are lost. Default 30 s.
    ///
    /// Invariant: at least twice `heartbeat`, so that one lost message costs nothing.
    pub heartbeat_ttl: Duration,
    /// How long a lease lasts without being renewed. Default 75 s.
    ///
    /// Invariant: at most `lease_max`.
    pub lease: Duration,
    /// How long the leases of any server may last. Default 1 h.
    ///
    /// Invariant: the same on every server of a database, whatever its `lease`; so it is not for setting.
    pub lease_max: Duration,
    /// How long one run may take unless its task says otherwise. Default 30 min.
    pub timeout: Duration,
    /// How long the sweep leaves a worker to end an overdue run by itself. Default 10 s.
    pub timeout_margin: Duration,
    /// How much waiting is worth one level of priority. Default 10 min.
    pub priority_level: Duration,
    /// How many failures end a task that does not say. Default 5; see [`Policy::max_attempts_of`].
    pub max_attempts: i32,
    /// How many losses end a task that does not say. Default 5.
    pub max_losses: i32,
    pub retry: Retry,
    /// How long a suspect waits for an empty hand before a worker is left to empty its own. Default 10 s.
    pub suspect_patience: Duration,
    /// How many commands may wait for the database before callers are told to come back later. Default 10,000; an eighth
    /// of it is not for submits.
    pub commands_max: usize,
    /// About how many bytes of memory these may hold. Default 256 MiB, of which an eighth is not for submits either; one
    /// command is taken whatever its size.
    pub commands_bytes_max: usize,
    /// How many combinations of queue, kind and demands unfinished tasks may be in. Default 10,000.
    pub lanes_max: usize,
    /// How many queues may be paused or have defaults of their own; others need no room. Default 1,000.
    pub queues_max: usize,
    /// How many lanes of a minute each server tells apart for the rates, and how many queues and kinds in statistics; the
    /// others are added up. Default 50.
    pub stats_lanes_max: usize,
    /// How many workers may be known and not forgotten; those inside of servers do not count. Default 100,000.
    pub workers_max: usize,
    /// How many operations may be under way at once. Default 100.
    pub operations_max: usize,
    /// How long an operation is known after it has ended. Default 24 h.
    pub operation_life: Duration,
    /// How many bytes of inputs one claim's answer carries. Default 8 MiB; one task goes out whatever its size.
    pub claim_bytes_max: usize,
    /// Of how many runs of one task that did not end it is kept how they ended, and the result that was refused of each.
    /// Default 100, at most [`HISTORY_MOST`].
    pub history_max: i32,
    /// How many bytes of one run's log are kept, each line with 16 more than it has. Default 4 MiB.
    pub log_bytes_max: usize,
    /// How many bytes of one line of a log are kept. Default 16 KiB.
    pub log_line_bytes_max: usize,
    /// How old a client's own id may be, and how long an idempotency key is known. Default 24 h.
    pub key_life: Duration,
    /// How long tasks are kept that have ended, of queues that do not say. Default: for good. Whatever it says, a task stays
    /// for `key_life` behind its end.
    pub retention: Retention,
    /// How far a client's clock may be ahead of ours. Default 5 min.
    pub clock_skew: Duration,
    /// How long a server is counted as up without a word from it. Default 30 s.
    pub server_ttl: Duration,
    /// How often it is looked for what other servers have done, where a hint of it may be lost: by claims and readers that
    /// wait, by whoever follows a log, and by what works off operations. Default 1 s.
    pub poll: Duration,
    /// A worker without a sign of life for so long is forgotten. Default 24 h.
    ///
    /// Invariant: at least `heartbeat_ttl`, so that the sweep has taken away what it held.
    pub worker_life: Duration,
    /// Why the commands that were scheduled by the `taskmaster` routes fail when their time comes: this server runs none.
    /// Default: none, they wait for a worker that runs them.
    ///
    /// Asked when their time comes, so what counts is the server that is up by then; of several, the one that promotes them.
    pub commands_refused: Option<&'static str>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(10),
            heartbeat_ttl: Duration::from_secs(30),
            lease: Duration::from_secs(75),
            lease_max: Duration::from_hours(1),
            timeout: Duration::from_mins(30),
            timeout_margin: Duration::from_secs(10),
            priority_level: Duration::from_mins(10),
            max_attempts: 5,
            max_losses: 5,
            retry: Retry::default(),
            suspect_patience: Duration::from_secs(10),
            commands_max: 10_000,
            commands_bytes_max: 256 << 20,
            lanes_max: 10_000,
            queues_max: 1_000,
            stats_lanes_max: 50,
            workers_max: 100_000,
            operations_max: 100,
            operation_life: Duration::from_hours(24),
            claim_bytes_max: 8 << 20,
            history_max: 100,
            log_bytes_max: 4 << 20,
            log_line_bytes_max: 16 << 10,
            key_life: Duration::from_hours(24),
            retention: Retention::default(),
            clock_skew: Duration::from_mins(5),
            server_ttl: Duration::from_secs(30),
            poll: Duration::from_secs(1),
            worker_life: Duration::from_hours(24),
            commands_refused: None,
        }
    }
}

impl Policy {
    /// A command has effects outside that nobody can take back, so its failures are final unless the task itself says
    /// otherwise, whatever its queue says.
    pub fn max_attempts_of(&self, kind: &str, of_queue: Option<i32>) -> i32 {
        if kind == COMMAND {
            1
        } else {
            of_queue.unwrap_or(self.max_attempts)
        }
    }

    /// Why no worker is to have this task of such a kind, which fails when its time comes; none for nearly all.
    pub(crate) fn refusal_of(&self, task: &Task, kind: Option<&str>) -> Option<&'static str> {
        let came_by_it = task.origin == Some(Origin::Taskmaster);
        let is_refused = came_by_it && self.may_refuse(kind);
        self.commands_refused.filter(|_| is_refused)
    }

    /// Whether there may be a refusal among tasks of such a kind, none if it is not known: whether it is worth a look at
    /// the tasks themselves.
    pub(crate) fn may_refuse(&self, kind: Option<&str>) -> bool {
        self.commands_refused.is_some() && kind.is_none_or(is_command)
    }

    /// A worker's row is renewed only when a sixth of its time is gone, so a busy worker costs few writes.
    pub fn sign_of_life_every(&self) -> Duration {
        self.heartbeat_ttl / 6
    }

    /// A lease that ends later was given by a clock that was ahead of this one, whichever server gave it: clocks that
    /// are right are not as far apart as the longest lease is long.
    pub fn believed_until(&self, now: Timestamp) -> Timestamp {
        now + self.lease_max * 2
    }

    /// The same of a worker's row, which may say that its worker is online as long as any server lets it be silent.
    pub fn worker_believed_until(&self, now: Timestamp) -> Timestamp {
        self.believed_until(now) + self.heartbeat_ttl
    }

    /// A lease is renewed only when under two thirds of it are left, so short tasks never cost a write.
    pub fn renew_below(&self) -> Duration {
        self.lease * 2 / 3
    }
}
