//! What this server remembers of workers between their calls. All of it can be read from the store again, so those that
//! have not called for a worker's life, after which the store forgets them too, are dropped: there are no more than are
//! not forgotten.

mod repeated;

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use taskyard_core::id::{Epoch, WorkerNumber};
use taskyard_core::name::Name;
use taskyard_core::refused::Refused;
use taskyard_core::verbs::claim::Claim;
use taskyard_core::verbs::heartbeat::Heartbeat;
use taskyard_core::worker::Profile;

use self::repeated::Repeated;
use crate::desk::Moment;
use crate::engine::ClaimCall;
use crate::room::{OwnPlace, Place, Room};

/// Of so many that fell silent it is told that they are back.
const MISSED_MAX: usize = 1_000;

/// A worker as this server knows it.
#[derive(Clone)]
pub struct Known {
    pub number: WorkerNumber,
    pub epoch: Epoch,
    pub profile: Arc<Profile>,
    /// It runs in a server's process.
    is_internal: bool,
    /// The highest `seq` of its claims that came by here.
    last_seq: i64,
    /// No claim with a higher one was answered before this server knew the worker. It may have been: those that were
    /// answered come again in any order.
    is_last_seq_known: bool,
    /// Which of its claims may have been sent again.
    repeated: Repeated,
    /// When its last sign of life was sent from here.
    renewed: Option<Moment>,
    sign_of_life: OwnPlace,
    renewal: OwnPlace,
    /// When it was last heard of here.
    heard: Moment,
}

impl Known {
    pub fn new(
        number: WorkerNumber,
        epoch: Epoch,
        profile: Arc<Profile>,
        is_internal: bool,
        now: Moment,
    ) -> Self {
        Self {
            number,
            epoch,
            profile,
            is_internal,
            last_seq: 0,
            is_last_seq_known: false,
            repeated: Repeated::default(),
            renewed: None,
            sign_of_life: OwnPlace::default(),
            renewal: OwnPlace::default(),
            heard: now,
        }
    }

    /// Whether a claim with this `seq` may have been answered before, here or at another server. Remembers it.
    fn maybe_again(&mut self, seq: i64) -> bool {
        let is_fresh = seq == 0 || (self.is_last_seq_known && seq > self.last_seq);
        self.last_seq = self.last_seq.max(seq);
        !is_fresh
    }

    fn claim(&self, call: &ClaimCall, maybe_again: bool) -> Claim {
        Claim {
            worker: call.worker.clone(),
            number: self.number,
            epoch: self.epoch,
            profile: Arc::clone(&self.profile),
            limit: call.limit,
            begin: call.begin,
            seq: call.seq,
            maybe_again,
            task: call.task.clone(),
        }
    }
}

/// One arrival of a claim, which may be sent several times.
#[derive(Clone, Debug)]
pub struct Sending {
    worker: Name,
    epoch: Epoch,
    seq: i64,
    /// Rises with each claim that arrives here, whoever sent it.
    number: u64,
}

fn brings_news(heartbeat: &Heartbeat) -> bool {
    let mut held = heartbeat.held.iter();
    held.any(|held| held.progress.is_some() || held.checkpoint.is_some())
}

fn leave_out_news(heartbeat: &mut Heartbeat) {
    for held in &mut heartbeat.held {
        (held.progress, held.checkpoint) = (None, None);
    }
}

/// The workers that came by here.
#[derive(Default)]
pub struct Directory {
    known: HashMap<Name, Known>,
    names: HashMap<WorkerNumber, Name>,
    sendings: u64,
    /// Whose runs were taken away for their silence, and who was not heard since; at most so many as are worth a line.
    missed: HashSet<Name>,
}

impl Directory {
    /// That this worker is back is worth a line in the log.
    pub fn miss(&mut self, name: Name) {
        if self.missed.len() < MISSED_MAX {
            self.missed.insert(name);
        }
    }

    /// Whether what is known of the worker is true of the process that calls; one that names no epoch is taken for
    /// the one that is known.
    pub fn knows(&self, name: &Name, epoch: Option<Epoch>) -> bool {
        let known = self.known.get(name);
        known.is_some_and(|known| epoch.is_none_or(|epoch| epoch == known.epoch))
    }

    /// Whether this process of the worker runs in a server's.
    pub fn is_internal(&self, name: &Name, epoch: Option<Epoch>) -> bool {
        self.knows(name, epoch) && self.known.get(name).is_some_and(|known| known.is_internal)
    }

