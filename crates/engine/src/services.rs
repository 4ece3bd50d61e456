//! What goes on in the background: each service is a `run_once` that says what it did, and a thin loop around it.
//!
//! None needs a leader: services read candidates and send ordinary commands, which judge again under the lock.

use std::time::Duration;

use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::expire::{Expire, Expired};
use taskyard_core::verbs::promote::{Promote, Promoted};
use taskyard_core::verbs::prune::{Prune, Pruned};

use crate::engine::Engine;
use crate::error::Error;

/// How many rows one step of a service touches at most.
pub const STEP_ROWS_MAX: usize = 500;

/// Takes away the runs of workers that are gone, and those that take too long.
///
/// `now` is the store's time; in `grace` nobody's silence counts. Answers how many runs it took away.
pub async fn sweep(engine: &Engine, now: Timestamp, grace: bool) -> Result<usize, Error> {
    let candidates = engine.read(look_for_lost(engine.policy(), now)).await?;
    let Some(expire) = take_away(candidates, grace) else {
        return Ok(0);
    };
    let expired: Expired = engine.call(expire).await?;
    Ok(expired.tasks.len())
}

/// What the sweep asks for.
pub fn look_for_lost(policy: &Policy, now: Timestamp) -> Query {
    Query::Lost {
        overdue: now - policy.timeout_margin,
        silent: now,
        limit: STEP_ROWS_MAX,
    }
}

/// What the sweep sends for the answer, if it found anything.
pub fn take_away(candidates: Answer, grace: bool) -> Option<Expire> {
    match candidates {
        Answer::Lost(runs) if !runs.is_empty() => Some(Expire { runs, grace }),
        _ => None,
    }
}

/// Makes ready what is due. Answers how many it promoted and when the next one is due.
pub async fn promote(engine: &Engine) -> Result<(usize, Option<Timestamp>), Error> {
    let mut promoted = 0;
    loop {
        let step: Promoted = engine
            .call(Promote {
                limit: STEP_ROWS_MAX,
            })
            .await?;
        promoted += step.count;
        if step.count < STEP_ROWS_MAX {
            break;
        }
    }
    match engine.read(Query::NextDue).await? {
        Answer::NextDue(next) => Ok((promoted, next)),
        _ => Ok((promoted, None)),
    }
}

/// Forgets idempotency keys that are too old.
pub async fn prune(engine: &Engine) -> Result<usize, Error> {
    let pruned: Pruned = engine
        .call(Prune {
            limit: STEP_ROWS_MAX,
        })
        .await?;
    Ok(pruned.count)
}

/// Promotes at the time of the next scheduled row, or when something earlier was scheduled; `clock` is the store's.
pub async fn keep_promoting(engine: Engine, clock: impl Fn() -> Timestamp, poll: Duration) {
    while !engine.is_stopping() {
        let wait = match promote(&engine).await {
            Ok((_, Some(next))) => next.since(clock()).min(poll),
            Ok((_, None)) => poll,
            Err(error) => {
                tracing::warn!(%error, "promotion failed; it is tried again");
                poll
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = engine.scheduled() => {}
            () = engine.stopping() => {}
        }
    }
}
