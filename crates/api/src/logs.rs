//! What runs print: lines, numbered within each run by its worker.

use serde::{Deserialize, Serialize};

use crate::request::{Request, nearest_if_any};
use crate::task::Status;
use crate::time::Time;

/// `POST /tasks/{id}/logs`: lines that a run printed. The run began with the first of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AppendLogs {
    pub lease_token: String,
    /// The number of the first of these lines; the others follow it. A worker counts the lines of each run from 1, in
    /// order, so that lines which are sent again are stored once. Default: behind all that are there, so nothing tells
    /// a second sending from new lines.
    #[serde(
        default,
        deserialize_with = "nearest_if_any",
        skip_serializing_if = "Option::is_none"
    )]
    pub first_seq: Option<u32>,
    /// In order, at most `--batch-max` (10,000). With none, only asks where the log stands.
    pub lines: Vec<NewLine>,
}

impl Request for AppendLogs {
    const LEVELS: usize = 2;
}

/// One line as a worker sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewLine {
    /// When it was printed, by the worker's clock. Default: when the server has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    pub stream: Stream,
    /// Without its line break, and without NUL. Longer ones than `--log-line-max` (16 KiB) are cut.
    pub line: String,
}

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Stdout,
    Stderr,
    /// Not the run's own: what its worker, or the server, says about it.
    Worker,
}

impl Stream {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Worker => "worker",
        }
    }
}

/// The answer to lines that were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AppendedLogs {
    /// The number that the run's next line has. What stands below it came in before, or is lost, and is not wanted any
    /// more.
    pub next_seq: u32,
    /// The run's log is as long as it may be: no further line of it is kept, and none need be sent.
    pub full: bool,
}

/// The query of `GET /tasks/{id}/logs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogsQuery {
    /// Only lines of this attempt. Default: of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Only lines of this stream. Default: of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<Stream>,
    /// How many at most. 1 to 1,000; default 50. Not with `follow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Goes on behind the page, or the line, that it came with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Streams the lines, each on a line of NDJSON, until the task has ended. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow: Option<bool>,
}

/// One line of a task's log; a page of them is a [`Page`](crate::page::Page), oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogLine {
    /// Counted from 1 within its run. One that is missing was lost on its way.
    pub seq: u32,
    pub at: Time,
    /// Which run printed it, counted from 1 over the runs that began.
    pub attempt: u32,
    pub stream: Stream,
    pub line: String,
    /// Where a stream goes on behind this line. Not on pages, which have one of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// One record of the stream that `follow` answers with. An empty line in between only shows that the server is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Followed {
    Line(LogLine),
    End(FollowEnd),
}

/// The last record of the stream. One that ends without it broke off: it goes on, at any server, behind the last line
/// that came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FollowEnd {
    /// How the task ended, once all of its log was told; null where the server ends the stream before that.
    pub status: Option<Status>,
    /// Where to go on; null where there is nothing more to come.
    pub next_cursor: Option<String>,
}
