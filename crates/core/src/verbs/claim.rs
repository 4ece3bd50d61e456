//! Claim: leases on due tasks. All claims of a batch are one command, so that they can be dealt fairly: in the
//! common order, in turn over the claims, each at most what it asked for. One that names its task gets that or nothing,
//! before the others.

mod damage;
mod deal;

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;

use crate::command::{Env, halves};
use crate::id::{Epoch, Fence, SlotKey, TaskId, WorkerNumber};
use crate::json::Json;
use crate::lane::{Lane, LaneKey};
use crate::moves;
use crate::name::Name;
use crate::needs::{Hold, Needs, Pick};
use crate::order::Position;
use crate::refused::Refused;
use crate::rows::{Lease, Ready};
use crate::standing;
use crate::store;
use crate::time::Timestamp;
use crate::view::View;
use crate::worker::Profile;

#[derive(Clone, Debug)]
pub struct Claims {
    pub claims: Vec<Claim>,
}

#[derive(Clone, Debug)]
pub struct Claim {
    pub worker: Name,
    pub number: WorkerNumber,
    /// Of the registration that this process made; an older one gets nothing.
    pub epoch: Epoch,
    pub profile: Arc<Profile>,
    /// This very task, and no other; refused where it is not free. None: whatever is next.
    pub task: Option<Named>,
    /// At most so many tasks.
    pub limit: usize,
    /// The runs count as begun.
    pub begin: bool,
    /// The worker's own number for this claim, from 1: sent again, it is answered again. 0 for none.
    pub seq: i64,
    /// Whether this `seq` may have been answered already.
    pub maybe_again: bool,
}

/// A task that is claimed by its id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    pub task: TaskId,
    /// Where it is, which never changes: another server may have put it into a lane that this one has not heard of yet.
    pub lane: Arc<LaneKey>,
}

/// What each claim got, in the order of the claims.
#[derive(Clone, Debug, PartialEq)]
pub struct Dealt {
    pub hands: Vec<Given>,
}

/// What became of one claim, which can fail alone as a command can.
pub type Given = Result<Result<Hand, Refused>, store::Error>;

#[derive(Clone, Debug, PartialEq, Default)]
pub struct Hand {
    pub runs: Vec<Run>,
    /// Its lanes had no more to give: with no runs, the claim may wait until something becomes ready.
    pub dry: bool,
    /// A suspect waits for an empty hand of its worker: with no runs, the claim looks again also when a run of that
    /// worker ends.
    pub waits_for_hand: bool,
    /// The worker gets nothing more, and leaves when it has finished: its claim waits for nothing.
    pub drain: bool,
    /// The highest `seq` of a claim of this process whose leases stand, 0 where none do; none where they were not looked
    /// at.
    pub seq_before: Option<i64>,
    /// It was dealt these runs before: the claim was sent again.
    pub is_again: bool,
}

/// One run, as its worker gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub slot: SlotKey,
    pub fence: Fence,
    pub secret: i64,
    /// Counted from 1.
    pub attempt: i32,
    pub lane: Arc<LaneKey>,
    pub expires_at: Timestamp,
    pub timeout: Duration,
    /// It must not go on once its lease may have ended.
    pub is_exclusive: bool,
    pub checkpoint: Option<Json>,
    /// Always there once the batch is committed.
    pub input: Option<Json>,
}

impl Dealt {
    /// Puts in the inputs that were read at the commit.
    pub fn fill(&mut self, input: impl Fn(TaskId) -> Option<Json>) {
        let runs = self
            .hands
            .iter_mut()
            .flatten()
            .flatten()
            .flat_map(|hand| &mut hand.runs);
        for run in runs.filter(|run| run.input.is_none()) {
            run.input = input(run.slot.task);
        }
    }
}

type Lanes = Vec<(Lane, Position)>;

impl Claims {
    pub(crate) fn halves(&self) -> Option<[Self; 2]> {
        Some(halves(&self.claims)?.map(|claims| Self { claims }))
    }

    pub(crate) fn failed_part(&self, error: &store::Error) -> Dealt {
        let hands = self.claims.iter().map(|_| Err(error.clone()));
        Dealt {
            hands: hands.collect(),
        }
    }

    pub(crate) fn needs(&self, needs: &mut Needs, env: &Env<'_>) {
        needs.paused = true;
        for claim in &self.claims {
            needs.worker(&claim.worker, Hold::Read);
            if claim.maybe_again {
                needs.leases_of.push(claim.number);
            }
            if let (Some(slot), Some(named)) = (claim.named(), &claim.task) {
                standing::needs(slot, needs);
                if env.lanes.number(&named.lane).is_none() {
                    needs.lanes.push(Arc::clone(&named.lane));
                }
            }
        }
        needs.picks.extend(
            self.picks(env)
                .into_iter()
                .map(|(lanes, rows)| Pick { lanes, rows }),
        );
    }

    /// One pick for all claims that look at the same lanes, none for lanes that have nothing. Suspects are picked
    /// apart, one a claim, so that those that find no empty hand keep nobody from the rest.
    fn picks(&self, env: &Env<'_>) -> Vec<(Lanes, usize)> {
        // Workers that are alike look at the same lanes, which may be thousands.
        let mut alike: HashMap<&Profile, usize> = HashMap::new();
        let mut wanted: Vec<(&Claim, usize, usize)> = Vec::new();
        for claim in self.claims.iter().filter(|claim| claim.task.is_none()) {
            let place = *alike.entry(&*claim.profile).or_insert(wanted.len());
            if place == wanted.len() {
                wanted.push((claim, 0, 0));
            }
            wanted[place].1 += claim.limit;
            wanted[place].2 += claim.limit.min(1);
        }
        let mut picks: Vec<(Lanes, usize)> = Vec::new();
        for (claim, rows, suspects) in wanted {
            let (plain, twins) = claim.lanes(env);
            for (lanes, wanted) in [(plain, rows), (twins, suspects)] {
                match picks.iter_mut().find(|(other, _)| *other == lanes) {
                    Some((_, rows)) => *rows += wanted,
                    None => picks.push((lanes, wanted)),
                }
            }
        }
        picks.retain(|(lanes, rows)| !lanes.is_empty() && *rows > 0);
        picks
    }