    pub fn put(&mut self, name: Name, mut known: Known) {
        if let Some(before) = self.known.get_mut(&name) {
            if (before.number, before.epoch) == (known.number, known.epoch) {
                // The process that was known: what it has sent stays remembered.
                before.heard = known.heard;
                return;
            }
            // What waits there is this worker's still.
            known.sign_of_life = before.sign_of_life.clone();
            known.renewal = before.renewal.clone();
        }
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
    pub fn claim(&mut self, call: &ClaimCall) -> Result<(Claim, Sending), Refused> {
        let is_its_own = self.knows(&call.worker, call.epoch);
        let known = self
            .known
            .get_mut(&call.worker)
            .ok_or(Refused::NoSuchWorker)?;
        if !is_its_own {
            return Err(Refused::WorkerReplaced);
        }
        self.sendings += 1;
        let is_said = call.again && call.seq != 0;
        let maybe_again = known.maybe_again(call.seq) || is_said;
        if maybe_again {
            known.repeated.note(call.seq, self.sendings);
        }
        let sending = Sending {
            worker: call.worker.clone(),
            epoch: known.epoch,
            seq: call.seq,
            number: self.sendings,
        };
        Ok((known.claim(call, maybe_again), sending))
    }

    /// The same for this sending of it, which has been dealt to before. None where the worker has repeated it since,
    /// as in [`Directory::may_give_back`].
    pub fn claim_again(
        &self,
        call: &ClaimCall,
        sending: &Sending,
    ) -> Result<Option<Claim>, Refused> {
        let known = self.known.get(&call.worker);
        let known = known.filter(|known| known.epoch == sending.epoch);
        let known = known.ok_or(Refused::WorkerReplaced)?;
        let is_repeated = known.repeated.is_behind(sending.seq, sending.number);
        Ok((!is_repeated).then(|| known.claim(call, call.seq != 0)))
    }

    /// A claim was answered, and its worker's leases were looked at: these are of claims up to this `seq`.
    pub fn answered(&mut self, sending: &Sending, seq_before: i64) {
        let known = self.known.get_mut(&sending.worker);
        if let Some(known) = known.filter(|known| known.epoch == sending.epoch) {
            known.last_seq = known.last_seq.max(seq_before);
            known.is_last_seq_known = true;
        }
    }

    /// Whether what this sending was dealt first, and nobody heard of, is for it to give back. Not if the worker has repeated
    /// that claim since: the repetition may be answered with the same runs, and they begin then.
    pub fn may_give_back(&self, sending: &Sending) -> bool {
        let known = self.known.get(&sending.worker);
        let known = known.filter(|known| known.epoch == sending.epoch);
        known.is_none_or(|known| !known.repeated.is_behind(sending.seq, sending.number))
    }

    /// Knows nobody any more. Sendings are counted on.
    pub fn clear(&mut self) {
        self.known.clear();
        self.names.clear();
        self.missed.clear();
    }

    pub fn forget(&mut self, name: &Name) {
        if let Some(known) = self.known.remove(name) {
            self.names.remove(&known.number);
        }
    }

    /// A place for the sign of life that this call of the worker is, if it is to be sent: none was for `every`, and none
    /// waits. Not if it is a call of another process than the one known here, which may have been replaced.
    pub fn sign_of_life(
        &mut self,
        name: &Name,
        epoch: Option<Epoch>,
        (now, every): (Moment, Moment),
        room: &Arc<Room>,
    ) -> Option<Place> {
        let known = self.heard(name, epoch, now)?;
        let is_due = known.renewed.is_none_or(|renewed| now >= renewed + every);
        let place = is_due.then(|| room.place_for_sign_of_life(&known.sign_of_life))??;
        known.renewed = Some(now);
        Some(place)
    }

    /// Where a worker's own word that it lives waits, and whether it does so whole: where there is no room for its news,
    /// they are left out of it, so that its runs go on.
    pub fn heartbeat(
        &mut self,
        heartbeat: &mut Heartbeat,
        now: Moment,
        room: &Arc<Room>,
    ) -> Option<(Place, bool)> {
        let mut known = self.heard(&heartbeat.worker, heartbeat.epoch, now);
        if let Some(known) = known.as_mut().filter(|_| heartbeat.leaves) {
            // Whatever it calls after all brings it back.
            known.renewed = None;
        }
        let renewal = known.map(|known| &known.renewal);
        let is_whole = !brings_news(heartbeat);
        if !is_whole {
            if let Some(place) = room.place_for_heartbeat(heartbeat) {
                return Some((place, true));
            }
            leave_out_news(heartbeat);
        }
        let own = renewal.and_then(|own| room.place_for_renewal(heartbeat, own));
        let place = own.or_else(|| room.place_for_heartbeat(heartbeat))?;
        Some((place, is_whole))
    }

    fn heard(&mut self, name: &Name, epoch: Option<Epoch>, now: Moment) -> Option<&mut Known> {
        let is_its_own = self.knows(name, epoch);
        let known = self.known.get_mut(name).filter(|_| is_its_own)?;
        known.heard = now;
        if self.missed.remove(name) {
            tracing::info!(worker = %name, "a worker is back that gave no sign of life");
        }
        Some(known)
    }

    /// Drops those that were last heard of at `before` or earlier; answers how many are left.
    pub fn drop_silent(&mut self, before: Moment) -> usize {
        let Self {
            known,
            names,
            missed,
            ..
        } = self;
        known.retain(|_, known| known.heard > before);
        names.retain(|_, name| known.contains_key(name));
        missed.retain(|name| known.contains_key(name));
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

    use taskyard_core::policy::Policy;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn room() -> Arc<Room> {
        Room::under(&Policy::default())
    }

    fn name(number: i32) -> Name {
        Name::plain(&format!("w{number}")).unwrap()
    }

    /// The n-th registered n seconds after the start.
    fn directory(workers: i32) -> Directory {
        let mut directory = Directory::default();
        for number in 0..workers {
            let at = SECOND * number.unsigned_abs();
            let known = Known::new(WorkerNumber(number), Epoch(1), Arc::default(), false, at);
            directory.put(name(number), known);
        }
        directory
    }

    #[test]
    fn those_that_were_not_heard_of_for_long_are_dropped_with_what_they_took() {
        let mut directory = directory(1_000);
        let times = (2_000 * SECOND, SECOND);
        assert!(
            directory
                .sign_of_life(&name(7), None, times, &room())
                .is_some()
        );

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
    fn of_each_worker_one_sign_of_life_waits() {
        let (mut directory, room) = (directory(2), room());
        let mut sign = |worker, second| {
            let times = (SECOND * second, 10 * SECOND);
            directory.sign_of_life(&name(worker), None, times, &room)
        };
        let first = sign(0, 10);
        assert!(first.is_some());
        assert!(sign(0, 20).is_none(), "one waits");
        let anothers = sign(1, 20);
        assert!(anothers.is_some());

        drop(first);

        assert!(sign(0, 21).is_some());
        assert!(sign(0, 30).is_none(), "it is not due yet");
        assert!(sign(0, 31).is_some());
    }

    fn call(worker: i32, seq: i64) -> ClaimCall {
        ClaimCall {
            worker: name(worker),
            epoch: None,
            task: None,
            limit: 1,
            wait: SECOND,
            begin: false,
            seq,
            again: false,
        }
    }

    #[test]
    fn until_it_is_known_which_claims_were_answered_any_may_have_been() {
        let mut directory = directory(1);
        let (sixth, sending) = directory.claim(&call(0, 6)).unwrap();
        let mut may_be_again = |seq| directory.claim(&call(0, seq)).unwrap().0.maybe_again;
        assert!(sixth.maybe_again && may_be_again(7) && may_be_again(5));

        directory.answered(&sending, 8);

        let mut may_be_again = |seq| directory.claim(&call(0, seq)).unwrap().0.maybe_again;
        assert!(may_be_again(8) && may_be_again(7));
        assert!(!may_be_again(9) && may_be_again(9));
        assert!(!may_be_again(0) && !may_be_again(0));
    }

    /// Its first sending may have been dealt to at another server, of which this one knows nothing.
    #[test]
    fn a_claim_that_is_said_to_be_sent_again_may_have_been_answered() {
        let mut directory = directory(1);
        let (_, sending) = directory.claim(&call(0, 1)).unwrap();
        directory.answered(&sending, 0);
        let said = |seq| ClaimCall {
            again: true,
            ..call(0, seq)
        };

        let mut maybe_again = |call: &ClaimCall| directory.claim(call).unwrap().0.maybe_again;

        assert!(maybe_again(&said(2)));
        assert!(!maybe_again(&call(0, 3)));
        assert!(!maybe_again(&said(0)), "it has no number to be known by");
    }

    /// As where a server stops that has just started: the worker is answered with nothing, and claims on before what it was
    /// dealt could be given back.
    #[test]
    fn another_claim_is_no_repetition_though_it_may_be_one_of_its_own() {
        let mut directory = directory(1);
        let (_, first) = directory.claim(&call(0, 1)).unwrap();
        let (next, _) = directory.claim(&call(0, 2)).unwrap();

        assert!(next.maybe_again);
        assert!(directory.may_give_back(&first));
    }

    #[test]
    fn only_the_latest_repetition_of_a_claim_gives_back() {
        let mut directory = directory(2);
        for worker in [0, 1] {
            let (_, sending) = directory.claim(&call(worker, 0)).unwrap();
            directory.answered(&sending, 0);
        }
        let mut sent = |worker, seq| directory.claim(&call(worker, seq)).unwrap().1;
        let (first, again, next) = (sent(0, 1), sent(0, 1), sent(0, 2));
        let anothers = sent(1, 1);
        let (unnumbered, another) = (sent(1, 0), sent(1, 0));
        // As when a process that was replaced calls, and the worker is looked up again.
        let known = Known::new(WorkerNumber(0), Epoch(1), Arc::default(), false, SECOND);
        directory.put(name(0), known);

        let may = [first, again, next, anothers, unnumbered, another];
        let may = may.map(|sending| directory.may_give_back(&sending));

        assert_eq!(may, [false, true, true, true, true, true]);
    }
}
