//! The engine: the handle that everybody holds, on the one task that runs the batches.

mod again;
mod calls;
mod claimed;
mod logs;
mod main_loop;
mod operations;
mod reset;
mod workers;

pub use self::calls::ClaimCall;
pub use self::claimed::{Claimed, Told};
pub use self::logs::{Follow, News, Print};
pub use self::operations::Matching;

use std::sync::Arc;

use parking_lot::Mutex;
use taskyard_core::id::{OperationId, TaskId, TaskIds, WorkerNumber};
use taskyard_core::name::Name;
use taskyard_core::policy::Policy;
use taskyard_core::random::Random;
use taskyard_core::rows::Server;
use taskyard_core::store::{self, Cause, Ran, Store};
use taskyard_core::verbs::tally::Tally as TallyUp;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::main_loop::{Loop, Message};
use crate::desk::Moment;
use crate::directory::Directory;
use crate::due::NextDue;
use crate::error::Error;
use crate::follows::Follows;
use crate::gathered::Gathered;
use crate::metrics::Metrics;
use crate::outage::Outage;
use crate::room::Room;
use crate::waits::Waits;

/// A handle to a running engine; cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    policy: Policy,
    /// How much of it there may be is for `room` to say.
    messages: mpsc::UnboundedSender<Message>,
    room: Arc<Room>,
    directory: Mutex<Directory>,
    waits: Mutex<Waits>,
    follows: Mutex<Follows>,
    next_due: NextDue,
    metrics: Arc<Metrics>,
    gathered: Arc<Mutex<Gathered>>,
    /// Held while that is written down, and while everything is taken away.
    tallying: tokio::sync::Mutex<()>,
    ids: Mutex<(TaskIds, Box<dyn Random>)>,
    /// What this server joined as last.
    joined: watch::Sender<Option<Server>>,
    /// How the latest batch that had something to write failed, if it did.
    trouble: Mutex<Option<(Moment, store::Error)>>,
    outage: Mutex<Outage>,
    /// When something was last lost that workers said.
    unheard: Mutex<Option<Moment>>,
    /// A process took the place of another, whose runs are to be looked for.
    replaced: Notify,
    /// Those who asked for a sweep, and wait for what it did.
    sweeps: Mutex<Vec<oneshot::Sender<Sweep>>>,
    sweep_asked: Notify,
    /// Counts runs that somebody cancelled while a worker had them.
    cancelled: watch::Sender<u64>,
    /// Counts how often the database took writes again.
    recovered: watch::Sender<u64>,
    /// An operation was begun.
    operated: Notify,
    started: Instant,
    /// The step before the stop, which is it too: nobody waits, and no claim is taken.
    finishing: CancellationToken,
    stop: CancellationToken,
    /// The loop is over and has let go of the store.
    ended: CancellationToken,
    /// It came to that in order.
    ended_well: CancellationToken,
}

/// What a sweep did that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sweep {
    /// How many runs it took away.
    pub expired: usize,
    /// Whether nobody's silence counted.
    pub grace: bool,
}

/// What waits in an engine at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// Commands that wait for the database, those under way there among them.
    pub commands: usize,
    pub commands_max: usize,
    /// About how much memory they hold.
    pub bytes: usize,
    pub bytes_max: usize,
    /// Tasks whose end somebody waits for.
    pub waits: usize,
}

impl Engine {
    /// Starts the engine on the current runtime. It ends once `stop` is cancelled and what it had accepted is done.
    /// `random` is what ids are made of.
    pub fn start(
        store: Arc<dyn Store>,
        policy: Policy,
        random: Box<dyn Random>,
        stop: CancellationToken,
    ) -> Self {
        let (messages, inbox) = mpsc::unbounded_channel();
        let (ended, ended_well) = (CancellationToken::new(), CancellationToken::new());
        let shared = Arc::new(Shared {
            store,
            room: Room::under(&policy),
            policy,
            messages,
            directory: Mutex::default(),
            waits: Mutex::default(),
            follows: Mutex::default(),
            next_due: NextDue::default(),
            metrics: Arc::default(),
            gathered: Arc::default(),
            tallying: tokio::sync::Mutex::default(),
            ids: Mutex::new((TaskIds::default(), random)),
            joined: watch::Sender::default(),
            trouble: Mutex::default(),
            outage: Mutex::default(),
            unheard: Mutex::default(),
            replaced: Notify::new(),
            sweeps: Mutex::default(),
            sweep_asked: Notify::new(),
            cancelled: watch::Sender::default(),
            recovered: watch::Sender::default(),
            operated: Notify::new(),
            started: Instant::now(),
            finishing: stop.child_token(),
            stop,
            ended: ended.clone(),
            ended_well: ended_well.clone(),
        });
        let work = Loop::of(Arc::clone(&shared), inbox);
        tokio::spawn(async move {
            // However it ends, also in a panic.
            let _ended = ended.drop_guard();
            work.run().await;
            ended_well.cancel();
        });
        Self(shared)
    }

    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// An id for a task that is about to be submitted, behind those given before.
    pub fn new_task(&self) -> TaskId {
        let now = self.0.store.now();
        let (ids, random) = &mut *self.0.ids.lock();
        ids.next(now, &mut **random)
    }

