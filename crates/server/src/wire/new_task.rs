//! A task as submitted → one to be stored.

use std::time::Duration;

use serde_json::value::RawValue;
use taskyard_api::change as api;
use taskyard_api::submit::{DEFAULT_QUEUE, Submit};
use taskyard_api::task::Retry;
use taskyard_api::time::Time;
use taskyard_core::id::TaskId;
use taskyard_core::json::Json;
use taskyard_core::labels::{Demands, Labels};
use taskyard_core::lane::LaneKey;
use taskyard_core::name::Name;
use taskyard_core::order::Priority;
use taskyard_core::retry;
use taskyard_core::rows::{Digest, UniqueKey};
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::patch::Patch;
use taskyard_core::verbs::submit::{Begin, NewTask};

use crate::app::App;
use crate::wire::faults::{Faults, Place, WAIT_MS_MAX};

/// What one failure may multiply a wait by.
pub(crate) const FACTOR_MAX: f64 = 1_000.0;

/// `None` where `faults` says why.
pub(crate) fn new_task(
    app: &App,
    submit: &Submit<&RawValue>,
    place: Place,
    faults: &mut Faults,
) -> Option<NewTask> {
    let queue = submit.queue.as_deref().unwrap_or(DEFAULT_QUEUE);
    let kind = faults.take(place, "kind", Name::path(&submit.kind));
    let queue = faults.take(place, "queue", Name::path(queue));
    let demands = faults.labels(place, "requires", Demands::new(&submit.requires));
    let labels = faults.labels(place, "labels", Labels::new(&submit.labels));
    let priority = Priority::new(submit.priority.unwrap_or_default());
    let priority = faults.take(place, "priority", priority);
    let begin = begin(submit.run_at, submit.delay_ms, place, faults).unwrap_or(Begin::Now);
    let mut count =
        |field, value: Option<i64>| value.map(|value| faults.count(place, field, value));
    let max_attempts = count("max_attempts", submit.max_attempts);
    let max_losses = count("max_losses", submit.max_losses);
    let timeout = submit.timeout_ms.map(|ms| {
        let ms = faults.ranged(place, "timeout_ms", ms, 1..=WAIT_MS_MAX);
        millis(ms)
    });
    let retry = submit.retry.as_ref();
    let retry = retry.map(|retry| self::retry(retry, place, faults));
    let unique_key = submit.unique_key.as_deref().map(UniqueKey::read);
    let unique_key = unique_key.map(|key| faults.take(place, "unique_key", key));
    let input = submit.input.get();
    faults.size(place, "input", input.len(), app.limits().input_max);
    if !faults.is_empty() {
        return None;
    }
    Some(NewTask {
        id: submit.id.unwrap_or_else(|| app.engine().new_task()),
        lane: LaneKey {
            queue: queue?,
            kind: kind?,
            demands: demands?,
        },
        priority: priority?,
        begin,
        input: Json::stored(input),
        max_attempts,
        max_losses,
        timeout,
        retry,
        labels: labels?,
        digest: submit.id.is_some().then(|| digest(submit)),
        is_of_any_age: false,
        is_exclusive: submit.exclusive,
        unique_key: unique_key.flatten(),
        retry_of: None,
        origin: None,
    })
}

/// Of what the task says, whichever way it came: alone, in a batch or on a line, its fields in any order.
fn digest(submit: &Submit<&RawValue>) -> Digest {
    let text = serde_json::to_vec(submit).expect("it was read from JSON");
    Digest::of(&text)
}

/// What a change of a task asks for; `None` where `faults` says why.
pub(crate) fn patch(task: TaskId, patch: &api::Patch, faults: &mut Faults) -> Option<Patch> {
    let place = Place::ROOT;
    let priority = patch.priority.map(Priority::new);
    let priority = priority.map(|priority| faults.take(place, "priority", priority));
    let begin = begin(patch.run_at, patch.delay_ms, place, faults);
    faults.is_empty().then_some(Patch {
        task,
        priority: priority.flatten(),
        begin,
    })
}

fn begin(
    run_at: Option<Time>,
    delay_ms: Option<i64>,
    place: Place,
    faults: &mut Faults,
) -> Option<Begin> {
    Some(match (run_at, delay_ms) {
        (None, None) => return None,
        (Some(_), Some(_)) => {
            faults.add(place, "delay_ms", "goes not together with run_at");
            return None;
        }
        (Some(time), None) => {
            if time.0 > Timestamp::MAX {
                faults.add(
                    place,
                    "run_at",
                    format!("must not be after {}", Timestamp::MAX),
                );
            }
            Begin::At(time.0)
        }
        (None, Some(ms)) => {
            let ms = faults.ranged(place, "delay_ms", ms, 0..=WAIT_MS_MAX);
            Begin::After(millis(ms))
        }
    })
}

pub(crate) fn retry(retry: &Retry, place: Place, faults: &mut Faults) -> retry::Retry {
    let mut wait = |field, ms: u64| {
        let ms = i64::try_from(ms).unwrap_or(i64::MAX);
        millis(faults.ranged(place, field, ms, 0..=WAIT_MS_MAX))
    };
    let backoff = wait("retry/backoff_ms", retry.backoff_ms);
    let max = wait("retry/max_ms", retry.max_ms);
    if !(1.0..=FACTOR_MAX).contains(&retry.factor) {
        faults.add(
            place,
            "retry/factor",
            format!("must be from 1 to {FACTOR_MAX}"),
        );
    }
    if !(0.0..=1.0).contains(&retry.jitter) {
        faults.add(place, "retry/jitter", "must be from 0 to 1");
    }
    retry::Retry {
        backoff,
        factor: retry.factor,
        max,
        jitter: retry.jitter,
    }
}

/// A number that was found to be in a range above zero.
pub(crate) fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}
