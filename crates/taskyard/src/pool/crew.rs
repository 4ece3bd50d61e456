//! Who is in the pool, and how many there should be.
//!
//! What is wanted is decided under one lock, at once: whoever asks last is right. What follows from it beyond this process,
//! that rows of workers say that they drain, is done in turn (`in_turn`): a worker that begins under a name that has just
//! become free would else be told to drain in the place of the one before it.
//!
//! A worker that leaves though this pool did not tell it to was drained or killed by its name. One less is wanted then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use taskyard_core::name::Name;
use taskyard_engine::pool::{COUNT_MAX, InternalPool, PoolStatus, PoolWorker};
use taskyard_server::app::App;
use taskyard_worker::executor::Executors;
use taskyard_worker::runtime::Settings;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::member::{self, End, Member, Orders};
use super::names::Names;

pub(super) struct Crew {
    like: Settings,
    executors: Executors,
    names: Arc<Names>,
    pub(super) leave: CancellationToken,
    roll: Mutex<Roll>,
    /// Counts those that have gone.
    gone: watch::Sender<u64>,
    in_turn: tokio::sync::Mutex<()>,
}

struct Roll {
    /// The server that they belong to; none before it is ready for them, and once it stops.
    app: Option<App>,
    desired: u16,
    is_stopped: bool,
    /// Names were short when some were to begin: they do when one is free.
    is_short: bool,
    members: BTreeMap<u64, Entry>,
    next: u64,
    has_broken_down: bool,
}

struct Entry {
    bears: Arc<AtomicI32>,
    orders: Orders,
    task: Option<AbortHandle>,
    /// It was told to, by this pool.
    is_going: bool,
}

impl Entry {
    fn number(&self) -> i32 {
        self.bears.load(Ordering::Acquire)
    }

    fn name(&self) -> Name {
        Name::plain(&member::name(self.number())).expect("it is one")
    }
}

impl Crew {
    pub(super) fn new(size: u16, executors: &Executors, like: &Settings) -> Arc<Self> {
        Arc::new(Self {
            like: like.clone(),
            executors: executors.clone(),
            names: Arc::default(),
            leave: CancellationToken::new(),
            roll: Mutex::new(Roll {
                app: None,
                desired: size,
                is_stopped: false,
                is_short: false,
                members: BTreeMap::new(),
                next: 0,
                has_broken_down: false,
            }),
            gone: watch::Sender::default(),
            in_turn: tokio::sync::Mutex::default(),
        })
    }

    /// The server is ready for workers.
    pub(super) fn begin(self: &Arc<Self>, app: &App) {
        self.roll.lock().app = Some(app.clone());
        self.adjust();
    }

    /// All of them leave, and none begins any more.
    pub(super) fn leave(&self) {
        self.leave.cancel();
        self.roll.lock().app = None;
    }

    /// Those that have not left by now.
    pub(super) fn abort(&self) {
        let roll = self.roll.lock();
        let tasks = roll
            .members
            .values()
            .filter_map(|entry| entry.task.as_ref());
        tasks.for_each(AbortHandle::abort);
    }

    /// Whether all have left, or one has broken down over a bug; none while neither is so.
    pub(super) fn has_ended(&self) -> Option<Result<(), super::BrokeDown>> {
        let roll = self.roll.lock();
        if roll.has_broken_down {
            return Some(Err(super::BrokeDown));
        }
        (self.leave.is_cancelled() && roll.members.is_empty()).then_some(Ok(()))
    }

    pub(super) fn is_at_work(&self) -> bool {
        !self.roll.lock().members.is_empty()
    }

    pub(super) fn gone(&self) -> watch::Receiver<u64> {
        self.gone.subscribe()
    }

    fn status(&self) -> PoolStatus {
        let roll = self.roll.lock();
        let is_leaving = self.leave.is_cancelled();
        let mut entries: Vec<&Entry> = roll.members.values().collect();
        entries.sort_by_key(|entry| entry.number());
        let running = entries
            .iter()
            .filter(|entry| !entry.is_going && !is_leaving);
        PoolStatus {
            kinds: self.executors.kinds().map(str::to_owned).collect(),
            desired: roll.desired,
            running: u16::try_from(running.count()).unwrap_or(u16::MAX),
            workers: entries
                .iter()
                .map(|entry| PoolWorker {
                    name: entry.name(),
                    is_draining: entry.is_going || is_leaving,
                })
                .collect(),
        }
    }

    /// Has as many work as are wanted; answers who is to drain.
    fn adjust(self: &Arc<Self>) -> Vec<Name> {
        let mut roll = self.roll.lock();
        let roll = &mut *roll;
        let wanted = if roll.is_stopped {
            0
        } else {
            roll.desired.into()
        };
        let stay = |roll: &Roll| -> Vec<(i32, u64)> {
            let entries = roll.members.iter().filter(|(_, entry)| !entry.is_going);
            let mut stay: Vec<_> = entries.map(|(id, entry)| (entry.number(), *id)).collect();
            stay.sort_unstable();
            stay
        };
        let there = stay(roll);
        let mut drain = Vec::new();
        // Those with the highest numbers: whoever looks sees who will go.
        for (_, id) in there.iter().skip(wanted) {
            let entry = roll.members.get_mut(id).expect("it was just there");
            entry.is_going = true;
            entry.orders.drain.cancel();
            drain.push(entry.name());
        }
        roll.is_short = false;
        for _ in there.len()..wanted {
            if !self.hire(roll) {
                break;
            }
        }
        drain
    }

