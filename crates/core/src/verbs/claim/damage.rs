//! Runs that no worker can be told of: what the database holds of their tasks is no JSON any more.
//!
//! No claim looks for that. Each payload is read through once on its way to the worker, by whoever writes the answer; only
//! where that fails is it asked here which runs are the cause. They end as if their worker had said that another try is
//! useless, for a damaged row does not mend itself: handed out again and again, they would cost each time.

use super::{Hand, Run};
use crate::json::Json;
use crate::rows::Failure;
use crate::verbs::held::Token;
use crate::verbs::report::{Report, RunResult, Word};

impl Hand {
    /// Takes the damaged runs out; what ends their tasks, and the others stay. None where all are whole.
    pub fn take_damaged(&mut self) -> Option<Report> {
        let runs = std::mem::take(&mut self.runs);
        let mut results = Vec::new();
        for run in runs {
            match run.damaged() {
                Some(what) => results.push(run.fails(what)),
                None => self.runs.push(run),
            }
        }
        (!results.is_empty()).then_some(Report {
            worker: None,
            results: results.into(),
        })
    }
}

impl Run {
    pub fn token(&self) -> Token {
        Token {
            slot: self.slot,
            fence: self.fence,
            secret: self.secret,
        }
    }

    /// The first of its payloads that is no JSON.
    fn damaged(&self) -> Option<&'static str> {
        let payloads = [("input", &self.input), ("checkpoint", &self.checkpoint)];
        let is_whole = |json: &Option<Json>| json.as_ref().is_none_or(Json::is_whole);
        let mut damaged = payloads.into_iter().filter(|(_, json)| !is_whole(json));
        damaged.next().map(|(what, _)| what)
    }

    fn fails(&self, what: &str) -> RunResult {
        let word = Word::Failed {
            error: Failure::unreadable(what),
            retry: false,
        };
        RunResult::new(self.token(), word, None)
    }
}
