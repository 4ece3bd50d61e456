//! Why a task stands where it stands, in words.

use std::fmt::Display;
use std::time::Duration;

use taskyard_api::explain::{Explanation, Reason};
use taskyard_api::time::Time;
use taskyard_core::explain::{BEFORE_MAX, Reason as Why, Surroundings, WORKERS_MAX, explain};
use taskyard_core::policy::Policy;
use taskyard_core::query::Standing;
use taskyard_core::rows::Worker;
use taskyard_core::time::Timestamp;

use self::advice::Advice;
use super::task::error;

pub(crate) mod advice;

pub(crate) fn explanation(
    around: &Surroundings,
    now: Timestamp,
    policy: &Policy,
    advice: &Advice<'_>,
) -> Explanation {
    let view = &around.view;
    let seen = Seen {
        around,
        now,
        policy,
    };
    let reasons = explain(around, now, policy);
    let reasons = reasons.iter().map(|why| Reason {
        code: why.code().to_owned(),
        detail: seen.detail(why),
        action: advice.on(why, view),
    });
    let has_ended = matches!(view.standing, Standing::Ended(_));
    let trouble = advice.trouble().filter(|_| !has_ended);
    Explanation {
        task_id: view.task.id,
        status: view.status().into(),
        reasons: trouble.into_iter().chain(reasons).collect(),
    }
}

/// A task and what is around it, at one moment.
struct Seen<'a> {
    around: &'a Surroundings,
    now: Timestamp,
    policy: &'a Policy,
}

impl Seen<'_> {
    fn detail(&self, why: &Why) -> String {
        let view = &self.around.view;
        let (kind, queue) = (&view.lane.kind, &view.lane.queue);
        let worker = view
            .worker
            .as_ref()
            .map_or("a worker", |name| name.as_str());
        match why {
            Why::Ended(status) => {
                let error = error(view).map(|error| format!(": {}, {}", error.code, error.message));
                format!("it {}{}", status.as_end(), error.unwrap_or_default())
            }
            Why::CommandNotAllowed(at) => format!(
                "this server runs no commands of `/api/schedule`: it fails when its time comes, at {}",
                time(*at)
            ),
            Why::WaitsForRunAt(at) => format!("it is to run at {}, not before", time(*at)),
            Why::WaitsForRetry(at) => {
                let (failures, max) = (view.counts().failures, view.task.limits.max_attempts);
                let failed = format!(
                    "{failures} of {max} runs failed; the next one is at {}",
                    time(*at)
                );
                match error(view) {
                    Some(error) => {
                        format!("{failed}. The last one: {}, {}", error.code, error.message)
                    }
                    None => failed,
                }
            }
            Why::WaitsForSnooze(at) => format!("its worker asked to run it again at {}", time(*at)),
            Why::QueuePaused => format!("the queue `{queue}` is paused"),
            Why::NoWorkerForKind { online: 0, .. } => "no worker is online".to_owned(),
            Why::NoWorkerForKind { online, by_name } => {
                let asks = match online {
                    1 => format!("the only worker that is online does not run the kind `{kind}`"),
                    _ => format!(
                        "none of the {} workers that are online runs the kind `{kind}`",
                        up_to(*online, WORKERS_MAX)
                    ),
                };
                let named = match by_name {
                    0 => "",
                    1 if *online == 1 => ", and takes only tasks that it names",
                    1 => "; 1 of them takes only tasks that it names",
                    _ => &format!(
                        "; {} of them take only tasks that they name",
                        up_to(*by_name, WORKERS_MAX)
                    ),
                };
                format!("{asks}{named}")
            }
            Why::NoWorkerForQueue { workers: 1 } => format!(
                "the only worker that runs the kind `{kind}` does not serve the queue `{queue}`"
            ),
            Why::NoWorkerForQueue { workers } => format!(
                "none of the {} workers that run the kind `{kind}` serves the queue `{queue}`",
                up_to(*workers, WORKERS_MAX)
            ),
            Why::RequiresUnmet { workers, demands } => {
                let demands = demands
                    .iter()
                    .map(|(name, value)| format!("{name}: {value}"));
                let demands = demands.collect::<Vec<_>>().join(", ");
                match workers {
                    1 => format!(
                        "the only worker that runs `{kind}` from the queue `{queue}` has not the labels that the task \
                         requires ({demands})"
                    ),
                    _ => format!(
                        "none of the {} workers that run `{kind}` from the queue `{queue}` has the labels that the task \
                         requires ({demands})",
                        up_to(*workers, WORKERS_MAX)
                    ),
                }
            }
            Why::WorkersDraining { workers: 1 } => {
                "the only worker that could run it drains".to_owned()
            }
            Why::WorkersDraining { workers } => format!(
                "all {} workers that could run it drain",
                up_to(*workers, WORKERS_MAX)
            ),
            Why::WorkersBusy { workers: 1 } => {
                "the only worker that could run it is busy".to_owned()
            }
            Why::WorkersBusy { workers } => format!(
                "all {} workers that could run it are busy",
                up_to(*workers, WORKERS_MAX)
            ),
            Why::WaitsInTurn { before: 1 } => {
                "1 task of the same queue, kind and `requires` is to be given out before it"
                    .to_owned()
            }
            Why::WaitsInTurn { before } => format!(
                "{} tasks of the same queue, kind and `requires` are to be given out before it",
                up_to(*before, BEFORE_MAX)
            ),
            Why::WaitsForClaim { workers: 1 } => {
                "1 worker could run it and has room: it gets it when it asks".to_owned()
            }
            Why::WaitsForClaim { workers } => format!(
                "{} workers could run it and have room: the next one that asks gets it",
                up_to(*workers, WORKERS_MAX)
            ),
            Why::Suspect { lost } => format!(
                "{lost} workers were lost one after the other with it in their hands: it waits for one that holds nothing \
                 else, so that it takes no other task along"
            ),
            Why::Assigned => format!(
                "`{worker}` has it and has not said yet that it began{}",
                self.worry()
            ),
            Why::Running => format!("`{worker}` runs it{}", self.worry()),
            Why::WorkerSilent(at) => format!(
                "`{worker}` is offline{}: the task is given to another once the sweep has seen it, at {} at the latest",
                self.heard(),
                time(*at)
            ),
            Why::ExclusiveLease(at) => format!(
                "`{worker}` is offline{}, and the task never runs twice at once: it is given to another when its lease ends, \
                 at {}",
                self.heard(),
                time(*at)
            ),
        }
    }

    /// Said of a worker that should have been heard by now, and was not.
    fn worry(&self) -> String {
        let Some((worker, silent)) = self.silence() else {
            return String::new();
        };
        // As much may pass between two signs of life that are written down.
        let usual = self.policy.heartbeat + self.policy.sign_of_life_every();
        if silent <= usual || worker.is_offline(self.now) {
            return String::new();
        }
        format!(
            "; it was last heard {} s ago, and is given up at {} if it stays silent",
            silent.as_secs(),
            time(worker.expires_at)
        )
    }

    fn heard(&self) -> String {
        let silence = self.silence();
        let heard = silence.map(|(_, silent)| format!(", last heard {} s ago", silent.as_secs()));
        heard.unwrap_or_default()
    }

    /// Who holds it, and how long it was not heard. Of one that was killed nobody knows.
    fn silence(&self) -> Option<(&Worker, Duration)> {
        let worker = self.around.holder.as_ref().filter(|row| !row.is_killed)?;
        let heard = worker.expires_at - self.policy.heartbeat_ttl;
        Some((worker, self.now.since(heard)))
    }
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
