//! How ready slots are dealt to the claims of a batch.
//!
//! First to those who name one, in their order. Then suspects: each goes alone to a worker whose hand is empty, and that
//! worker gets nothing else until it has reported. One that has waited too long for an empty hand has a worker kept for
//! it, which is left to empty its own. Then the others, in order and in turn.
//!
//! A slot that was promoted in this very batch goes out in the next one: nobody has loaded what a claim must know of its
//! task, and to load it for every promotion would cost more than one batch more for those that a claim has met.

use hashbrown::{HashMap, HashSet};

use super::{Claim, Given, Hand, Run};
use crate::command::Env;
use crate::id::SlotKey;
use crate::lane::LaneKey;
use crate::moves;
use crate::name::Name;
use crate::refused::Refused;
use crate::rows::{Lease, Ready};
use crate::standing::{self, Standing};
use crate::topic::Topic;
use crate::verbs::caller;
use crate::view::{Brief, Picked, View};
use crate::worker::Profile;

/// One claim while it is dealt to.
struct Seat<'a> {
    claim: &'a Claim,
    hand: Hand,
    bytes: usize,
    /// Gets nothing more: full, kept for a suspect, draining, or answered already.
    closed: bool,
}

pub(super) fn deal(claims: &[Claim], view: &mut View, env: &mut Env<'_>) -> Vec<Given> {
    // Worked out once for all workers that are alike.
    let mut dry: HashMap<&Profile, bool> = HashMap::new();
    let mut seats: Vec<Result<Seat<'_>, Refused>> = claims
        .iter()
        .map(|claim| {
            let is_dry = dry
                .entry(&*claim.profile)
                .or_insert_with(|| is_dry(claim, view, env));
            Seat::take(claim, *is_dry, view, env)
        })
        .collect();
    close_repetitions(&mut seats);
    for place in 0..seats.len() {
        if deal_named(&mut seats[place], view, env) {
            let worker = claims[place].worker.clone();
            close_all_of(&worker, seats.iter_mut().flatten());
        }
    }
    let mut open: Vec<&mut Seat<'_>> = seats.iter_mut().flatten().collect();
    let (offered, left): (Vec<Ready>, Vec<Ready>) = all_ready(view)
        .into_iter()
        .partition(|row| view.knows_brief(row.slot.task));
    let (suspects, others): (Vec<Ready>, Vec<Ready>) =
        offered.iter().partition(|row| row.is_suspect());
    for row in suspects {
        deal_suspect(&row, &mut open, view, env);
    }
    let mut turn = 0;
    for row in others {
        if let Some(place) = next(&row, &open, turn, view, env) {
            turn = place + 1;
            open[place].give(&row, view, env);
        }
    }
    if offered.iter().any(|row| !is_ready(row.slot, view)) {
        announce_left_over(&offered, view, env);
    }
    for row in left {
        if let Some(key) = view.lane_key(row.lane, env.lanes) {
            look_again(key, open.iter_mut().map(|seat| &mut **seat));
        }
    }
    seats
        .into_iter()
        .map(|seat| Ok(seat.map(|seat| seat.hand)))
        .collect()
}

