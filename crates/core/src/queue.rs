//! Queues: named lines of tasks. One that somebody has paused or given defaults of its own has a row; all others are as
//! the policy says.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;

use crate::name::Name;
use crate::retention::Retention;
use crate::retry::Retry;

/// What was set of a queue.
#[derive(Clone, PartialEq, Debug)]
pub struct Queue {
    pub name: Name,
    /// Nothing of it is given to workers. What they have goes on.
    pub is_paused: bool,
    pub defaults: Defaults,
    /// How long its tasks are kept once they have ended; none: as the policy says.
    pub retention: Option<Retention>,
}

impl Queue {
    /// One of which nothing was set.
    pub fn new(name: Name) -> Self {
        Self {
            name,
            is_paused: false,
            defaults: Defaults::default(),
            retention: None,
        }
    }

    /// It needs no row.
    pub fn says_nothing(&self) -> bool {
        *self == Self::new(self.name.clone())
    }
}

/// For tasks that do not say, from when they are submitted; `None`: what the policy says.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Defaults {
    pub max_attempts: Option<i32>,
    pub timeout: Option<Duration>,
    pub retry: Option<Retry>,
}

/// The queues that have rows, as this server remembers them: what another one has set a moment ago may be missing.
#[derive(Clone, Debug, Default)]
pub struct Queues(HashMap<Name, Arc<Queue>>);

impl Queues {
    /// As it is now; one of which nothing is set is not remembered.
    pub fn put(&mut self, queue: Queue) {
        if queue.says_nothing() {
            self.0.remove(&queue.name);
        } else {
            self.0.insert(queue.name.clone(), Arc::new(queue));
        }
    }

    pub fn is_paused(&self, name: &Name) -> bool {
        self.0.get(name).is_some_and(|queue| queue.is_paused)
    }

    pub(crate) fn has_paused(&self) -> bool {
        self.iter().any(|queue| queue.is_paused)
    }

    pub fn defaults(&self, name: &Name) -> Defaults {
        self.0
            .get(name)
            .map_or_else(Defaults::default, |queue| queue.defaults)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Queue> {
        self.0.values().map(|queue| &**queue)
    }
}

impl FromIterator<Queue> for Queues {
    fn from_iter<I: IntoIterator<Item = Queue>>(rows: I) -> Self {
        let mut queues = Self::default();
        rows.into_iter().for_each(|queue| queues.put(queue));
        queues
    }
}
