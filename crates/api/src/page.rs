//! Lists: pages with a cursor, and what can be asked of the list of tasks.

use serde::{Deserialize, Serialize};

use taskyard_core::id::TaskId;

use crate::payload::Raw;
use crate::task::{Status, Task};
use crate::time::Time;

/// One page of a list. It may hold fewer items than asked for and still have a next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Send it as `cursor` with the same filter to go on behind this page; null at the end.
    pub next_cursor: Option<String>,
}

/// One page of the list of tasks. It may hold fewer items than asked for and still have a next one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "Task<P>: Deserialize<'de>"))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskPage<P = Raw> {
    pub items: Vec<Task<P>>,
    /// Hand it in with the same filter to go on behind this page; null at the end.
    pub next_cursor: Option<String>,
    /// Tasks on the way that the database cannot read, as where it is damaged: they are not among the items, and nobody knows
    /// whether the filter lets them through. Left out where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<TaskId>,
}

impl<P> Default for TaskPage<P> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            next_cursor: None,
            unreadable: Vec::new(),
        }
    }
}

/// The query of `GET /tasks`; every filter that is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TasksQuery {
    /// One status, or several with commas between: any of them fits. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// `name=value`, each in a parameter `label` of its own, up to 32: all of them must be on the task. Whatever stands
    /// behind the first `=` is the value, commas too.
    #[serde(skip)]
    pub labels: Vec<String>,
    /// The worker that holds the task, or that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<String>,
    /// The first six or more characters of an id; or words, each of which must stand in the kind or in a label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// Created at this time or later, by the time that the task's id says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_after: Option<Time>,
    /// Created before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_before: Option<Time>,
    /// `-created` for the newest first, the default, or `created`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    /// `payload`: with inputs and outputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include: Option<String>,
    /// How many at most. 1 to 1,000; default 50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before, which had the same filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl TasksQuery {
    /// Only tasks that stand at one of these.
    pub fn with_status(mut self, statuses: &[Status]) -> Self {
        let words: Vec<&str> = statuses.iter().map(|status| status.as_str()).collect();
        self.status = (!words.is_empty()).then(|| words.join(","));
        self
    }
}

/// Which page of a list that has no filter: the query of `GET /workers`, `GET /queues` and `GET /operations`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// How many at most. 1 to 1,000; default 50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The query of `GET /tasks/{id}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskQuery {
    /// Holds the answer until the task ends, at most so many milliseconds. 0 to 60,000; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}
