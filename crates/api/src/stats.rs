//! How many tasks there are, and how fast they come and go.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::task::Status;

/// The tasks that are there now, counted exactly, and what happened in the last hour.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stats {
    pub total: u64,
    pub by_status: Counts,
    /// The queues that have most tasks; the others together are `other`.
    pub by_queue: BTreeMap<String, Counts>,
    /// The kinds that have most tasks; the others together are `other`.
    pub by_kind: BTreeMap<String, Counts>,
    /// Of the tasks that are there and that a run ended (completed, failed, timeout), the part that completed. Null where
    /// there are none.
    pub success_rate: Option<f64>,
    /// What happened in the last 1, 15 and 60 minutes; up to a second late.
    pub windows: Vec<Window>,
}

/// What happened in the last so many minutes, on all servers. A minute that lies only partly within counts by that part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Window {
    pub minutes: u32,
    pub all: Recent,
    /// The queues in which most happened; the others together are `other`.
    pub by_queue: BTreeMap<String, Recent>,
    /// The kinds with which most happened; the others together are `other`.
    pub by_kind: BTreeMap<String, Recent>,
}

/// What happened in a window, of all tasks or of some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Recent {
    pub rates: Rates,
    /// Of the tasks that a run ended, the part that completed. Null where there are none.
    pub success_rate: Option<f64>,
    /// From when tasks were submitted until they were first given to a worker, in milliseconds. Null where none was.
    pub wait_ms: Option<Quantiles>,
    /// The runs that ended tasks, from their start, in milliseconds. Null where none did.
    pub run_ms: Option<Quantiles>,
}

/// How often something happened, per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rates {
    pub submitted: f64,
    /// Runs that workers were given, a task's later ones too.
    pub started: f64,
    pub completed: f64,
    pub failed: f64,
    pub timeout: f64,
    pub cancelled: f64,
    /// Runs that failed or timed out and whose tasks go on.
    pub retried: f64,
}

/// How long half of them took at most, nine in ten, and all but one in a hundred. Read from buckets, so off by up to a
/// quarter, and by more where there are few: of two, one in a hundred is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Quantiles {
    /// How many it is read from, to the nearest one.
    pub count: u64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
}

/// Tasks by where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Counts {
    pub scheduled: u64,
    pub pending: u64,
    pub assigned: u64,
    pub running: u64,
    pub completed: u64,
    pub failed: u64,
    pub timeout: u64,
    pub cancelled: u64,
}

impl Counts {
    pub fn of(&self, status: Status) -> u64 {
        match status {
            Status::Scheduled => self.scheduled,
            Status::Pending => self.pending,
            Status::Assigned => self.assigned,
            Status::Running => self.running,
            Status::Completed => self.completed,
            Status::Failed => self.failed,
            Status::Timeout => self.timeout,
            Status::Cancelled => self.cancelled,
        }
    }

    /// So many more of this status.
    pub fn add(&mut self, status: Status, tasks: u64) {
        let count = match status {
            Status::Scheduled => &mut self.scheduled,
            Status::Pending => &mut self.pending,
            Status::Assigned => &mut self.assigned,
            Status::Running => &mut self.running,
            Status::Completed => &mut self.completed,
            Status::Failed => &mut self.failed,
            Status::Timeout => &mut self.timeout,
            Status::Cancelled => &mut self.cancelled,
        };
        *count += tasks;
    }
}
