//! SetQueue: pauses a queue or lets it go on, says what its tasks take that do not say themselves, and how long they are
//! kept.

use std::time::Duration;

use crate::command::Env;
use crate::name::Name;
use crate::needs::Needs;
use crate::queue::Queue;
use crate::refused::Refused;
use crate::retention::Retention;
use crate::retry::Retry;
use crate::topic::Topic;
use crate::view::View;

/// `None` is as it was; of a default, `Some(None)` is what the policy says.
#[derive(Clone, Debug)]
pub struct SetQueue {
    pub queue: Name,
    pub paused: Option<bool>,
    pub max_attempts: Option<Option<i32>>,
    pub timeout: Option<Option<Duration>>,
    pub retry: Option<Option<Retry>>,
    pub retention: Option<Option<Retention>>,
}

impl SetQueue {
    /// Changes nothing.
    pub fn of(queue: Name) -> Self {
        Self {
            queue,
            paused: None,
            max_attempts: None,
            timeout: None,
            retry: None,
            retention: None,
        }
    }
}

/// As it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueSet(pub Queue);

impl SetQueue {
    #[expect(clippy::unused_self, reason = "every verb has one")]
    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        needs.queues = true;
    }

    #[expect(clippy::unused_self, reason = "every verb has one")]
    pub(crate) fn more(&self, _view: &View, _needs: &mut Needs, _env: &Env<'_>) {}

    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<QueueSet, Refused> {
        let known = view.queues.peek(&self.queue).cloned();
        let before = known
            .clone()
            .unwrap_or_else(|| Queue::new(self.queue.clone()));
        let mut after = before.clone();
        after.is_paused = self.paused.unwrap_or(after.is_paused);
        let defaults = &mut after.defaults;
        defaults.max_attempts = self.max_attempts.unwrap_or(defaults.max_attempts);
        defaults.timeout = self.timeout.unwrap_or(defaults.timeout);
        defaults.retry = self.retry.unwrap_or(defaults.retry);
        after.retention = self.retention.unwrap_or(after.retention);
        if after == before {
            return Ok(QueueSet(after));
        }
        match known {
            Some(_) if after.says_nothing() => _ = view.queues.remove(&self.queue),
            Some(_) => view.queues.update(&self.queue, |row| *row = after.clone()),
            None if view.queues.iter().count() >= env.policy.queues_max => {
                return Err(Refused::TooManyQueues(env.policy.queues_max));
            }
            None => view.queues.insert(self.queue.clone(), after.clone()),
        }
        if before.is_paused && !after.is_paused {
            let lanes = env.lanes.iter();
            let its = lanes.filter(|(_, key)| key.queue == self.queue);
            let its: Vec<_> = its.map(|(lane, _)| lane).collect();
            for lane in its {
                view.announce(Topic::Ready(lane));
                view.announce(Topic::Ready(lane.twin()));
            }
        }
        Ok(QueueSet(after))
    }
}
