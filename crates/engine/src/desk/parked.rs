//! Claims that wait for something to become ready, longest waiting first.
//!
//! There may be thousands, of workers that idle. So nothing here walks over all of them: a worker's are found by its
//! number, those of workers that are alike by what these declared, the next whose time is up by its time, and who serves a
//! lane by remembering how far the lane has looked.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use taskyard_core::id::WorkerNumber;
use taskyard_core::lane::LaneKey;
use taskyard_core::verbs::claim::Claim;
use taskyard_core::worker::Profile;

use super::line::{Line, Number};
use super::{Caller, Moment, Waiting};

/// Of how many lanes it is remembered how far they have looked.
const LANES_MAX: usize = 10_000;

pub(super) struct Parked<C> {
    line: Line<C>,
    by_expiry: BTreeSet<(Moment, Number)>,
    by_profile: HashMap<Arc<Profile>, BTreeSet<Number>>,
    /// Those that look again also when a run of their worker ends.
    wait_for_hand: HashSet<Number>,
    /// The first claim that can serve this lane: those before it cannot, and never will. So each claim is held against
    /// each lane once, however often something becomes ready there.
    looked_up_to: HashMap<LaneKey, Number>,
}

impl<C> Default for Parked<C> {
    fn default() -> Self {
        Self {
            line: Line::default(),
            by_expiry: BTreeSet::new(),
            by_profile: HashMap::new(),
            wait_for_hand: HashSet::new(),
            looked_up_to: HashMap::new(),
        }
    }
}

