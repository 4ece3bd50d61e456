//! What this server remembers of workers between their calls. All of it can be read from the store again.

use std::sync::Arc;

use hashbrown::HashMap;
use taskyard_core::id::{Epoch, WorkerNumber};
use taskyard_core::name::Name;
use taskyard_core::worker::Profile;

use crate::desk::Moment;

#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) number: WorkerNumber,
    pub(crate) epoch: Epoch,
    pub(crate) profile: Arc<Profile>,
    /// The highest `seq` of its claims that came by here; none since this server knows it.
    last_seq: Option<i64>,
    /// When its row was last renewed from here.
    renewed: Option<Moment>,
}

impl Known {
    pub(crate) fn new(number: WorkerNumber, epoch: Epoch, profile: Arc<Profile>) -> Self {
        Self {
            number,
            epoch,
            profile,
            last_seq: None,
            renewed: None,
        }
    }
}

#[derive(Default)]
pub(crate) struct Directory(HashMap<Name, Known>);

impl Directory {
    pub(crate) fn get(&self, name: &Name) -> Option<&Known> {
        self.0.get(name)
    }

    pub(crate) fn put(&mut self, name: Name, known: Known) {
        self.0.insert(name, known);
    }

    pub(crate) fn forget(&mut self, name: &Name) {
        self.0.remove(name);
    }

    /// Whether a claim with this `seq` may have been answered before, here or at another server. Remembers it.
    pub(crate) fn maybe_again(&mut self, name: &Name, seq: i64) -> bool {
        let Some(known) = self.0.get_mut(name) else {
            return seq != 0;
        };
        let is_fresh = seq == 0 || known.last_seq.is_some_and(|last| seq > last);
        if seq != 0 {
            known.last_seq = known.last_seq.max(Some(seq));
        }
        !is_fresh
    }

    /// Whether this call of the worker should renew its row: none has for `every`.
    pub(crate) fn is_sign_of_life_due(&mut self, name: &Name, now: Moment, every: Moment) -> bool {
        let Some(known) = self.0.get_mut(name) else {
            return false;
        };
        let due = known.renewed.is_none_or(|renewed| now >= renewed + every);
        if due {
            known.renewed = Some(now);
        }
        due
    }
}
