//! What is set of a queue, on its way in and out.

use taskyard_api::queue::{Defaults, PatchQueue};
use taskyard_core::name::Name;
use taskyard_core::queue;
use taskyard_core::verbs::set_queue::SetQueue;

use crate::wire::faults::{Faults, Place, WAIT_MS_MAX};
use crate::wire::new_task::{millis, retry};
use crate::wire::task::{count, ms};

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
    SetQueue {
        paused: None,
        max_attempts,
        timeout,
        retry,
        queue: name,
    }
}

pub(crate) fn defaults(set: &queue::Defaults) -> Defaults {
    Defaults {
        max_attempts: set.max_attempts.map(count),
        timeout_ms: set.timeout.map(ms),
        retry: set.retry.map(Into::into),
    }
}
