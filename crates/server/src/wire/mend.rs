//! Answers that show what the database holds, where that is no JSON any more: null stands in its place, and the answer says
//! where. Nobody looks for it beforehand; it is asked of an answer that could not be written.

use taskyard_api::attempt::Attempts;
use taskyard_api::page::TaskPage;
use taskyard_api::payload::Payload;
use taskyard_api::task::{Task, TaskError};
use taskyard_core::json::Json;

pub(crate) trait Mend {
    /// Puts null in the place of each payload that is no JSON, and names the place. How many there were.
    fn mend(&mut self) -> usize;
}

impl Mend for Task<Payload> {
    fn mend(&mut self) -> usize {
        let mut damaged = Damaged::default();
        damaged.look("/input", self.input.as_mut());
        damaged.look("/output", self.output.as_mut());
        damaged.look("/parameters", self.parameters.as_mut());
        damaged.look_into("/error", self.error.as_mut());
        damaged.named_in(&mut self.unreadable)
    }
}

impl Mend for TaskPage<Payload> {
    fn mend(&mut self) -> usize {
        self.items.mend()
    }
}

impl<T: Mend> Mend for Vec<T> {
    fn mend(&mut self) -> usize {
        self.iter_mut().map(Mend::mend).sum()
    }
}

impl Mend for Attempts<Payload> {
    fn mend(&mut self) -> usize {
        let mut damaged = Damaged::default();
        for (index, attempt) in self.items.iter_mut().enumerate() {
            let place = format!("/items/{index}/error");
            damaged.look_into(&place, attempt.error.as_mut());
        }
        for (index, late) in self.late_results.iter_mut().enumerate() {
            let place = format!("/late_results/{index}");
            damaged.look(&format!("{place}/output"), late.output.as_mut());
            damaged.look_into(&format!("{place}/error"), late.error.as_mut());
        }
        damaged.named_in(&mut self.unreadable)
    }
}

/// The places in one answer that were mended.
#[derive(Default)]
pub(crate) struct Damaged(Vec<String>);

impl Damaged {
    pub(crate) fn look(&mut self, place: &str, payload: Option<&mut Payload>) {
        if let Some(payload) = payload.filter(|payload| !payload.0.is_whole()) {
            *payload = Json::null().into();
            self.0.push(place.to_owned());
        }
    }

    fn look_into(&mut self, place: &str, error: Option<&mut TaskError<Payload>>) {
        let detail = error.and_then(|error| error.detail.as_mut());
        self.look(&format!("{place}/detail"), detail);
    }

    pub(crate) fn named_in(self, unreadable: &mut Vec<String>) -> usize {
        let damaged = self.0.len();
        unreadable.extend(self.0);
        damaged
    }
}
