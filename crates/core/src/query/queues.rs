//! The list of queues, page by page.

use crate::counter::Counter;
use crate::name::Name;
use crate::queue::Queue;
use crate::time::Timestamp;

use super::LIST_LOOK_AT;

/// A page of queues by name: those that have or had tasks, and those of which something is set.
#[derive(Clone, Debug)]
pub struct QueueList {
    /// Goes on behind this one.
    pub after: Option<Name>,
    /// 1 to 1000.
    pub limit: usize,
    /// Looks at the lanes of so many queues only as have no more lanes than this together, at least 1: the page may hold
    /// fewer than `limit` and still have a next one. One queue is looked at however many it has.
    pub look_at_max: usize,
}

impl Default for QueueList {
    fn default() -> Self {
        Self {
            after: None,
            limit: 0,
            look_at_max: LIST_LOOK_AT,
        }
    }
}

#[derive(Debug, Default, PartialEq)]
pub struct QueuesListed {
    pub items: Vec<QueueView>,
    /// Behind which the next page begins, if there is one.
    pub next: Option<Name>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct QueueView {
    /// One of which nothing was set says nothing.
    pub queue: Queue,
    pub tasks: Counter,
    /// When what is next in turn became due; the earliest of its lanes. None where nothing is ready.
    pub since: Option<Timestamp>,
}
