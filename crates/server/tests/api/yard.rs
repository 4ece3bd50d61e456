//! A server around an engine over SQLite in memory, with a clock that is moved by hand, and the few words that the
//! tests are written in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use taskyard_api::worker::{Register, Registered};
use taskyard_core::id::ServerNumber;
use taskyard_core::policy::Policy;
use taskyard_core::random::Seeded;
use taskyard_core::store::Store;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::expire::Sight;
use taskyard_engine::engine::Engine;
use taskyard_engine::pool::InternalPool;
use taskyard_engine::services::{Steps, promote, sweep};
use taskyard_server::app::App;
use taskyard_server::front::Front;
use taskyard_server::settings::Settings;
use taskyard_server::v1::workers;
use taskyard_store::model::Model;
use taskyard_store::sqlite::{self, SqliteStore};
use tokio_util::sync::CancellationToken;

/// Noon of some day; tests see no other clock.
const NOON: i64 = 1_790_000_000_000_000;

pub(crate) struct Yard {
    pub(crate) app: App,
    pub(crate) front: Front,
    pub(crate) stop: CancellationToken,
    /// The first step of stopping; the stop is it too.
    pub(crate) leaving: CancellationToken,
    clock: Clock,
}

#[derive(Clone)]
pub(crate) struct Clock(Arc<AtomicI64>);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(NOON)))
    }

    pub(crate) fn read(&self) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
        let clock = Arc::clone(&self.0);
        Arc::new(move || Timestamp::from_micros(clock.load(Ordering::SeqCst)))
    }
}

pub(crate) fn in_memory(clock: &Clock) -> Arc<dyn Store> {
    let options = sqlite::Options {
        clock: clock.read(),
        random: Box::new(Seeded::new(1)),
        listens_on: None,
        last_words: || {},
    };
    Arc::new(SqliteStore::in_memory(options).unwrap())
}

impl Yard {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(set: impl FnOnce(&mut Settings)) -> Self {
        let clock = Clock::new();
        Self::around(in_memory(&clock), clock, set)
    }

    pub(crate) fn under(policy: Policy) -> Self {
        Self::made_of(policy, |_| {})
    }

    pub(crate) fn made_of(policy: Policy, set: impl FnOnce(&mut Settings)) -> Self {
        let clock = Clock::new();
        Self::made(in_memory(&clock), clock, policy, set)
    }

    /// For tests in paused time, which runs ahead of a real store's thread.
    pub(crate) fn on_model() -> Self {
        Self::on_model_with(|_| {})
    }

    pub(crate) fn on_model_with(set: impl FnOnce(&mut Settings)) -> Self {
        let clock = Clock::new();
        let store = Arc::new(Model::new(1, clock.read()));
        Self::around(store, clock, set)
    }

    pub(crate) fn around(
        store: Arc<dyn Store>,
        clock: Clock,
        set: impl FnOnce(&mut Settings),
    ) -> Self {
        Self::made(store, clock, Policy::default(), set)
    }

    pub(crate) fn around_under(store: Arc<dyn Store>, policy: Policy) -> Self {
        Self::made(store, Clock::new(), policy, |_| {})
    }

    /// With these workers inside.
    pub(crate) fn with_pool(pool: Arc<dyn InternalPool>) -> Self {
        Self::with_pool_and(pool, |_| {})
    }

    pub(crate) fn with_pool_and(
        pool: Arc<dyn InternalPool>,
        set: impl FnOnce(&mut Settings),
    ) -> Self {
        let clock = Clock::new();
        Self::made_with(Some(pool), in_memory(&clock), clock, Policy::default(), set)
    }

    fn made(
        store: Arc<dyn Store>,
        clock: Clock,
        policy: Policy,
        set: impl FnOnce(&mut Settings),
    ) -> Self {
        Self::made_with(None, store, clock, policy, set)
    }

    fn made_with(
        pool: Option<Arc<dyn InternalPool>>,
        store: Arc<dyn Store>,
        clock: Clock,
        policy: Policy,
        set: impl FnOnce(&mut Settings),
    ) -> Self {
        let stop = CancellationToken::new();
        let leaving = stop.child_token();
        let random = Box::new(Seeded::new(2));
        let engine = Engine::start(store, policy, random, stop.clone());
        let mut settings = Settings {
            version: "1.2.3",
            ..Settings::default()
        };
        set(&mut settings);
        let app = App::with_pool(engine, pool, settings, leaving.clone());
        let front = Front::new(app.clone());
        Self {
            app,
            front,
            stop,
            leaving,
            clock,
        }
    }

