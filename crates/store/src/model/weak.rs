//! The weak model: the model's tables shared by several servers, as weak as the contract of a store allows, and no
//! weaker. What the simulation runs on.
//!
//! A batch is a future that is polled by hand and stops between its statements, so that one thread lets batches of
//! several servers run through each other as PostgreSQL does. Rows that are named are locked and waited for; a slot
//! that moves between two statements is found in neither place; picks pass over what others hold, and at times over
//! what nobody seems to hold; unlocked rows are as they were when they were read; a commit that meets another's
//! insert conflicts, and one that breaks off may or may not have been written. A future that is dropped is a server
//! that died: its locks go, and nothing is written.
//!
//! It is stricter than PostgreSQL in one thing: to change a row that was not locked is a bug in the rules, and it
//! stops there.

mod locks;
mod tx;
mod weakness;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use taskyard_core::command::Command;
use taskyard_core::diff::Diff;
use taskyard_core::id::TaskId;
use taskyard_core::lane::{Lane, LaneKey, Lanes};
use taskyard_core::needs::{Due, Pick, ReadyKey};
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::random::{Random, Seeded};
use taskyard_core::rows::{self, Idempotency, Ready, Scheduled};
use taskyard_core::store::{Error, Ran};
use taskyard_core::time::Timestamp;
use taskyard_core::view::{Brief, Change};

pub use self::weakness::{REFUSED, Tally, Trouble, Weakness};

use self::locks::{Locks, Number, Row};
use self::tx::WeakWriter;
use super::tables::{Tables, ready_key, scheduled_key};
use crate::run::{self, Memory};
use crate::tx::{Inputs, Undone};

/// How many earlier states are kept for reads that are old.
const PAST_MAX: usize = 3;
/// One commit in so many leaves its state behind for them.
const PAST_EVERY: u64 = 8;

/// The database that the servers share. It lives in one thread.
#[derive(Clone)]
pub struct Database(Rc<RefCell<Shared>>);

/// One server's view of the database: what it remembers between batches is its own.
pub struct Server {
    shared: Rc<RefCell<Shared>>,
    memory: Memory,
    /// The latest commit that a read has seen: no later read sees an earlier state.
    seen: Cell<u64>,
}

struct Shared {
    tables: Tables,
    locks: Locks,
    latest: Number,
    commits: u64,
    /// Each with the number of its last commit.
    past: VecDeque<(u64, Tables)>,
    changed: BTreeSet<TaskId>,
    random: Seeded,
    weakness: Weakness,
    trouble: Option<Trouble>,
    tally: Tally,
}

impl Database {
    /// An empty one. The same seed, and the same batches polled in the same order, give the same rows.
    pub fn new(seed: u64, weakness: Weakness) -> Self {
        Self(Rc::new(RefCell::new(Shared {
            tables: Tables::default(),
            locks: Locks::default(),
            latest: 0,
            commits: 0,
            past: VecDeque::new(),
            changed: BTreeSet::new(),
            random: Seeded::new(seed),
            weakness,
            trouble: None,
            tally: Tally::new(),
        })))
    }

    /// A server that has just started.
    pub fn server(&self) -> Server {
        let memory = Memory::default();
        let shared = &mut *self.0.borrow_mut();
        memory.begin(shared.tables.last_lane(), shared.open());
        memory.set_queues(shared.tables.queues.values().cloned());
        Server {
            shared: Rc::clone(&self.0),
            memory,
            seen: Cell::new(shared.commits),
        }
    }

    pub fn set(&self, weakness: Weakness) {
        self.0.borrow_mut().weakness = weakness;
    }

    pub fn set_trouble(&self, trouble: Option<Trouble>) {
        self.0.borrow_mut().trouble = trouble;
    }

    /// How often anything was committed.
    pub fn commits(&self) -> u64 {
        self.0.borrow().commits
    }

    /// How often each weakness showed.
    pub fn tally(&self) -> Tally {
        self.0.borrow().tally.clone()
    }

    /// Answers from the rows as they stand.
    pub fn read(&self, query: Query) -> Answer {
        self.0.borrow().tables.read(query)
    }

    /// The tasks of which any row was written since this was last asked.
    pub fn changed(&self) -> BTreeSet<TaskId> {
        std::mem::take(&mut self.0.borrow_mut().changed)
    }

    /// Every server that ever was up, as it said last.
    pub fn servers(&self) -> Vec<rows::Server> {
        self.0.borrow().tables.servers.values().copied().collect()
    }

    /// Every row of a place, by task: of each there must be one, or an outcome.
    pub fn places(&self) -> Vec<TaskId> {
        let tables = &self.0.borrow().tables;
        let scheduled = tables.scheduled.keys().map(|key| key.slot.task);
        let ready = tables.ready.keys().map(|key| key.slot.task);
        let leases = tables.leases.keys().map(|slot| slot.task);
        let ended = tables.outcomes.keys().copied();
        let mut places: Vec<_> = scheduled.chain(ready).chain(leases).chain(ended).collect();
        places.sort_unstable();
        places
    }
}

