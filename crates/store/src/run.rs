//! How a batch runs: needs → load → more → decide → commit. Written once, for every store.

mod looks;
mod parts;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use parking_lot::{Mutex, RwLock};
use taskyard_core::command::{self, Answer, Command, Done, Env};
use taskyard_core::lane::{Heads, Lane, LaneKey, Lanes};
use taskyard_core::name::Name;
use taskyard_core::needs::Needs;
use taskyard_core::order::Position;
use taskyard_core::policy::Policy;
use taskyard_core::queue::{Queue, Queues};
use taskyard_core::random::Random;
use taskyard_core::store::{Error, Ran};
use taskyard_core::time::Timestamp;
use taskyard_core::view::View;

use self::looks::Looks;
pub(crate) use self::parts::cut_short;
use self::parts::{Failure, Parts};
use crate::tx::{Inputs, Tx, Writer};

/// How often a batch that met another server's change is loaded, decided and written again.
const CONFLICTS_MAX: usize = 3;
/// How often one batch may ask for more rows. Two are usual for the rare verbs; the rest is for a task that changes
/// its place between two looks.
const LOADS_MAX: usize = 8;

/// A batch whose rows took longer to come is decided at a later time than that at which it asked for them: what it writes
/// would bear a time that is long past, and the leases that it gives be as much shorter.
const OLD: Duration = Duration::from_secs(1);
/// How often: rows that come late each time, as over a bad network, are decided by in the end.
const OLD_MAX: usize = 2;

/// How often it is looked for room where there was none: for lanes, among those that could be forgotten; for workers.
const LOOK_FOR_ROOM_EVERY: Duration = Duration::from_secs(1);

/// What this process remembers between batches. All of it can be read from the database again.
#[derive(Default)]
pub(crate) struct Memory {
    lanes: RwLock<Arc<Lanes>>,
    /// Every lane up to this number was listed here, whoever made it. Those that batches take up may leave gaps below them.
    listed: Mutex<Option<Lane>>,
    /// When lanes were last looked through for some to forget.
    looked_through: Mutex<Option<Timestamp>>,
    /// When there was last no room for one more worker.
    full_of_workers: Mutex<Option<Timestamp>>,
    heads: Mutex<Heads>,
    queues: RwLock<Arc<Queues>>,
    /// Lanes that somebody else may have put something into since the last batch began.
    doubts: Mutex<Doubts>,
    /// Those that are still to be looked through from their very beginning.
    postponed: Mutex<Doubts>,
    /// The time of the latest batch.
    latest: Mutex<Timestamp>,
    /// At lanes from their very beginning.
    looks: Mutex<Looks>,
}

impl Memory {
    pub(crate) fn lanes(&self) -> Arc<Lanes> {
        Arc::clone(&self.lanes.read())
    }

    /// The number that the next list of lanes begins behind; none before [`Memory::begin`].
    pub(crate) fn listed(&self) -> Option<Lane> {
        *self.listed.lock()
    }

    /// What there is at a start: the highest number given out, read first, and the lanes that have something open.
    pub(crate) fn begin(&self, last: Lane, open: Vec<(Lane, Arc<LaneKey>)>) {
        *self.listed.lock() = Some(last);
        self.learn(open);
        // What waits in them is not known yet.
        self.unsure(None);
    }

    /// All lanes behind [`Memory::listed`].
    pub(crate) fn list(&self, found: Vec<(Lane, Arc<LaneKey>)>) {
        let last = found.iter().map(|(lane, _)| *lane).max();
        if last.is_some() {
            *self.listed.lock() = last;
        }
        self.learn(found);
    }

    pub(crate) fn learn(&self, found: impl IntoIterator<Item = (Lane, Arc<LaneKey>)>) {
        let mut found = found.into_iter().peekable();
        if found.peek().is_none() {
            return;
        }
        let mut lanes = self.lanes.write();
        let lanes = Arc::make_mut(&mut *lanes);
        for (lane, key) in found {
            lanes.add(lane, key);
        }
    }

