//! The desk: what waits, and what of it makes the next batch. Pure: it knows no channel, runtime or clock, so that a
//! simulation can drive it by hand.
//!
//! A claim that finds nothing is parked here and joins the first batch that could satisfy it: one that submits what
//! its worker serves, or one after something became ready. So submit, claim and hand-over can be one commit, and an
//! idle worker costs the store nothing.

mod batch;
mod company;
mod errand;
mod line;
mod parked;

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;
use taskyard_core::command::{Answer, Command, Done};
use taskyard_core::id::WorkerNumber;
use taskyard_core::lane::{Lane, Lanes};
use taskyard_core::store::{self, Ran};
use taskyard_core::topic::Topic;
use taskyard_core::verbs::claim::{Claim, Claims, Dealt, Given, Hand};
use taskyard_core::verbs::report::{Report, RunResult, Word};

pub use self::batch::{Batch, Caller, Moment, Waiting};
use self::batch::{Queued, Taken};
use self::company::Company;
use self::errand::{Errand, ForWhom};
use self::line::{Line, Number};
use self::parked::Parked;

pub struct Desk<C> {
    /// What goes back, all of it with the next batch, or with the last while that is open.
    given_back: Vec<Queued<C>>,
    queued: VecDeque<Queued<C>>,
    /// Claims that the next batch tries.
    claims: Line<C>,
    /// Those that it tries behind them: what one waits for whose worker is like theirs, they would not find either.
    unhurried: Line<C>,
    parked: Parked<C>,
    company: Company,
    /// What claims of the next batch were woken for.
    errands: HashMap<Number, Errand>,
    /// What claims were woken for whose batch failed.
    owed: Vec<Errand>,
    /// How many batches were taken off.
    taken: u64,
    /// Claims of this batch and those before it that come back with nothing look again: something became ready while
    /// they were under way, perhaps after they had looked.
    look_again_up_to: u64,
}

impl<C> Default for Desk<C> {
    fn default() -> Self {
        Self {
            given_back: Vec::new(),
            queued: VecDeque::new(),
            claims: Line::default(),
            unhurried: Line::default(),
            parked: Parked::default(),
            company: Company::default(),
            errands: HashMap::new(),
            owed: Vec::new(),
            taken: 0,
            look_again_up_to: 0,
        }
    }
}

impl<C: Caller> Desk<C> {
    pub fn command(&mut self, command: Command, caller: C) {
        match &command {
            Command::Heartbeat(sign) if sign.held.is_empty() && !sign.leaves => {
                self.company.joins(Moment::MAX);
            }
            _ => self.company.press(),
        }
        self.queued.push_back(Queued { command, caller });
    }

    /// Gives back runs that nobody was told of. Before whatever waits for the next batch, and before every claim, so that
    /// none that is tried from here on finds them still leased, to be told of runs that it is about to lose.
    pub fn give_back(&mut self, report: Report, caller: C) {
        let command = report.into();
        self.company.press();
        self.given_back.push(Queued { command, caller });
    }

    /// Takes a claim. One that waits here and was sent again is answered with nothing: its repetition waits on, so
    /// that one claim is never dealt to twice.
    pub fn claim(&mut self, waiting: Waiting<C>) -> Option<(C, Answer)> {
        let (earlier, errand) = match self.claims.same(&waiting.claim) {
            Some(number) => (self.claims.remove(number), self.errands.remove(&number)),
            None => {
                let unhurried = self.unhurried.take_same(&waiting.claim);
                let earlier = unhurried.or_else(|| self.parked.take_same(&waiting.claim));
                (earlier, None)
            }
        };
        let Claim { task, profile, .. } = &waiting.claim;
        if earlier.is_none() && task.is_none() && self.parked.has_alike(profile) {
            self.company.joins(waiting.until);
            self.unhurried.push(waiting);
        } else {
            self.line_up(waiting, errand);
        }
        earlier.map(|earlier| (earlier.caller, empty()))
    }

