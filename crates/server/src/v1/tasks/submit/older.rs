//! The older form of a task: `{"problem_id", "parameters"}`. It becomes the input of kind `problem`, and is run once.

use serde::Deserialize;
use serde_json::value::RawValue;
use taskyard_api::request::Request;
use taskyard_api::submit::{Submit, SubmitProblem};
use taskyard_core::rows::Origin;
use taskyard_core::verbs::submit::NewTask;

use crate::app::App;
use crate::request;
use crate::wire::faults::{Faults, Place};
use crate::wire::new_task;

pub(crate) const KIND: &str = "problem";

#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    problem_id: Option<&'a RawValue>,
    #[serde(borrow)]
    kind: Option<&'a RawValue>,
}

impl Request for Told<'_> {
    const LEVELS: usize = 1;
}

/// Whether a body that is none of ours names a problem. One that names a kind as well is ours, with a field too many.
pub(super) fn is_meant(app: &App, body: &[u8]) -> bool {
    let told = request::parse::<Told<'_>>(app, body);
    told.is_ok_and(|told| told.problem_id.is_some() && told.kind.is_none())
}

/// `None` where `faults` says why.
pub(super) fn new_task(
    app: &App,
    submitted: &SubmitProblem<&RawValue>,
    faults: &mut Faults,
) -> Option<NewTask> {
    let parameters = submitted.parameters.unwrap_or(RawValue::NULL);
    let input = SubmitProblem {
        problem_id: submitted.problem_id.clone(),
        parameters: Some(parameters),
    };
    let input = serde_json::value::to_raw_value(&input).expect("it was read from JSON");
    let max = app.limits().input_max;
    faults.size(Place::ROOT, "parameters", input.get().len(), max);
    if !faults.is_empty() {
        return None;
    }
    let submit = Submit {
        max_attempts: Some(1),
        ..Submit::new(KIND, &*input)
    };
    let task = new_task::new_task(app, &submit, Place::ROOT, faults)?;
    Some(NewTask {
        origin: Some(Origin::V1),
        ..task
    })
}
