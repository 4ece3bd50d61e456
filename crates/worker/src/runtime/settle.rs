//! What became of results that were sent, and of the tasks that came back for them.

use std::time::Duration;

use taskyard_api::answered::Answered;
use taskyard_api::client;
use taskyard_api::problem::Problem;
use taskyard_api::report::{Reported, RunResult};
use taskyard_api::time::Time;
use taskyard_api::worker::Run;
use tokio::time::Instant;

use super::Runtime;
use super::drain::Phase;
use super::exchange::Exchange;
use super::moment::Moment;
use super::outbox::{Batch, Mark};
use super::settings::Error;
use super::trouble::Trouble;
use super::verdict::Leased;
use crate::executor::Stop;

impl Runtime {
    pub(super) fn take_exchange(
        &mut self,
        exchange: Exchange,
        answer: Option<Result<Reported, client::Error>>,
    ) -> Result<(), Error> {
        self.exchanges.landed(&exchange);
        if let Some(Ok(reported)) = &answer
            && reported.tasks.as_ref().is_some_and(Vec::is_empty)
        {
            self.exchanges.came_back_empty(&exchange);
        }
        let Exchange {
            report,
            marks,
            asked,
            ..
        } = exchange;
        let batch = Batch {
            results: report.results,
            marks,
        };
        let error = match answer {
            Some(Ok(reported)) => {
                self.retries.succeeded();
                self.unwelcome = None;
                let now = Instant::now();
                self.beat_retries.others_get_through(now);
                self.news_retries.others_get_through(now);
                self.settle(batch, reported.results);
                // Before they begin: these leases may be shorter than those of the server it registered at.
                self.take_times(reported.lease_ms, reported.heartbeat_ms);
                if reported.drain {
                    self.drain();
                }
                match reported.tasks {
                    Some(tasks) => self.begin(tasks, asked),
                    // Its claim was not served; what it may have brought at an earlier sending is to be had still.
                    None => self.exchanges.ask_again(report.claim, asked),
                }
                return Ok(());
            }
            Some(Err(error)) => error,
            None => {
                self.outbox.put_back(batch);
                self.exchanges.ask_again(report.claim, asked);
                return Ok(());
            }
        };
        let trouble = Trouble::of(&error);
        let was_about_results = !batch.results.is_empty();
        if trouble == Trouble::Unfit && was_about_results {
            let refused = self
                .outbox
                .split(batch, is_too_large(&error), &error.to_string());
            if let Some(refused) = refused {
                self.refused(&refused, &error);
            }
        } else {
            self.outbox.put_back(batch);
        }
        self.exchanges.ask_again(report.claim, asked);
        match trouble {
            Trouble::Unfit if was_about_results => Ok(()),
            trouble => self.bear(trouble, error, report.epoch),
        }
    }

    /// What the server said of each result.
    fn settle(&mut self, batch: Batch, answers: Vec<Answered>) {
        let mut answers = answers.into_iter();
        let mut again = Batch::default();
        for (result, mark) in batch.results.into_iter().zip(batch.marks) {
            match answers.next() {
                Some(Answered::Taken(_)) => {}
                Some(Answered::Refused(problem)) => {
                    self.take_refusal(result, mark, &problem, &mut again)
                }
                None => again.push(result, mark),
            }
        }
        if !again.results.is_empty() {
            let why = "the server did not take every result";
            self.retries.wait(Instant::now(), Duration::ZERO, &why);
            self.outbox.put_back(again);
        }
    }

    fn take_refusal(
        &mut self,
        result: RunResult,
        mark: Mark,
        problem: &Problem,
        again: &mut Batch,
    ) {
        match Trouble::of_problem(problem) {
            Trouble::Away => again.push(result, mark),
            Trouble::Unfit => {
                let too_large = problem.status == 413 || problem.code.contains("too_large");
                let left = self.outbox.reduce(result, too_large, &problem.to_string());
                if let Some(refused) = left {
                    self.refused(&refused, problem);
                }
            }
            Trouble::Unknown | Trouble::Replaced | Trouble::Unwelcome | Trouble::Refused => {
                self.refused(&result, problem)
            }
        }
    }

    fn refused(&mut self, result: &RunResult, why: &dyn std::fmt::Display) {
        self.summary.refused += 1;
        tracing::warn!(task.id = %result.task_id, outcome = ?result.outcome, "a result was not taken: {why}");
    }

    /// Begins what was asked for then; a worker that is leaving hands it back.
    pub(super) fn begin(&mut self, runs: Vec<Run>, asked: Moment) {
        if runs.is_empty() {
            return;
        }
        let started_at = Time((self.clock)());
        let takes_more = self.phase == Phase::Working;
        if takes_more && !self.is_sure(asked) {
            self.ask_about(runs);
            return;
        }
        for run in runs {
            // There is one lease of a task, so an older one has been lost without our knowing.
            self.hands.drop_run(run.id, Stop::LeaseLost);
            let result = if takes_more {
                self.hands.begin(run, started_at, asked)
            } else {
                Some(Leased::released(run.id, run.lease_token))
            };
            if let Some(result) = result {
                self.summary.count(result.outcome);
                self.outbox.push(result);
            }
        }
    }
}

fn is_too_large(error: &client::Error) -> bool {
    match error {
        client::Error::Problem(problem) => problem.status == 413,
        client::Error::Unexpected { status, .. } => *status == 413,
        client::Error::Unreachable { .. }
        | client::Error::Unusable(_)
        | client::Error::Several(_) => false,
    }
}