/// A claim that is here twice is dealt to once; its repetition looks again, and is answered with the same then.
fn close_repetitions(seats: &mut [Result<Seat<'_>, Refused>]) {
    let mut seen = HashSet::new();
    for seat in seats.iter_mut().flatten() {
        let known_by = seat.claim.known_by();
        if known_by.is_some_and(|known_by| !seen.insert(known_by)) {
            seat.closed = true;
            seat.hand.dry = false;
        }
    }
}

/// A claim that names its task gets it if it is free and would be dealt to this worker, and is refused if not. Whether it
/// was a suspect.
fn deal_named(seat: &mut Result<Seat<'_>, Refused>, view: &mut View, env: &mut Env<'_>) -> bool {
    let Ok(open) = seat else { return false };
    let (Some(slot), Some(named)) = (open.claim.named(), &open.claim.task) else {
        return false;
    };
    // It was answered before, or looks again because it is here twice.
    let is_dealt_to = open.hand.dry || open.hand.drain;
    if open.closed && !(open.hand.runs.is_empty() && is_dealt_to) {
        return false;
    }
    let standing = standing::of(slot, view);
    if let Standing::Ready(row) = &standing {
        view.meet(&named.lane, row.lane.plain());
    }
    let taken = match standing {
        Standing::Unknown => Err(Refused::NoSuchTask),
        Standing::Ready(row) if open.may_take(&row, view, env) => {
            if row.is_suspect() {
                moves::let_go_of(view, &row);
                let worker = &open.claim.worker;
                view.workers
                    .update(worker, |worker| worker.kept_for = Some(slot));
            }
            open.give(&row, view, env);
            Ok(row.is_suspect())
        }
        Standing::Ready(row) => {
            announce_left_over(&[row], view, env);
            let unfit = open.claim.profile.unfit(&named.lane);
            Err(match unfit {
                _ if open.hand.drain => Refused::WorkerDraining,
                Some(unfit) => Refused::WorkerUnfit(unfit),
                None => Refused::NotClaimable,
            })
        }
        Standing::Scheduled(_) | Standing::Leased(_) | Standing::Ended(_) => {
            Err(Refused::NotClaimable)
        }
    };
    open.closed = true;
    taken.unwrap_or_else(|refused| {
        *seat = Err(refused);
        false
    })
}

/// Everything that is ready here: what was picked, and what this batch has made ready; in order, each once.
fn all_ready(view: &View) -> Vec<Ready> {
    let picked = view
        .picks()
        .iter()
        .flat_map(|picked| &picked.slots)
        .filter_map(|slot| view.ready.get(slot));
    let mut rows: Vec<Ready> = picked.chain(view.ready.iter_new()).copied().collect();
    rows.sort_unstable_by_key(Ready::position);
    rows.dedup_by_key(|row| row.slot);
    rows
}

/// Rows that were locked for a claim and not dealt: others may have passed them over meanwhile. Not suspects, which
/// nobody here could take: telling everybody of them would keep everybody looking. Nor, for the same reason, what a batch
/// leaves that dealt nothing, since its workers are kept for suspects: two of them would wake each other without end. Nor
/// what waits in paused queues.
fn announce_left_over(offered: &[Ready], view: &mut View, env: &Env<'_>) {
    let mut lanes: Vec<_> = offered
        .iter()
        .filter(|row| !row.is_suspect() && is_ready(row.slot, view))
        .filter(|row| {
            let key = view.lane_key(row.lane, env.lanes);
            key.is_none_or(|key| !view.is_paused(&key.queue))
        })
        .map(|row| row.lane)
        .collect();
    lanes.sort_unstable();
    lanes.dedup();
    for lane in lanes {
        view.announce(Topic::Ready(lane));
    }
}

fn is_ready(slot: SlotKey, view: &View) -> bool {
    view.ready.get(&slot).is_some()
}

/// The next claim in turn that can take this row.
fn next(
    row: &Ready,
    open: &[&mut Seat<'_>],
    turn: usize,
    view: &View,
    env: &Env<'_>,
) -> Option<usize> {
    let brief = brief(row.slot, view);
    // A lane that another server made, and this one has not heard of yet.
    let key = view.lane_key(row.lane, env.lanes)?;
    if view.is_paused(&key.queue) {
        return None;
    }
    let places = (0..open.len()).map(|step| (turn + step) % open.len());
    places.into_iter().find(|place| {
        open[*place].has_room(brief.input.bytes(), env) && open[*place].claim.profile.serves(key)
    })
}

fn deal_suspect(row: &Ready, open: &mut [&mut Seat<'_>], view: &mut View, env: &mut Env<'_>) {
    let Some(key) = view.lane_key(row.lane, env.lanes).cloned() else {
        return;
    };
    let key = &*key;
    if view.is_paused(&key.queue) {
        return;
    }
    // A slot that became suspect in this very batch waits for the next one, which loads the hands.
    let unknown = open.iter_mut().filter(|seat| !seat.is_hand_known(view));
    look_again(key, unknown.map(|seat| &mut **seat));
    let could = |seat: &Seat<'_>| {
        seat.is_hand_known(view) && !seat.closed && seat.claim.profile.serves(key)
    };
    let could: Vec<usize> = (0..open.len())
        .filter(|place| could(open[*place]))
        .collect();
    let is_free = |place: &usize| open[*place].is_empty_handed(view);
    if let Some(place) = could.iter().copied().find(is_free) {
        moves::let_go_of(view, row);
        open[place].give(row, view, env);
        keep_for(row.slot, place, open, view);
        return;
    }
    for place in &could {
        open[*place].hand.waits_for_hand = true;
    }
    let carry = view.carry_of(row.slot, row.has_carry);
    let carry = carry.expect("a suspect carries along why it is one");
    let waits_long = carry
        .suspect_since
        .is_some_and(|since| since + env.policy.suspect_patience <= env.now);
    let is_kept_for = carry.kept_until.is_some_and(|until| until > env.now);
    if !waits_long || is_kept_for {
        return;
    }
    if let Some(place) = could.first() {
        keep_for(row.slot, *place, open, view);
        let until = env.now + env.policy.suspect_patience;
        view.carries
            .update(&row.slot, |carry| carry.kept_until = Some(until));
    }
}

/// What these claims did not get here may be theirs in the next batch: they do not wait until they are told.
fn look_again<'a, 's: 'a>(lane: &LaneKey, seats: impl Iterator<Item = &'a mut Seat<'s>>) {
    for seat in seats {
        seat.hand.dry &= !seat.claim.profile.serves(lane);
    }
}

/// The worker in this place gets nothing else, by whichever of its claims.
fn keep_for(slot: SlotKey, place: usize, open: &mut [&mut Seat<'_>], view: &mut View) {
    let worker = &open[place].claim.worker;
    view.workers
        .update(worker, |worker| worker.kept_for = Some(slot));
    let worker = worker.clone();
    close_all_of(&worker, open.iter_mut().map(|seat| &mut **seat));
}

fn close_all_of<'a, 's: 'a>(worker: &Name, seats: impl Iterator<Item = &'a mut Seat<'s>>) {
    let its = seats.filter(|seat| seat.claim.worker == *worker);
    its.for_each(|seat| seat.closed = true);
}

impl<'a> Seat<'a> {
    /// Refuses who may not claim; answers at once who has been answered before.
    fn take(claim: &'a Claim, dry: bool, view: &mut View, env: &Env<'_>) -> Result<Self, Refused> {
        let worker = caller::worker(&claim.worker, Some(claim.epoch), view)?;
        // It was known by this number in another database, where this one stands now.
        if worker.number != claim.number {
            return Err(Refused::NoSuchWorker);
        }
        let drain = worker.is_draining;
        let mut seat = Self {
            claim,
            hand: Hand {
                runs: Vec::new(),
                dry,
                waits_for_hand: false,
                drain,
                seq_before: claim.seq_before(view),
                is_again: false,
            },
            bytes: 0,
            closed: drain,
        };
        let answered = claim.answered(view);
        seat.closed |= !answered.is_empty();
        let is_known = |lease: &Lease| view.lane_key(lease.lane, env.lanes).is_some();
        if !answered.iter().all(is_known) {
            // Another server dealt it, in a lane of which this one has not heard: the claim waits until it has.
            seat.hand.dry = true;
            return Ok(seat);
        }
        for lease in answered {
            seat.hand.is_again = true;
            let brief = brief(lease.slot, view);
            let carry = view.carry_of(lease.slot, lease.has_carry);
            let run = run(&lease, lease.attempt(carry), brief, view, env);
            seat.hand.runs.extend(run);
            if !lease.is_told_again {
                view.leases
                    .update(&lease.slot, |lease| lease.is_told_again = true);
            }
        }
        if seat.is_kept(view) {
            seat.closed = true;
            // There may be more in its lanes, but not for it: it waits instead of looking again and again.
            seat.hand.dry = true;
            seat.hand.waits_for_hand = true;
        }
        Ok(seat)
    }

    /// A worker that runs a suspect, or empties its hand for one, gets nothing else; the mark is lifted here once it
    /// has no more meaning.
    fn is_kept(&self, view: &mut View) -> bool {
        let worker = view
            .workers
            .get(&self.claim.worker)
            .expect("checked before");
        let Some(slot) = worker.kept_for else {
            return false;
        };
        let runs_it = view
            .leases_of(self.claim.number)
            .any(|lease| lease.slot == slot);
        // Who names a task looks for no suspects, so whether this one waits is not known: it is taken to.
        let is_known = |picked: &Picked| picked.slots.contains(&slot);
        let still_waits = (self.claim.task.is_some() || view.picks().iter().any(is_known))
            && !self.is_empty_handed(view);
        if !runs_it && !still_waits {
            view.workers
                .update(&self.claim.worker, |worker| worker.kept_for = None);
        }
        runs_it || still_waits
    }

    fn is_empty_handed(&self, view: &View) -> bool {
        self.hand.runs.is_empty() && view.leases_of(self.claim.number).next().is_none()
    }

    /// Whether all that the worker holds is loaded, and its row locked.
    fn is_hand_known(&self, view: &View) -> bool {
        view.knows_leases_of(self.claim.number) && view.holds_worker(&self.claim.worker)
    }

    /// Whether this row, which it names, may go to its worker: as it might if it was next in turn, or if the worker takes
    /// by name alone.
    fn may_take(&self, row: &Ready, view: &View, env: &Env<'_>) -> bool {
        let key = view.lane_key(row.lane, env.lanes);
        let profile = &self.claim.profile;
        let is_served =
            key.is_some_and(|key| !view.is_paused(&key.queue) && profile.unfit(key).is_none());
        let may_be_suspect =
            !row.is_suspect() || (self.is_hand_known(view) && self.is_empty_handed(view));
        is_served && may_be_suspect && !self.closed
    }

    fn has_room(&self, bytes: usize, env: &Env<'_>) -> bool {
        let fits = self.hand.runs.is_empty() || self.bytes + bytes <= env.policy.claim_bytes_max;
        !self.closed && fits && self.hand.runs.len() < self.claim.limit
    }

    /// Turns the ready row into a lease of this claim's worker.
    fn give(&mut self, row: &Ready, view: &mut View, env: &mut Env<'_>) {
        let brief = brief(row.slot, view);
        self.bytes += brief.input.bytes();
        let lease = moves::claim(view, row, self.claim, &brief, env);
        let attempt = lease.attempt(view.carry_of(lease.slot, lease.has_carry));
        self.hand
            .runs
            .extend(run(&lease, attempt, brief, view, env));
    }
}

fn brief(slot: SlotKey, view: &View) -> Brief {
    let brief = view.brief(slot.task);
    brief.expect("a task that is ready or leased exists")
}

/// Whether the claim's lanes had less than it asked for, all of them.
fn is_dry(claim: &Claim, view: &View, env: &Env<'_>) -> bool {
    if claim.left_out_what_goes_on(view, env) {
        return false;
    }
    let (lanes, _) = claim.lanes(env);
    view.picks()
        .iter()
        .filter(|picked| picked.pick.lanes == lanes)
        .all(Picked::is_short)
}

/// What a claim is answered, with the input, or with that to come from the commit.
fn run(lease: &Lease, attempt: i32, brief: Brief, view: &mut View, env: &Env<'_>) -> Option<Run> {
    let lane = view.lane_key(lease.lane, env.lanes)?.clone();
    let input = brief.input.here().cloned();
    if input.is_none() {
        view.want_input(lease.slot.task);
    }
    Some(Run {
        slot: lease.slot,
        fence: lease.fence,
        secret: lease.secret,
        attempt,
        lane,
        expires_at: lease.expires_at,
        timeout: brief.timeout,
        is_exclusive: lease.is_exclusive,
        checkpoint: lease.checkpoint.clone(),
        input,
    })
}
