//! The words for where a task stands, as everybody outside sees it.

use std::fmt;
use std::str::FromStr;

crate::with_all! {
    /// Where a task stands. Derived from its slot's place or its outcome, never stored beside them.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
    pub enum Status {
        /// Waits for its time, or for its next try.
        Scheduled,
        /// Due; waits for a worker.
        Pending,
        /// Leased to a worker that has not said that it began.
        Assigned,
        Running,
        Completed,
        Failed,
        Timeout,
        Cancelled,
    }
}

/// A word that is no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {}", Status::ALL.map(Status::as_str).join(", "))]
pub struct NotAStatus;

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Pending => "pending",
            Self::Assigned => "assigned",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
        }
    }

    /// What became of a task that stands there, as a sentence goes on that begins with the task.
    pub fn as_end(self) -> &'static str {
        match self {
            Self::Scheduled | Self::Pending | Self::Assigned | Self::Running => "has not ended",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Timeout => "timed out",
            Self::Cancelled => "was cancelled",
        }
    }

    /// Final states are absorbing: no event leads out of them.
    pub fn is_final(self) -> bool {
        match self {
            Self::Scheduled | Self::Pending | Self::Assigned | Self::Running => false,
            Self::Completed | Self::Failed | Self::Timeout | Self::Cancelled => true,
        }
    }

    /// The number that stores keep; never given another meaning.
    pub fn code(self) -> i16 {
        match self {
            Self::Scheduled => 1,
            Self::Pending => 2,
            Self::Assigned => 3,
            Self::Running => 4,
            Self::Completed => 5,
            Self::Failed => 6,
            Self::Timeout => 7,
            Self::Cancelled => 8,
        }
    }

    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }
}

impl FromStr for Status {
    type Err = NotAStatus;

    fn from_str(text: &str) -> Result<Self, NotAStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(NotAStatus)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