impl Server {
    /// Runs the batch at `now`, which is earlier than that of the batch before where the database's clock was set back.
    pub async fn run(
        &self,
        batch: &[Command],
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Ran, Error> {
        let mut random = Seeded::new(self.shared.borrow_mut().random.bits());
        let mut writer = WeakWriter(Rc::clone(&self.shared));
        let ran = run::run(
            &mut writer,
            &self.memory,
            batch,
            policy,
            &|| now,
            &mut random,
        )
        .await;
        if matches!(ran, Err(Error::Unknown(_))) {
            // The connection broke. Over the next one it is asked which lanes there are, and nothing is known of the heads.
            self.unsure(None);
        }
        ran
    }

    /// Answers from a state that may be a moment old, but never older than that of the answer before.
    pub fn read(&self, query: Query) -> Answer {
        let shared = &mut *self.shared.borrow_mut();
        let seen = self.seen.get();
        let newer = shared.past.iter().skip_while(|(commit, _)| *commit < seen);
        let newer = newer.count();
        if newer > 0 && shared.happens(|weakness| weakness.old_read) {
            shared.count("read_is_old");
            let place = usize::try_from(shared.random.below(newer as u64)).unwrap_or(0);
            let (commit, tables) = &shared.past[shared.past.len() - newer + place];
            self.seen.set(*commit);
            return tables.read(query);
        }
        self.seen.set(shared.commits);
        shared.tables.read(query)
    }

    pub fn lanes(&self) -> std::sync::Arc<Lanes> {
        self.memory.lanes()
    }

    /// With no lane, of all of them, those too that other servers have made.
    pub fn unsure(&self, lane: Option<Lane>) {
        if lane.is_none() {
            let listed = self.memory.listed().map_or(0, |lane| lane.0);
            let shared = self.shared.borrow();
            self.memory.list(shared.tables.lanes_above(listed));
            // Some of those that were forgotten here may have been used elsewhere since.
            self.memory.learn(shared.open());
            self.memory
                .set_queues(shared.tables.queues.values().cloned());
        }
        self.memory.unsure(lane);
    }

    /// It has asked which lanes these are.
    pub fn learn(&self, lanes: &[Lane]) {
        let all = self.shared.borrow().tables.lanes_above(0);
        let asked_for = all.into_iter().filter(|(lane, _)| lanes.contains(lane));
        self.memory.learn(asked_for);
    }
}

impl Shared {
    fn happens(&mut self, rate: impl Fn(&Weakness) -> u64) -> bool {
        let rate = rate(&self.weakness);
        rate > 0 && self.random.below(1000) < rate
    }

    /// The lanes that have something open.
    fn open(&self) -> Vec<(Lane, Arc<LaneKey>)> {
        let lanes = self.tables.lanes_above(0);
        let numbers: Vec<Lane> = lanes.iter().map(|(lane, _)| *lane).collect();
        let open = self.tables.open_lanes(&numbers);
        let is_open = |(lane, _): &(Lane, _)| open.contains(lane);
        lanes.into_iter().filter(is_open).collect()
    }

    fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    fn has(&self, row: &Row) -> bool {
        match row {
            Row::Queue(name) => self.tables.queues.contains_key(name),
            Row::Operation(id) => self.tables.operations.contains_key(id),
            Row::Server(number) => self.tables.servers.contains_key(number),
            Row::Worker(name) => self.tables.workers.contains_key(name),
            Row::Scheduled(key) => self.tables.scheduled.contains_key(key),
            Row::Ready(key) => self.tables.ready.contains_key(key),
            Row::Lease(slot) => self.tables.leases.contains_key(slot),
            Row::Unique(key) => self.tables.uniques.contains_key(key),
            Row::Key(key) => self.tables.idempotency.contains_key(key),
            Row::Relic(task) => self.tables.outcomes.contains_key(task),
            Row::Minute(key) => self.tables.minutes.contains_key(key),
        }
    }

    /// Whether a pick passes the row over.
    fn is_missed(&mut self, row: &Row, by: Number) -> bool {
        if !self.locks.is_free(row, by) {
            self.count("pick_passes_over_a_locked_row");
            return true;
        }
        let missed = self.happens(|weakness| weakness.missed_row);
        if missed {
            self.count("pick_misses_a_free_row");
        }
        missed
    }

    fn pick(&mut self, pick: &Pick, by: Number) -> Vec<(Ready, Brief)> {
        let in_lanes = |row: &&Ready| pick.lanes.iter().any(|(lane, _)| *lane == row.lane);
        let rows = self.tables.ready.values().filter(in_lanes);
        let keys: Vec<ReadyKey> = rows.map(ready_key).collect();
        let missed: BTreeSet<ReadyKey> = keys
            .into_iter()
            .filter(|key| self.is_missed(&Row::Ready(*key), by))
            .collect();
        let free = |row: &Ready| !missed.contains(&ready_key(row));
        self.tables.pick_where(pick, free)
    }

