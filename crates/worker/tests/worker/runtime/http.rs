//! The worker over HTTP, with the API's own client.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::{Value, json};
use taskyard_api::client::Client;
use taskyard_core::random::Seeded;
use taskyard_worker::executor::Executors;
use taskyard_worker::executors::Echo;
use taskyard_worker::runtime::{Settings, Shutdown, Worker, shutdown_signal};
use tokio::net::TcpListener;

use super::post::{NOW, id};

/// Gives out one task, takes its result, and stops the worker.
struct Server {
    claims: Mutex<u32>,
    stop: Shutdown,
}

async fn register(Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    assert_eq!(
        body,
        json!({"worker_id": "w", "kinds": ["echo"], "capacity": 1})
    );
    let answer = json!({"worker_id": "w", "number": 1, "epoch": 3, "heartbeat_ms": 10_000,
                        "heartbeat_ttl_ms": 30_000, "lease_ms": 75_000});
    (StatusCode::CREATED, Json(answer))
}

async fn claim(
    State(server): State<Arc<Server>>,
    Path(name): Path<String>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    assert_eq!(name, "w");
    assert_eq!(
        body,
        json!({"limit": 1, "wait_ms": 30_000, "seq": 1, "epoch": 3})
    );
    let mut claims = server.claims.lock();
    *claims += 1;
    if *claims == 1 {
        return (StatusCode::BAD_GATEWAY, Json(json!("not yet")));
    }
    let task = json!({"id": id(1), "kind": "echo", "queue": "default", "input": {"a": 1}, "attempt": 1,
                      "lease_token": "t", "lease_expires_at": "2026-01-31T12:00:00Z", "timeout_ms": 1000});
    (StatusCode::OK, Json(json!({"tasks": [task]})))
}

async fn report(State(server): State<Arc<Server>>, Json(body): Json<Value>) -> Json<Value> {
    let result = json!({"task_id": id(1), "lease_token": "t", "outcome": "completed", "output": {"a": 1},
                        "started_at": NOW.to_string()});
    assert_eq!(body["results"], json!([result]));
    assert_eq!(body["claim"]["seq"], json!(2));
    server.stop.request();
    Json(json!({"results": [{"task_id": id(1), "status": "completed"}], "tasks": []}))
}

#[tokio::test]
async fn one_task_over_http_from_claim_to_result() {
    let (stop, signal) = shutdown_signal();
    let server = Arc::new(Server {
        claims: Mutex::new(0),
        stop,
    });
    let router = Router::new()
        .route("/api/v1/workers/register", post(register))
        .route("/api/v1/workers/{name}/claim", post(claim))
        .route("/api/v1/workers/{name}/report", post(report))
        .with_state(server);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    let worker = Worker {
        settings: Settings::named("w"),
        executors: Executors::default().with(Echo("echo")),
        transport: Arc::new(Client::new(&[url.parse().unwrap()], None).unwrap()),
        clock: Arc::new(|| NOW),
        random: Box::new(Seeded::new(1)),
    };

    let summary = worker.run(signal).await.unwrap();

    assert_eq!((summary.completed, summary.undelivered), (1, 0));
}
