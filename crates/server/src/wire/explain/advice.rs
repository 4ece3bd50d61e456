//! What would help a task that is not running: something to type wherever there is something.

use taskyard_api::explain::Reason;
use taskyard_core::explain::Reason as Why;
use taskyard_core::policy::COMMAND;
use taskyard_core::query::TaskView;
use taskyard_core::store;
use taskyard_engine::pool::PoolStatus;

use crate::app::App;
use crate::health::said_of;

/// What is to be known besides the task and its surroundings.
pub(crate) struct Advice<'a> {
    /// What `taskyard worker` runs.
    built_in: &'a [String],
    /// The workers inside of this server.
    pool: Option<PoolStatus>,
    /// Why nothing can be stored at present.
    trouble: Option<store::Error>,
}

impl<'a> Advice<'a> {
    pub(crate) async fn of(app: &'a App) -> Self {
        let pool = match app.pool() {
            Some(pool) => Some(pool.status().await),
            None => None,
        };
        Self {
            built_in: &app.settings().built_in,
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
                "start the server again before that: with --allow-command and the programs that it may run, with \
                 --simulate, which runs nothing, or with --internal-workers 0 if workers outside of it run commands"
                    .to_owned()
            }
            Why::WaitsForRunAt(_) | Why::WaitsForRetry(_) | Why::WaitsForSnooze(_) => {
                format!("to run it now: taskyard patch {id} --now")
            }
            Why::QueuePaused => format!("taskyard queues resume {queue}"),
            Why::NoWorkerForKind { .. } => self.start_inside(kind).unwrap_or_else(|| match kind {
                COMMAND => {
                    "name what a worker or the server may run, with --allow-command".to_owned()
                }
                "http" => "name the hosts that a worker or the server may ask, with --allow-http"
                    .to_owned(),
                _ => self.start("", kind, ""),
            }),
            Why::NoWorkerForQueue { .. } => self.start_inside(kind).unwrap_or_else(|| {
                let that = format!(" that serves the queue `{queue}`");
                self.start(&that, kind, &format!(" --queues {queue}"))
            }),
            Why::RequiresUnmet { demands, .. } => {
                // Of a comparison its bound, which is the least or the most that fits, or nearly so.
                let bound = |value: &str| value.trim_start_matches(['<', '>', '=']).to_owned();
                let labels = demands
                    .iter()
                    .map(|(name, value)| format!(" --label {name}={}", bound(value)));
                let labels: String = labels.collect();
                let that = format!(
                    " with the labels {}",
                    labels.trim_start().replace("--label ", "")
                );
                self.start(&that, kind, &labels)
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
        if !is_stopped || !pool.kinds.iter().any(|known| known == kind) {
            return None;
        }
        let stopped = match pool.desired {
            1 => "1 internal worker of this server is stopped".to_owned(),
            count => format!("{count} internal workers of this server are stopped"),
        };
        Some(format!("{stopped}: taskyard workers start"))
    }

    /// `that` is what the worker has to be in words, `flags` the same for `taskyard worker`.
    fn start(&self, that: &str, kind: &str, flags: &str) -> String {
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
        format!("start a worker{that}: taskyard worker --kinds {kind}{allow}{flags}")
    }
}