    fn due(&mut self, due: Due, by: Number) -> Vec<Scheduled> {
        let rows: Vec<Scheduled> = self.tables.scheduled.values().copied().collect();
        let due_now = rows.into_iter().filter(|row| row.run_at <= due.until);
        due_now
            .filter(|row| !self.is_missed(&Row::Scheduled(scheduled_key(row)), by))
            .skip(due.skip)
            .take(due.rows)
            .collect()
    }

    fn old_keys(&mut self, due: Due, by: Number) -> Vec<Idempotency> {
        let old = self.tables.old_keys(due.until).into_iter();
        let old: Vec<Idempotency> = old.cloned().collect();
        old.into_iter()
            .filter(|row| !self.is_missed(&Row::Key(row.key.clone()), by))
            .skip(due.skip)
            .take(due.rows)
            .collect()
    }

    fn commit(&mut self, by: Number, mut diff: Diff) -> Result<Inputs, Undone> {
        if self.conflicts(&diff) {
            self.count("commit_meets_an_insert");
            return Err(Undone::Taken("a row stands there".to_owned()));
        }
        if self.happens(|weakness| weakness.conflict) {
            self.count("commit_conflicts");
            return Err(Error::Conflict.into());
        }
        if self.trouble == Some(Trouble::Full) && !diff.is_empty() {
            return Err(Error::Full.into());
        }
        if self.happens(|weakness| weakness.refused) {
            self.count("commit_is_refused");
            return Err(Error::Failed(REFUSED.to_owned()).into());
        }
        let is_away = self.trouble == Some(Trouble::Away);
        if is_away || self.happens(|weakness| weakness.unknown_not_written) {
            self.count("commit_is_unknown_and_was_not_written");
            return Err(Error::Unknown("it was not written".to_owned()).into());
        }
        self.tables.complete(&mut diff);
        locks::check_held(&diff, &self.tables, &self.locks, by);
        if !diff.is_empty() {
            self.commits += 1;
            self.locks.note_births(&diff, self.commits);
        }
        self.changed.extend(tasks_of(&diff));
        let inputs = self.tables.write(diff);
        self.locks.release(by);
        if self.commits.is_multiple_of(PAST_EVERY) {
            self.past.push_back((self.commits, self.tables.clone()));
            self.past.drain(..self.past.len().saturating_sub(PAST_MAX));
        }
        if self.happens(|weakness| weakness.unknown_written) {
            self.count("commit_is_unknown_and_was_written");
            return Err(Error::Unknown("it was written".to_owned()).into());
        }
        Ok(inputs)
    }

    /// Whether the diff puts in a row where another server has put one meanwhile.
    fn conflicts(&self, diff: &Diff) -> bool {
        let tables = &self.tables;
        let number_taken = |number| tables.workers.values().any(|row| row.number == number);
        diff.tasks
            .iter()
            .any(|row| tables.tasks.contains_key(&row.id))
            || diff
                .outcomes
                .iter()
                .any(|row| tables.outcomes.contains_key(&row.task))
            || diff
                .lanes
                .iter()
                .any(|(lane, key)| tables.has_lane(*lane, key))
            || inserts(&diff.servers).any(|row| tables.servers.contains_key(&row.number))
            || inserts(&diff.workers)
                .any(|row| tables.workers.contains_key(&row.name) || number_taken(row.number))
            || inserts(&diff.queues).any(|row| tables.queues.contains_key(&row.name))
            || inserts(&diff.operations).any(|row| tables.operations.contains_key(&row.id))
            || inserts(&diff.leases).any(|row| tables.leases.contains_key(&row.slot))
            || inserts(&diff.carries).any(|row| tables.carries.contains_key(&row.slot))
            || inserts(&diff.uniques).any(|row| tables.uniques.contains_key(&row.key))
            || inserts(&diff.idempotency).any(|row| tables.idempotency.contains_key(&row.key))
            || inserts(&diff.minutes).any(|row| tables.minutes.contains_key(&row.key))
    }
}

fn tasks_of(diff: &Diff) -> impl Iterator<Item = TaskId> {
    let tasks = diff.tasks.iter().map(|row| row.id);
    let ended = diff.outcomes.iter().map(|row| row.task);
    let slots = diff.scheduled.iter().map(|change| change.row().slot);
    let slots = slots.chain(diff.ready.iter().map(|change| change.row().slot));
    let slots = slots.chain(diff.leases.iter().map(|change| change.row().slot));
    let slots = slots.chain(diff.carries.iter().map(|change| change.row().slot));
    let discarded = diff.discarded.iter().copied();
    let tasks = tasks.chain(ended).chain(discarded);
    tasks.chain(slots.map(|slot| slot.task))
}

fn inserts<R>(changes: &[Change<R>]) -> impl Iterator<Item = &R> {
    changes.iter().filter_map(|change| match change {
        Change::Insert(row) => Some(row),
        Change::Update { .. } | Change::Delete(_) => None,
    })
}
