//! Discard: tasks that ended long enough ago go, with all their rows. The service brings candidates; each is judged here
//! again, under its lock, by when it ended, by the queue's retention or else the policy's, and by whether somebody may
//! still ask for it by a key: a submit that is sent again has to find what it made.
//!
//! Tasks that run one again keep its id, which names nothing from then on. Logs lie apart and are swept.

use crate::command::{Env, halves};
use crate::id::TaskId;
use crate::needs::Needs;
use crate::policy::Policy;
use crate::refused::Refused;
use crate::retention::Retention;
use crate::rows::{Ended, Relic, UniqueKey};
use crate::time::Timestamp;
use crate::view::View;

#[derive(Clone, Debug)]
pub struct Discard {
    pub tasks: Vec<TaskId>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Discarded {
    pub count: usize,
}

/// Whether a task may go that is kept for so long.
pub fn may_go(ended: &Ended, retention: &Retention, policy: &Policy, now: Timestamp) -> bool {
    let life = retention.of(ended.status);
    let is_old = life.is_some_and(|life| ended.ended_at + life <= now);
    // Until it ended, a submit with another key may have been answered with it. Its id may have been made by a clock ahead
    // of ours.
    let known_from = ended.ended_at.max(ended.task.made_at());
    is_old && known_from + policy.key_life < now
}

impl Discard {
    pub(crate) fn halves(&self) -> Option<[Self; 2]> {
        Some(halves(&self.tasks)?.map(|tasks| Self { tasks }))
    }

    /// How long queues keep their tasks is asked in the batch: what this server remembers of it may be old, and what goes is
    /// gone for good.
    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        needs.queues = true;
        needs.relics.extend(&self.tasks);
    }

    /// Its unique key is free already, by its end; the row that names it goes with it.
    pub(crate) fn more(&self, view: &View, needs: &mut Needs, _env: &Env<'_>) {
        let relics = self.tasks.iter().filter_map(|task| view.relics.get(task));
        let keys = relics.filter_map(unique_key);
        let unknown = keys.filter(|key| !view.uniques.knows(key));
        needs.uniques.extend(unknown);
    }

    #[expect(clippy::unnecessary_wraps, reason = "every verb answers alike")]
    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Discarded, Refused> {
        let mut count = 0;
        for task in &self.tasks {
            let Some(relic) = view.relics.get(task).cloned() else {
                continue;
            };
            let queue = view.queues.peek(&relic.ended.queue);
            let retention = queue.and_then(|queue| queue.retention);
            let retention = retention.unwrap_or(env.policy.retention);
            if !may_go(&relic.ended, &retention, env.policy, env.now) {
                continue;
            }
            if let Some(key) = unique_key(&relic)
                && view.uniques.get(&key).is_some_and(|row| row.task == *task)
            {
                view.uniques.remove(&key);
            }
            view.count(relic.lane, relic.ended.status, -1);
            view.discard(*task);
            count += 1;
        }
        Ok(Discarded { count })
    }
}

fn unique_key(relic: &Relic) -> Option<UniqueKey> {
    Some(UniqueKey {
        queue: relic.ended.queue.clone(),
        key: relic.unique_key.clone()?,
    })
}
