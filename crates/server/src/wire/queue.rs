//! What is set of a queue, on its way in and out.

use std::time::Duration;

use taskyard_api::queue::{Defaults, PatchQueue, Queue, Retention};
use taskyard_api::stats::Counts;
use taskyard_core::counter::Counter;
use taskyard_core::name::Name;
use taskyard_core::query::QueueView;
use taskyard_core::queue;
use taskyard_core::retention;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::set_queue::SetQueue;

use crate::wire::faults::{Faults, Place, WAIT_MS_MAX};
use crate::wire::new_task::{millis, retry};
use crate::wire::task::{count, ms};

/// As it is listed, without its rates.
pub(crate) fn queue(view: &QueueView, now: Timestamp) -> Queue {
    let set = &view.queue;
    Queue {
        name: set.name.to_string(),
        paused: set.is_paused,
        counts: counts(&view.tasks),
        oldest_ms: view.since.map(|since| ms(now.since(since))),
        rates: None,
        defaults: defaults(&set.defaults),
        retention: set.retention.as_ref().map(retention),
    }
}

/// Counts are summed over servers, whose parts may be below zero; the sum never is for long.
pub(crate) fn counts(tasks: &Counter) -> Counts {
    let mut counts = Counts::default();
    for (status, tasks) in tasks.iter() {
        counts.add(status.into(), u64::try_from(tasks).unwrap_or_default());
    }
    counts
}

/// Of no meaning where `faults` says why.
pub(crate) fn change(name: Name, asked: &PatchQueue, faults: &mut Faults) -> SetQueue {
    let place = Place::ROOT;
    let max_attempts = asked
        .max_attempts
        .map(|named| named.map(|value| faults.count(place, "max_attempts", value)));
    let timeout = asked.timeout_ms.map(|named| {
        named.map(|ms| millis(faults.ranged(place, "timeout_ms", ms, 1..=WAIT_MS_MAX)))
    });
    let retry = asked
        .retry
        .as_ref()
        .map(|named| named.as_ref().map(|asked| retry(asked, place, faults)));
    let retention = asked
        .retention
        .map(|named| named.map(|asked| kept(asked, Place::within("/retention"), faults)));
    SetQueue {
        retention,
        paused: None,
        max_attempts,
        timeout,
        retry,
        queue: name,
    }
}

fn kept(asked: Retention, place: Place, faults: &mut Faults) -> retention::Retention {
    let mut life = |field, ms: Option<i64>| {
        ms.map(|ms| millis(faults.ranged(place, field, ms, 0..=WAIT_MS_MAX)))
    };
    retention::Retention {
        completed: life("completed_ms", asked.completed_ms),
        failed: life("failed_ms", asked.failed_ms),
        timeout: life("timeout_ms", asked.timeout_ms),
        cancelled: life("cancelled_ms", asked.cancelled_ms),
    }
}

pub(crate) fn retention(set: &retention::Retention) -> Retention {
    let ms = |life: Option<Duration>| {
        life.map(|life| i64::try_from(life.as_millis()).unwrap_or(i64::MAX))
    };
    Retention {
        completed_ms: ms(set.completed),
        failed_ms: ms(set.failed),
        timeout_ms: ms(set.timeout),
        cancelled_ms: ms(set.cancelled),
    }
}

pub(crate) fn defaults(set: &queue::Defaults) -> Defaults {
    Defaults {
        max_attempts: set.max_attempts.map(count),
        timeout_ms: set.timeout.map(ms),
        retry: set.retry.map(Into::into),
    }
}
