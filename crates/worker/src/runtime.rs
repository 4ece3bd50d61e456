//! A worker at work: one loop that claims, runs, reports and lives by its heartbeat.
//!
//! The loop alone knows what the worker holds. Calls and runs go on beside it and come back to it as events; it never
//! waits for one of them. Internal and external workers are the same loop over another [`Transport`].
//!
//! | what happens | what the worker does |
//! | --- | --- |
//! | a run prints | sends its log beside it, and what is left of it before its result |
//! | the server is away | keeps results, waits longer each time, says everything again |
//! | a claim's answer is lost | claims again with the same number, and gets the same leases |
//! | it cannot begin a run for a reason of its own | hands the task back, and takes nothing for a while |
//! | a lease is lost, a task cancelled | ends the run, reports nothing |
//! | tasks come long after they were asked for | asks whether they are still its own before it begins them |
//! | its leases run out unrenewed | goes on and reports all the same: the fence is the server's |
//! | an exclusive run's lease is not confirmed in time | ends the run before another one can begin |
//! | its token is refused in mid-run | goes on, and tries again until its leases are over; then it stops |
//! | the server has forgotten it | registers again |
//! | its name is another's | ends its runs and stops |
//! | its server says that it drains | takes nothing new, lets its runs end, and goes |
//! | it is told to stop | the same, but hands back those that take too long |
//! | it has ended all and said all | tells its server that it leaves, once |

mod beat;
mod call;
mod doubt;
mod drain;
mod exchange;
mod hands;
mod hear;
mod heartbeat;
mod inability;
mod limits;
mod log;
mod logging;
mod moment;
mod notes;
mod outbox;
mod round;
mod settings;
mod settle;
mod shutdown;
mod supervise;
mod trouble;
mod unwelcome;
mod verdict;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use taskyard_api::worker::{Register, Registered};
use taskyard_core::random::{Random, Seeded};
use taskyard_core::time::Timestamp;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until};

pub use self::settings::{CONCURRENCY_MAX, Error, Logs, Settings, Summary};
pub use self::shutdown::{Shutdown, ShutdownSignal, shutdown_signal, until_asked_to_stop};

use self::call::Answer;
use self::drain::Phase;
use self::exchange::Exchanges;
use self::hands::{Ended, Hands};
use self::heartbeat::Pulse;
use self::limits::Limits;
use self::logging::Logger;
use self::outbox::Outbox;
use self::shutdown::Told;
use self::supervise::Began;
use self::trouble::Retries;
use self::unwelcome::Unwelcome;
use crate::executor::Executors;
use crate::transport::Transport;

/// The time of day, for when a run began.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The longest that the loop sleeps when nothing is due.
const IDLE_MAX: Duration = Duration::from_hours(1);

/// How often it is looked whether exclusive runs may go on, while there are some.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A worker that has not begun.
pub struct Worker {
    pub settings: Settings,
    /// What it runs: their kinds are the worker's.
    pub executors: Executors,
    pub transport: Arc<dyn Transport>,
    pub clock: Clock,
    /// What spreads its retries and heartbeats in time.
    pub random: Box<dyn Random>,
}

impl Worker {
    /// A worker by the machine's clock and randomness.
    pub fn new(
        settings: Settings,
        executors: Executors,
        transport: impl Transport + 'static,
    ) -> Self {
        Self {
            settings,
            executors,
            transport: Arc::new(transport),
            clock: Arc::new(time_of_day),
            random: Box::new(Seeded::new(rand::random())),
        }
    }

    /// Works until it is told to stop, by the signal or by its server, and has ended or handed back all it held.
    ///
    /// To drop the future instead ends its runs as well; their leases then run out by themselves.
    ///
    /// # Errors
    ///
    /// The server refuses the worker, or its name is another's now. Its runs have ended then, unreported.
    pub async fn run(self, shutdown: ShutdownSignal) -> Result<Summary, Error> {
        let mut runtime = Runtime::new(self);
        match runtime.work(shutdown).await {
            Ok(()) => {
                runtime.say_that_it_leaves().await;
                Ok(runtime.farewell())
            }
            Err(error) => {
                runtime.end_for(&error).await;
                Err(error)
            }
        }
    }
}

struct Runtime {
    settings: Settings,
    name: Arc<str>,
    me: Register,
    transport: Arc<dyn Transport>,
    clock: Clock,
    random: Box<dyn Random>,
    /// What the server answered to the registration; none until then, and when it has forgotten.
    registered: Option<Registered>,
    is_registering: bool,
    /// It was taken once, whatever is said of its token since.
    has_registered: bool,
    /// Its token is refused.
    unwelcome: Option<Unwelcome>,
    limits: watch::Sender<Limits>,
    phase: Phase,
    calls: FuturesUnordered<BoxFuture<'static, Answer>>,
    exchanges: Exchanges,
    outbox: Outbox,
    hands: Hands,
    began: mpsc::Receiver<Began>,
    news: Arc<Notify>,
    pulse: Pulse,
    /// Of everything but heartbeats, which are not to wait because claims are refused.
    retries: Retries,
    /// Of full heartbeats, which are not to wait because news are.
    beat_retries: Retries,
    news_retries: Retries,
    told: Told,
    /// Calls in the air that say a run began.
    starts: usize,
    /// Runs that have come and do not begin before the server has said that they hold.
    doubted: usize,
    /// The last sign that the server renewed what the worker holds; none once it was said to be too long ago.
    renewed: Option<Instant>,
    summary: Summary,
}

/// What wakes the loop.
enum Event {
    Answered(Box<Answer>),
    Ended(Ended),
    Began(Began),
    News,
    Told(Told),
    Due,
}

