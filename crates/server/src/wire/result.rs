//! What a worker says of a run's end.

use std::sync::Arc;

use taskyard_api::report::{RunResult, Said};
use taskyard_api::task::TaskError;
use taskyard_core::id::TaskId;
use taskyard_core::json::Json;
use taskyard_core::rows::Failure;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::report::{self, Word};

use super::faults::{Faults, Place, WAIT_MS_MAX};
use super::new_task::millis;
use super::payload::Source;
use crate::app::App;
use crate::token;

/// Characters of an error's code.
pub(crate) const CODE_LEN_MAX: usize = 64;
/// Bytes of an error's message.
pub(crate) const MESSAGE_LEN_MAX: usize = 16 << 10;

/// `None` where `faults` says why.
pub(crate) fn run_result<P: Source, I>(
    app: &App,
    task: TaskId,
    said: &RunResult<P, I>,
    place: Place,
    faults: &mut Faults,
) -> Option<report::RunResult> {
    only_what_fits(said, place, faults);
    let output = said.output.as_ref().map(|output| {
        faults.size(
            place,
            "output",
            output.text().len(),
            app.limits().output_max,
        );
        faults.take(place, "output", output.keep(app.limits().depth_max))
    });
    let error = said.error.as_ref();
    let error = error.map(|error| failure(app, error, place, faults));
    let retry = said.retry.unwrap_or(true);
    let word = match said.outcome {
        Said::Completed => Word::Completed {
            output: output.unwrap_or_else(|| Some(Json::null()))?,
        },
        Said::Failed => Word::Failed {
            error: needed(error, "failed", place, faults)?,
            retry,
        },
        Said::TimedOut => Word::TimedOut {
            error: match error {
                Some(error) => error?,
                None => Failure::new("timeout", "the run took longer than its task allows"),
            },
        },
        Said::Snoozed => {
            let ms = faults.ranged(
                place,
                "delay_ms",
                said.delay_ms.unwrap_or(0),
                0..=WAIT_MS_MAX,
            );
            Word::Snoozed { wait: millis(ms) }
        }
        Said::Released => Word::Released,
    };
    let incarnation = app.engine().store().incarnation();
    let token = token::read(&said.lease_token, task, &incarnation);
    let started_at = said.started_at.map(Timestamp::from);
    Some(report::RunResult::new(token, word, started_at))
}

/// Fields that mean nothing beside this outcome are mistakes, and would be lost in silence.
fn only_what_fits<P, I>(said: &RunResult<P, I>, place: Place, faults: &mut Faults) {
    let mut unfit = |is_there, field, wanted| {
        if is_there {
            faults.add(place, field, format!("goes only with outcome {wanted}"));
        }
    };
    let is = |outcome| said.outcome == outcome;
    unfit(
        said.output.is_some() && !is(Said::Completed),
        "output",
        "completed",
    );
    let may_err = is(Said::Failed) || is(Said::TimedOut);
    unfit(
        said.error.is_some() && !may_err,
        "error",
        "failed or timed_out",
    );
    unfit(said.retry.is_some() && !is(Said::Failed), "retry", "failed");
    unfit(
        said.delay_ms.is_some() && !is(Said::Snoozed),
        "delay_ms",
        "snoozed",
    );
    if is(Said::Snoozed) && said.delay_ms.is_none() {
        faults.add(place, "delay_ms", "must be there with outcome snoozed");
    }
}

/// The error that must be there with this outcome.
fn needed(
    error: Option<Option<Failure>>,
    outcome: &str,
    place: Place,
    faults: &mut Faults,
) -> Option<Failure> {
    if error.is_none() {
        faults.add(
            place,
            "error",
            format!("must be there with outcome {outcome}"),
        );
    }
    error.flatten()
}

fn failure<P: Source>(
    app: &App,
    error: &TaskError<P>,
    place: Place,
    faults: &mut Faults,
) -> Option<Failure> {
    let fits = (1..=CODE_LEN_MAX).contains(&error.code.chars().count());
    if !fits || error.code.chars().any(char::is_control) {
        let detail = format!("must have 1 to {CODE_LEN_MAX} characters, no control characters");
        faults.add(place, "error/code", detail);
    }
    faults.size(place, "error/message", error.message.len(), MESSAGE_LEN_MAX);
    let detail = error.detail.as_ref().map(|detail| {
        faults.size(
            place,
            "error/detail",
            detail.text().len(),
            app.limits().output_max,
        );
        faults.take(place, "error/detail", detail.keep(app.limits().depth_max))
    });
    Some(Failure {
        code: Arc::from(&*error.code),
        message: Arc::from(&*error.message),
        detail: match detail {
            Some(detail) => Some(detail?),
            None => None,
        },
    })
}
