//! Workers, how many of them there are inside of the server, and how much there is to do.

use axum::extract::{Request, State};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use taskyard_api::problem::Problem;
use taskyard_api::time::Time;
use taskyard_core::id::TaskId;
use taskyard_core::name::Name;
use taskyard_core::query::{LIST_BYTES_MAX, Query};
use taskyard_core::refused::Refused;
use taskyard_core::status::Status;
use taskyard_engine::pool::COUNT_MAX;
use utoipa::ToSchema;

use crate::app::App;
use crate::dialects::LIMIT_MAX;
use crate::dialects::status::TASKMASTER;
use crate::problem::{self, Code};
use crate::request;
use crate::response::{self, Answer, Refusal};
use crate::wire::faults::{Faults, Place};
use crate::wire::task::count;

/// How many runs are looked through for those of the workers that are shown.
const RUNS_MAX: usize = 10_000;

/// A worker.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskmasterWorker {
    /// A small number, and always the same.
    id: u32,
    name: String,
    status: &'static str,
    current_task_id: Option<TaskId>,
    tasks_completed: u64,
    last_active_at: Time,
}

/// Those that there are, by number.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskmasterWorkers {
    workers: Vec<TaskmasterWorker>,
}

/// Tasks by where they stand, and workers.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskmasterStats {
    total_tasks: u64,
    pending_tasks: u64,
    running_tasks: u64,
    completed_tasks: u64,
    failed_tasks: u64,
    workers: Vec<TaskmasterWorker>,
}

/// A body of `POST /api/workers/scale`.
#[derive(Deserialize, ToSchema)]
pub(crate) struct TaskmasterScale {
    /// How many internal workers the server is to have.
    count: i64,
}

impl taskyard_api::request::Request for TaskmasterScale {
    const LEVELS: usize = 1;
}

/// The answer to it.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskmasterScaled {
    count: u16,
    /// Those that are there now; some may be about to leave.
    workers: Vec<String>,
}

/// A body of `POST /api/workers/kill`.
#[derive(Deserialize, ToSchema)]
pub(crate) struct TaskmasterKill {
    /// The worker's, or a container's that ends in it: `myproject-worker-2` means `worker-2`.
    name: String,
}

impl taskyard_api::request::Request for TaskmasterKill {
    const LEVELS: usize = 1;
}

/// The answer to it.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskmasterKilled {
    name: String,
    /// What it held, which runs elsewhere.
    tasks: Vec<TaskId>,
}

/// The words for a worker.
pub(crate) const IDLE: &str = "idle";
pub(crate) const BUSY: &str = "busy";
pub(crate) const OFFLINE: &str = "offline";

/// `GET /api/workers`
pub(crate) async fn list(State(app): State<App>) -> Answer {
    let _turn = app.turn_to_list().await;
    let mut held = app.answers().nothing();
    held.hold(LIST_BYTES_MAX)?;
    let workers = workers(&app).await?;
    response::read(held, &TaskmasterWorkers { workers })
}

/// The first by name, by number.
async fn workers(app: &App) -> Result<Vec<TaskmasterWorker>, Refusal> {
    let wanted = Query::Workers {
        after: None,
        limit: LIMIT_MAX,
    };
    let views = app.engine().read(wanted).await?.workers();
    let held = Query::Holdings {
        worker: None,
        limit: RUNS_MAX,
    };
    let holdings = app.engine().read(held).await?.holdings();
    let mut current = HashMap::new();
    for holding in holdings {
        let (number, _) = holding.by;
        current.entry(number).or_insert(holding.token.slot.task);
    }
    let (now, ttl) = (
        app.engine().store().now(),
        app.engine().policy().heartbeat_ttl,
    );
    let mut workers: Vec<TaskmasterWorker> = views
        .iter()
        .map(|view| {
            let row = &view.worker;
            TaskmasterWorker {
                id: count(row.number.0),
                name: row.name.to_string(),
                status: match (row.is_offline(now), view.held) {
                    (true, _) => OFFLINE,
                    (false, 0) => IDLE,
                    (false, _) => BUSY,
                },
                current_task_id: current.get(&row.number).copied(),
                tasks_completed: u64::try_from(row.completed).unwrap_or_default(),
                // One that was killed ended then.
                last_active_at: if row.is_killed {
                    row.expires_at.into()
                } else {
                    (row.expires_at - ttl).max(row.registered_at).into()
                },
            }
        })
        .collect();
    workers.sort_unstable_by_key(|worker| worker.id);
    Ok(workers)
}

