//! Workers, the runs they get and the runs they still have.

use std::sync::Arc;
use std::time::Duration;

use taskyard_api::payload::Payload;
use taskyard_api::task::Progress;
use taskyard_api::time::Time;
use taskyard_api::worker::{Held, NAMES_MAX, Register, Run, Running, Worker, WorkerStatus};
use taskyard_core::json::Json;
use taskyard_core::labels::Labels;
use taskyard_core::name::Name;
use taskyard_core::query::{AtWork, RunView, WorkerView};
use taskyard_core::rows;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::claim;
use taskyard_core::verbs::heartbeat;
use taskyard_core::worker::Profile;

use super::faults::{Faults, Place};
use super::payload::Source;
use super::task::{count, ms, texts};
use crate::app::App;
use crate::token;

/// Bytes of what a worker says of its progress.
pub(crate) const MESSAGE_LEN_MAX: usize = 1 << 10;
/// Every kind.
pub(crate) const ANY: &str = "*";

pub(crate) struct Registration {
    pub(crate) name: Name,
    pub(crate) profile: Arc<Profile>,
    pub(crate) capacity: i32,
}

/// `None` where `faults` says why.
pub(crate) fn registration(register: &Register, faults: &mut Faults) -> Option<Registration> {
    let name = faults.take(Place::ROOT, "worker_id", Name::plain(&register.worker_id));
    let any = register.kinds.len() == 1 && register.kinds[0] == ANY;
    let kinds = (!any).then(|| names(&register.kinds, "kinds", faults));
    let queues = register.queues.as_deref();
    let queues = queues.map(|queues| names(queues, "queues", faults));
    let labels = faults.labels(Place::ROOT, "labels", Labels::new(&register.labels));
    let capacity = faults.count(Place::ROOT, "capacity", register.capacity.unwrap_or(1));
    Some(Registration {
        name: name?,
        profile: Arc::new(Profile::new(kinds, queues, labels?)),
        capacity,
    })
}

fn names(given: &[String], field: &'static str, faults: &mut Faults) -> Vec<Name> {
    if !(1..=NAMES_MAX).contains(&given.len()) {
        let detail = format!("must hold 1 to {NAMES_MAX} names");
        faults.add(Place::ROOT, field, detail);
    }
    let named = given.iter().take(NAMES_MAX).enumerate();
    named
        .filter_map(|(index, name)| {
            let place = format_args!("{field}/{index}").to_string();
            if name == ANY && field == "kinds" {
                faults.add(Place::ROOT, place, "stands for every kind, and so alone");
                return None;
            }
            faults.take(Place::ROOT, place, Name::path(name))
        })
        .collect()
}

pub(crate) fn status(view: &WorkerView, now: Timestamp) -> WorkerStatus {
    if view.worker.is_offline(now) {
        WorkerStatus::Offline
    } else if view.worker.is_draining {
        WorkerStatus::Draining
    } else if view.held > 0 {
        WorkerStatus::Busy
    } else {
        WorkerStatus::Idle
    }
}

/// `ttl` is how long a worker may be silent.
pub(crate) fn worker(view: &WorkerView, now: Timestamp, ttl: Duration) -> Worker {
    let row = &view.worker;
    let names = |names: &[Name]| names.iter().map(ToString::to_string).collect();
    Worker {
        worker_id: row.name.to_string(),
        number: count(row.number.0),
        epoch: count(row.epoch.0),
        status: status(view, now),
        internal: row.server.is_some(),
        kinds: match &row.profile.kinds {
            Some(kinds) => names(kinds),
            None => vec![ANY.to_owned()],
        },
        queues: row.profile.queues.as_deref().map(names),
        labels: texts(row.profile.labels.iter()),
        capacity: count(row.capacity),
        held: u32::try_from(view.held).unwrap_or(u32::MAX),
        completed: u64::try_from(row.completed).unwrap_or_default(),
        failed: u64::try_from(row.failed).unwrap_or_default(),
        registered_at: row.registered_at.into(),
        // Where it was longer or shorter when the worker was heard last, this is off by as much, until the next sign.
        heard_at: (!row.is_killed).then(|| (row.expires_at - ttl).max(row.registered_at).into()),
        expires_at: row.expires_at.into(),
        running: None,
    }
}

fn running(run: &RunView) -> Running {
    Running {
        task_id: run.task,
        kind: run.kind.to_string(),
        queue: run.queue.to_string(),
        attempt: count(run.attempt),
        status: run.status().into(),
        assigned_at: run.claimed_at.into(),
        started_at: run.started_at.map(Time::from),
        lease_expires_at: run.expires_at.into(),
        progress: run.progress.as_ref().map(super::task::said),
    }
}

/// The same, with what it holds.
pub(crate) fn at_work(at_work: &AtWork, now: Timestamp, ttl: Duration) -> Worker {
    let runs = at_work.runs.iter().map(running);
    Worker {
        running: Some(runs.collect()),
        ..worker(&at_work.view, now, ttl)
    }
}

pub(crate) fn run(run: &claim::Run, incarnation: &[u8; 16]) -> Run<Payload> {
    Run {
        id: run.slot.task,
        kind: run.lane.kind.to_string(),
        queue: run.lane.queue.to_string(),
        input: run.input.clone().unwrap_or_else(Json::null).into(),
        attempt: count(run.attempt),
        lease_token: token::write(&run.token(), incarnation),
        lease_expires_at: run.expires_at.into(),
        timeout_ms: ms(run.timeout),
        exclusive: run.is_exclusive,
        checkpoint: run.checkpoint.clone().map(Payload::from),
    }
}

/// `None` where `faults` says why.
pub(crate) fn held<P: Source>(
    app: &App,
    held: &Held<P>,
    place: Place,
    faults: &mut Faults,
) -> Option<heartbeat::Held> {
    let checkpoint = held.checkpoint.as_ref().map(|checkpoint| {
        let max = app.limits().checkpoint_max;
        faults.size(place, "checkpoint", checkpoint.text().len(), max);
        faults.take(place, "checkpoint", checkpoint.keep(app.limits().depth_max))
    });
    let progress = held.progress.as_ref();
    let progress = progress.map(|progress| self::progress(progress, place, faults));
    Some(heartbeat::Held {
        token: token::read(
            &held.lease_token,
            held.task_id,
            &app.engine().store().incarnation(),
        ),
        running: held.running,
        progress,
        checkpoint: match checkpoint {
            Some(checkpoint) => Some(checkpoint?),
            None => None,
        },
    })
}

fn progress(progress: &Progress, place: Place, faults: &mut Faults) -> rows::Progress {
    if progress
        .fraction
        .is_some_and(|fraction| !(0.0..=1.0).contains(&fraction))
    {
        faults.add(place, "progress/fraction", "must be from 0 to 1");
    }
    let message = progress.message.as_deref();
    let length = message.map_or(0, str::len);
    faults.size(place, "progress/message", length, MESSAGE_LEN_MAX);
    rows::Progress {
        fraction: progress.fraction,
        message: message.map(Arc::from),
    }
}