    pub(crate) fn queues(&self) -> Arc<Queues> {
        Arc::clone(&self.queues.read())
    }

    /// All of which something is set, as they were just read.
    pub(crate) fn set_queues(&self, rows: impl IntoIterator<Item = Queue>) {
        *self.queues.write() = Arc::new(rows.into_iter().collect());
    }

    /// Those that another server has paused since they were read, or let go on.
    fn correct(&self, paused: &HashSet<Name>) {
        let known = self.queues();
        let is_known = |name: &&Name| known.is_paused(name);
        let was = known.iter().filter(|queue| queue.is_paused).count();
        if paused.len() == was && paused.iter().filter(is_known).count() == was {
            return;
        }
        let mut queues = Queues::clone(&known);
        let all = known
            .iter()
            .cloned()
            .map(|queue| (queue.name.clone(), queue));
        let unknown = paused
            .iter()
            .map(|name| (name.clone(), Queue::new(name.clone())));
        let corrected: HashMap<Name, Queue> = unknown.chain(all).collect();
        for (name, queue) in corrected {
            let is_paused = paused.contains(&name);
            queues.put(Queue { is_paused, ..queue });
        }
        *self.queues.write() = Arc::new(queues);
    }

    /// Every row was taken away, but those of the lanes. What is left of the hints promises too much, never too little.
    pub(crate) fn emptied(&self) {
        self.set_queues([]);
        *self.full_of_workers.lock() = None;
        self.unsure(None);
    }

    /// As a batch has set them.
    fn put_queues(&self, rows: Vec<Queue>) {
        if rows.is_empty() {
            return;
        }
        let mut queues = self.queues.write();
        let queues = Arc::make_mut(&mut *queues);
        rows.into_iter().for_each(|row| queues.put(row));
    }

    /// Forgets every lane but these.
    fn keep(&self, open: Vec<Lane>) {
        let open = open.into_iter().collect();
        Arc::make_mut(&mut *self.lanes.write()).keep(&open);
        self.heads.lock().keep(&open);
    }

    /// In another database their numbers are other lanes'. [`Memory::begin`] tells of those that it has.
    pub(crate) fn forget_lanes(&self) {
        self.keep(Vec::new());
        *self.listed.lock() = None;
    }

    /// Whether lanes may be looked through for some to forget: not again and again where all are in use.
    fn may_look_through(&self, now: Timestamp) -> bool {
        let mut last = self.looked_through.lock();
        let may = !is_recent(*last, now);
        if may {
            *last = Some(now);
        }
        may
    }

    /// Whether there was no room for one more worker a moment ago: whoever sends new names again and again must not have
    /// all workers counted each time.
    fn is_full_of_workers(&self, now: Timestamp) -> bool {
        is_recent(*self.full_of_workers.lock(), now)
    }

    /// Looks at a lane again at the next claim that could take from it; with `None`, at every lane.
    pub(crate) fn unsure(&self, lane: Option<Lane>) {
        self.doubts.lock().add(lane);
    }

    pub(crate) fn latest(&self) -> Timestamp {
        *self.latest.lock()
    }

    /// Taken away while a batch runs: there may be thousands, and batches run one at a time.
    fn heads(&self, now: Timestamp) -> Borrowed<'_> {
        let mut heads = std::mem::take(&mut *self.heads.lock());
        let mut doubts = std::mem::take(&mut *self.doubts.lock());
        let may_look = self.looks.lock().may(now);
        if may_look {
            doubts.join(std::mem::take(&mut *self.postponed.lock()));
        } else {
            self.postponed.lock().join(doubts.clone());
        }
        let mut unsure = |lane: Lane| {
            for lane in [lane.plain(), lane.twin()] {
                if may_look || !heads.unsure_behind(lane) {
                    heads.unsure(lane);
                }
            }
        };
        match doubts {
            Doubts::All => self.lanes().iter().for_each(|(lane, _)| unsure(lane)),
            Doubts::Of(lanes) => lanes.into_iter().for_each(unsure),
        }
        Borrowed {
            memory: self,
            heads,
        }
    }
}

