//! A store that fails, and an engine that is full: what the caller learns, and what not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::json;
use taskyard_core::command::{Command, Done};
use taskyard_core::lane::{Lane, Lanes};
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query, WorkerCounts};
use taskyard_core::store::{Error, Ran, Store};
use taskyard_core::time::Timestamp;

use crate::yard::{Clock, Yard, in_memory};

const TASKS: &str = "/api/v1/tasks";

/// Fails whatever it is asked.
pub(crate) struct Broken {
    how: fn() -> Error,
    /// It only fails to write.
    can_read: Arc<AtomicBool>,
    reads: Arc<AtomicUsize>,
}

impl Broken {
    /// A yard around it, and how often it was asked.
    pub(crate) fn yard(how: fn() -> Error) -> (Yard, Arc<AtomicUsize>) {
        let reads = Arc::new(AtomicUsize::new(0));
        let store = Arc::new(Self {
            how,
            can_read: Arc::default(),
            reads: Arc::clone(&reads),
        });
        (Yard::around(store, Clock::new(), |_| {}), reads)
    }

    /// The same, with what says whether it can be read.
    pub(crate) fn mendable_yard(how: fn() -> Error) -> (Yard, Arc<AtomicBool>) {
        let can_read = Arc::new(AtomicBool::new(false));
        let store = Arc::new(Self {
            how,
            can_read: Arc::clone(&can_read),
            reads: Arc::default(),
        });
        (Yard::around(store, Clock::new(), |_| {}), can_read)
    }

    /// A yard around one that looks well until something is to be written.
    pub(crate) fn readable_yard(how: fn() -> Error) -> Yard {
        let store = Arc::new(Self {
            how,
            can_read: Arc::new(AtomicBool::new(true)),
            reads: Arc::default(),
        });
        Yard::around(store, Clock::new(), |_| {})
    }
}

impl Broken {
    fn is_readable(&self) -> bool {
        self.can_read.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Store for Broken {
    async fn run(&self, _batch: Vec<Command>, _policy: &Policy) -> Result<Ran, Error> {
        Err((self.how)())
    }

    async fn read(&self, query: Query) -> Result<Answer, Error> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        match query {
            Query::Ping if self.is_readable() => Ok(Answer::Pong),
            Query::WorkerCounts(_) if self.is_readable() => {
                Ok(Answer::WorkerCounts(WorkerCounts::default()))
            }
            _ => Err((self.how)()),
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_790_000_000_000_000)
    }

    fn incarnation(&self) -> [u8; 16] {
        *b"of no database.."
    }

    fn lanes(&self) -> Arc<Lanes> {
        Arc::default()
    }

    fn unsure(&self, _lane: Option<Lane>) {}
}

/// A real store that takes nothing more from when its disk is full.
pub(crate) struct Full {
    store: Arc<dyn Store>,
    pub(crate) is_full: AtomicBool,
}

impl Full {
    pub(crate) fn store(clock: &Clock) -> Arc<Self> {
        Arc::new(Self {
            store: in_memory(clock),
            is_full: AtomicBool::new(false),
        })
    }
}

#[async_trait]
impl Store for Full {
    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, Error> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(Error::Full);
        }
        self.store.run(batch, policy).await
    }

    async fn read(&self, query: Query) -> Result<Answer, Error> {
        self.store.read(query).await
    }

    fn now(&self) -> Timestamp {
        self.store.now()
    }

    fn incarnation(&self) -> [u8; 16] {
        self.store.incarnation()
    }

    fn lanes(&self) -> Arc<Lanes> {
        self.store.lanes()
    }

    fn unsure(&self, lane: Option<Lane>) {
        self.store.unsure(lane);
    }
}

#[tokio::test]
async fn each_failure_of_the_store_has_its_code_and_keeps_its_cause_to_the_log() {
    let cause = || "postgres://ann:s3cret@10.0.0.7/".to_owned();
    for (how, status, code, wait) in [
        (
            (|| Error::Unavailable("postgres://ann:s3cret@10.0.0.7/".into())) as fn() -> Error,
            503,
            "unavailable",
            Some("1"),
        ),
        (
            || Error::Unknown("postgres://ann:s3cret@10.0.0.7/".to_owned()),
            503,
            "outcome_unknown",
            Some("1"),
        ),
        (|| Error::Conflict, 503, "unavailable", Some("1")),
        (|| Error::Full, 507, "disk_full", Some("10")),
        (
            || Error::Failed("postgres://ann:s3cret@10.0.0.7/".to_owned()),
            500,
            "internal",
            None,
        ),
    ] {
        let (yard, _) = Broken::yard(how);
        let submitted = yard.post(TASKS, &json!({"kind": "echo", "input": 1})).await;
        let listed = yard.get(TASKS).await;
        for reply in [submitted, listed] {
            let problem = reply.refused(status, code);
            assert!(!problem.to_string().contains(&cause()), "{problem}");
            let retry = reply.headers.get("retry-after");
            assert_eq!(retry.map(|value| value.to_str().unwrap()), wait, "{code}");
        }
    }
}

