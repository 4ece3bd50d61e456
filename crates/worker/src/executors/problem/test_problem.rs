//! `test-problem`: `{"max_steps": 30}` takes so many small steps, to see a run progress, log and end.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use taskyard_api::logs::Stream;

use super::{Handler, Parameters};
use crate::executor::{Context, Failure, Finish};
use crate::executors::input::INVALID;

/// How its steps are taken.
#[derive(Clone, Copy, Debug)]
pub struct TestProblem {
    /// How many one problem may ask for. Default 10,000, which take about a minute.
    pub steps_max: u64,
    /// How long one takes. Default 5 ms.
    pub step: Duration,
}

impl Default for TestProblem {
    fn default() -> Self {
        Self {
            steps_max: 10_000,
            step: Duration::from_millis(5),
        }
    }
}

/// Taken where the parameters do not say.
const STEPS: u64 = 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct Input {
    max_steps: Option<Box<RawValue>>,
}

/// What it did: the output, and the detail of one that was stopped.
#[derive(Serialize)]
struct Done {
    problem_id: &'static str,
    max_steps: u64,
    steps: u64,
}

impl Done {
    fn raw(&self) -> Box<RawValue> {
        to_raw_value(self).expect("numbers and a word are JSON")
    }
}

impl Handler for TestProblem {
    fn solve(&self, parameters: Parameters, context: Context) -> BoxFuture<'_, Finish> {
        Box::pin(async move {
            match self.steps(&parameters) {
                Ok(max_steps) => self.take(max_steps, &context).await,
                Err(failure) => Finish::Failed(failure),
            }
        })
    }
}

impl TestProblem {
    fn steps(&self, parameters: &Parameters) -> Result<u64, Failure> {
        let input: Option<Input> = if parameters.raw().get().starts_with('[') {
            // serde would take it for an object without names.
            return Err(Failure::lasting(INVALID, "`parameters` is not an object"));
        } else {
            parameters.read()?
        };
        let Some(steps) = input.and_then(|input| input.max_steps) else {
            return Ok(STEPS.min(self.steps_max));
        };
        let number: Option<u64> = serde_json::from_str(steps.get()).ok();
        let range = 1..=self.steps_max;
        number.filter(|steps| range.contains(steps)).ok_or_else(|| {
            Failure::lasting(
                INVALID,
                format!(
                    "`parameters.max_steps` is not a whole number from 1 to {}",
                    self.steps_max
                ),
            )
        })
    }

    async fn take(&self, max_steps: u64, context: &Context) -> Finish {
        let mut done = Done {
            problem_id: "test-problem",
            max_steps,
            steps: 0,
        };
        while done.steps < max_steps {
            tokio::select! {
                biased;
                why = context.stop.stopped() => {
                    return Finish::Stopped { why, detail: Some(done.raw()) };
                }
                () = tokio::time::sleep(self.step) => done.steps += 1,
            }
            let said = format!("step {} of {max_steps}", done.steps);
            let fraction = done.steps as f64 / max_steps as f64;
            context.reports.progress(fraction, Some(&said));
            context.reports.log(Stream::Stdout, &said);
        }
        Finish::Completed(done.raw())
    }
}
