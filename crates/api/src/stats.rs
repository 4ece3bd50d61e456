//! How many tasks there are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::task::Status;

/// The tasks that are there now, counted exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stats {
    pub total: u64,
    pub by_status: Counts,
    /// Each queue that has tasks.
    pub by_queue: BTreeMap<String, Counts>,
    /// Each kind that has tasks.
    pub by_kind: BTreeMap<String, Counts>,
}

impl Stats {
    /// Counts `tasks` more of one queue, kind and status.
    pub fn add(&mut self, queue: &str, kind: &str, status: Status, tasks: u64) {
        self.total += tasks;
        self.by_status.add(status, tasks);
        for (counts, name) in [(&mut self.by_queue, queue), (&mut self.by_kind, kind)] {
            counts
                .entry(name.to_owned())
                .or_default()
                .add(status, tasks);
        }
    }
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

    fn add(&mut self, status: Status, tasks: u64) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_counts_in_the_total_and_once_in_each_breakdown() {
        let mut stats = Stats::default();

        stats.add("default", "echo", Status::Pending, 2);
        stats.add("default", "sleep", Status::Pending, 3);
        stats.add("slow", "sleep", Status::Failed, 1);

        assert_eq!(stats.total, 6);
        assert_eq!(stats.by_status.pending, 5);
        assert_eq!(stats.by_queue["default"].of(Status::Pending), 5);
        assert_eq!(stats.by_kind["sleep"].of(Status::Pending), 3);
        assert_eq!(stats.by_kind["sleep"].of(Status::Failed), 1);
    }
}