impl<C: Caller> Parked<C> {
    pub(super) fn park(&mut self, mut waiting: Waiting<C>, waits_for_hand: bool) {
        self.drop_gone_of(waiting.claim.number);
        waiting.caller.waits_for_work();
        let (until, profile) = (waiting.until, Arc::clone(&waiting.claim.profile));
        let number = self.line.push(waiting);
        self.by_expiry.insert((until, number));
        self.by_profile.entry(profile).or_default().insert(number);
        if waits_for_hand {
            self.wait_for_hand.insert(number);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.line.len()
    }

    /// The number of the next claim that is parked.
    pub(super) fn end(&self) -> Number {
        self.line.end()
    }

    /// The longest waiting that serves this lane and that somebody still waits for, of those parked before that number.
    pub(super) fn take_serving(&mut self, lane: &LaneKey, before: Number) -> Option<Waiting<C>> {
        while let Some(number) = self.first_serving(lane).filter(|number| *number < before) {
            let waiting = self.remove(number)?;
            if !waiting.caller.is_gone() {
                return Some(waiting);
            }
        }
        None
    }

    /// Of those whose workers are alike the longest waiting, whether or not somebody waits for it.
    pub(super) fn take_one_of_each_alike(&mut self) -> Vec<Waiting<C>> {
        let alike = self.by_profile.values();
        let mut first: Vec<Number> = alike.filter_map(|alike| alike.first().copied()).collect();
        first.sort_unstable();
        self.take(first)
    }

    /// The longest waiting whose worker is like this one and that somebody still waits for, of those parked before that
    /// number.
    pub(super) fn take_alike(&mut self, profile: &Profile, before: Number) -> Option<Waiting<C>> {
        while let Some(number) = self
            .by_profile
            .get(profile)
            .and_then(|alike| alike.first().copied())
            .filter(|number| *number < before)
        {
            let waiting = self.remove(number)?;
            if !waiting.caller.is_gone() {
                return Some(waiting);
            }
        }
        None
    }

    pub(super) fn has_alike(&self, profile: &Profile) -> bool {
        self.by_profile.contains_key(profile)
    }

    fn first_serving(&mut self, lane: &LaneKey) -> Option<Number> {
        let from = self.looked_up_to.get(lane).copied().unwrap_or_default();
        let mut claims = self.line.from(from..);
        let serving = claims.find(|(_, waiting)| waiting.claim.profile.serves(lane));
        let serving = serving.map(|(number, _)| number);
        drop(claims);
        self.remember(lane, serving.unwrap_or(self.line.end()));
        serving
    }

    fn remember(&mut self, lane: &LaneKey, number: Number) {
        if let Some(known) = self.looked_up_to.get_mut(lane) {
            *known = number;
            return;
        }
        if self.looked_up_to.len() >= LANES_MAX {
            self.looked_up_to.clear();
        }
        self.looked_up_to.insert(lane.clone(), number);
    }

    /// This worker's claims, as far as the end of one of its runs matters to them.
    pub(super) fn take_waiting_for_hand_of(&mut self, worker: WorkerNumber) -> Vec<Waiting<C>> {
        if self.wait_for_hand.is_empty() {
            return Vec::new();
        }
        let its = self.line.of(worker).iter().copied();
        let its: Vec<Number> = its.filter(|it| self.wait_for_hand.contains(it)).collect();
        self.take(its)
    }

    /// All claims of this worker.
    pub(super) fn take_of(&mut self, worker: WorkerNumber) -> Vec<Waiting<C>> {
        let its = self.line.of(worker).to_vec();
        self.take(its)
    }

    /// The same claim, sent before.
    pub(super) fn take_same(&mut self, claim: &Claim) -> Option<Waiting<C>> {
        let number = self.line.same(claim)?;
        self.remove(number)
    }

    pub(super) fn has_same(&self, claim: &Claim) -> bool {
        self.line.same(claim).is_some()
    }

    /// Those whose time is up, in the order of their times.
    pub(super) fn take_expired(&mut self, now: Moment) -> Vec<Waiting<C>> {
        let mut expired = Vec::new();
        while let Some((until, number)) = self.by_expiry.first().copied()
            && until <= now
        {
            expired.extend(self.remove(number));
        }
        expired
    }

    /// When the next one's time is up.
    pub(super) fn next_expiry(&self) -> Option<Moment> {
        self.by_expiry.first().map(|(until, _)| *until)
    }

    pub(super) fn take_all(&mut self) -> Vec<Waiting<C>> {
        let all: Vec<Number> = self.line.from(0..).map(|(number, _)| number).collect();
        self.take(all)
    }

    /// So that a worker that hangs up again and again leaves no more than one behind.
    fn drop_gone_of(&mut self, worker: WorkerNumber) {
        let its = self.line.of(worker).iter().copied();
        let gone = its.filter(|it| self.line.get(*it).is_some_and(|one| one.caller.is_gone()));
        let gone: Vec<Number> = gone.collect();
        self.take(gone);
    }

    fn take(&mut self, numbers: Vec<Number>) -> Vec<Waiting<C>> {
        let numbers = numbers.into_iter();
        numbers.filter_map(|number| self.remove(number)).collect()
    }

    fn remove(&mut self, number: Number) -> Option<Waiting<C>> {
        let waiting = self.line.remove(number)?;
        self.by_expiry.remove(&(waiting.until, number));
        let profile = &waiting.claim.profile;
        if let Some(alike) = self.by_profile.get_mut(profile) {
            alike.remove(&number);
            if alike.is_empty() {
                self.by_profile.remove(profile);
            }
        }
        self.wait_for_hand.remove(&number);
        Some(waiting)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use taskyard_core::id::Epoch;
    use taskyard_core::labels::Labels;
    use taskyard_core::name::Name;

    use super::*;

    #[derive(Default)]
    struct Someone {
        gone: bool,
    }

    impl Caller for Someone {
        fn is_gone(&self) -> bool {
            self.gone
        }
    }

    fn lane(kind: &str) -> LaneKey {
        LaneKey::of(Name::path("default").unwrap(), Name::path(kind).unwrap())
    }

    /// The n-th claim of a worker that runs this kind; its time is up after so many seconds.
    fn waiting(worker: i32, seq: i64, kind: &str, seconds: u64) -> Waiting<Someone> {
        let kinds = Some(vec![Name::path(kind).unwrap()]);
        Waiting {
            claim: Claim {
                worker: Name::plain(&format!("w{worker}")).unwrap(),
                number: WorkerNumber(worker),
                epoch: Epoch(1),
                profile: Arc::new(Profile::new(kinds, None, Labels::default())),
                limit: 1,
                begin: false,
                seq,
                maybe_again: false,
                task: None,
            },
            until: Duration::from_secs(seconds),
            caller: Someone::default(),
        }
    }

    fn parked(all: impl IntoIterator<Item = Waiting<Someone>>) -> Parked<Someone> {
        let mut parked = Parked::default();
        all.into_iter()
            .for_each(|waiting| parked.park(waiting, false));
        parked
    }

    fn workers(taken: impl IntoIterator<Item = Waiting<Someone>>) -> Vec<i32> {
        let workers = taken.into_iter().map(|waiting| waiting.claim.number.0);
        workers.collect()
    }

    #[test]
    fn the_longest_waiting_that_serves_a_lane_is_first() {
        let mut parked = parked([
            waiting(1, 1, "crop", 9),
            waiting(2, 1, "resize", 9),
            waiting(3, 1, "resize", 9),
        ]);

        assert_eq!(
            workers(parked.take_serving(&lane("resize"), Number::MAX)),
            [2]
        );
        parked.park(waiting(2, 2, "resize", 9), false);
        assert_eq!(
            workers(parked.take_serving(&lane("resize"), Number::MAX)),
            [3]
        );
        assert_eq!(
            workers(parked.take_serving(&lane("resize"), Number::MAX)),
            [2]
        );
        assert!(parked.take_serving(&lane("resize"), Number::MAX).is_none());
        assert_eq!(
            workers(parked.take_serving(&lane("crop"), Number::MAX)),
            [1]
        );
        assert!(parked.is_empty());
    }

    #[test]
    fn one_that_nobody_waits_for_is_passed_over_and_dropped() {
        let (mut gone, here) = (waiting(1, 1, "crop", 9), waiting(2, 1, "crop", 9));
        gone.caller.gone = true;
        let mut parked = parked([gone, here]);

        assert_eq!(
            workers(parked.take_serving(&lane("crop"), Number::MAX)),
            [2]
        );
        assert!(parked.is_empty());
    }

    #[test]
    fn of_workers_that_are_alike_one_looks_and_then_the_next() {
        let mut parked = parked([
            waiting(1, 1, "crop", 9),
            waiting(2, 1, "resize", 9),
            waiting(3, 1, "resize", 9),
            waiting(4, 1, "resize", 9),
        ]);
        let end = parked.end();

        assert_eq!(workers(parked.take_one_of_each_alike()), [1, 2]);

        let resizer = waiting(9, 1, "resize", 9).claim.profile;
        parked.park(waiting(2, 2, "resize", 9), false);
        let next = |parked: &mut Parked<Someone>| workers(parked.take_alike(&resizer, end));
        assert_eq!(next(&mut parked), [3]);
        assert_eq!(next(&mut parked), [4]);
        assert!(next(&mut parked).is_empty(), "the other one came later");
        assert_eq!(workers(parked.take_one_of_each_alike()), [2]);
        assert!(parked.is_empty());
    }

    #[test]
    fn a_worker_that_comes_back_leaves_none_behind() {
        let mut gone = waiting(1, 1, "crop", 9);
        gone.caller.gone = true;
        let mut parked = parked([gone, waiting(2, 1, "crop", 9)]);

        parked.park(waiting(1, 2, "crop", 9), false);

        assert_eq!(workers(parked.take_all()), [2, 1]);
    }

    #[test]
    fn the_end_of_a_run_matters_to_its_own_worker_s_claims_that_wait_for_it() {
        let mut parked = parked([waiting(1, 1, "crop", 9)]);
        parked.park(waiting(2, 1, "crop", 9), true);
        parked.park(waiting(1, 2, "crop", 9), true);

        let taken = parked.take_waiting_for_hand_of(WorkerNumber(1));

        assert!(matches!(&taken[..], [one] if one.claim.seq == 2));
        assert_eq!(workers(parked.take_all()), [1, 2]);
        assert!(parked.take_waiting_for_hand_of(WorkerNumber(2)).is_empty());
    }

    #[test]
    fn the_same_claim_is_found_by_its_seq() {
        let mut parked = parked([waiting(1, 1, "crop", 9), waiting(1, 0, "crop", 9)]);

        assert!(!parked.has_same(&waiting(1, 2, "crop", 9).claim));
        assert!(!parked.has_same(&waiting(2, 1, "crop", 9).claim));
        assert!(
            !parked.has_same(&waiting(1, 0, "crop", 9).claim),
            "without a seq none is another's repetition"
        );
        assert!(parked.take_same(&waiting(1, 1, "crop", 9).claim).is_some());
        assert!(!parked.has_same(&waiting(1, 1, "crop", 9).claim));
    }

    #[test]
    fn those_whose_time_is_up_go_whatever_their_place() {
        let mut parked = parked([
            waiting(1, 1, "crop", 9),
            waiting(2, 1, "crop", 3),
            waiting(3, 1, "crop", 5),
        ]);
        assert_eq!(parked.next_expiry(), Some(Duration::from_secs(3)));

        assert_eq!(workers(parked.take_expired(Duration::from_secs(5))), [2, 3]);

        assert_eq!(parked.next_expiry(), Some(Duration::from_secs(9)));
        assert_eq!(
            workers(parked.take_serving(&lane("crop"), Number::MAX)),
            [1]
        );
        assert_eq!(parked.next_expiry(), None);
    }
}