    /// The same for an operation.
    pub fn new_operation(&self) -> OperationId {
        self.new_task().into()
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    /// What this server joined as last; none before that. One that could not say for a while that it is up may come back
    /// under another number, because another server has taken its own.
    pub fn joined(&self) -> watch::Receiver<Option<Server>> {
        self.0.joined.subscribe()
    }

    /// Changes when a run is cancelled here that a worker has: those of the same process need not wait for their
    /// heartbeats to hear of it.
    pub fn cancelled(&self) -> watch::Receiver<u64> {
        self.0.cancelled.subscribe()
    }

    /// Changes when the database takes writes again: those of the same process that wait because it took none need not
    /// wait on.
    pub fn recovered(&self) -> watch::Receiver<u64> {
        self.0.recovered.subscribe()
    }

    /// Why nothing can be stored at present, as far as is known: a database can look well while it takes no more rows.
    /// What was written since shows that it does. A server says regularly that it is up, so one that is sent nothing
    /// finds that out by itself; in its lifetime, to be safe.
    pub fn trouble(&self) -> Option<store::Error> {
        // What the store finds by itself is of this moment. But who waits once more for a lock looks like silence until it
        // is found out again what it is.
        let (now, last) = (self.0.store.trouble(), self.last_trouble());
        let of = |error: &Option<store::Error>, cause| matches!(error, Some(store::Error::Unavailable(away)) if away.cause == cause);
        if of(&now, Cause::Silent) && of(&last, Cause::Held) {
            return last;
        }
        now.or(last)
    }

    fn last_trouble(&self) -> Option<store::Error> {
        let trouble = self.0.trouble.lock();
        let (at, error) = trouble.as_ref()?;
        (self.moment() < *at + self.0.policy.server_ttl).then(|| error.clone())
    }

    /// The database takes no writes at present, which has its line in the log.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.0.is_cut_off()
    }

    /// When something was last lost that workers said, for want of room or with a batch that the database did not take.
    pub(crate) fn unheard(&self) -> Option<Moment> {
        *self.0.unheard.lock()
    }

    /// What it counts of what it does.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// What waits here at this moment, and how much may.
    pub fn load(&self) -> Load {
        let (commands, bytes) = self.0.room.taken();
        Load {
            commands,
            commands_max: self.0.policy.commands_max,
            bytes,
            bytes_max: self.0.policy.commands_bytes_max,
            waits: self.0.waits.lock().count(),
        }
    }

    /// What happened since it was last written down.
    pub(crate) fn gathered(&self) -> &Mutex<Gathered> {
        &self.0.gathered
    }

    /// The name of the worker with this number, if it came by here.
    pub(crate) fn name_of(&self, number: WorkerNumber) -> Option<Name> {
        self.0.directory.lock().name(number)
    }

    /// Its runs were taken away for its silence: that it is back is worth a line.
    pub(crate) fn miss(&self, worker: Name) {
        self.0.directory.lock().miss(worker);
    }

    /// How long the engine has run.
    pub(crate) fn moment(&self) -> Moment {
        self.0.moment()
    }

    /// What the promoter waits for.
    pub(crate) fn next_due(&self) -> &NextDue {
        &self.0.next_due
    }