#[tokio::test]
async fn a_panic_costs_its_own_request_and_nothing_else() {
    let (yard, reads) = Broken::yard(|| panic!("a bug"));

    let reply = yard.get(TASKS).await;
    let problem = reply.refused(500, "internal");

    assert!(!problem.to_string().contains("a bug"));
    yard.get("/nowhere").await.refused(404, "not_found");
    assert_eq!(reads.load(Ordering::SeqCst), 1);
}

/// Never answers, so that whatever is asked waits.
pub(crate) struct Stuck;

impl Stuck {
    pub(crate) fn store() -> Arc<dyn Store> {
        Arc::new(Self)
    }
}

#[async_trait]
impl Store for Stuck {
    async fn run(&self, _batch: Vec<Command>, _policy: &Policy) -> Result<Ran, Error> {
        std::future::pending().await
    }

    async fn read(&self, _query: Query) -> Result<Answer, Error> {
        std::future::pending().await
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_790_000_000_000_000)
    }

    fn incarnation(&self) -> [u8; 16] {
        *b"of no database.."
    }

    fn lanes(&self) -> Arc<Lanes> {
        Arc::default()
    }

    fn unsure(&self, _lane: Option<Lane>) {}
}

/// Cannot look at any run that a heartbeat names.
struct Unsure(Arc<dyn Store>);

#[async_trait]
impl Store for Unsure {
    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, Error> {
        let error = Error::Failed("the row makes no sense".to_owned());
        let unknown: Vec<Option<Done>> = batch
            .iter()
            .map(|command| match command {
                Command::Heartbeat(beat) if !beat.held.is_empty() => {
                    Some(command.failed_part(&error))
                }
                _ => None,
            })
            .collect();
        let mut ran = self.0.run(batch, policy).await?;
        for (reply, unknown) in ran.replies.iter_mut().zip(unknown) {
            if let Some(unknown) = unknown {
                *reply = Ok(Ok(unknown));
            }
        }
        Ok(ran)
    }

    async fn read(&self, query: Query) -> Result<Answer, Error> {
        self.0.read(query).await
    }

    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn incarnation(&self) -> [u8; 16] {
        self.0.incarnation()
    }

    fn lanes(&self) -> Arc<Lanes> {
        self.0.lanes()
    }

    fn unsure(&self, lane: Option<Lane>) {
        self.0.unsure(lane);
    }
}

#[tokio::test]
async fn progress_on_a_run_that_cannot_be_looked_at_is_not_taken() {
    let clock = Clock::new();
    let yard = Yard::around(Arc::new(Unsure(in_memory(&clock))), clock, |_| {});
    let (id, token) = yard.leased().await;
    let progress = json!({"lease_token": token, "progress": {"fraction": 0.5}});

    let reply = yard
        .post(&format!("{TASKS}/{id}/progress"), &progress)
        .await;

    reply.refused(500, "internal");
}

#[tokio::test]
async fn a_heartbeat_names_the_leases_that_could_not_be_looked_at() {
    let clock = Clock::new();
    let yard = Yard::around(Arc::new(Unsure(in_memory(&clock))), clock, |_| {});
    let (id, token) = yard.leased().await;
    let held = json!({"task_id": id, "lease_token": token, "running": true});

    let heard = yard
        .post("/api/v1/workers/w/heartbeat", &json!({"held": [held]}))
        .await
        .ok();

    assert_eq!(heard["unconfirmed"], json!([id]));
    assert_eq!((&heard["lost"], &heard["cancel"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn a_full_queue_tells_when_to_come_back() {
    const MAX: usize = 3;
    let policy = Policy {
        commands_max: MAX,
        ..Policy::default()
    };
    let yard = Yard::around_under(Stuck::store(), policy);
    let body = json!({"kind": "echo", "input": 1});
    let mut waiting = Vec::new();
    for _ in 0..MAX {
        let mut one = Box::pin(yard.post(TASKS, &body));
        // Once more behind the engine's loop, which has had its turn with it then.
        for _ in 0..100 {
            assert!(futures_util::poll!(one.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
        waiting.push(one);
    }

    let reply = yard.post(TASKS, &body).now_or_never();

    let reply = reply.expect("it is told at once");
    reply.refused(429, "queue_full");
    assert_eq!(reply.header("retry-after"), "1");
}