/// `GET /api/stats`
pub(crate) async fn stats(State(app): State<App>) -> Answer {
    let mut held = app.answers().nothing();
    held.hold(LIST_BYTES_MAX)?;
    let (sums, _turn) = app.sums().await?;
    let all = &sums.all;
    // Counts are summed over servers, whose parts may be below zero; the sum never is for long.
    let of = |is_meant: &dyn Fn(&'static str) -> bool| {
        let statuses = Status::ALL.iter().copied();
        let meant = statuses.filter(|status| is_meant(TASKMASTER.of(*status)));
        u64::try_from(meant.map(|status| all[status]).sum::<i64>()).unwrap_or_default()
    };
    let under_way = [TASKMASTER.assigned, TASKMASTER.running];
    let stats = TaskmasterStats {
        total_tasks: of(&|_| true),
        pending_tasks: of(&|word| word == TASKMASTER.waits),
        running_tasks: of(&|word| under_way.contains(&word)),
        completed_tasks: of(&|word| word == TASKMASTER.completed),
        failed_tasks: of(&|word| word == TASKMASTER.failed),
        workers: workers(&app).await?,
    };
    response::read(held, &stats)
}

/// `POST /api/workers/scale`
pub(crate) async fn scale(State(app): State<App>, request: Request) -> Answer {
    let body = request::json(&app, request, app.limits().plain_body()).await?;
    let asked: TaskmasterScale = request::parse(&app, &body)?;
    let mut faults = Faults::default();
    let count = faults.ranged(Place::ROOT, "count", asked.count, 1..=i64::from(COUNT_MAX));
    faults.check()?;
    let pool = app.pool().ok_or_else(without_a_pool)?;
    let status = pool.scale(u16::try_from(count).unwrap_or(COUNT_MAX)).await;
    response::ok(&TaskmasterScaled {
        count: status.desired,
        workers: status
            .workers
            .iter()
            .map(|worker| worker.name.to_string())
            .collect(),
    })
}

/// `POST /api/workers/kill`: it ends at once, and what it held runs elsewhere.
pub(crate) async fn kill(State(app): State<App>, request: Request) -> Answer {
    let body = request::json(&app, request, app.limits().plain_body()).await?;
    let asked: TaskmasterKill = request::parse(&app, &body)?;
    let name = meant(&app, &asked.name).await?;
    let killed = app.kill(name.clone()).await?;
    response::ok(&TaskmasterKilled {
        name: name.to_string(),
        tasks: killed.tasks,
    })
}

/// The worker of this name, or where there is none the one that a container's name ends in.
async fn meant(app: &App, name: &str) -> Result<Name, Refusal> {
    let container = name.rsplit_once("-worker-");
    let inner = container.map(|(_, number)| format!("worker-{number}"));
    for name in [Some(name.to_owned()), inner].into_iter().flatten() {
        let Ok(name) = Name::plain(&name) else {
            continue;
        };
        let row = app
            .engine()
            .read(Query::Worker(name.clone()))
            .await?
            .worker();
        if row.is_some_and(|row| !row.is_forgotten) {
            return Ok(name);
        }
    }
    Err(problem::refused(&Refused::NoSuchWorker).into())
}

fn without_a_pool() -> Box<Problem> {
    problem::new(Code::NotFound, "this server has no internal workers")
}
