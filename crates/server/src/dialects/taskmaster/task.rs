//! A task in this dialect's shapes, and one to be stored.

use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;
use taskyard_api::problem::Problem;
use taskyard_api::request::Request;
use taskyard_api::submit::Submit;
use taskyard_api::time::Time;
use taskyard_core::id::TaskId;
use taskyard_core::policy::{COMMAND, is_command};
use taskyard_core::query::TaskView;
use taskyard_core::rows::Origin;
use taskyard_core::status::Status;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::submit::NewTask;
use utoipa::ToSchema;

use crate::app::App;
use crate::dialects::status::TASKMASTER;
use crate::settings::Commands;
use crate::wire::faults::{Faults, Place};
use crate::wire::new_task::new_task;
use crate::wire::task::{When, error};

/// A body of `POST /api/schedule`.
#[derive(Deserialize, ToSchema)]
pub(crate) struct TaskmasterSchedule {
    /// The command line: a program and its arguments, split into words and nothing else.
    command: String,
    /// When it is to run; a time that has passed means now.
    pub(super) scheduled_at: Time,
}

impl Request for TaskmasterSchedule {
    const LEVELS: usize = 1;
}

impl TaskmasterSchedule {
    /// A task to be stored, which is run once.
    pub(super) fn task(&self, app: &App) -> Result<NewTask, Box<Problem>> {
        let mut faults = Faults::default();
        match shell_words::split(&self.command) {
            Ok(words) if words.first().is_none_or(String::is_empty) => {
                faults.add(Place::ROOT, "command", "must name a program");
            }
            Ok(_) => {}
            Err(why) => {
                let detail = format!("cannot be split into words: {why}");
                faults.add(Place::ROOT, "command", detail);
            }
        }
        let input = serde_json::json!({"command": self.command});
        let input = to_raw_value(&input).expect("a text is JSON");
        faults.size(
            Place::ROOT,
            "command",
            input.get().len(),
            app.limits().input_max,
        );
        faults.check()?;
        let now = app.engine().store().now();
        let run_at = match app.settings().commands {
            Commands::Run => self.scheduled_at.0,
            Commands::Simulated { picked_after } => self.scheduled_at.0.max(now) + picked_after,
        };
        let submit = Submit {
            run_at: Some(run_at.into()),
            max_attempts: Some(1),
            ..Submit::new(COMMAND, &*input)
        };
        let mut faults = Faults::default();
        let task = new_task(app, &submit, Place::ROOT, &mut faults);
        faults.check()?;
        Ok(NewTask {
            origin: Some(Origin::Taskmaster),
            ..task.expect("what is not made has its fault named")
        })
    }
}

/// A task by itself.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskmasterStatus {
    task_id: TaskId,
    command: String,
    status: &'static str,
    scheduled_at: Time,
    picked_at: Option<Time>,
    started_at: Option<Time>,
    completed_at: Option<Time>,
    failed_at: Option<Time>,
    assigned_worker: Option<String>,
    error_message: Option<String>,
}

/// A task in a list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskmasterTask {
    id: TaskId,
    command: String,
    status: &'static str,
    scheduled_at: Time,
    picked_at: Option<Time>,
    started_at: Option<Time>,
    completed_at: Option<Time>,
    failed_at: Option<Time>,
    assigned_worker: Option<String>,
    error_message: Option<String>,
    created_at: Time,
}

impl TaskmasterStatus {
    pub(super) fn new(app: &App, view: &TaskView) -> Self {
        let task = TaskmasterTask::new(app, view);
        Self {
            task_id: task.id,
            command: task.command,
            status: task.status,
            scheduled_at: task.scheduled_at,
            picked_at: task.picked_at,
            started_at: task.started_at,
            completed_at: task.completed_at,
            failed_at: task.failed_at,
            assigned_worker: task.assigned_worker,
            error_message: task.error_message,
        }
    }
}

impl TaskmasterTask {
    pub(super) fn new(app: &App, view: &TaskView) -> Self {
        let (status, when) = (view.status(), When::of(view));
        let is_completed = status == Status::Completed;
        Self {
            id: view.task.id,
            command: command(view),
            status: TASKMASTER.of(status),
            scheduled_at: scheduled_at(app, view).into(),
            picked_at: when.assigned,
            started_at: when.started,
            completed_at: when.ended.filter(|_| is_completed),
            failed_at: when.ended.filter(|_| !is_completed),
            assigned_worker: view.worker.as_ref().map(ToString::to_string),
            error_message: error(view).map(|error| error.message.to_string()),
            created_at: view.task.created_at.into(),
        }
    }

    /// Bytes of what may be long of it.
    pub(super) fn bytes(&self) -> usize {
        let message = self.error_message.as_ref().map_or(0, String::len);
        self.command.len() + message
    }
}

/// What was said, or when it came if that had passed by then: without the time that a simulation adds to it.
fn scheduled_at(app: &App, view: &TaskView) -> Timestamp {
    let run_at = view.run_at();
    match app.settings().commands {
        // One that was due sooner was submitted otherwise, or before anything was simulated.
        Commands::Simulated { picked_after }
            if view.task.origin == Some(Origin::Taskmaster)
                && run_at >= view.task.created_at + picked_after / 2 =>
        {
            run_at - picked_after
        }
        Commands::Simulated { .. } | Commands::Run => run_at,
    }
}

/// The command line of a task, be it one; of any other the word for what it is.
fn command(view: &TaskView) -> String {
    #[derive(Default, Deserialize)]
    struct Input {
        command: Option<String>,
        argv: Option<Vec<String>>,
    }
    let kind = view.lane.kind.as_str();
    let input = view.task.input.here().filter(|_| is_command(kind));
    let input = input.and_then(|input| serde_json::from_str(input.as_str()).ok());
    let Input { command, argv } = input.unwrap_or_default();
    let argv = argv.map(|argv| argv.join(" "));
    command.or(argv).unwrap_or_else(|| kind.to_owned())
}
