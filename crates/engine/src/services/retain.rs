//! Takes away tasks that were kept long enough once they ended.
//!
//! Ids stand in the order in which tasks were made, so those that may go stand at the low end, and walks over what has
//! ended find them, each with a place that it goes on from. For each time that something is kept there is a *front*. It
//! goes up to where nothing can have been kept for so long yet, and on from there in the next round: it passes each task
//! once, mostly when its time has come, however many there are. Tasks that ended long after they were made may be left
//! behind the fronts; one more walk looks through those again and again, so many a round that what is kept for good costs
//! little. All places are forgotten with the process, which only makes it look again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hashbrown::HashMap;
use taskyard_core::id::TaskId;
use taskyard_core::name::Name;
use taskyard_core::policy::Policy;
use taskyard_core::query::Query;
use taskyard_core::queue::Queue;
use taskyard_core::retention::Retention;
use taskyard_core::rows::Ended;
use taskyard_core::store;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::discard::{Discard, Discarded, may_go};

use super::{STEP_ROWS_MAX, orphans};
use crate::desk::Moment;
use crate::engine::Engine;
use crate::error::Error;

/// How many steps in a row find nothing before the walk behind the fronts leaves the rest to the next round.
const IDLE_STEPS_MAX: usize = 100;
/// How many fronts there are: those of the shortest times. What is kept for others is left to the walk behind them.
const FRONTS_MAX: usize = 8;
/// A step is followed by a pause of so many times its length, so that all walks together take a fifth of the time of one
/// connection, and of the writer, however much there is to look through or to take away.
const PAUSE_PER_STEP: u32 = 4;

/// How far the walks have come.
#[derive(Debug)]
pub struct Places {
    /// Each front by how long what it finds is kept.
    fronts: BTreeMap<Duration, TaskId>,
    behind: TaskId,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            fronts: BTreeMap::new(),
            behind: TaskId::NIL,
        }
    }
}

impl Places {
    /// A front for each of these times, and none for others.
    fn fit(&mut self, lives: &[Duration]) {
        self.fronts.retain(|life, _| lives.contains(life));
        for life in lives {
            self.fronts.entry(*life).or_insert(TaskId::NIL);
        }
    }
}

/// How long the tasks of each queue are kept.
struct Rules {
    policy: Policy,
    of: HashMap<Name, Retention>,
}

impl Rules {
    async fn read(engine: &Engine) -> Result<Self, Error> {
        let queues = engine.read(Query::Queues).await?.queues();
        let set = |queue: Queue| Some((queue.name, queue.retention?));
        Ok(Self {
            policy: engine.policy().clone(),
            of: queues.into_iter().filter_map(set).collect(),
        })
    }

    /// For how long anything is kept, the shortest times first; none where nothing ever goes.
    fn lives(&self) -> Vec<Duration> {
        let all = self.of.values().chain([&self.policy.retention]);
        let lives = all.flat_map(Retention::lives);
        let lives: BTreeSet<Duration> = lives.map(|life| life.max(self.policy.key_life)).collect();
        lives.into_iter().take(FRONTS_MAX).collect()
    }

    fn lets_go(&self, ended: &Ended, now: Timestamp) -> bool {
        let retention = self.of.get(&ended.queue).unwrap_or(&self.policy.retention);
        may_go(ended, retention, &self.policy, now)
    }
}

/// Answers how many tasks it took away.
pub async fn run_once(engine: &Engine, places: &mut Places) -> Result<usize, Error> {
    let rules = Rules::read(engine).await?;
    let lives = rules.lives();
    if lives.is_empty() {
        return Ok(0);
    }
    places.fit(&lives);
    // What the fronts come across in this round need not be looked at twice in it.
    let passed = places.fronts.values().max().copied();
    let mut count = 0;
    for (life, place) in &mut places.fronts {
        // Whatever was made later cannot have been kept for so long.
        let until = TaskId::new(engine.store().now() - *life, u128::MAX);
        let walk = Walk::new(engine, &rules, until);
        count += walk.go(place, usize::MAX).await?.count;
    }
    let walk = Walk::new(engine, &rules, passed.unwrap_or(TaskId::NIL));
    let walked = walk.go(&mut places.behind, IDLE_STEPS_MAX).await?;
    if walked.is_through {
        places.behind = TaskId::NIL;
    }
    Ok(count + walked.count)
}

/// Over what has ended, in the order of the ids, up to `until`.
struct Walk<'a> {
    engine: &'a Engine,
    rules: &'a Rules,
    until: TaskId,
}

#[derive(Default)]
struct Walked {
    /// How many tasks it took away.
    count: usize,
    /// Whether it came to the end.
    is_through: bool,
}

impl<'a> Walk<'a> {
    fn new(engine: &'a Engine, rules: &'a Rules, until: TaskId) -> Self {
        Self {
            engine,
            rules,
            until,
        }
    }

    /// Goes on behind `place`, step after step as long as they are full, until so many in a row found nothing.
    async fn go(&self, place: &mut TaskId, idle_max: usize) -> Result<Walked, Error> {
        let (mut walked, mut idle) = (Walked::default(), 0);
        while idle < idle_max && !self.engine.is_stopping() {
            let began = self.engine.moment();
            let query = Query::Relics {
                after: *place,
                until: self.until,
                limit: STEP_ROWS_MAX,
            };
            let ended = self.engine.read(query).await?.relics();
            let now = self.engine.store().now();
            let going = ended.iter().filter(|ended| self.rules.lets_go(ended, now));
            let tasks: Vec<TaskId> = going.map(|ended| ended.task).collect();
            idle = if tasks.is_empty() { idle + 1 } else { 0 };
            if !tasks.is_empty() {
                walked.count += discard(self.engine, *place, tasks).await?;
            }
            *place = ended.last().map_or(*place, |ended| ended.task);
            walked.is_through = ended.len() < STEP_ROWS_MAX;
            self.pause_after(began).await;
            if walked.is_through {
                break;
            }
        }
        Ok(walked)
    }

    /// Leaves others their time after a step that began then.
    async fn pause_after(&self, began: Moment) {
        let took = self.engine.moment().saturating_sub(began);
        tokio::select! {
            () = tokio::time::sleep(took * PAUSE_PER_STEP) => {}
            () = self.engine.stopping() => {}
        }
    }
}

/// These tasks, in the order of their ids behind `behind`, and their logs.
async fn discard(engine: &Engine, behind: TaskId, tasks: Vec<TaskId>) -> Result<usize, Error> {
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
    Ok(count)
}
