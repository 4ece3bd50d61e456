//! A task in this dialect's shape, and one to be stored.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use taskyard_api::payload::Payload;
use taskyard_api::problem::Problem;
use taskyard_api::submit::Submit;
use taskyard_api::time::Time;
use taskyard_core::id::TaskId;
use taskyard_core::json::Json;
use taskyard_core::query::TaskView;
use taskyard_core::rows::Origin;
use taskyard_core::verbs::submit::NewTask;
use utoipa::ToSchema;

use crate::app::App;
use crate::dialects::status::SIMPLE;
use crate::wire::faults::{Faults, Place};
use crate::wire::mend::{Damaged, Mend};
use crate::wire::new_task::new_task;
use crate::wire::task::{When, output};

/// What a task is whose submitter names no kind: workers inside of a server run it, and give back what it holds.
pub(crate) const KIND: &str = "simple";

/// A body of `POST /tasks`, for its description.
#[derive(Deserialize, ToSchema)]
pub(crate) struct SimpleSubmit<P> {
    /// What the task is about; any JSON, null included, of up to `--input-max` (1 MiB) and `--depth-max` (64) levels.
    #[expect(
        dead_code,
        reason = "it is described, and read together with what other dialects send"
    )]
    data: P,
    /// Which workers run it. Default `simple`, which internal workers do.
    #[expect(dead_code, reason = "the same")]
    kind: Option<String>,
}

/// A task.
#[derive(Serialize, ToSchema)]
pub(crate) struct SimpleTask {
    id: TaskId,
    /// What it was submitted with.
    data: Payload,
    status: &'static str,
    /// What it was completed with; null until then.
    result: Payload,
    /// The worker that has it, or that ended it.
    worker_id: Option<String>,
    created_at: Time,
    started_at: Option<Time>,
    /// When it ended, well or not.
    completed_at: Option<Time>,
    /// Where null stands for what a damaged database no longer holds as JSON: `/data`, `/result`. Left out where there are
    /// none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<String>,
}

impl Mend for SimpleTask {
    fn mend(&mut self) -> usize {
        let mut damaged = Damaged::default();
        damaged.look("/data", Some(&mut self.data));
        damaged.look("/result", Some(&mut self.result));
        damaged.named_in(&mut self.unreadable)
    }
}

impl SimpleTask {
    pub(crate) fn new(view: &TaskView) -> Self {
        let when = When::of(view);
        Self {
            status: SIMPLE.of(view.status()),
            result: output(view).into(),
            worker_id: view.worker.as_ref().map(ToString::to_string),
            started_at: when.started,
            completed_at: when.ended,
            ..Self::as_submitted(view)
        }
    }

    /// As it was before anybody took it, which may have happened meanwhile.
    pub(crate) fn as_submitted(view: &TaskView) -> Self {
        let data = view.task.input.here();
        Self {
            id: view.task.id,
            data: data.cloned().unwrap_or_else(Json::null).into(),
            status: SIMPLE.waits,
            result: Json::null().into(),
            worker_id: None,
            created_at: view.task.created_at.into(),
            started_at: None,
            completed_at: None,
            unreadable: Vec::new(),
        }
    }
}

/// A task to be stored, which is run once.
pub(crate) fn new(app: &App, data: &RawValue, kind: Option<&str>) -> Result<NewTask, Box<Problem>> {
    let mut faults = Faults::default();
    faults.size(
        Place::ROOT,
        "data",
        data.get().len(),
        app.limits().input_max,
    );
    if faults.is_empty() {
        let submit = Submit {
            max_attempts: Some(1),
            ..Submit::new(kind.unwrap_or(KIND), data)
        };
        if let Some(task) = new_task(app, &submit, Place::ROOT, &mut faults) {
            return Ok(NewTask {
                origin: Some(Origin::Simple),
                ..task
            });
        }
    }
    faults.check()?;
    unreachable!("what is not made has its fault named")
}