    pub(crate) fn pass(&self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).unwrap();
        self.clock.0.fetch_add(micros, Ordering::SeqCst);
    }

    /// Takes away the runs of workers that are gone.
    pub(crate) async fn sweep(&self) {
        let engine = self.app.engine();
        let now = engine.store().now();
        sweep::run_once(engine, Sight::clear(now)).await.unwrap();
    }

    /// Makes ready what is due.
    pub(crate) async fn promote(&self) {
        promote::run_once(self.app.engine(), &mut Steps::default())
            .await
            .unwrap();
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        Reply::of(self.front.answer(request).await).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(request(Method::GET, path, Body::empty())).await
    }

    /// A body as it stands.
    pub(crate) async fn post_text(&self, path: &str, body: impl Into<Body>) -> Reply {
        self.send(json_request(path, body.into())).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_text(path, body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(request(Method::DELETE, path, Body::empty()))
            .await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Reply {
        let mut request = json_request(path, body.to_string().into());
        *request.method_mut() = Method::PATCH;
        self.send(request).await
    }

    pub(crate) async fn post_keyed(&self, path: &str, key: &str, body: impl Into<Body>) -> Reply {
        let mut request = json_request(path, body.into());
        let headers = request.headers_mut();
        headers.insert("idempotency-key", key.parse().unwrap());
        self.send(request).await
    }

    pub(crate) async fn submit(&self, kind: &str) -> String {
        let reply = self
            .post("/api/v1/tasks", &json!({"kind": kind, "input": {"n": 1}}))
            .await;
        reply.ok()["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn worker(&self, name: &str) -> Value {
        let body = json!({"worker_id": name, "kinds": ["*"]});
        self.post("/api/v1/workers/register", &body).await.ok()
    }

    /// One inside of a server, as that registers it.
    pub(crate) async fn internal_worker(&self, name: &str) -> Registered {
        let inside = Register {
            worker_id: name.to_owned(),
            kinds: vec!["*".to_owned()],
            queues: None,
            labels: BTreeMap::default(),
            capacity: None,
        };
        let registered = workers::register(&self.app, &inside, Some(ServerNumber(1)));
        registered.await.unwrap()
    }

    /// What a worker gets that asks for one task.
    pub(crate) async fn claim(&self, worker: &str) -> Option<Value> {
        let path = format!("/api/v1/workers/{worker}/claim");
        let claimed = self.post(&path, &json!({"limit": 1})).await.ok();
        claimed["tasks"].as_array().unwrap().first().cloned()
    }

    /// A task in the hands of worker `w`: its id and its lease's token.
    pub(crate) async fn leased(&self) -> (String, String) {
        self.worker("w").await;
        self.submit("echo").await;
        let run = self.claim("w").await.unwrap();
        let text = |field: &str| run[field].as_str().unwrap().to_owned();
        (text("id"), text("lease_token"))
    }

    pub(crate) async fn task(&self, id: &str) -> Value {
        self.get(&format!("/api/v1/tasks/{id}")).await.ok()
    }

    pub(crate) async fn status(&self, id: &str) -> String {
        self.task(id).await["status"].as_str().unwrap().to_owned()
    }

    /// How many tasks there are: none after a refusal.
    pub(crate) async fn total(&self) -> u64 {
        let stats = self.get("/api/v1/tasks/stats").await.ok();
        stats["total"].as_u64().unwrap()
    }
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Reply {
    pub(crate) async fn of(response: axum::response::Response) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            status: parts.status,
            headers: parts.headers,
            bytes: body.collect().await.unwrap().to_bytes(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        let body = String::from_utf8_lossy(&self.bytes);
        assert!(self.status.is_success(), "{} {body}", self.status);
        self.json()
    }

    /// A problem with this status and code, shaped as every problem is.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> Value {
        let body = String::from_utf8_lossy(&self.bytes);
        assert_eq!(self.status.as_u16(), status, "{body}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{body}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("/problems/{code}"));
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        for part in ["title", "detail"] {
            assert!(problem[part].is_string(), "{body}");
        }
        assert!(problem["errors"].is_array(), "{body}");
        problem
    }

    /// A 422 whose errors point to these places.
    #[track_caller]
    pub(crate) fn wrong_at(&self, pointers: &[&str]) -> Value {
        let problem = self.refused(422, "invalid");
        assert_eq!(places(&problem), pointers, "{problem}");
        problem
    }
}

pub(crate) fn places(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().into_iter().flatten();
    errors
        .map(|error| error["pointer"].as_str().unwrap())
        .collect()
}

pub(crate) fn request(method: Method, path: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost:8000")
        .body(body)
        .unwrap()
}

pub(crate) fn json_request(path: &str, body: Body) -> Request<Body> {
    let mut request = request(Method::POST, path, body);
    let kind = "application/json".parse().unwrap();
    request.headers_mut().insert("content-type", kind);
    request
}

pub(crate) fn lines_request(body: impl Into<Body>) -> Request<Body> {
    let mut request = request(Method::POST, "/api/v1/tasks/batch", body.into());
    let kind = "application/x-ndjson".parse().unwrap();
    request.headers_mut().insert("content-type", kind);
    request
}

/// Lets every task that can go on do so, in paused time around the model.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