impl Runtime {
    fn new(worker: Worker) -> Self {
        let Worker {
            mut settings,
            executors,
            transport,
            clock,
            mut random,
        } = worker;
        settings.concurrency = settings.concurrency.clamp(1, CONCURRENCY_MAX);
        let news = Arc::new(Notify::new());
        let kinds = executors.kinds().map(str::to_owned).collect();
        let name: Arc<str> = settings.name.as_str().into();
        let (limits, told) = watch::channel(Limits::default());
        let logger = Logger::new(
            settings.logs,
            Arc::clone(&clock),
            Arc::clone(&transport),
            told.clone(),
        );
        let (hands, began) = Hands::new(
            Arc::clone(&name),
            executors,
            settings.stop_within,
            Arc::clone(&news),
            told,
            logger,
        );
        let wait_ms = u64::try_from(settings.poll.as_millis()).unwrap_or(u64::MAX);
        let now = Instant::now();
        Self {
            name,
            me: me(&settings, kinds),
            exchanges: Exchanges::new(settings.concurrency, wait_ms),
            retries: Retries::of("claims and results", &mut *random),
            beat_retries: Retries::of("heartbeats", &mut *random),
            news_retries: Retries::of("progress and checkpoints", &mut *random),
            settings,
            transport,
            clock,
            random,
            registered: None,
            is_registering: false,
            has_registered: false,
            unwelcome: None,
            limits,
            phase: Phase::Working,
            calls: FuturesUnordered::new(),
            outbox: Outbox::default(),
            hands,
            began,
            news,
            pulse: Pulse::new(now),
            told: Told::default(),
            starts: 0,
            doubted: 0,
            renewed: Some(now),
            summary: Summary::default(),
        }
    }

    /// The loop: whatever can be said is said, then something happens.
    async fn work(&mut self, mut shutdown: ShutdownSignal) -> Result<(), Error> {
        loop {
            self.make_calls();
            if self.is_done() {
                return Ok(());
            }
            match self.next_event(&mut shutdown).await {
                Event::Answered(answer) => self.take(*answer)?,
                Event::Ended(ended) => self.close(ended),
                Event::Began(began) => self.announce(began),
                Event::News => self.pulse.note_news(),
                Event::Told(told) if told.kill => {
                    return Err(Error::Replaced(self.settings.name.clone()));
                }
                Event::Told(told) => {
                    let before = std::mem::replace(&mut self.told, told);
                    if before.again != told.again {
                        self.try_again(Instant::now());
                    }
                    if before.ask != told.ask {
                        self.ask_what_goes_on(Instant::now());
                    }
                    if (before.drain, before.stop) != (told.drain, told.stop) {
                        self.told_to_stop(told);
                    }
                }
                Event::Due => {}
            }
            self.end_unconfirmed();
            self.end_unwelcome(Instant::now())?;
            self.move_on(Instant::now());
        }
    }

    fn try_again(&mut self, now: Instant) {
        for retries in [
            &mut self.retries,
            &mut self.beat_retries,
            &mut self.news_retries,
        ] {
            retries.others_get_through(now);
        }
    }

    async fn next_event(&mut self, shutdown: &mut ShutdownSignal) -> Event {
        let due = self.next_due(Instant::now());
        let can_announce = self.can_announce();
        tokio::select! {
            Some(answer) = self.calls.next(), if !self.calls.is_empty() => Event::Answered(Box::new(answer)),
            ended = self.hands.next_ended() => Event::Ended(ended),
            Some(began) = self.began.recv(), if can_announce => Event::Began(began),
            () = self.news.notified() => Event::News,
            told = shutdown.requested() => Event::Told(told),
            () = sleep_until(due) => Event::Due,
        }
    }

    /// When the loop has to look again by itself.
    fn next_due(&self, now: Instant) -> Instant {
        let beats = [
            self.beat_retries.not_before(self.pulse.full_due(now)),
            self.news_retries.not_before(self.pulse.news_due(now)),
        ];
        let beats = beats.into_iter().flatten();
        let beat = beats.min().filter(|_| self.registered.is_some());
        let calls = self.retries.until().filter(|until| *until > now);
        let claims = self.exchanges.rest_until().filter(|until| *until > now);
        let able = self.hands.unable_until().filter(|until| *until > now);
        // Not at their time alone: the machine may sleep meanwhile, which timers do not count.
        let look = self.hands.has_exclusive().then_some(now + LOOK_EVERY);
        let welcome = self.unwelcome.as_ref().map(Unwelcome::until);
        let due = [calls, claims, able, beat, look, welcome, self.phase.until()]
            .into_iter()
            .flatten()
            .min();
        due.unwrap_or(now + IDLE_MAX)
    }

    /// Takes what a run came to, and what others came to meanwhile.
    fn close(&mut self, ended: Ended) {
        let mut next = Some(ended);
        while let Some(ended) = next {
            match self.hands.close(ended) {
                Some(finished) => {
                    self.summary.count(finished.result.outcome);
                    self.pulse.part(finished, &mut self.outbox);
                }
                None => self.summary.dropped += 1,
            }
            next = self.hands.another_ended();
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock, for those who bring none"
)]
fn time_of_day() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since.map_or(0, |since| since.as_micros());
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

/// How the worker introduces itself.
fn me(settings: &Settings, kinds: Vec<String>) -> Register {
    Register {
        worker_id: settings.name.clone(),
        kinds,
        queues: settings.queues.clone(),
        labels: settings.labels.clone(),
        capacity: i64::try_from(settings.concurrency).ok(),
    }
}