/// A time that is later than now was before the clock was set back, nobody knows how long.
fn is_recent(then: Option<Timestamp>, now: Timestamp) -> bool {
    then.is_some_and(|then| then <= now && now < then + LOOK_FOR_ROOM_EVERY)
}

/// Batches may not come for long, and doubts come every second, so none is kept twice.
#[derive(Clone)]
enum Doubts {
    Of(HashSet<Lane>),
    /// Also those lanes that are learned of before the next batch.
    All,
}

impl Default for Doubts {
    fn default() -> Self {
        Self::Of(HashSet::new())
    }
}

impl Doubts {
    fn add(&mut self, lane: Option<Lane>) {
        match (&mut *self, lane) {
            (Self::Of(lanes), Some(lane)) => _ = lanes.insert(lane.plain()),
            (Self::Of(_), None) => *self = Self::All,
            (Self::All, _) => {}
        }
    }

    fn join(&mut self, others: Self) {
        match others {
            Self::All => self.add(None),
            Self::Of(lanes) => lanes.into_iter().for_each(|lane| self.add(Some(lane))),
        }
    }
}

/// The heads, which go back however the batch ends.
struct Borrowed<'a> {
    memory: &'a Memory,
    heads: Heads,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        *self.memory.heads.lock() = std::mem::take(&mut self.heads);
    }
}

/// Runs the batch: as one transaction, or in parts where one of its commands makes that fail. `time` is asked when it begins,
/// and again when its rows are there.
pub(crate) async fn run<W: Writer>(
    writer: &mut W,
    memory: &Memory,
    commands: &[Command],
    policy: &Policy,
    time: &(dyn Fn() -> Timestamp + Sync),
    random: &mut dyn Random,
) -> Result<Ran, Error> {
    let now = time();
    *memory.latest.lock() = now;
    let mut attempts = Attempts {
        writer,
        memory,
        policy,
        time,
        now,
        random,
    };
    let failure = match attempts.run(commands).await {
        Ok(ran) => return Ok(ran),
        Err(Failure::Store(error)) => return Err(error),
        Err(failure) => failure,
    };
    let mut parts = Parts::of(commands, failure, &mut *attempts.random);
    while let Some(part) = parts.next() {
        let ran = attempts.run(part.commands()).await;
        parts.ran(&part, ran);
    }
    Ok(parts.into_ran(attempts.now))
}

/// At one batch or at parts of it.
struct Attempts<'a, W> {
    writer: &'a mut W,
    memory: &'a Memory,
    policy: &'a Policy,
    time: &'a (dyn Fn() -> Timestamp + Sync),
    now: Timestamp,
    random: &'a mut dyn Random,
}

