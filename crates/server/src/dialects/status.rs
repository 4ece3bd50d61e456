//! The words that each dialect has for where a task stands.

use taskyard_core::status::Status;

/// One dialect's.
pub(super) struct Words {
    pub(super) waits: &'static str,
    pub(super) assigned: &'static str,
    pub(super) running: &'static str,
    pub(super) completed: &'static str,
    pub(super) failed: &'static str,
}

pub(super) const SIMPLE: Words = Words {
    waits: "pending",
    assigned: "processing",
    running: "processing",
    completed: "completed",
    failed: "failed",
};

pub(super) const TASKMASTER: Words = Words {
    waits: "scheduled",
    assigned: "assigned",
    running: "running",
    completed: "completed",
    failed: "failed",
};

impl Words {
    pub(super) fn of(&self, status: Status) -> &'static str {
        match status {
            Status::Scheduled | Status::Pending => self.waits,
            Status::Assigned => self.assigned,
            Status::Running => self.running,
            Status::Completed => self.completed,
            Status::Failed | Status::Timeout | Status::Cancelled => self.failed,
        }
    }

    /// Each once.
    pub(super) fn all(&self) -> Vec<&'static str> {
        let mut all: Vec<&str> = Status::ALL.map(|status| self.of(status)).to_vec();
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_word_in_each_dialect() {
        let words = |dialect: &Words| Status::ALL.map(|status| dialect.of(status)).join(" ");

        assert_eq!(
            words(&SIMPLE),
            "pending pending processing processing completed failed failed failed"
        );
        assert_eq!(
            SIMPLE.all(),
            ["pending", "processing", "completed", "failed"]
        );
    }
}
