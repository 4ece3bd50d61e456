//! How long tasks are kept once they have ended.

use std::time::Duration;

use crate::status::Status;

/// For each way to end; those without a time are kept for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Retention {
    pub completed: Option<Duration>,
    pub failed: Option<Duration>,
    pub timeout: Option<Duration>,
    pub cancelled: Option<Duration>,
}

impl Retention {
    /// The same for all.
    pub fn all(life: Duration) -> Self {
        Self {
            completed: Some(life),
            failed: Some(life),
            timeout: Some(life),
            cancelled: Some(life),
        }
    }

    /// How long those are kept that ended so; none for good, as what has not ended.
    pub fn of(&self, status: Status) -> Option<Duration> {
        match status {
            Status::Completed => self.completed,
            Status::Failed => self.failed,
            Status::Timeout => self.timeout,
            Status::Cancelled => self.cancelled,
            Status::Scheduled | Status::Pending | Status::Assigned | Status::Running => None,
        }
    }

    /// How long anything is kept that is not kept for good.
    pub fn lives(&self) -> impl Iterator<Item = Duration> {
        Status::ALL.into_iter().filter_map(|status| self.of(status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_ended_and_has_a_time_goes() {
        let hour = Duration::from_hours(1);
        assert_eq!(Retention::default().lives().count(), 0);
        let all = Retention::all(hour);
        for status in Status::ALL {
            let kept = all.of(status);
            assert_eq!(kept, status.is_final().then_some(hour), "{status:?}");
        }
        let failed = Retention {
            failed: Some(hour),
            timeout: Some(hour / 2),
            ..Retention::default()
        };
        assert_eq!(failed.lives().collect::<Vec<_>>(), [hour, hour / 2]);
        assert_eq!(failed.of(Status::Completed), None);
    }
}
