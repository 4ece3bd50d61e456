//! The engine: one task that takes batches off the desk and runs them, and the handle that everybody else holds.

mod calls;
mod logs;
mod operations;
mod workers;

pub use self::calls::{ClaimCall, Claimed};
pub use self::logs::{Follow, News, Print};
pub use self::operations::Matching;

use std::sync::Arc;

use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use parking_lot::Mutex;
use taskyard_core::command::{Answer, Command};
use taskyard_core::id::{OperationId, TaskId, TaskIds, WorkerNumber};
use taskyard_core::lane::Lane;
use taskyard_core::name::Name;
use taskyard_core::policy::Policy;
use taskyard_core::random::Random;
use taskyard_core::rows::Server;
use taskyard_core::store::{self, Ran, Store};
use taskyard_core::topic::Topic;
use taskyard_core::verbs::report::Report;
use taskyard_core::verbs::tally::Tally as TallyUp;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::desk::{Batch, Caller, Desk, Moment, Waiting, release};
use crate::directory::{Directory, Sending};
use crate::due::NextDue;
use crate::error::Error;
use crate::follows::Follows;
use crate::gathered::Gathered;
use crate::metrics::{Metrics, Noted, Tally};
use crate::room::{Place, Room};
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
    ids: Mutex<(TaskIds, Box<dyn Random>)>,
    /// What this server joined as last.
    joined: watch::Sender<Option<Server>>,
    /// How the latest batch that had something to write failed, if it did.
    trouble: Mutex<Option<(Moment, store::Error)>>,
    /// When something was last lost that workers said.
    unheard: Mutex<Option<Moment>>,
    /// A process took the place of another, whose runs are to be looked for.
    replaced: Notify,
    /// Those who asked for a sweep, and wait for what it did.
    sweeps: Mutex<Vec<oneshot::Sender<Sweep>>>,
    sweep_asked: Notify,
    /// An operation was begun.
    operated: Notify,
    started: Instant,
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

enum Message {
    Command(Command, Reply),
    Claim(Waiting<Reply>),
    /// Runs that this sending of a claim was dealt, and that nobody will be told of.
    GiveBack(Sending, Report),
    /// Something may be ready in this lane; with none, anywhere.
    Look(Option<Lane>),
}

/// Where the answer to a message goes.
struct Reply {
    to: oneshot::Sender<Answer>,
    /// What the message takes as long as it waits for the database. What services send takes nothing, nor what goes back.
    place: Option<Place>,
    about: About,
}

/// What else there is to know of a message when it is run or answered.
enum About {
    Command,
    Claim(Sending),
    /// When it looked whose silence counts.
    Sweep(Moment),
}

impl Reply {
    fn new(place: Option<Place>, about: About) -> (Self, oneshot::Receiver<Answer>) {
        let (to, answer) = oneshot::channel();
        (Self { to, place, about }, answer)
    }

    /// Of a command of the engine's own, which nobody waits for.
    fn to_nobody() -> Self {
        Self::new(None, About::Command).0
    }
}

impl Caller for Reply {
    fn is_gone(&self) -> bool {
        self.to.is_closed()
    }

    fn waits_for_work(&mut self) {
        self.place = None;
    }

    fn looked_at(&self) -> Option<Moment> {
        match self.about {
            About::Sweep(looked_at) => Some(looked_at),
            About::Command | About::Claim(_) => None,
        }
    }
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
            ids: Mutex::new((TaskIds::default(), random)),
            joined: watch::Sender::default(),
            trouble: Mutex::default(),
            unheard: Mutex::default(),
            replaced: Notify::new(),
            sweeps: Mutex::default(),
            sweep_asked: Notify::new(),
            operated: Notify::new(),
            started: Instant::now(),
            stop,
            ended: ended.clone(),
            ended_well: ended_well.clone(),
        });
        let work = Loop {
            shared: Arc::clone(&shared),
            inbox,
            desk: Desk::default(),
            tally: Tally::of(Arc::clone(&shared.metrics), Arc::clone(&shared.gathered)),
            is_over: false,
        };
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

    /// Why nothing can be stored at present, as far as is known: a database can look well while it takes no more rows.
    /// What was written since shows that it does. A server says regularly that it is up, so one that is sent nothing
    /// finds that out by itself; in its lifetime, to be safe.
    pub fn trouble(&self) -> Option<store::Error> {
        let trouble = self.0.trouble.lock();
        let (at, error) = trouble.as_ref()?;
        (self.moment() < *at + self.0.policy.server_ttl).then(|| error.clone())
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
                store::Error::Unavailable(why).into()
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
            Ok(_) | Err(store::Error::Conflict) => *self.trouble.lock() = None,
            Err(error) => {
                *self.trouble.lock() = Some((self.moment(), error.clone()));
                if !is_of_the_command(error) {
                    self.note_unheard();
                }
            }
        }
    }

    fn note_unheard(&self) {
        *self.unheard.lock() = Some(self.moment());
    }
}

