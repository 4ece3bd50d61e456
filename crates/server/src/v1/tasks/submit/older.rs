//! The older form of a task: `{"problem_id", "parameters"}`. It becomes the input of kind `problem`, and is run once unless
//! it says otherwise.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use taskyard_api::problem::Problem;
use taskyard_api::request::Request;
use taskyard_api::submit::{Submit, SubmitProblem};
use taskyard_core::rows::Origin;
use taskyard_core::verbs::submit::NewTask;

use crate::app::App;
use crate::request;
use crate::wire::faults::{Faults, Place};
use crate::wire::new_task;

pub(crate) const KIND: &str = "problem";

/// All that a body says, by name.
#[derive(Deserialize)]
#[serde(transparent)]
struct Told<'a>(#[serde(borrow)] BTreeMap<String, &'a RawValue>);

impl Request for Told<'_> {
    const LEVELS: usize = 1;
}

impl Told<'_> {
    /// Null is absent.
    fn names(&self, field: &str) -> bool {
        self.0.get(field).is_some_and(|value| value.get() != "null")
    }
}

/// A task in this form.
pub(super) struct Older<'a> {
    submitted: SubmitProblem<&'a RawValue>,
    /// What else it says that is of the newer form, in which it means the same.
    newer: BTreeMap<String, &'a RawValue>,
}

/// Reads a body that is none of ours where it names a problem; `None` where it does not.
pub(super) fn read<'a>(app: &App, body: &'a [u8]) -> Result<Option<Older<'a>>, Box<Problem>> {
    let told = request::parse::<Told<'a>>(app, body);
    let Some(told) = told.ok().filter(|told| told.names("problem_id")) else {
        return Ok(None);
    };
    let submitted = request::parse(app, body)?;
    let mut newer = told.0;
    newer.retain(|name, value| {
        Submit::<()>::FIELDS.contains(&name.as_str()) && value.get() != RawValue::NULL.get()
    });
    Ok(Some(Older { submitted, newer }))
}

/// `None` where `faults` says why.
pub(super) fn new_task(
    app: &App,
    older: &Older<'_>,
    faults: &mut Faults,
) -> Result<Option<NewTask>, Box<Problem>> {
    for (field, detail) in [
        (
            "kind",
            "goes not together with problem_id, which is of kind problem; leave out one of them",
        ),
        (
            "input",
            "goes not together with problem_id, which with its parameters is the input",
        ),
    ] {
        if older.newer.contains_key(field) {
            faults.add(Place::ROOT, field, detail);
        }
    }
    let submitted = &older.submitted;
    let parameters = submitted.parameters.unwrap_or(RawValue::NULL);
    let input = SubmitProblem {
        problem_id: submitted.problem_id.clone(),
        parameters: Some(parameters),
    };
    let input = serde_json::value::to_raw_value(&input).expect("it was read from JSON");
    let max = app.limits().input_max;
    faults.size(Place::ROOT, "parameters", input.get().len(), max);
    if !faults.is_empty() {
        return Ok(None);
    }
    let kind = serde_json::value::to_raw_value(KIND).expect("a text is JSON");
    let mut newer: BTreeMap<&str, &RawValue> = [("kind", &*kind), ("input", &*input)].into();
    for (name, value) in &older.newer {
        newer.insert(name, value);
    }
    let newer = serde_json::to_vec(&newer).expect("it was read from JSON");
    let submit: Submit<&RawValue> = request::parse(app, &newer)?;
    let submit = Submit {
        max_attempts: submit.max_attempts.or(Some(1)),
        ..submit
    };
    let task = new_task::new_task(app, &submit, Place::ROOT, faults);
    Ok(task.map(|task| NewTask {
        origin: Some(Origin::V1),
        ..task
    }))
}
