//! What this server remembers of workers between their calls. All of it can be read from the store again.

use std::sync::Arc;

use hashbrown::HashMap;
use taskyard_core::id::{Epoch, WorkerNumber};
use taskyard_core::name::Name;
use taskyard_core::refused::Refused;
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

    /// Whether a claim with this `seq` may have been answered before, here or at another server. Remembers it.
    fn maybe_again(&mut self, seq: i64) -> bool {
        let is_fresh = seq == 0 || self.last_seq.is_some_and(|last| seq > last);
        if seq != 0 {
            self.last_seq = self.last_seq.max(Some(seq));
        }
        !is_fresh
    }
}

/// The workers that came by here.
#[derive(Default)]
pub struct Directory(HashMap<Name, Known>);

impl Directory {
    /// Whether what is known of the worker is true of the process that calls; one that names no epoch is taken for
    /// the one that is known.
    pub fn knows(&self, name: &Name, epoch: Option<Epoch>) -> bool {
        let known = self.0.get(name);
        known.is_some_and(|known| epoch.is_none_or(|epoch| epoch == known.epoch))
    }

    pub fn put(&mut self, name: Name, known: Known) {
        self.0.insert(name, known);
    }

    /// The claim that a worker's call stands for. Refused where it is that of another process than the one known here,
    /// so that nobody is dealt to by another's profile.
    pub fn claim(&mut self, call: &ClaimCall) -> Result<Claim, Refused> {
        let is_its_own = self.knows(&call.worker, call.epoch);
        let known = self.0.get_mut(&call.worker).ok_or(Refused::NoSuchWorker)?;
        if !is_its_own {
            return Err(Refused::WorkerReplaced);
        }
        let maybe_again = known.maybe_again(call.seq);
        Ok(Claim {
            worker: call.worker.clone(),
            number: known.number,
            epoch: known.epoch,
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

    /// Whether this call of the worker should renew its row: none has for `every`. Not if it is a call of another
    /// process than the one known here, which may have been replaced.
    pub fn is_sign_of_life_due(
        &mut self,
        name: &Name,
        epoch: Option<Epoch>,
        now: Moment,
        every: Moment,
    ) -> bool {
        let is_its_own = self.knows(name, epoch);
        let Some(known) = self.0.get_mut(name).filter(|_| is_its_own) else {
            return false;
        };
        let due = known.renewed.is_none_or(|renewed| now >= renewed + every);
        if due {
            known.renewed = Some(now);
        }
        due
    }
}
