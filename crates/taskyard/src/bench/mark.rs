//! What keeps the tasks and workers of one workload to themselves on a server that others use: a label that tasks require
//! and only these workers have. So neither the server's own workers get a task that is being measured, nor do these get one
//! that another workload has left behind.

use bytes::Bytes;
use serde_json::{Value, json};
use taskyard_core::random::Random as _;

use crate::randomness::Unguessable;

const LABEL: &str = "taskyard-bench";
/// About what a task's input usually weighs, in bytes.
const INPUT_BYTES: usize = 200;

/// The label's value; none on a server where nobody else is.
#[derive(Clone)]
pub(super) struct Mark(Option<String>);

impl Mark {
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// One that nothing else has.
    pub(super) fn new() -> Self {
        let random = Unguessable::new().bits();
        Self(Some(format!("run-{random:016x}")))
    }

    /// One `noop` task as it is submitted; `more` says what stands in it besides kind and input.
    pub(super) fn task(&self, more: Value) -> Value {
        let mut task = json!({ "kind": "noop", "input": { "pad": "x".repeat(INPUT_BYTES - 10) } });
        extend(&mut task, more);
        if let Some(mark) = &self.0 {
            task["requires"] = json!({ LABEL: mark });
        }
        task
    }

    pub(super) fn batch(&self, more: impl Iterator<Item = Value>) -> Bytes {
        let tasks = more.map(|more| self.task(more)).collect();
        Value::Array(tasks).to_string().into()
    }

    /// A worker for `noop` as it registers.
    pub(super) fn worker(&self, name: &str, more: Value) -> String {
        let mut worker = json!({ "worker_id": name, "kinds": ["noop"] });
        extend(&mut worker, more);
        if let Some(mark) = &self.0 {
            worker["labels"] = json!({ LABEL: mark });
        }
        worker.to_string()
    }

    /// The same of a worker process, as its flags say it.
    pub(super) fn flags(&self) -> Vec<String> {
        let label = self.0.iter().map(|mark| format!("{LABEL}={mark}"));
        label
            .flat_map(|label| ["--label".to_owned(), label])
            .collect()
    }
}

pub(super) fn extend(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}
