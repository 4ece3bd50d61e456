//! The engine: one task that takes batches off the desk and runs them, and the handle that everybody else holds.

mod calls;

pub use self::calls::ClaimCall;

use std::sync::Arc;

use parking_lot::Mutex;
use taskyard_core::command::Command;
use taskyard_core::id::TaskId;
use taskyard_core::lane::Lane;
use taskyard_core::policy::Policy;
use taskyard_core::random::Random;
use taskyard_core::store::{Ran, Store};
use taskyard_core::topic::Topic;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::desk::{Answer, Caller, Desk, Moment, Waiting, release};
use crate::directory::Directory;
use crate::waits::Waits;

/// How many commands wait at most before callers are told to come back later.
const QUEUE_MAX: usize = 10_000;

/// A handle to a running engine; cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    policy: Policy,
    messages: mpsc::Sender<Message>,
    directory: Mutex<Directory>,
    waits: Mutex<Waits>,
    /// Told when something is scheduled, so that the promoter can look whether it is the next.
    scheduled: tokio::sync::Notify,
    random: Mutex<Box<dyn Random>>,
    started: Instant,
    stop: CancellationToken,
}

enum Message {
    Command(Command, Reply),
    Claim(Waiting<Reply>),
    /// Something may be ready in this lane; with none, anywhere.
    Look(Option<Lane>),
}

/// Where the answer to a message goes.
struct Reply(oneshot::Sender<Answer>);

impl Caller for Reply {
    fn is_gone(&self) -> bool {
        self.0.is_closed()
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
        let (messages, inbox) = mpsc::channel(QUEUE_MAX);
        let shared = Arc::new(Shared {
            store,
            policy,
            messages,
            directory: Mutex::default(),
            waits: Mutex::default(),
            scheduled: tokio::sync::Notify::new(),
            random: Mutex::new(random),
            started: Instant::now(),
            stop,
        });
        tokio::spawn(
            Loop {
                shared: Arc::clone(&shared),
                inbox,
                desk: Desk::default(),
            }
            .run(),
        );
        Self(shared)
    }

    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// An id for a task that is about to be submitted.
    pub fn new_task(&self) -> TaskId {
        let mut random = self.0.random.lock();
        let bits = (u128::from(random.bits()) << 64) | u128::from(random.bits());
        TaskId::new(self.0.store.now(), bits)
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    /// Resolves when something was scheduled since it was last asked.
    pub(crate) async fn scheduled(&self) {
        self.0.scheduled.notified().await;
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.0.stop.is_cancelled()
    }

    pub(crate) async fn stopping(&self) {
        self.0.stop.cancelled().await;
    }
}

impl Shared {
    fn moment(&self) -> Moment {
        self.started.elapsed()
    }
}

struct Loop {
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Message>,
    desk: Desk<Reply>,
}

impl Loop {
    async fn run(mut self) {
        while self.gather().await {
            while let Some(batch) = self.desk.next_batch() {
                let ran = self
                    .shared
                    .store
                    .run(batch.commands.clone(), &self.shared.policy)
                    .await;
                if let Ok(ran) = &ran {
                    self.spread(ran);
                }
                let lanes = self.shared.store.lanes();
                let answers = self
                    .desk
                    .finished(batch, ran.as_ref(), &lanes, self.shared.moment());
                self.answer(answers);
                self.take_waiting();
            }
        }
    }

    /// Waits until there is something to run; false when the engine has stopped.
    async fn gather(&mut self) -> bool {
        self.take_waiting();
        while self.desk.is_idle() {
            let expiry = self
                .desk
                .next_expiry()
                .map(|moment| self.shared.started + moment);
            tokio::select! {
                message = self.inbox.recv() => match message {
                    Some(message) => self.take(message),
                    None => return false,
                },
                () = sleep_until(expiry) => {
                    let over = self.desk.expired(self.shared.moment());
                    self.answer(over);
                }
                () = self.shared.stop.cancelled(), if !self.inbox.is_closed() => self.inbox.close(),
            }
            self.take_waiting();
            if self.inbox.is_closed() {
                let over = self.desk.close();
                self.answer(over);
            }
        }
        true
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
            Message::Look(None) => self.desk.look_again(),
            Message::Look(Some(lane)) => self.desk.ready(lane, &self.shared.store.lanes()),
        }
    }

    /// Tells those who wait outside of the desk what the batch changed.
    fn spread(&self, ran: &Ran) {
        for topic in &ran.topics {
            match topic {
                Topic::Ended(outcome) => self.shared.waits.lock().ended(outcome.task),
                Topic::Scheduled(_) => self.shared.scheduled.notify_one(),
                Topic::Ready(_) | Topic::Cancelled { .. } => {}
            }
        }
    }

    fn answer(&mut self, answers: impl IntoIterator<Item = (Reply, Answer)>) {
        for (reply, answer) in answers {
            if let Err(unheard) = reply.0.send(answer)
                && let Some(release) = release(&unheard)
            {
                // Whoever claimed these has gone: they go back at once instead of when their lease expires.
                self.desk
                    .command(release.into(), Reply(oneshot::channel().0));
            }
        }
    }
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