    /// One more; false where there is nobody to work for, or no name.
    fn hire(self: &Arc<Self>, roll: &mut Roll) -> bool {
        let Some(app) = roll.app.clone() else {
            return false;
        };
        let member = Member {
            like: self.like.clone(),
            executors: self.executors.clone(),
            joined: app.engine().joined(),
            app,
            names: Arc::clone(&self.names),
            orders: Orders {
                leave: self.leave.clone(),
                ..Orders::default()
            },
            bears: Arc::default(),
        };
        // Taken here, so that they are taken in order.
        let Some(place) = member.place() else {
            roll.is_short = true;
            // Of those that leave one will be free.
            if !roll.members.values().any(|entry| entry.is_going) {
                member::say_no_names();
            }
            return false;
        };
        let (bears, orders) = (Arc::clone(&member.bears), member.orders.clone());
        self.enter(roll, (bears, orders), member.work(place));
        true
    }

    fn enter(
        self: &Arc<Self>,
        roll: &mut Roll,
        (bears, orders): (Arc<AtomicI32>, Orders),
        work: impl Future<Output = End> + Send + 'static,
    ) {
        roll.next += 1;
        let id = roll.next;
        let ending = Ending {
            crew: Arc::clone(self),
            id,
            end: End::Wanted,
        };
        let task = tokio::spawn(async move {
            let mut ending = ending;
            ending.end = work.await;
        });
        let entry = Entry {
            bears,
            orders,
            task: Some(task.abort_handle()),
            is_going: false,
        };
        roll.members.insert(id, entry);
    }

    #[cfg(test)]
    pub(super) fn take_in(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        let work = async move {
            work.await;
            End::Wanted
        };
        let mut roll = self.roll.lock();
        self.enter(&mut roll, (Arc::default(), Orders::default()), work);
    }

    /// Whoever was in the way of others that are wanted is gone.
    fn ended(self: &Arc<Self>, id: u64, end: End, broke_down: bool) {
        let mut roll = self.roll.lock();
        let entry = roll.members.remove(&id);
        roll.has_broken_down |= broke_down;
        let was_told = entry.is_some_and(|entry| entry.is_going) || self.leave.is_cancelled();
        if !was_told && end == End::Wanted {
            roll.desired = roll.desired.saturating_sub(1);
        }
        let goes_on = was_told && roll.is_short && roll.app.is_some();
        drop(roll);
        self.gone.send_modify(|gone| *gone += 1);
        if goes_on {
            let crew = Arc::clone(self);
            tokio::spawn(async move { crew.want(|_| {}).await });
        }
    }

    /// Changes what is wanted, and brings it about.
    async fn want(self: Arc<Self>, change: impl FnOnce(&mut Roll)) -> PoolStatus {
        let _turn = self.in_turn.lock().await;
        let (drain, app) = {
            let mut roll = self.roll.lock();
            change(&mut roll);
            let app = roll.app.clone();
            drop(roll);
            (self.adjust(), app)
        };
        let status = self.status();
        for worker in drain {
            let Some(app) = &app else { break };
            // It has been told already: this is for those who look, and one that has not registered yet has no row.
            if let Err(error) = app.engine().drain(worker.clone()).await {
                tracing::debug!(%worker, %error, "nobody sees that a worker drains");
            }
        }
        status
    }
}

/// Says that a worker has gone, however it went.
struct Ending {
    crew: Arc<Crew>,
    id: u64,
    end: End,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let crew = Arc::clone(&self.crew);
        crew.ended(self.id, self.end, std::thread::panicking());
    }
}

/// The handle that others have. What they ask for is done also if they do not wait for it.
pub(super) struct Handle(pub(super) Arc<Crew>);

impl Handle {
    async fn want(&self, change: impl FnOnce(&mut Roll) + Send + 'static) -> PoolStatus {
        let wanted = tokio::spawn(Arc::clone(&self.0).want(change));
        wanted.await.unwrap_or_else(|_| self.0.status())
    }
}

#[async_trait]
impl InternalPool for Handle {
    async fn status(&self) -> PoolStatus {
        self.0.status()
    }

    async fn scale(&self, count: u16) -> PoolStatus {
        self.want(move |roll| roll.desired = count.min(COUNT_MAX))
            .await
    }

    async fn start(&self) -> PoolStatus {
        self.want(|roll| roll.is_stopped = false).await
    }

    async fn stop(&self) -> PoolStatus {
        self.want(|roll| roll.is_stopped = true).await
    }

    async fn kill(&self, worker: &Name) -> PoolStatus {
        let mut gone = self.0.gone();
        let killed = {
            let mut roll = self.0.roll.lock();
            let roll = &mut *roll;
            let its = roll.members.iter_mut();
            let mut its = its.filter(|(_, entry)| entry.name() == *worker);
            its.next().map(|(id, entry)| {
                if !std::mem::replace(&mut entry.is_going, true) {
                    roll.desired = roll.desired.saturating_sub(1);
                }
                entry.orders.kill.cancel();
                *id
            })
        };
        if let Some(id) = killed {
            let is_gone = |_: &u64| !self.0.roll.lock().members.contains_key(&id);
            // The sender is this crew's own.
            let _ = gone.wait_for(is_gone).await;
        }
        self.0.status()
    }
}