/// That the database cannot take a command tells nothing of whether workers were heard.
pub(crate) fn is_of_the_command(error: &store::Error) -> bool {
    matches!(error, store::Error::Failed(_) | store::Error::Damaged(_))
}

/// A batch on its way through the store.
struct Sent {
    batch: Batch<Reply>,
    noted: Noted,
    at: Moment,
}

struct Loop {
    shared: Arc<Shared>,
    inbox: mpsc::UnboundedReceiver<Message>,
    desk: Desk<Reply>,
    tally: Tally,
    /// Nothing more arrives.
    is_over: bool,
}

impl Loop {
    async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        // Answered in the order in which they were sent, whichever the store finishes first.
        let mut running = FuturesOrdered::new();
        loop {
            self.take_waiting();
            while running.len() < shared.store.batches_max()
                && let Some(mut batch) = self.desk.next_batch()
            {
                if let Some(lost_at) = *shared.unheard.lock() {
                    batch.spare_the_silent(lost_at);
                }
                let commands = std::mem::take(&mut batch.commands);
                let sent = Sent {
                    noted: self.tally.note(&commands),
                    at: shared.moment(),
                    batch,
                };
                let ran = shared.store.run(commands, &shared.policy);
                running.push_back(ran.map(|ran| (sent, ran)));
            }
            if running.is_empty() && self.desk.is_idle() && self.is_over {
                let Some(tally) = shared.last_tally() else {
                    return;
                };
                self.desk.command(tally.into(), Reply::to_nobody());
                continue;
            }
            let expiry = self
                .desk
                .next_expiry()
                .map(|moment| shared.started + moment);
            tokio::select! {
                // First, so that batches reach the store in their order.
                biased;
                Some((sent, ran)) = running.next() => self.finish(sent, ran),
                message = self.inbox.recv(), if !self.is_over => match message {
                    Some(message) => self.take(message),
                    None => self.is_over = true,
                },
                () = sleep_until(expiry) => {
                    let over = self.desk.expired(shared.moment());
                    self.answer(over);
                }
                () = shared.stop.cancelled(), if !self.inbox.is_closed() => self.inbox.close(),
            }
            if self.inbox.is_closed() {
                let over = self.desk.close();
                self.answer(over);
            }
            self.tally.metrics().parked(self.desk.parked());
        }
    }

    fn finish(&mut self, sent: Sent, ran: Result<Ran, store::Error>) {
        self.shared.note(&ran);
        let lanes = self.shared.store.lanes();
        let now = self.shared.moment();
        let Sent { batch, noted, at } = sent;
        match &ran {
            Ok(ran) => {
                self.spread(ran);
                self.tally.count(&noted, ran, &lanes);
                let took = now.saturating_sub(at);
                self.tally.metrics().ran(batch.size(), took, ran.wrote);
            }
            Err(_) => self.tally.metrics().failed(),
        }
        let answers = self.desk.finished(batch, ran, &lanes, now);
        self.answer(answers);
    }

    fn take_waiting(&mut self) {
        while let Ok(message) = self.inbox.try_recv() {
            self.take(message);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Command(command, reply) => self.desk.command(command, reply),
            Message::Claim(waiting) => {
                let repeated = self.desk.claim(waiting);
                self.answer(repeated);
            }
            Message::GiveBack(sending, report) => self.give_back(&sending, report),
            Message::Look(None) => self.desk.look_again(),
            Message::Look(Some(lane)) => self.desk.ready(lane, &self.shared.store.lanes()),
        }
    }

    /// Tells those who wait outside of the desk what the batch changed.
    fn spread(&self, ran: &Ran) {
        for topic in &ran.topics {
            match topic {
                Topic::Ended(outcome) => self.shared.waits.lock().ended(outcome.task),
                Topic::Scheduled(at) => self.shared.next_due.scheduled(*at),
                Topic::Ready(_) | Topic::GivenBack { .. } | Topic::Told(_) => {}
            }
        }
    }

    fn answer(&mut self, answers: impl IntoIterator<Item = (Reply, Answer)>) {
        for (reply, answer) in answers {
            let Reply { to, place, about } = reply;
            // Whoever hears of it finds room for the next one.
            drop(place);
            if let Err(unheard) = to.send(answer)
                && let About::Claim(sending) = about
                && let Some(report) = release(&unheard)
            {
                self.give_back(&sending, report);
            }
        }
    }

    /// Whoever claimed these has gone: they go back at once instead of when their lease expires.
    fn give_back(&mut self, sending: &Sending, report: Report) {
        // Asked here, where repetitions arrive: one that comes later finds these gone.
        if self.shared.directory.lock().may_give_back(sending) {
            self.desk.give_back(report, Reply::to_nobody());
        }
    }
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
