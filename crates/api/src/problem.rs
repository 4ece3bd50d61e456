//! Refusals on the wire: problem details, RFC 9457.

use std::fmt;

use serde::{Deserialize, Serialize};
use taskyard_core::id::TaskId;

use crate::task::Status;

/// The media type of a problem.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// Why a request was refused or could not be served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Where the problem is described, such as `/problems/stale_lease`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The same for every problem of this `code`.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// A stable word for programs, such as `stale_lease`.
    #[serde(default)]
    pub code: String,
    /// What is wrong with which part of the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Finds the request in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The task that it is about, where the request was about several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// Where the task stands, where that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_status: Option<Status>,
    /// When to try again, in milliseconds; the same as the header `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// One wrong part of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// Where it is in the body, as a JSON pointer (RFC 6901), empty for the whole; or the name of a query parameter
    /// or header.
    pub pointer: String,
    /// What is wrong with it, for people.
    pub detail: String,
}

/// The title, the detail, and each wrong part on a line of its own.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = if self.title.is_empty() {
            &self.code
        } else {
            &self.title
        };
        write!(f, "{title} ({})", self.status)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        for error in &self.errors {
            write!(f, "\n  {}: {}", error.pointer, error.detail)?;
        }
        Ok(())
    }
}