    /// The next batch tries this claim.
    fn line_up(&mut self, waiting: Waiting<C>, errand: Option<Errand>) {
        self.company.press();
        let number = self.claims.push(waiting);
        if let Some(errand) = errand {
            self.errands.insert(number, errand);
        }
    }

    /// Whether this claim was sent again meanwhile.
    fn has_repetition(&self, claim: &Claim) -> bool {
        let lines = [&self.claims, &self.unhurried];
        lines.iter().any(|line| line.same(claim).is_some()) || self.parked.has_same(claim)
    }

    /// How many claims wait for work.
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    /// Whether there is anything to run.
    pub fn is_idle(&self) -> bool {
        let has_claims = !self.claims.is_empty() || !self.unhurried.is_empty();
        self.queued.is_empty() && self.given_back.is_empty() && !has_claims
    }

    /// Whether it is time for the next batch: what is in no hurry waits a moment for others.
    pub fn is_due(&mut self, now: Moment) -> bool {
        self.company.is_due(now)
    }

    /// When it will be, if nothing else comes.
    pub fn due_at(&self) -> Option<Moment> {
        self.company.due_at()
    }

    /// What waits, as far as one batch goes; claims last, so that they see what the others made ready.
    pub fn next_batch(&mut self) -> Option<Batch<C>> {
        let mut batch = Batch::numbered(self.taken + 1);
        self.add_to(&mut batch);
        if batch.commands.is_empty() {
            return None;
        }
        self.taken = batch.number;
        Some(batch)
    }

    /// Adds what came since to the last batch that was taken off, as far as it goes: while nothing of it has begun.
    pub fn add_to(&mut self, batch: &mut Batch<C>) {
        let mut claims = batch.take_claims();
        let already = batch.commands.len();
        self.given_back
            .drain(..)
            .for_each(|queued| batch.add(queued));
        while let Some(queued) = self.queued.pop_front() {
            if let Some(queued) = batch.add_where_there_is_room(queued) {
                self.queued.push_front(queued);
                break;
            }
        }
        self.wake_for_submits(&batch.commands[already..]);
        self.unhurried.move_to(&mut self.claims);
        self.add_claims_to(batch);
        let added = batch.claims[claims.len()..].iter();
        claims.extend(added.map(|taken| taken.waiting.claim.clone()));
        if !claims.is_empty() {
            batch.commands.push(Claims { claims }.into());
        }
        self.company.left(!self.is_idle());
    }

    fn add_claims_to(&mut self, batch: &mut Batch<C>) {
        let already = batch.claims.len();
        while let Some((number, waiting)) = self.claims.first() {
            let claim = &waiting.claim;
            if waiting.caller.is_gone() {
                self.claims.remove(number);
                let errand = self.errands.remove(&number);
                self.pass_on(errand);
                continue;
            }
            // Of one claim twice in a batch the first is answered with nothing, also where it may not wait.
            let is_there = |taken: &Taken<C>| taken.waiting.claim.repeats(claim);
            if !batch.has_room_for_claim(claim) || batch.claims[..already].iter().any(is_there) {
                break;
            }
            let waiting = self.claims.remove(number);
            let errand = self.errands.remove(&number);
            if let Some(waiting) = waiting {
                batch.add_claim(Taken { waiting, errand });
            }
        }
    }

    /// Parked claims join a batch that submits what their workers serve, one for each task at most.
    fn wake_for_submits(&mut self, commands: &[Command]) {
        for task in commands.iter().flat_map(Command::new_tasks) {
            if self.parked.is_empty() {
                return;
            }
            let joins = self.parked.take_serving(&task.lane, Number::MAX);
            self.wake(joins);
        }
    }

    /// Word from outside that so many rows may be ready in this lane: for each the longest waiting claim that could take
    /// it looks again, and if there is none, or none that surely takes it, those that are under way.
    pub fn ready(&mut self, lane: Lane, rows: u32, lanes: &Lanes) {
        let all_wake_one = (0..rows).all(|_| self.wake_for(lane, lanes));
        if !all_wake_one || lane.is_twin() {
            self.look_again_up_to = self.taken;
        }
    }

