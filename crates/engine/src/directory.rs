//! What this server remembers of workers between their calls. All of it can be read from the store again.

use std::sync::Arc;

use hashbrown::HashMap;
use taskyard_core::id::{Epoch, WorkerNumber};
use taskyard_core::name::Name;
use taskyard_core::verbs::claim::Claim;
use taskyard_core::worker::Profile;

use crate::desk::Moment;
use crate::engine::ClaimCall;

/// A worker as this server knows it.
#[derive(Clone)]
pub struct Known {
    pub number: WorkerNumber,
    pub epoch: Epoch,
    pub profile: Arc<Profile>,
    /// The highest `seq` of its claims that came by here; none since this server knows it.
    last_seq: Option<i64>,
    /// When its row was last renewed from here.
    renewed: Option<Moment>,
}

impl Known {
    pub fn new(number: WorkerNumber, epoch: Epoch, profile: Arc<Profile>) -> Self {
        Self {
            number,
            epoch,
            profile,
            last_seq: None,
            renewed: None,
        }
    }
}

/// The workers that came by here.
#[derive(Default)]
pub struct Directory(HashMap<Name, Known>);

impl Directory {
    pub fn get(&self, name: &Name) -> Option<&Known> {
        self.0.get(name)
    }

    pub fn put(&mut self, name: Name, known: Known) {
        self.0.insert(name, known);
    }

    /// The claim that a worker's call stands for, if the worker is known here.
    pub fn claim(&mut self, call: &ClaimCall) -> Option<Claim> {
        let maybe_again = self.maybe_again(&call.worker, call.seq);
        let known = self.0.get(&call.worker)?;
        Some(Claim {
            worker: call.worker.clone(),
            number: known.number,
            epoch: call.epoch.unwrap_or(known.epoch),
            profile: Arc::clone(&known.profile),
            limit: call.limit,
            begin: call.begin,
            seq: call.seq,
            maybe_again,
        })
    }

    pub fn forget(&mut self, name: &Name) {
        self.0.remove(name);
    }

    /// Whether a claim with this `seq` may have been answered before, here or at another server. Remembers it.
    fn maybe_again(&mut self, name: &Name, seq: i64) -> bool {
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
    pub fn is_sign_of_life_due(&mut self, name: &Name, now: Moment, every: Moment) -> bool {
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