impl<W: Writer> Attempts<'_, W> {
    /// One transaction, again where other servers got in between.
    async fn run(&mut self, commands: &[Command]) -> Result<Ran, Failure> {
        self.make_room(commands).await?;
        let (mut conflicts, mut old) = (0, 0);
        loop {
            match self.once(commands, old < OLD_MAX).await {
                Ok(None) => {
                    old += 1;
                    self.now = (self.time)();
                    *self.memory.latest.lock() = self.now;
                }
                Err(Failure::Store(Error::Conflict) | Failure::Unsettled(_))
                    if conflicts < CONFLICTS_MAX =>
                {
                    conflicts += 1;
                }
                Ok(Some(ran)) => return Ok(ran),
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Forgets the lanes that have nothing open where there is no room for those that these commands may be the first to
    /// use. They are found in the database when they are used again.
    async fn make_room(&mut self, commands: &[Command]) -> Result<(), Error> {
        let lanes = self.memory.lanes();
        let fits = |more: usize| lanes.len() + more <= self.policy.lanes_max;
        let tasks = commands.iter().map(|command| command.new_tasks().len());
        if fits(tasks.sum()) || fits(command::lanes_besides(commands, &lanes)) {
            return Ok(());
        }
        if self.memory.may_look_through(self.now) {
            let known: Vec<Lane> = lanes.iter().map(|(lane, _)| lane).collect();
            drop(lanes);
            self.memory.keep(self.writer.open_among(&known).await?);
        }
        Ok(())
    }

    /// `must_be_new`: none where its rows took long; it is to be begun again then, at a later time.
    async fn once(
        &mut self,
        commands: &[Command],
        must_be_new: bool,
    ) -> Result<Option<Ran>, Failure> {
        let Self {
            memory,
            policy,
            time,
            now,
            ..
        } = *self;
        let lanes = memory.lanes();
        let queues = memory.queues();
        let mut borrowed = memory.heads(now);
        let mut env = Env {
            now,
            policy,
            lanes: &lanes,
            heads: &borrowed.heads,
            queues: &queues,
            workers_full: memory.is_full_of_workers(now),
            random: &mut *self.random,
        };

        // It asks for nothing that a command could be to blame for.
        let mut tx = self.writer.begin().await.map_err(Failure::Store)?;
        let mut view = View::default();
        let mut needs = rules(|| command::needs(commands, &env))?;
        for _ in 0..LOADS_MAX {
            if needs.is_empty() {
                break;
            }
            view.asked(&needs);
            let begun = looks_before_beginnings(&needs, &borrowed.heads).then(time);
            tx.load(&needs, &mut view).await?;
            if let Some(begun) = begun {
                let loaded = time();
                memory.looks.lock().took(loaded.since(begun), loaded);
            }
            needs = rules(|| command::more(commands, &view, &env))?;
        }
        if must_be_new && time().since(now) > OLD {
            return Ok(None);
        }
        if !needs.is_empty() || view.is_torn() {
            return Err(Failure::disagreeing());
        }
        if let Some(paused) = view.paused() {
            memory.correct(paused);
        }
        let live_workers = view.live_workers();
        if live_workers.is_some_and(|live| live >= policy.workers_max) {
            *memory.full_of_workers.lock() = Some(now);
        }

        let (mut replies, taken_up, learned, (diff, topics)) = rules(|| {
            let replies = command::decide(commands, &mut view, &mut env).map(Ok);
            let replies: Vec<Answer> = replies.collect();
            let taken_up = view.taken_up();
            (replies, taken_up, view.learned(), view.into_diff())
        })?;
        let wrote = !diff.is_empty();
        let set: Vec<Queue> = diff
            .queues
            .iter()
            .map(|change| match change.after() {
                Some(row) => row.clone(),
                None => Queue::new(change.row().name.clone()),
            })
            .collect();
        let inputs = tx.commit(diff).await?;
        fill(&mut replies, &inputs);
        // Nobody else holds them any more, so they need not be copied.
        drop(lanes);
        memory.learn(taken_up);
        memory.put_queues(set);
        for learned in learned {
            borrowed.heads.learn(learned);
        }
        Ok(Some(Ran {
            replies,
            topics,
            wrote,
            now,
        }))
    }
}

/// Whether a lane is looked at from its very beginning of which it is known where it was last found to begin.
fn looks_before_beginnings(needs: &Needs, heads: &Heads) -> bool {
    let mut lanes = needs.picks.iter().flat_map(|pick| &pick.lanes);
    lanes.any(|(lane, first)| *first == Position::FIRST && heads.begins(*lane).is_some())
}

/// A panic of the rules ends the attempt: its view and its transaction are dropped, so nothing of it is left.
fn rules<T>(decide: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(decide)).map_err(|_| Failure::Panicked)
}

/// Puts the inputs that were read at the commit into the answers that wait for them.
fn fill(replies: &mut [Answer], inputs: &Inputs) {
    for reply in replies {
        if let Ok(Ok(Done::Claims(dealt))) = reply {
            dealt.fill(|task| inputs.get(&task).cloned());
        }
    }
}
