//! A run in a worker's hand, and what becomes of it.

use std::time::Duration;

use taskyard_core::json::Json;
use taskyard_core::rows::Failure;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::claim::Run;
use taskyard_core::verbs::held::Token;
use taskyard_core::verbs::report::{RunResult, Word};

use crate::surroundings::Surroundings;

/// How long a run is put off at most.
const SNOOZE_MS_MAX: u64 = 3_000;
pub(crate) const SNOOZE_MAX: Duration = Duration::from_millis(SNOOZE_MS_MAX);

pub(super) struct Mine {
    pub(super) run: Run,
    pub(super) begun: bool,
    pub(super) tells_start: bool,
    pub(super) ends_at: Timestamp,
    /// When its worker asked for what last told that it still has the lease.
    pub(super) confirmed: Timestamp,
    /// Its result, once there is one.
    pub(super) result: Option<RunResult>,
}

impl Mine {
    /// Something is done for it.
    pub(super) fn is_under_way(&self) -> bool {
        self.begun && self.result.is_none()
    }
}

pub(super) fn is_poison(run: &Run) -> bool {
    run.lane.kind.as_str() == "poison"
}

pub(super) fn token(run: &Run) -> Token {
    Token {
        slot: run.slot,
        fence: run.fence,
        secret: run.secret,
    }
}

/// How a run ended; in calm times most go well. A worker that drains hands it back.
pub(super) fn result(
    run: &Run,
    drains: bool,
    now: Timestamp,
    around: &mut Surroundings,
) -> RunResult {
    let bad = if around.calm { 50 } else { 400 };
    let word = if drains {
        Word::Released
    } else if !around.happens(bad) {
        let output = format!("\"{} by {}\"", run.slot.task, run.fence);
        Word::Completed {
            output: Json::stored(output),
        }
    } else {
        let error = Failure::new("boom", "it broke");
        match around.below(6) {
            0 | 1 => Word::Failed { error, retry: true },
            2 => Word::Failed {
                error,
                retry: false,
            },
            3 => Word::TimedOut { error },
            4 => Word::Snoozed {
                wait: around.millis(100, SNOOZE_MS_MAX),
            },
            _ => Word::Released,
        }
    };
    around.tally.count(match &word {
        Word::Completed { .. } => "run_completes",
        Word::Failed { retry: true, .. } => "run_fails",
        Word::Failed { retry: false, .. } => "run_fails_for_good",
        Word::TimedOut { .. } => "run_times_out",
        Word::Snoozed { .. } => "run_is_snoozed",
        // A server's word, which workers never say.
        Word::Released | Word::Unheard => "run_is_released",
    });
    let started_at = around.happens(500).then_some(now);
    RunResult::new(token(run), word, started_at)
}

/// What somebody might send who knows of the run, and has not its token.
pub(super) fn forged(result: &RunResult, around: &mut Surroundings) -> RunResult {
    around.tally.count("forged_result_is_sent");
    let mut token = result.token;
    match around.below(3) {
        0 => token.secret ^= 1,
        1 => token.fence = token.fence.next(),
        _ => token.fence.0 -= 1,
    }
    let word = Word::Completed {
        output: Json::stored("\"forged\""),
    };
    RunResult::new(token, word, None)
}
