//! Why a task stands where it stands, in words.

use std::fmt::Display;

use taskyard_api::explain::{Explanation, Reason};
use taskyard_api::time::Time;
use taskyard_core::explain::{BEFORE_MAX, Reason as Why, Surroundings, WORKERS_MAX, explain};
use taskyard_core::query::TaskView;
use taskyard_core::time::Timestamp;

use super::task::error;

pub(crate) fn explanation(around: &Surroundings, now: Timestamp) -> Explanation {
    let view = &around.view;
    let reasons = explain(around, now);
    Explanation {
        task_id: view.task.id,
        status: view.status().into(),
        reasons: reasons.iter().map(|why| reason(why, view)).collect(),
    }
}

fn reason(why: &Why, view: &TaskView) -> Reason {
    Reason {
        code: why.code().to_owned(),
        detail: detail(why, view),
        action: action(why, view),
    }
}

fn detail(why: &Why, view: &TaskView) -> String {
    let (kind, queue) = (&view.lane.kind, &view.lane.queue);
    let worker = view
        .worker
        .as_ref()
        .map_or("a worker", |name| name.as_str());
    match why {
        Why::Ended(status) => {
            let error = error(view).map(|error| format!(": {}, {}", error.code, error.message));
            format!(
                "it has ended as {}{}",
                status.as_str(),
                error.unwrap_or_default()
            )
        }
        Why::WaitsForRunAt(at) => format!("it is to run at {}, not before", time(*at)),
        Why::WaitsForRetry(at) => {
            let (failures, max) = (view.counts().failures, view.task.limits.max_attempts);
            let failed = format!(
                "{failures} of {max} runs failed; the next one is at {}",
                time(*at)
            );
            match error(view) {
                Some(error) => format!("{failed}. The last one: {}, {}", error.code, error.message),
                None => failed,
            }
        }
        Why::WaitsForSnooze(at) => format!("its worker asked to run it again at {}", time(*at)),
        Why::QueuePaused => format!("the queue `{queue}` is paused"),
        Why::NoWorkerForKind { online: 0 } => "no worker is online".to_owned(),
        Why::NoWorkerForKind { online } => {
            let online = up_to(*online, WORKERS_MAX);
            format!("none of {online} workers that are online runs the kind `{kind}`")
        }
        Why::NoWorkerForQueue { workers } => format!(
            "none of {} workers that run the kind `{kind}` serves the queue `{queue}`",
            up_to(*workers, WORKERS_MAX)
        ),
        Why::RequiresUnmet { workers, demands } => {
            let demands = demands
                .iter()
                .map(|(name, value)| format!("{name}: {value}"));
            format!(
                "none of {} workers that run `{kind}` from the queue `{queue}` has the labels it requires ({})",
                up_to(*workers, WORKERS_MAX),
                demands.collect::<Vec<_>>().join(", ")
            )
        }
        Why::WorkersDraining { workers } => {
            format!(
                "all {} workers that could run it drain",
                up_to(*workers, WORKERS_MAX)
            )
        }
        Why::WorkersBusy { workers } => {
            format!(
                "all {} workers that could run it are busy",
                up_to(*workers, WORKERS_MAX)
            )
        }
        Why::WaitsInTurn { before } => format!(
            "{} tasks of the same kind, queue and demands are to be given out before it",
            up_to(*before, BEFORE_MAX)
        ),
        Why::WaitsForClaim { workers } => format!(
            "{} workers could run it and have room: the next one that asks gets it",
            up_to(*workers, WORKERS_MAX)
        ),
        Why::Suspect { lost } => format!(
            "{lost} workers were lost one after the other with it in their hands: it waits for one that holds nothing \
             else, so that it takes no other task along"
        ),
        Why::Assigned => format!("`{worker}` has it and has not said yet that it began"),
        Why::Running => format!("`{worker}` runs it"),
        Why::WorkerSilent(at) => format!(
            "`{worker}` is offline: the task is given to another once the sweep has seen it, at {} at the latest",
            time(*at)
        ),
        Why::ExclusiveLease(at) => format!(
            "`{worker}` is offline, and the task never runs twice at once: it is given to another when its lease ends, \
             at {}",
            time(*at)
        ),
    }
}

/// What would help.
fn action(why: &Why, view: &TaskView) -> Option<String> {
    let (id, kind, queue) = (view.task.id, &view.lane.kind, &view.lane.queue);
    let worker = format!("taskyard worker --kinds {kind}");
    Some(match why {
        Why::Ended(status) if status.as_str() != "completed" => {
            format!("run it again, as a new task: taskyard retry {id}")
        }
        Why::WaitsForRunAt(_) | Why::WaitsForRetry(_) | Why::WaitsForSnooze(_) => {
            format!("to run it now: PATCH /api/v1/tasks/{id} with {{\"delay_ms\": 0}}")
        }
        Why::QueuePaused => format!("taskyard queues resume {queue}"),
        Why::NoWorkerForKind { .. } => match kind.as_str() {
            "command" => {
                "name what a worker or the server may run, with --allow-command".to_owned()
            }
            "http" => {
                "name the hosts that a worker or the server may ask, with --allow-http".to_owned()
            }
            _ => format!("start a worker that runs it: {worker}"),
        },
        Why::NoWorkerForQueue { .. } => {
            format!("start a worker that serves the queue: {worker} --queues {queue}")
        }
        Why::RequiresUnmet { demands, .. } => {
            // Of a comparison its bound, which is the least or the most that fits, or nearly so.
            let bound = |value: &str| value.trim_start_matches(['<', '>', '=']).to_owned();
            let labels = demands
                .iter()
                .map(|(name, value)| format!(" --label {name}={}", bound(value)));
            format!(
                "start a worker with such labels: {worker}{}",
                labels.collect::<String>()
            )
        }
        Why::WorkersDraining { .. } => format!("start another worker: {worker}"),
        Why::WorkersBusy { .. } | Why::WaitsInTurn { .. } => {
            format!(
                "start more workers, or let it go first: PATCH /api/v1/tasks/{id} with a higher priority"
            )
        }
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

fn time(at: Timestamp) -> impl Display {
    Time(at)
}

/// Said of what was not counted to its end.
fn up_to(count: usize, max: usize) -> String {
    if count < max {
        count.to_string()
    } else {
        format!("{max} or more")
    }
}