    /// Something may be ready anywhere: of the claims whose workers are alike one looks, and others where that one leaves
    /// something. So workers that idle are no burden, however many they are.
    pub fn look_anywhere(&mut self) {
        let before = self.parked.end();
        for waiting in self.parked.take_one_of_each_alike() {
            let for_whom = ForWhom::IsAlike(Arc::clone(&waiting.claim.profile));
            self.line_up(waiting, Some(Errand { for_whom, before }));
        }
        self.look_again_up_to = self.taken;
    }

    /// Nothing is as it was known to be: every claim looks again.
    pub fn look_again(&mut self) {
        let all = self.parked.take_all();
        self.wake(all);
        self.look_again_up_to = self.taken;
    }

    /// There is something that this worker should hear at once.
    pub fn told(&mut self, worker: WorkerNumber) {
        let its = self.parked.take_of(worker);
        self.wake(its);
        // Those under way may have been looked at before.
        self.look_again_up_to = self.taken;
    }

    /// The longest waiting claim that serves this lane looks again; for a suspect all of them do, since whose hand is
    /// empty is not known here. Whether there was one.
    fn wake_for(&mut self, lane: Lane, lanes: &Lanes) -> bool {
        let Some(key) = lanes.key(lane) else {
            return false;
        };
        let mut is_woken = false;
        while let Some(waiting) = self.parked.take_serving(key, Number::MAX) {
            is_woken = true;
            if lane.is_twin() {
                self.line_up(waiting, None);
                continue;
            }
            let errand = Errand {
                for_whom: ForWhom::ServesLane(Arc::clone(key)),
                before: self.parked.end(),
            };
            self.line_up(waiting, Some(errand));
            break;
        }
        is_woken
    }

    fn wake(&mut self, woken: impl IntoIterator<Item = Waiting<C>>) {
        for waiting in woken {
            self.line_up(waiting, None);
        }
    }

    /// Others look for what those did not take that were woken for it.
    fn pass_on(&mut self, errands: impl IntoIterator<Item = Errand>) {
        for errand in errands {
            let next = match &errand.for_whom {
                ForWhom::ServesLane(lane) => self.parked.take_serving(lane, errand.before),
                ForWhom::IsAlike(profile) => self.parked.take_alike(profile, errand.before),
            };
            if let Some(next) = next {
                self.line_up(next, Some(errand));
            }
        }
    }

    /// The answers to a batch; batches are finished in the order in which they were taken. Claims that got nothing and
    /// may wait longer are kept instead of answered.
    pub fn finished(
        &mut self,
        batch: Batch<C>,
        ran: Result<Ran, store::Error>,
        lanes: &Lanes,
        now: Moment,
    ) -> Vec<(C, Answer)> {
        let Batch {
            number,
            callers,
            claims,
            ..
        } = batch;
        let ran = match ran {
            Ok(ran) => ran,
            Err(error) => {
                let mut callers = callers;
                for Taken { waiting, errand } in claims {
                    callers.push(waiting.caller);
                    // Until one goes well: the next would only fail as well.
                    self.owed.extend(errand);
                }
                let callers = callers.into_iter();
                return callers.map(|caller| (caller, Err(error.clone()))).collect();
            }
        };
        let mut replies = ran.replies.into_iter();
        let commands: Vec<(C, Answer)> = callers.into_iter().zip(replies.by_ref()).collect();
        // The claims of this batch and of those under way have seen all this: what they left is for others.
        for topic in &ran.topics {
            if let Topic::Ready(lane) = topic {
                self.wake_for(*lane, lanes);
            }
            if let Some(worker) = topic.frees() {
                let its = self.parked.take_waiting_for_hand_of(worker);
                self.wake(its);
            }
            if let Topic::Told(worker) = topic {
                self.told(*worker);
            }
        }
        let hands = match replies.next() {
            Some(Ok(Ok(Done::Claims(Dealt { hands })))) => hands,
            Some(Err(error)) => claims.iter().map(|_| Err(error.clone())).collect(),
            _ => Vec::new(),
        };
        // Whose worker is kept for a suspect no more has seen so by its other claim alone. One that was dealt to shows it,
        // also where it came across another suspect.
        for (taken, hand) in claims.iter().zip(&hands) {
            if matches!(hand, Ok(Ok(hand)) if !hand.waits_for_hand || !hand.runs.is_empty()) {
                let its = self
                    .parked
                    .take_waiting_for_hand_of(taken.waiting.claim.number);
                self.wake(its);
            }
        }
        let mut left = std::mem::take(&mut self.owed);
        left.extend(errand::left(&claims, &hands, |taken, hand| {
            self.waits_on(taken, hand, now)
        }));
        self.pass_on(left);
        let hands = claims.into_iter().zip(hands);
        // Before the others: whoever reports and claims at once may go with the answer to the report.
        let mut answers: Vec<(C, Answer)> = hands
            .filter_map(|(taken, hand)| self.seat(number, taken, hand, now))
            .collect();
        answers.extend(commands);
        answers
    }

