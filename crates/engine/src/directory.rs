//! What this server remembers of workers between their calls. All of it can be read from the store again, so those that
//! have not called for a worker's life, after which the store forgets them too, are dropped: there are no more than are
//! not forgotten.

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
    /// When it was last heard of here.
    heard: Moment,
}

impl Known {
    pub fn new(number: WorkerNumber, epoch: Epoch, profile: Arc<Profile>, now: Moment) -> Self {
        Self {
            number,
            epoch,
            profile,
            last_seq: None,
            renewed: None,
            heard: now,
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
pub struct Directory {
    known: HashMap<Name, Known>,
    names: HashMap<WorkerNumber, Name>,
}

impl Directory {
    /// Whether what is known of the worker is true of the process that calls; one that names no epoch is taken for
    /// the one that is known.
    pub fn knows(&self, name: &Name, epoch: Option<Epoch>) -> bool {
        let known = self.known.get(name);
        known.is_some_and(|known| epoch.is_none_or(|epoch| epoch == known.epoch))
    }

    pub fn put(&mut self, name: Name, known: Known) {
        self.forget(&name);
        self.names.insert(known.number, name.clone());
        self.known.insert(name, known);
    }

    /// The name of the worker with this number, if it came by here.
    pub fn name(&self, number: WorkerNumber) -> Option<Name> {
        self.names.get(&number).cloned()
    }

    /// The claim that a worker's call stands for. Refused where it is that of another process than the one known here,
    /// so that nobody is dealt to by another's profile.
    pub fn claim(&mut self, call: &ClaimCall) -> Result<Claim, Refused> {
        let is_its_own = self.knows(&call.worker, call.epoch);
        let known = self
            .known
            .get_mut(&call.worker)
            .ok_or(Refused::NoSuchWorker)?;
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
        if let Some(known) = self.known.remove(name) {
            self.names.remove(&known.number);
        }
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
        let Some(known) = self.known.get_mut(name).filter(|_| is_its_own) else {
            return false;
        };
        known.heard = now;
        let due = known.renewed.is_none_or(|renewed| now >= renewed + every);
        if due {
            known.renewed = Some(now);
        }
        due
    }

    /// A worker says itself that it lives.
    pub fn heard(&mut self, name: &Name, epoch: Option<Epoch>, now: Moment) {
        if self.knows(name, epoch)
            && let Some(known) = self.known.get_mut(name)
        {
            known.heard = now;
        }
    }

    /// What was to renew its row could not be sent.
    pub fn was_not_renewed(&mut self, name: &Name) {
        if let Some(known) = self.known.get_mut(name) {
            known.renewed = None;
        }
    }

    /// Drops those that were last heard of at `before` or earlier; answers how many are left.
    pub fn drop_silent(&mut self, before: Moment) -> usize {
        let Self { known, names } = self;
        known.retain(|_, known| known.heard > before);
        names.retain(|_, name| known.contains_key(name));
        // What thousands took that came all at once goes as well.
        if known.len() < known.capacity() / 4 {
            known.shrink_to_fit();
            names.shrink_to_fit();
        }
        known.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn name(number: i32) -> Name {
        Name::plain(&format!("w{number}")).unwrap()
    }

    /// The n-th registered n seconds after the start.
    fn directory(workers: i32) -> Directory {
        let mut directory = Directory::default();
        for number in 0..workers {
            let at = SECOND * number.unsigned_abs();
            let known = Known::new(WorkerNumber(number), Epoch(1), Arc::default(), at);
            directory.put(name(number), known);
        }
        directory
    }

    #[test]
    fn those_that_were_not_heard_of_for_long_are_dropped_with_what_they_took() {
        let mut directory = directory(1_000);
        assert!(directory.is_sign_of_life_due(&name(7), None, 2_000 * SECOND, SECOND));

        let left = directory.drop_silent(998 * SECOND);

        assert_eq!(left, 2);
        for (number, is_known) in [(6, false), (7, true), (998, false), (999, true)] {
            assert_eq!(directory.knows(&name(number), None), is_known, "{number}");
            let named = directory.name(WorkerNumber(number));
            assert_eq!(named, is_known.then(|| name(number)));
        }
        assert!(directory.known.capacity() < 100);
        assert!(directory.names.capacity() < 100);
    }

    #[test]
    fn a_sign_of_life_that_could_not_be_sent_is_due_again() {
        let (mut directory, worker) = (directory(1), name(0));
        let is_due = |directory: &mut Directory| {
            directory.is_sign_of_life_due(&worker, None, SECOND, 10 * SECOND)
        };
        assert!(is_due(&mut directory));
        assert!(!is_due(&mut directory));

        directory.was_not_renewed(&worker);

        assert!(is_due(&mut directory));
    }
}
