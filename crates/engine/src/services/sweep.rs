//! The sweep: takes away the runs of workers that are gone, and those that take too long.

use std::collections::BTreeMap;

use taskyard_core::id::RunKey;
use taskyard_core::name::Name;
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::expire::{Expire, Expired, Sight};

use super::STEP_ROWS_MAX;
use crate::engine::Engine;
use crate::error::Error;

/// What a sweep did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Swept {
    /// How many runs it took away.
    pub expired: usize,
    /// It took as many as one step may: there may be more.
    pub is_full: bool,
}

/// By the time at which the server looked whether it can trust its view: a clock that is set forward meanwhile brings
/// nobody here.
pub async fn run_once(engine: &Engine, sight: Sight) -> Result<Swept, Error> {
    let looked_at = engine.moment();
    let candidates = engine.read(look_for_lost(engine.policy(), sight)).await?;
    let Some(expire) = take_away(candidates, sight) else {
        return Ok(Swept::default());
    };
    let looked_lost = expire.runs.clone();
    let expired = engine.expire(expire, looked_at).await?;
    tell(engine, looked_lost, &expired);
    let expired = expired.tasks.len();
    Ok(Swept {
        expired,
        is_full: expired == STEP_ROWS_MAX,
    })
}

/// Whose runs were taken away, a line a worker; which ones, for those who look closer.
fn tell(engine: &Engine, looked_lost: Vec<(RunKey, Option<Name>)>, expired: &Expired) {
    let mut by_worker: BTreeMap<Option<Name>, usize> = BTreeMap::new();
    for (run, worker) in looked_lost {
        if !expired.tasks.contains(&run.slot.task) {
            continue;
        }
        tracing::debug!(task.id = %run.slot.task, fence = run.fence.0, worker = named(&worker), "took a run away");
        *by_worker.entry(worker).or_default() += 1;
    }
    let (now, ttl) = (engine.store().now(), engine.policy().heartbeat_ttl);
    let silent: BTreeMap<&Name, Timestamp> = (expired.silent.iter())
        .map(|(name, until)| (name, *until))
        .collect();
    for (worker, runs) in by_worker {
        let until = worker.as_ref().and_then(|name| silent.get(name));
        if let (Some(name), Some(until)) = (&worker, until) {
            // Where it was heard within the time that its row does not say, it was silent for a little less.
            let silent_s = now.since(*until - ttl).as_secs();
            tracing::warn!(
                worker = %name,
                silent_s,
                runs,
                "a worker gave no sign of life: its runs go to others"
            );
            engine.miss(name.clone());
            continue;
        }
        tracing::info!(
            worker = named(&worker),
            runs,
            "took runs away from a worker that is gone or too slow"
        );
    }
}

fn named(worker: &Option<Name>) -> &str {
    worker.as_ref().map_or("(forgotten)", Name::as_str)
}

/// What the sweep asks for.
pub fn look_for_lost(policy: &Policy, sight: Sight) -> Query {
    Query::lost(policy, sight, STEP_ROWS_MAX)
}

/// What the sweep sends for the answer, if it found anything.
pub fn take_away(candidates: Answer, sight: Sight) -> Option<Expire> {
    let runs = candidates.lost();
    (!runs.is_empty()).then_some(Expire { runs, sight })
}
