//! What would help a task that is not running: something to type wherever there is something.

use taskyard_api::explain::Reason;
use taskyard_core::explain::Reason as Why;
use taskyard_core::policy::COMMAND;
use taskyard_core::query::TaskView;
use taskyard_core::shell::{flag, pair, quoted};
use taskyard_core::store;
use taskyard_engine::pool::{COUNT_MAX, PoolStatus};

use crate::app::App;
use crate::health::said_of;
use crate::settings::{Commands, NotInside};

/// What is to be known besides the task and its surroundings.
pub(crate) struct Advice<'a> {
    /// What `taskyard worker` runs.
    built_in: &'a [String],
    not_inside: &'a NotInside,
    /// Workers inside go through the lives of commands, and a worker outside would run them.
    simulates: bool,
    /// The workers inside of this server.
    pool: Option<PoolStatus>,
    /// Why nothing can be stored at present.
    trouble: Option<store::Error>,
}

/// Said where commands are not to be.
const WOULD_RUN_IT: &str = "a worker outside would run the command";

impl<'a> Advice<'a> {
    pub(crate) async fn of(app: &'a App) -> Self {
        let pool = match app.pool() {
            Some(pool) => Some(pool.status().await),
            None => None,
        };
        let settings = app.settings();
        Self {
            built_in: &settings.built_in,
            not_inside: &settings.not_inside,
            simulates: settings.commands != Commands::Run,
            pool,
            trouble: app.engine().trouble(),
        }
    }

    /// What keeps every task from going on.
    pub(super) fn trouble(&self) -> Option<Reason> {
        let error = self.trouble.as_ref()?;
        let action = match error {
            store::Error::Full => Some("make room there: everything goes on by itself then"),
            store::Error::Failed(_)
            | store::Error::Unreadable(_)
            | store::Error::Damaged(_)
            | store::Error::Unavailable(_)
            | store::Error::Unknown(_)
            | store::Error::Conflict => None,
        };
        Some(Reason {
            code: "database_trouble".to_owned(),
            detail: format!("{}, so nothing can be stored", said_of(error)),
            action: action.map(str::to_owned),
        })
    }

    pub(super) fn on(&self, why: &Why, view: &TaskView) -> Option<String> {
        let (id, kind, queue) = (view.task.id, view.lane.kind.as_str(), &view.lane.queue);
        Some(match why {
            Why::Ended(status) if status.as_str() != "completed" => {
                format!("run it again, as a new task: taskyard retry {id}")
            }
            Why::CommandNotAllowed(_) => {
                let named = if self.is_left_out(COMMAND) {
                    " (both with `command` among --internal-kinds)"
                } else {
                    ""
                };
                format!(
                    "start the server again before that: with --allow-command and the programs that it may run, or with \
                     --simulate, which runs nothing{named}; or with --internal-workers 0 if workers outside of it run \
                     commands"
                )
            }
            Why::WaitsForRunAt(_) | Why::WaitsForRetry(_) | Why::WaitsForSnooze(_) => {
                format!("to run it now: taskyard patch {id} --now")
            }
            Why::QueuePaused if queue.as_str().starts_with('-') => {
                format!("taskyard queues resume -- {}", quoted(queue.as_str()))
            }
            Why::QueuePaused => format!("taskyard queues resume {}", quoted(queue.as_str())),
            Why::NoWorkerForKind { .. } => self.start_inside(kind).unwrap_or_else(|| {
                let begin = self.start("", kind, "");
                let change = self.change_inside(kind);
                match change.filter(|_| !self.is_simulated(kind)) {
                    Some(change) => format!("{begin}; or {change}"),
                    None => begin,
                }
            }),
            Why::NoWorkerForQueue { .. } => self.start_inside(kind).unwrap_or_else(|| {
                let that = format!(" that serves the queue `{queue}`");
                let queues = flag("--queues", queue.as_str());
                self.start(&that, kind, &format!(" {queues}"))
            }),
            Why::RequiresUnmet { .. } if self.is_simulated(kind) => format!(
                "submit it again without `requires`, and cancel this one (taskyard cancel {id}): workers inside have no \
                 labels, and {WOULD_RUN_IT}"
            ),
            Why::RequiresUnmet { demands, .. } => {
                // With commas between there may be several behind one `--label`.
                let value = |value: String| value.replace(',', r"\,");
                let labels: Vec<(&str, String)> = demands
                    .met_by()
                    .map(|(name, met)| (name.as_str(), value(met)))
                    .collect();
                let words = labels.iter().map(|(name, value)| pair(name, value));
                let words = words.collect::<Vec<_>>().join(" ");
                let flags = labels
                    .iter()
                    .map(|(name, value)| match name.starts_with('-') {
                        true => format!(" --label={}", pair(name, value)),
                        false => format!(" --label {}", pair(name, value)),
                    });
                let flags: String = flags.collect();
                self.start(&format!(" with the labels {words}"), kind, &flags)
            }
            Why::WorkersDraining { .. } => self
                .start_inside(kind)
                .unwrap_or_else(|| self.start(" besides", kind, "")),
            Why::WorkersBusy { .. } | Why::WaitsInTurn { .. } => format!(
                "{}; or let it go first: taskyard patch {id} --priority 100",
                self.start_inside(kind)
                    .unwrap_or_else(|| self.start(" besides", kind, ""))
            ),
            Why::Suspect { .. } => {
                format!("see what its runs came to: taskyard show {id}")
            }
            Why::WaitsForClaim { .. } => {
                "if it stays so, see whether these workers still ask: taskyard workers".to_owned()
            }
            Why::Ended(_)
            | Why::Assigned
            | Why::Running
            | Why::WorkerSilent(_)
            | Why::ExclusiveLease(_) => {
                return None;
            }
        })
    }

