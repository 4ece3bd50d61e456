//! What runs and workers say, in few words.

use taskyard_core::id::{Epoch, SlotKey, TaskId, WorkerNumber};
use taskyard_core::json::Json;
use taskyard_core::labels::Demands;
use taskyard_core::lane::LaneKey;
use taskyard_core::name::Name;
use taskyard_core::rows::Failure;
use taskyard_core::verbs::claim::{Claim, Run};
use taskyard_core::verbs::heartbeat::Held;
use taskyard_core::verbs::held::Token;
use taskyard_core::verbs::report::{Report, RunResult, Word};

pub(crate) fn lane(queue: &str, kind: &str, demand: Option<(&str, &str)>) -> LaneKey {
    LaneKey {
        queue: Name::path(queue).unwrap(),
        kind: Name::path(kind).unwrap(),
        demands: Demands::new(demand).unwrap(),
    }
}

pub(crate) fn token(run: &Run) -> Token {
    Token {
        slot: run.slot,
        fence: run.fence,
        secret: run.secret,
    }
}

pub(crate) fn held(run: &Run) -> Held {
    Held {
        token: token(run),
        running: false,
        progress: None,
        checkpoint: None,
    }
}

pub(crate) fn report(run: &Run, word: Word) -> Report {
    Report {
        worker: None,
        results: [RunResult::new(token(run), word, None)].into(),
    }
}

pub(crate) fn completed() -> Word {
    Word::Completed {
        output: Json::stored("\"done\""),
    }
}

pub(crate) fn failed(retry: bool) -> Word {
    Word::Failed {
        error: Failure::new("boom", "it broke"),
        retry,
    }
}

pub(crate) fn ids(runs: &[Run]) -> Vec<TaskId> {
    runs.iter().map(|run| run.slot.task).collect()
}

/// A run that never was.
pub(crate) fn made_up(task: TaskId, like: &Run) -> Run {
    Run {
        slot: SlotKey::only(task),
        ..like.clone()
    }
}

/// Nobody registered under this name.
pub(crate) fn stranger(like: &Claim) -> Claim {
    let worker = Name::plain("stranger").unwrap();
    Claim {
        worker,
        number: WorkerNumber(99),
        epoch: Epoch(1),
        ..like.clone()
    }
}