    /// Whoever was not heard of here for a worker's life is looked up again when it calls.
    pub(crate) fn drop_silent_workers(&self) {
        if let Some(before) = self.moment().checked_sub(self.0.policy.worker_life) {
            self.0.directory.lock().drop_silent(before);
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.0.stop.is_cancelled()
    }

    /// Goes on for those whose requests were accepted, and for nobody else: from here on nobody waits, and no claim is
    /// taken, whose work would begin as this server stops. All else is done until the stop.
    pub fn finish(&self) {
        self.0.finishing.cancel();
    }

    /// Is cancelled by [`Engine::finish`], and by the stop.
    pub fn finishing(&self) -> &CancellationToken {
        &self.0.finishing
    }

    /// Resolves once all that was accepted before the stop has been done and answered. Before the stop only if the loop
    /// broke down over a bug: then nothing is taken any more.
    pub async fn ended(&self) {
        self.0.ended.cancelled().await;
    }

    /// Whether [`Engine::ended`] has resolved.
    pub fn has_ended(&self) -> bool {
        self.0.ended.is_cancelled()
    }

    /// Whether it has ended over a bug, be it before the stop or after.
    pub fn has_broken_down(&self) -> bool {
        self.has_ended() && !self.0.ended_well.is_cancelled()
    }

    /// Has the sweep come now, and waits for it.
    pub async fn sweep(&self) -> Result<Sweep, Error> {
        let (asked, answer) = oneshot::channel();
        self.0.sweeps.lock().push(asked);
        self.0.sweep_asked.notify_one();
        tokio::select! {
            sweep = answer => sweep.map_err(|_| {
                let why = "the sweep failed, and is tried again".to_owned();
                store::Error::Unavailable(why.into()).into()
            }),
            () = self.stopping() => Err(Error::Stopping),
        }
    }

    /// Resolves when somebody has asked for a sweep since this resolved last.
    pub(crate) async fn was_asked_to_sweep(&self) {
        self.0.sweep_asked.notified().await;
    }

    /// Those who have.
    pub(crate) fn sweeps(&self) -> Vec<oneshot::Sender<Sweep>> {
        std::mem::take(&mut self.0.sweeps.lock())
    }

    /// Resolves when a process of a worker took the place of another since this resolved last.
    pub(crate) async fn was_replaced(&self) {
        self.0.replaced.notified().await;
    }

    pub(crate) async fn stopping(&self) {
        self.0.stop.cancelled().await;
    }
}

impl Shared {
    fn is_cut_off(&self) -> bool {
        self.outage.lock().is_on()
    }

    fn moment(&self) -> Moment {
        self.started.elapsed()
    }

    /// What happened since the service wrote it down for the last time, while all that was accepted came to its end.
    fn last_tally(&self) -> Option<TallyUp> {
        let mut gathered = self.gathered.lock();
        let minutes = gathered.take(self.policy.stats_lanes_max);
        let directory = self.directory.lock();
        let workers = gathered.take_workers().into_iter();
        // There is no time left to ask for the names of others.
        let workers =
            workers.filter_map(|(number, worked)| Some((directory.name(number)?, worked)));
        let workers: Vec<_> = workers.collect();
        let is_empty = minutes.is_empty() && workers.is_empty();
        (!is_empty).then_some(TallyUp { minutes, workers })
    }

    fn note(&self, ran: &Result<Ran, store::Error>) {
        match ran {
            // Nothing to write is no sign that it could have been.
            Ok(ran) if !ran.wrote => {}
            // Other servers being quicker is no trouble of the database's.
            Ok(_) | Err(store::Error::Conflict) => {
                *self.trouble.lock() = None;
                if self.is_cut_off() {
                    self.recovered.send_modify(|times| *times += 1);
                }
                if let Some(lasted) = self.outage.lock().ends(self.moment()) {
                    let seconds = lasted.as_secs();
                    tracing::info!(seconds, "the database takes writes again");
                }
            }
            Err(error) => {
                *self.trouble.lock() = Some((self.moment(), error.clone()));
                if !is_of_the_command(error) {
                    self.note_unheard();
                    self.say_outage(error);
                }
            }
        }
    }

    fn say_outage(&self, error: &store::Error) {
        if self.outage.lock().goes_on(self.moment()) {
            let path = self.store.path();
            let path = path.map(|path| tracing::field::display(path.display()));
            tracing::error!(%error, path, "the database takes no writes; everything is tried again until it does");
        }
    }

    fn note_unheard(&self) {
        *self.unheard.lock() = Some(self.moment());
    }
}

/// That the database cannot take a command tells nothing of whether workers were heard.
pub(crate) fn is_of_the_command(error: &store::Error) -> bool {
    matches!(
        error,
        store::Error::Failed(_) | store::Error::Unreadable(_) | store::Error::Damaged(_)
    )
}