    /// Where workers inside would run it that somebody has stopped.
    fn start_inside(&self, kind: &str) -> Option<String> {
        let pool = self.pool.as_ref()?;
        let is_stopped = pool.running == 0 && pool.desired > 0;
        if !is_stopped || !self.runs_inside(kind) {
            return None;
        }
        let stopped = match pool.desired {
            1 => "1 internal worker of this server is stopped".to_owned(),
            count => format!("{count} internal workers of this server are stopped"),
        };
        Some(format!("{stopped}: taskyard workers start"))
    }

    /// What would have workers inside run it that are not there, or do not.
    fn change_inside(&self, kind: &str) -> Option<String> {
        let pool = self.pool.as_ref()?;
        if self.runs_inside(kind) {
            let more =
                "have this server run it, which has no internal workers: taskyard workers scale 1";
            return (pool.desired == 0).then(|| more.to_owned());
        }
        let mut flags = Vec::new();
        let mut not_allowed = self.not_inside.not_allowed.iter();
        if let Some((_, flag)) = not_allowed.find(|(known, _)| *known == kind) {
            flags.push((*flag).to_owned());
        }
        if self.is_left_out(kind) {
            flags.push(format!("`{kind}` among --internal-kinds"));
        }
        if pool.desired == 0 && !flags.is_empty() {
            flags.push("--internal-workers 1".to_owned());
        }
        (!flags.is_empty()).then(|| format!("start this server again with {}", flags.join(" and ")))
    }

    /// More workers inside, which serve every queue: where nothing is to be run, none outside.
    fn have_more_inside(&self, kind: &str) -> String {
        if let Some(change) = self.change_inside(kind) {
            return change;
        }
        match &self.pool {
            Some(pool) if pool.desired < COUNT_MAX => {
                format!("taskyard workers scale {}", pool.desired + 1)
            }
            Some(_) => format!(
                "wait for its {COUNT_MAX} internal workers, which are as many as a server can have: {WOULD_RUN_IT}"
            ),
            None => format!("have workers inside of a server: {WOULD_RUN_IT}"),
        }
    }

    /// Workers inside run it, or would if there were any.
    fn runs_inside(&self, kind: &str) -> bool {
        let mut kinds = self.pool.iter().flat_map(|pool| &pool.kinds);
        kinds.any(|known| known == kind)
    }

    fn is_left_out(&self, kind: &str) -> bool {
        self.not_inside.left_out.iter().any(|known| known == kind)
    }

    fn is_simulated(&self, kind: &str) -> bool {
        self.simulates && kind == COMMAND
    }

    /// `that` is what the worker has to be in words, `flags` the same for `taskyard worker`.
    fn start(&self, that: &str, kind: &str, flags: &str) -> String {
        if self.is_simulated(kind) {
            return self.have_more_inside(kind);
        }
        let allow = match kind {
            COMMAND => " --allow-command PROGRAM",
            "http" => " --allow-http HOST",
            _ if self.built_in.iter().any(|known| known == kind) => "",
            _ => {
                return format!(
                    "start your own worker for `{kind}`{that}, since `taskyard worker` does not run this kind: \
                     docs/workers.md and examples/ show how"
                );
            }
        };
        format!(
            "start a worker{that}: taskyard worker --kinds {}{allow}{flags}",
            quoted(kind)
        )
    }
}
