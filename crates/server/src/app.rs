//! What every handler has at hand.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use taskyard_core::name::Name;
use taskyard_core::query::{Answer, Query, Sums};
use taskyard_core::verbs::kill::Killed;
use taskyard_engine::engine::Engine;
use taskyard_engine::error::Error;
use taskyard_engine::pool::InternalPool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::access::Guesses;
use crate::budget::Budget;
use crate::docs;
use crate::health::Pulse;
use crate::kept::Kept;
use crate::metrics::Metrics;
use crate::settings::{Access, Limits, Settings};
use crate::trouble::Troubles;

/// How long a claim, or a look at a task, is held back that comes while the server leaves.
const HOLD_WHILE_LEAVING: Duration = Duration::from_secs(1);

/// For how long a call is held back.
pub(crate) struct Hold {
    pub(crate) wait: Duration,
    /// What ends it before; none where that has happened already.
    leaving: Option<CancellationToken>,
}

impl Hold {
    /// Resolves when the call is to be answered though its time is not up.
    pub(crate) async fn is_over(&self) {
        match &self.leaving {
            Some(leaving) => leaving.cancelled().await,
            None => std::future::pending().await,
        }
    }
}

/// A handle, cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Shared>);

struct Shared {
    engine: Engine,
    pool: Option<Arc<dyn InternalPool>>,
    settings: Settings,
    leaving: CancellationToken,
    began: Instant,
    is_started: AtomicBool,
    pulse: Pulse,
    metrics: Metrics,
    bodies: Arc<Budget>,
    answers: Arc<Budget>,
    troubles: Troubles,
    guesses: Guesses,
    /// Who may read many rows now.
    lists: Semaphore,
    sums: Kept<Sums>,
    follows: Arc<Semaphore>,
    /// Made when it is first asked for: the settings stay as they are.
    description: OnceLock<Bytes>,
}

impl App {
    /// From `leaving` on, `/ready` says that the server stops, and nobody is held back any longer. What comes is served all
    /// the same until the engine stops, which has a signal of its own.
    pub fn new(engine: Engine, settings: Settings, leaving: CancellationToken) -> Self {
        Self::with_pool(engine, None, settings, leaving)
    }

    /// The same, of a server that has workers inside.
    pub fn with_pool(
        engine: Engine,
        pool: Option<Arc<dyn InternalPool>>,
        settings: Settings,
        leaving: CancellationToken,
    ) -> Self {
        let bodies = Budget::of_bodies(settings.limits.bodies_max);
        let answers = Budget::of_answers(settings.limits.answers_max);
        let lists = Semaphore::new(settings.limits.lists_max);
        let follows = Arc::new(Semaphore::new(settings.limits.follows_max));
        let metrics = Metrics::new(engine.metrics(), &settings);
        Self(Arc::new(Shared {
            engine,
            pool,
            settings,
            leaving,
            began: Instant::now(),
            is_started: AtomicBool::new(false),
            pulse: Pulse::default(),
            metrics,
            bodies,
            answers,
            troubles: Troubles::default(),
            guesses: Guesses::new(),
            lists,
            sums: Kept::default(),
            follows,
            description: OnceLock::new(),
        }))
    }

    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// The workers inside of this server; none where whoever embeds it has none.
    pub fn pool(&self) -> Option<&Arc<dyn InternalPool>> {
        self.0.pool.as_ref()
    }

    /// Ends a worker: for everybody by its row, and by its process where that is this one, for what goes elsewhere must not
    /// go on here.
    pub(crate) async fn kill(&self, worker: Name) -> Result<Killed, Error> {
        let killed = self.engine().kill(worker.clone()).await?;
        if let Some(pool) = self.pool() {
            pool.kill(&worker).await;
        }
        Ok(killed)
    }

    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// How long this server has been there.
    pub(crate) fn uptime(&self) -> Duration {
        self.0.began.elapsed()
    }

    /// Start-up is done: `/ready` says so from here on.
    pub fn started(&self) {
        self.0.is_started.store(true, Ordering::Release);
    }

    pub(crate) fn is_started(&self) -> bool {
        self.0.is_started.load(Ordering::Acquire)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.0.leaving.is_cancelled()
    }

    /// How long a call that comes now may be held back which asks for so long. A server that leaves answers each as soon as
    /// it can, but not so soon that whoever asks again at once asks without a pause.
    pub(crate) fn hold(&self, wait: Duration) -> Hold {
        if self.is_stopping() {
            Hold {
                wait: wait.min(HOLD_WHILE_LEAVING),
                leaving: None,
            }
        } else {
            Hold {
                wait,
                leaving: Some(self.0.leaving.clone()),
            }
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.settings.limits
    }

    /// What `/openapi.json` answers.
    pub(crate) fn description(&self) -> &Bytes {
        let description = &self.0.description;
        description.get_or_init(|| docs::rendered(self))
    }

    pub(crate) fn pulse(&self) -> &Pulse {
        &self.0.pulse
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn bodies(&self) -> &Arc<Budget> {
        &self.0.bodies
    }

    pub(crate) fn answers(&self) -> &Arc<Budget> {
        &self.0.answers
    }

    pub(crate) fn troubles(&self) -> &Troubles {
        &self.0.troubles
    }

    pub(crate) fn guesses(&self) -> &Guesses {
        &self.0.guesses
    }

    /// To be held while many rows are read and rendered. First come, first served.
    pub(crate) async fn turn_to_list(&self) -> SemaphorePermit<'_> {
        let turn = self.0.lists.acquire().await;
        turn.expect("it is never closed")
    }

    /// How many tasks there are, read from every combination of queue, kind and `requires` that ever had any; with the turn
    /// to list, which it takes.
    pub(crate) async fn sums(&self) -> Result<(Arc<Sums>, SemaphorePermit<'_>), Error> {
        let kept = self.0.sums.turn().await;
        let turn = self.turn_to_list().await;
        let names = self.engine().policy().stats_lanes_max;
        let read = async {
            let sums = self.engine().read(Query::Sums { names }).await;
            sums.map(Answer::sums)
        };
        let of = self.engine().store().incarnation();
        Ok((kept.answer(of, read).await?, turn))
    }

    /// To be held while a log is followed; none where as many are as may be.
    pub(crate) fn place_to_follow(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.follows).try_acquire_owned().ok()
    }

    /// Whose idempotency keys a request means. One for all until there are tokens of several users.
    pub(crate) fn scope_of_keys(&self) -> &'static str {
        match self.0.settings.access {
            Access::Token(_) => "token",
            Access::Loopback | Access::None => "anyone",
        }
    }
}
