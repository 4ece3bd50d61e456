//! `/workers/internal`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use async_trait::async_trait;
use serde_json::json;
use taskyard_core::name::Name;
use taskyard_engine::pool::{InternalPool, PoolStatus, PoolWorker};

use crate::yard::Yard;

const STATUS: &str = "/api/v1/workers/internal/status";
const SCALE: &str = "/api/v1/workers/internal/scale";

/// Says what it was told last.
#[derive(Default)]
pub(crate) struct Told {
    desired: AtomicU16,
    running: AtomicU16,
    /// Kinds that they run beside `echo`.
    also: &'static [&'static str],
}

impl Told {
    pub(crate) fn running_also(also: &'static [&'static str]) -> Self {
        Self {
            also,
            ..Self::default()
        }
    }
}

#[async_trait]
impl InternalPool for Told {
    async fn status(&self) -> PoolStatus {
        let running = self.running.load(Ordering::SeqCst);
        let worker = |number| PoolWorker {
            name: Name::plain(&format!("worker-{number}")).unwrap(),
            is_draining: false,
        };
        PoolStatus {
            desired: self.desired.load(Ordering::SeqCst),
            running,
            workers: (1..=running).map(worker).collect(),
            kinds: [&["echo"], self.also]
                .concat()
                .into_iter()
                .map(str::to_owned)
                .collect(),
        }
    }

    async fn scale(&self, count: u16) -> PoolStatus {
        self.desired.store(count, Ordering::SeqCst);
        self.status().await
    }

    async fn start(&self) -> PoolStatus {
        let desired = self.desired.load(Ordering::SeqCst);
        self.running.store(desired, Ordering::SeqCst);
        self.status().await
    }

    async fn stop(&self) -> PoolStatus {
        self.running.store(0, Ordering::SeqCst);
        self.status().await
    }

    async fn kill(&self, worker: &Name) -> PoolStatus {
        assert_eq!(worker.as_str(), "w");
        self.desired.fetch_sub(1, Ordering::SeqCst);
        self.status().await
    }
}

#[tokio::test]
async fn the_pool_is_asked_and_answers_as_it_is() {
    let yard = Yard::with_pool(Arc::new(Told::default()));

    let scaled = yard.post(SCALE, &json!({"count": 2})).await.ok();
    assert_eq!(scaled, json!({"desired": 2, "running": 0, "workers": []}));
    let started = yard.post_text("/api/v1/workers/internal/start", "").await;
    let workers = json!([
        {"worker_id": "worker-1", "draining": false}, {"worker_id": "worker-2", "draining": false},
    ]);
    let both = json!({"desired": 2, "running": 2, "workers": workers});
    assert_eq!(started.ok(), both);
    assert_eq!(yard.get(STATUS).await.ok(), both);
    let stopped = yard.post("/api/v1/workers/internal/stop", &json!({})).await;
    assert_eq!(stopped.ok(), scaled);
}

#[tokio::test]
async fn a_count_is_a_number_from_0_to_50() {
    let yard = Yard::with_pool(Arc::new(Told::default()));

    for count in [0, 50] {
        let scaled = yard.post(SCALE, &json!({"count": count})).await.ok();
        assert_eq!(scaled["desired"], count);
    }
    for body in [
        json!({"count": -1}),
        json!({"count": 51}),
        json!({"count": "many"}),
        json!({"count": 2.5}),
        json!({"count": null}),
        json!({}),
    ] {
        yard.post(SCALE, &body).await.wrong_at(&["/count"]);
    }
    let more = yard.post(SCALE, &json!({"count": 1, "now": true})).await;
    more.refused(422, "unknown_field");
    assert_eq!(yard.get(STATUS).await.ok()["desired"], 50);
}

#[tokio::test]
async fn the_pool_is_told_who_is_killed() {
    let pool = Arc::new(Told::default());
    let yard = Yard::with_pool(Arc::clone(&pool) as Arc<dyn InternalPool>);
    yard.post(SCALE, &json!({"count": 3})).await.ok();
    yard.worker("w").await;

    yard.post_text("/api/v1/workers/w/kill", "").await.ok();

    assert_eq!(yard.get(STATUS).await.ok()["desired"], 2);
}

#[tokio::test]
async fn a_server_without_a_pool_says_so() {
    let yard = Yard::new();

    let problem = yard.get(STATUS).await.refused(404, "not_found");

    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("internal"), "{detail}");
    let scaled = yard.post(SCALE, &json!({"count": 1})).await;
    scaled.refused(404, "not_found");
}
