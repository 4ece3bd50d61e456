//! The sweep: takes away the runs of workers that are gone, and those that take too long.

use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::expire::{Expire, Expired};

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

/// In `grace` nobody's silence counts. `alone_since`: see [`Expire`].
pub async fn run_once(
    engine: &Engine,
    grace: bool,
    alone_since: Option<Timestamp>,
) -> Result<Swept, Error> {
    let now = engine.store().now();
    let candidates = engine
        .read(look_for_lost(engine.policy(), now, grace, alone_since))
        .await?;
    let Some(expire) = take_away(candidates, grace, alone_since) else {
        return Ok(Swept::default());
    };
    let expired: Expired = engine.call(expire).await?;
    let expired = expired.tasks.len();
    Ok(Swept {
        expired,
        is_full: expired == STEP_ROWS_MAX,
    })
}

/// What the sweep asks for. In grace not for the silent: all of them would be spared, and enough of them would keep
/// those behind them from being found.
pub fn look_for_lost(
    policy: &Policy,
    now: Timestamp,
    grace: bool,
    alone_since: Option<Timestamp>,
) -> Query {
    Query::Lost {
        overdue: now - policy.timeout_margin,
        silent: if grace { Timestamp::default() } else { now },
        internal_before: alone_since,
        limit: STEP_ROWS_MAX,
    }
}

/// What the sweep sends for the answer, if it found anything.
pub fn take_away(
    candidates: Answer,
    grace: bool,
    alone_since: Option<Timestamp>,
) -> Option<Expire> {
    match candidates {
        Answer::Lost(runs) if !runs.is_empty() => Some(Expire {
            runs,
            grace,
            alone_since,
        }),
        _ => None,
    }
}