    pub(crate) fn more(&self, view: &View, needs: &mut Needs, _env: &Env<'_>) {
        let picked = view.picks().iter().flat_map(|picked| &picked.slots);
        let rows = picked.filter_map(|slot| view.ready.get(slot));
        let mut suspects = false;
        for row in rows {
            suspects |= row.is_suspect();
            if row.has_carry && !view.carries.knows(&row.slot) {
                needs.carries.push(row.slot);
            }
        }
        for slot in self.claims.iter().filter_map(Claim::named) {
            standing::more(slot, view, needs);
            suspects |= view.ready.peek(&slot).is_some_and(Ready::is_suspect);
        }
        for claim in &self.claims {
            let kept = view
                .workers
                .get(&claim.worker)
                .is_some_and(|worker| worker.kept_for.is_some());
            // Whose hand is empty matters only to suspects.
            if (suspects || kept)
                && !(view.knows_leases_of(claim.number) && view.holds_worker(&claim.worker))
            {
                needs.leases_of.push(claim.number);
                needs.worker(&claim.worker, Hold::Lock);
            }
            // Any of them: what stands before one in the answer may be reported on in this very batch. Locked, so that the
            // server that dealt it, where another one did, does not give it back while its worker is told of it here.
            for lease in claim.made(view) {
                moves::need_history(lease, view, needs);
                if !view.holds_lease(lease.slot) {
                    needs.leases.push((lease.slot, Hold::Lock));
                }
            }
        }
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "every verb answers alike; each hand has its own refusal"
    )]
    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Dealt, Refused> {
        Ok(Dealt {
            hands: deal::deal(&self.claims, view, env),
        })
    }
}

impl Claim {
    /// The slot that it asks for by name.
    fn named(&self) -> Option<SlotKey> {
        let named = self.task.as_ref()?;
        Some(SlotKey::only(named.task))
    }

    /// The lanes that can have something for it, and those that can have a suspect. Those of queues that this server knows
    /// to be paused are left out, or what waits in them would stand before the rest; of the others the batch looks.
    fn lanes(&self, env: &Env<'_>) -> (Lanes, Lanes) {
        let mut lanes = self.profile.lanes_with_something(env.lanes, env.heads);
        let is_paused = |lane: Lane| {
            let key = env.lanes.key(lane);
            key.is_some_and(|key| env.queues.is_paused(&key.queue))
        };
        if env.queues.has_paused() {
            lanes.retain(|(lane, _)| !is_paused(*lane));
        }
        lanes.into_iter().partition(|(lane, _)| !lane.is_twin())
    }

    /// Whether a lane was left out whose queue is not paused any more: another server has let it go on since this one heard
    /// of the pause, or this very batch has. Whoever was told of that was told before the claim came back.
    fn left_out_what_goes_on(&self, view: &View, env: &Env<'_>) -> bool {
        let goes_on = |lane: Lane| {
            let key = env.lanes.key(lane);
            key.is_some_and(|key| env.queues.is_paused(&key.queue) && !view.is_paused(&key.queue))
        };
        let lanes = || self.profile.lanes_with_something(env.lanes, env.heads);
        env.queues.has_paused() && lanes().into_iter().any(|(lane, _)| goes_on(lane))
    }

    /// The leases that an earlier sending of this claim was answered with, by key: the same answer on every store. At
    /// most as many as this one asks for: two servers may have dealt to it. Those first that it was told of already,
    /// so that it is told of the same once more.
    fn answered(&self, view: &View) -> Vec<Lease> {
        let mut made: Vec<Lease> = self.made(view).cloned().collect();
        made.sort_unstable_by_key(|lease| (!lease.is_told_again, lease.slot));
        made.truncate(self.limit);
        made
    }

    /// What [`Hand::seq_before`] is.
    fn seq_before(&self, view: &View) -> Option<i64> {
        let leases = view
            .knows_leases_of(self.number)
            .then(|| view.leases_of(self.number))?;
        let its = leases.filter(|lease| lease.epoch == self.epoch);
        Some(its.map(|lease| lease.seq).max().unwrap_or(0))
    }

    /// The leases that earlier sendings of this claim made and that still stand.
    fn made<'a>(&self, view: &'a View) -> impl Iterator<Item = &'a Lease> {
        let (number, epoch, seq) = (self.number, self.epoch, self.seq);
        let may_be = self.maybe_again && seq != 0 && view.knows_leases_of(number);
        let leases = may_be.then(|| view.leases_of(number));
        leases
            .into_iter()
            .flatten()
            .filter(move |lease| lease.epoch == epoch && lease.seq == seq)
    }

    /// Whether both are one claim, sent twice.
    pub fn repeats(&self, other: &Self) -> bool {
        self.known_by()
            .is_some_and(|known_by| other.known_by() == Some(known_by))
    }

    /// What a repetition has in common with it; none of a claim that cannot be told from another.
    fn known_by(&self) -> Option<(i64, Epoch, &Name)> {
        (self.seq != 0).then_some((self.seq, self.epoch, &self.worker))
    }
}
