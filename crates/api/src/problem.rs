//! Refusals on the wire: problem details, RFC 9457.

use std::fmt;

use serde::{Deserialize, Serialize};
use taskyard_core::id::TaskId;

use crate::task::Status;

/// The media type of a problem.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// The detail of a `not_found` that is about the address, and not about a task or worker.
pub const NO_SUCH_ROUTE: &str =
    "there is no such route; /docs and /openapi.json list those that there are";

/// Why a request was refused or could not be served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    /// What is wrong with which part of the request; empty where it is no part of it.
    #[serde(default)]
    pub errors: Vec<FieldError>,
    /// Finds the request in the server's log; in a list, that of the request that is answered with it.
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

/// The statuses that say nothing of what was asked: later, or from another server, it may be answered otherwise.
pub(crate) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502..=504 | 507)
}

impl Problem {
    /// Nothing is wrong with what was asked, and later it may succeed: the server is away, busy or full, or the request
    /// did not reach it whole.
    pub fn is_worth_repeating(&self) -> bool {
        // Logs may be gone until somebody mends their file; then the server names no time to come back. Nor does a row
        // mend itself.
        let is_lasting = self.code == "unreadable"
            || (self.code == "logs_unavailable" && self.retry_after_ms.is_none());
        (is_passing(self.status) && !is_lasting) || self.code == "broken_body"
    }
}

/// One wrong part of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// Where it is in the body, as a JSON pointer (RFC 6901), empty for the whole; or the name of a query parameter
    /// or header.
    pub pointer: String,
    /// What is wrong with it, for people.
    pub detail: String,
}

/// Where, if anywhere, and what.
impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        f.write_str(&self.detail)
    }
}

/// The title, and the detail or, of several wrong parts, each on a line of its own.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = if self.title.is_empty() {
            &self.code
        } else {
            &self.title
        };
        write!(f, "{title} ({})", self.status)?;
        match (&self.detail, self.errors.as_slice()) {
            // The detail speaks of the one wrong part.
            (Some(detail), [] | [_]) => write!(f, ": {detail}"),
            (_, errors) => errors.iter().try_for_each(|error| write!(f, "\n  {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(detail: &str, errors: &[(&str, &str)]) -> Problem {
        let errors: Vec<_> = errors
            .iter()
            .map(|(pointer, detail)| serde_json::json!({"pointer": pointer, "detail": detail}))
            .collect();
        let problem = serde_json::json!({
            "type": "/problems/invalid", "title": "Invalid value", "status": 422, "code": "invalid", "detail": detail,
            "errors": errors,
        });
        serde_json::from_value(problem).unwrap()
    }

    #[test]
    fn each_wrong_part_is_said_once() {
        for (problem, said) in [
            (problem("no", &[]), "Invalid value (422): no"),
            (
                problem("/kind: bad", &[("/kind", "bad")]),
                "Invalid value (422): /kind: bad",
            ),
            (
                problem(
                    "/kind: bad (and 1 more)",
                    &[("/kind", "bad"), ("", "missing field")],
                ),
                "Invalid value (422)\n  /kind: bad\n  missing field",
            ),
        ] {
            assert_eq!(problem.to_string(), said);
        }
    }
}