    /// Whether a claim that came back with this is not answered yet.
    fn waits_on(&self, taken: &Taken<C>, hand: &Given, now: Moment) -> bool {
        let Waiting { claim, until, .. } = &taken.waiting;
        let gets_none = matches!(hand, Ok(Ok(hand)) if hand.runs.is_empty() && !hand.drain);
        gets_none && *until > now && !self.has_repetition(claim)
    }

    /// Parks a claim that got nothing from dry lanes; one whose lanes were not dry, or may not be any more, looks
    /// again.
    fn seat(
        &mut self,
        batch: u64,
        taken: Taken<C>,
        hand: Given,
        now: Moment,
    ) -> Option<(C, Answer)> {
        let waits = self.waits_on(&taken, &hand, now);
        let Taken { waiting, errand } = taken;
        match hand {
            Ok(Ok(hand)) if waits => {
                if hand.dry && batch > self.look_again_up_to {
                    self.parked.park(waiting, hand.waits_for_hand);
                } else {
                    self.line_up(waiting, errand);
                }
                None
            }
            hand => {
                let dealt = |hand| {
                    Ok(Done::Claims(Dealt {
                        hands: vec![Ok(hand)],
                    }))
                };
                Some((waiting.caller, hand.map(dealt)))
            }
        }
    }

    /// Claims whose time is up, answered with nothing; those that nobody waits for are dropped.
    pub fn expired(&mut self, now: Moment) -> Vec<(C, Answer)> {
        let over = self.parked.take_expired(now).into_iter();
        over.filter(|waiting| !waiting.caller.is_gone())
            .map(|waiting| (waiting.caller, empty()))
            .collect()
    }

    /// When the next parked claim's time is up.
    pub fn next_expiry(&self) -> Option<Moment> {
        self.parked.next_expiry()
    }

    /// Ends all waiting: the server is about to stop.
    pub fn close(&mut self) -> Vec<(C, Answer)> {
        let over = self.parked.take_all().into_iter();
        over.map(|waiting| (waiting.caller, empty())).collect()
    }
}

/// The report that gives back the runs of an answer that nobody received; none where there are none.
pub fn release_unheard(answer: &Answer) -> Option<Report> {
    let Ok(Ok(Done::Claims(dealt))) = answer else {
        return None;
    };
    release(dealt.hands.iter().flatten().flatten())
}

/// The same of these hands. What was dealt to an earlier sending of the claim stays: that one may have been heard, whichever
/// of the two arrived first, and its worker is at these runs. So does, by the rule for the word, what another server has told
/// a later sending of it.
pub(crate) fn release<'a>(hands: impl IntoIterator<Item = &'a Hand>) -> Option<Report> {
    let hands = hands.into_iter().filter(|hand| !hand.is_again);
    let runs = hands.flat_map(|hand| &hand.runs);
    let results: Vec<RunResult> = runs
        .map(|run| RunResult::new(run.token(), Word::Unheard, None))
        .collect();
    (!results.is_empty()).then_some(Report {
        worker: None,
        results: results.into(),
    })
}

fn empty() -> Answer {
    Ok(Ok(Done::Claims(Dealt {
        hands: vec![Ok(Ok(Hand::default()))],
    })))
}
