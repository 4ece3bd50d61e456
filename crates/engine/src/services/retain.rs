//! Takes away tasks that were kept long enough once they ended.
//!
//! Ids stand in the order in which tasks were made, so those that may go stand at the low end, and two walks over what has
//! ended find them, each with a place that it goes on from. The *front* goes up to where nothing can be old enough yet,
//! and on from there in the next round: it passes each task once, mostly when its time has come. Tasks that ended long
//! after they were made, and those that are kept longer than others, may be left behind it; the other walk looks through
//! those again and again, so many a round that what is kept for good costs little. Both places are forgotten with the
//! process, which only makes it look again.

use std::time::Duration;

use hashbrown::HashMap;
use taskyard_core::id::TaskId;
use taskyard_core::name::Name;
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::queue::Queue;
use taskyard_core::retention::Retention;
use taskyard_core::rows::Ended;
use taskyard_core::store;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::discard::{Discard, Discarded, may_go};

use super::{STEP_ROWS_MAX, orphans};
use crate::engine::Engine;
use crate::error::Error;

/// How many steps in a row find nothing before a walk leaves the rest to the next round.
const IDLE_STEPS_MAX: usize = 100;
/// A step that took something away is followed by a pause of so many times its length, so that there is as much time left
/// for others.
const PAUSE_PER_STEP: u32 = 4;

/// How far both walks have come.
#[derive(Debug, Default)]
pub struct Places {
    front: Option<TaskId>,
    behind: Option<TaskId>,
}

/// How long the tasks of each queue are kept.
struct Rules {
    policy: Policy,
    of: HashMap<Name, Retention>,
}

impl Rules {
    async fn read(engine: &Engine) -> Result<Self, Error> {
        let queues = match engine.read(Query::Queues).await? {
            Answer::Queues(queues) => queues,
            _ => Vec::new(),
        };
        let set = |queue: Queue| Some((queue.name, queue.retention?));
        Ok(Self {
            policy: engine.policy().clone(),
            of: queues.into_iter().filter_map(set).collect(),
        })
    }

    /// How long anything is kept at least; none where nothing ever goes.
    fn shortest(&self) -> Option<Duration> {
        let all = self.of.values().chain([&self.policy.retention]);
        let shortest = all.filter_map(Retention::shortest).min()?;
        Some(shortest.max(self.policy.key_life))
    }

    fn lets_go(&self, ended: &Ended, now: Timestamp) -> bool {
        let retention = self.of.get(&ended.queue).unwrap_or(&self.policy.retention);
        may_go(ended, retention, &self.policy, now)
    }
}

/// Answers how many tasks it took away.
pub async fn run_once(engine: &Engine, places: &mut Places) -> Result<usize, Error> {
    let rules = Rules::read(engine).await?;
    let Some(shortest) = rules.shortest() else {
        return Ok(0);
    };
    // Whatever was made later cannot have been kept for so long.
    let until = TaskId::new(engine.store().now() - shortest, u128::MAX);
    let before = places.front.unwrap_or(TaskId::NIL);
    let (mut count, _) = walk(engine, &rules, &mut places.front, until).await?;
    let (more, is_through) = walk(engine, &rules, &mut places.behind, before).await?;
    count += more;
    if is_through {
        places.behind = None;
    }
    Ok(count)
}

/// From its place up to there; answers how many tasks it took away, and whether it came through.
async fn walk(
    engine: &Engine,
    rules: &Rules,
    place: &mut Option<TaskId>,
    until: TaskId,
) -> Result<(usize, bool), Error> {
    let (mut count, mut idle) = (0, 0);
    while idle < IDLE_STEPS_MAX && !engine.is_stopping() {
        let behind = place.unwrap_or(TaskId::NIL);
        let query = Query::Relics {
            after: behind,
            until,
            limit: STEP_ROWS_MAX,
        };
        let Answer::Relics(ended) = engine.read(query).await? else {
            return Ok((count, true));
        };
        let now = engine.store().now();
        let going = ended.iter().filter(|ended| rules.lets_go(ended, now));
        let tasks: Vec<TaskId> = going.map(|ended| ended.task).collect();
        if tasks.is_empty() {
            idle += 1;
        } else {
            idle = 0;
            count += discard(engine, behind, tasks).await?;
        }
        *place = ended.last().map(|ended| ended.task).or(*place);
        if ended.len() < STEP_ROWS_MAX {
            return Ok((count, true));
        }
    }
    Ok((count, false))
}

/// These tasks, in the order of their ids behind `behind`, and their logs.
async fn discard(engine: &Engine, behind: TaskId, tasks: Vec<TaskId>) -> Result<usize, Error> {
    let began = engine.moment();
    let discard = Discard {
        tasks: tasks.clone(),
    };
    let count = match engine.call_of_ours(discard).await {
        Ok(Discarded { count }) => count,
        // Of several, those that the database refuses were passed over by the store.
        Err(Error::Store(error @ store::Error::Failed(_))) => {
            tracing::error!(%error, "a task is bad and is kept; the others go on");
            0
        }
        Err(error) => return Err(error),
    };
    if count > 0
        && let Err(error) = orphans::of_discarded(engine, behind, &tasks).await
    {
        tracing::debug!(%error, "logs of tasks that were taken away could not be; they go later");
    }
    let took = engine.moment().saturating_sub(began);
    tokio::select! {
        () = tokio::time::sleep(took * PAUSE_PER_STEP) => {}
        () = engine.stopping() => {}
    }
    Ok(count)
}
