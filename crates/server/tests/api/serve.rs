//! Real connections: what only shows on the wire.

use std::pin::pin;
use std::time::Duration;

use serde_json::json;
use taskyard_server::settings::{Access, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::wire::{PATIENCE, Server, Wire};
use crate::yard::Yard;

/// What is no probe.
const ANY: &str = "/api/v1/tasks";

#[tokio::test]
async fn a_connection_is_kept_and_each_answer_has_its_length_and_id() {
    let server = Server::with(|_| {}).await;
    let mut wire = server.connect().await;
    for n in 0..3 {
        wire.say(&format!(
            "GET /health HTTP/1.1\r\nhost: localhost\r\nx-request-id: n{n}\r\n\r\n"
        ))
        .await;
        let (head, body) = wire.answer().await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(head.contains(&format!("x-request-id: n{n}")), "{head}");
        assert!(
            head.contains(&format!("content-length: {}", body.len())),
            "{head}"
        );
    }
}

#[tokio::test]
async fn a_stop_answers_open_long_polls_and_ends() {
    let server = Server::with(|_| {}).await;
    server.yard.worker("w").await;
    let mut claims = server.connect().await;
    let mut idle = server.connect().await;
    claims
        .post(
            "/api/v1/workers/w/claim",
            &json!({"limit": 1, "wait_ms": 60_000}),
        )
        .await;
    idle.get("/health").await;
    idle.answer().await;

    let stop = server.yard.stop.clone();
    let address = server.address;
    // Any request behind the claim on another connection shows that the server has both.
    server.yard.get("/health").await.ok();
    stop.cancel();
    let (head, body) = claims.answer().await;
    server.stopped().await;

    // The claim had come in, or was refused because the server was stopping already.
    let taken = head.starts_with("http/1.1 200") && body.starts_with(r#"{"tasks":[],"#);
    let refused = head.starts_with("http/1.1 503") && body.contains("stopping");
    assert!(taken || refused, "{head}\n{body}");
    assert_eq!(idle.rest().await, "");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_stop_cuts_off_what_does_not_end_in_time() {
    let server = Server::on_model_with(|limits| limits.stop_within = Duration::from_secs(5)).await;
    let mut wire = server.connect().await;
    wire.say("POST /api/v1/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n")
        .await;
    // The server reads the body from here on.
    let (head, _) = wire.answer().await;
    assert!(head.starts_with("http/1.1 100"), "{head}");

    server.yard.stop.cancel();
    server.stopped().await;

    assert_eq!(wire.rest().await, "");
}

const BODY: &str = r#"{"kind":"echo","input":1}"#;

/// The head of a request whose body is on its way: the server reads that once it has said so.
async fn sends_head(server: &Server, path: &str, length: usize) -> Wire {
    let mut wire = server.connect().await;
    wire.say(&format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n"
    ))
    .await;
    let (head, _) = wire.answer().await;
    assert!(head.starts_with("http/1.1 100"), "{head}");
    wire
}

#[tokio::test]
async fn a_request_whose_head_has_come_is_served_by_a_server_that_finishes() {
    let server = Server::with(|_| {}).await;
    let mut wire = sends_head(&server, "/api/v1/tasks", BODY.len()).await;

    server.yard.app.engine().finish();
    while TcpStream::connect(server.address).await.is_ok() {}
    wire.say(BODY).await;

    let (head, body) = wire.answer().await;
    assert!(head.starts_with("http/1.1 201"), "{head}\n{body}");
    assert_eq!(wire.rest().await, "");
    timeout(PATIENCE, server.serving).await.unwrap().unwrap();
    let task: serde_json::Value = serde_json::from_str(&body).unwrap();
    let id = task["id"].as_str().unwrap();
    assert_eq!(server.yard.status(id).await, "pending");
}

#[tokio::test]
async fn a_claim_takes_no_work_from_a_server_that_finishes() {
    let server = Server::with(|_| {}).await;
    server.yard.worker("w").await;
    let id = server.yard.submit("echo").await;
    let claim = json!({"limit": 1, "wait_ms": 60_000}).to_string();
    let mut wire = sends_head(&server, "/api/v1/workers/w/claim", claim.len()).await;

    server.yard.app.engine().finish();
    while TcpStream::connect(server.address).await.is_ok() {}
    wire.say(&claim).await;

    let (head, body) = wire.answer().await;
    assert!(head.starts_with("http/1.1 503"), "{head}");
    assert!(body.contains("stopping"), "{body}");
    assert_eq!(server.yard.status(&id).await, "pending");
}

#[tokio::test(start_paused = true)]
async fn half_a_head_is_no_request_that_a_stop_waits_for() {
    let server = Server::on_model_with(|limits| limits.head_within = Duration::from_mins(1)).await;
    let mut first = server.connect().await;
    let mut later = server.connect().await;
    let mut silent = server.connect().await;
    later.get("/health").await;
    later.answer().await;
    for wire in [&mut first, &mut later] {
        wire.say("GET /hea").await;
    }
    // Both have come in once another connection has been served behind them.
    let mut other = server.connect().await;
    other.get("/health").await;
    other.answer().await;
    let began = tokio::time::Instant::now();

    server.yard.stop.cancel();
    server.stopped().await;

    assert_eq!(began.elapsed(), Duration::ZERO);
    for wire in [&mut first, &mut later, &mut silent] {
        assert_eq!(wire.rest().await, "");
    }
}

#[tokio::test]
async fn a_closed_connection_takes_its_claim_back() {
    let server = Server::with(|limits| limits.connections_max = 1).await;
    server.yard.worker("w").await;
    let mut wire = server.connect().await;
    wire.post(
        "/api/v1/workers/w/claim",
        &json!({"limit": 1, "wait_ms": 60_000}),
    )
    .await;
    drop(wire);
    // There is only one place, so whoever is answered next comes after the other has gone.
    let mut next = server.connect().await;
    next.get(ANY).await;
    next.answer().await;

    let id = server.yard.submit("echo").await;

    assert_eq!(server.yard.status(&id).await, "pending");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_outlives_the_time_for_a_head_and_ends_after_its_own() {
    let server = Server::on_model_with(|limits| {
        limits.head_within = Duration::from_secs(1);
        limits.idle_within = Duration::from_secs(10);
    })
    .await;
    let mut wire = server.connect().await;
    wire.get("/health").await;
    wire.answer().await;
    let began = tokio::time::Instant::now();

    assert_eq!(wire.rest().await, "");

    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stands_still_is_given_up() {
    let server = Server::on_model_with(|limits| limits.body_pause_max = Duration::from_secs(5));
    let server = server.await;
    let mut wire = server.connect().await;
    wire.say("POST /api/v1/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{\"kind\":")
        .await;

    let (head, body) = wire.answer().await;

    assert!(head.starts_with("http/1.1 408"), "{head}");
    assert!(head.contains("connection: close"), "{head}");
    assert!(body.contains("body_timeout"), "{body}");
    assert_eq!(wire.rest().await, "");
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_left() {
    let server = Server::with(|limits| limits.write_pause_max = Duration::from_millis(200)).await;
    let big = json!({"kind": "echo", "input": "x".repeat(1_000_000)});
    for _ in 0..8 {
        server.yard.post("/api/v1/tasks", &big).await.ok();
    }
    let mut wire = server.connect().await;
    for _ in 0..20 {
        wire.get("/api/v1/tasks?include=payload").await;
    }

    // Whoever does not read is cut off; the place of the connection is free again, so that a stop has nothing to wait
    // for.
    let closed = async {
        while wire.0.write_all(b"x").await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, closed).await.unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_while_all_are_served() {
    let (server, mut first) = busy(|limits| limits.place_within = PATIENCE).await;
    let mut second = server.connect().await;
    second.get(ANY).await;
    // It comes behind the second, which is at the door by then.
    probed(&server).await;

    // As soon as the first has its answer, it makes room.
    server.yard.submit("echo").await;

    let (head, _) = first.answer().await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let (head, _) = second.answer().await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(first.rest().await, "");
}

#[tokio::test]
async fn probes_are_answered_once_each_while_every_place_is_served() {
    let (server, _first) = busy(|limits| {
        limits.place_within = PATIENCE;
        limits.connections_spare = 1;
    })
    .await;
    server.yard.app.started();

    // The one place beside the others is free again each time.
    for path in ["/health", "/ready", "/health?x=1"] {
        let mut probe = server.connect().await;
        probe.get(path).await;
        probe.get(ANY).await;
        let (head, _) = probe.answer().await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(head.contains("connection: close"), "{head}");
        assert_eq!(probe.rest().await, "");
    }
}

#[tokio::test]
async fn who_waits_too_long_for_a_place_is_told_to_come_again() {
    let (server, _first) = busy(|limits| limits.place_within = Duration::from_millis(50)).await;
    let mut asks = server.connect().await;
    let mut silent = server.connect().await;
    asks.get(ANY).await;

    for wire in [&mut asks, &mut silent] {
        let (head, body) = wire.answer().await;
        assert!(head.starts_with("http/1.1 503 "), "{head}");
        assert!(head.contains("retry-after: 1\r\n"), "{head}");
        assert!(head.contains("connection: close"), "{head}");
        assert!(body.contains("connections_full"), "{body}");
        assert_eq!(wire.rest().await, "");
    }
}

#[tokio::test]
async fn who_waits_longest_at_the_door_goes_for_one_that_comes() {
    let (server, _first) = busy(|limits| {
        limits.place_within = Duration::from_hours(1);
        limits.connections_spare = 2;
    })
    .await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut wire = server.connect().await;
        wire.get(ANY).await;
        waiting.push(wire);
    }

    probed(&server).await;
    waiting[0].is_told(503, "connections_full").await;

    server.yard.submit("echo").await;
    let (head, _) = waiting[1].answer().await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
}

/// A server whose only place is taken by a request that is being served: a claim, until a task comes.
async fn busy(set: impl FnOnce(&mut Limits)) -> (Server, Wire) {
    let server = Server::with(|limits| {
        limits.connections_max = 1;
        set(limits);
    })
    .await;
    server.yard.worker("w").await;
    let mut first = server.connect().await;
    let claim = json!({"limit": 1, "wait_ms": 60_000}).to_string();
    let length = claim.len();
    first
        .say(&format!(
            "POST /api/v1/workers/w/claim HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n"
        ))
        .await;
    // The server reads the body from here on; before, it would make room for another.
    let (head, _) = first.answer().await;
    assert!(head.starts_with("http/1.1 100"), "{head}");
    first.say(&claim).await;
    (server, first)
}

async fn probed(server: &Server) {
    let mut probe = server.connect().await;
    probe.get("/health").await;
    let (head, _) = probe.answer().await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
}

#[tokio::test]
async fn who_waits_longest_makes_room_and_first_who_never_asked() {
    let server = Server::with(|limits| limits.connections_max = 3).await;
    let mut idle = server.connect().await;
    idle.get("/health").await;
    idle.answer().await;
    let mut silent = server.connect().await;
    let mut half = server.connect().await;
    half.say("GET /hea").await;

    for gone in [&mut silent, &mut half, &mut idle] {
        let mut next = server.connect().await;
        next.get(ANY).await;
        let (head, _) = next.answer().await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert_eq!(gone.rest().await, "");
        std::mem::forget(next);
    }
}

#[tokio::test]
async fn a_reader_that_takes_a_little_now_and_then_is_left_too() {
    let server = Server::with(|limits| {
        limits.answer_within = Duration::from_millis(400);
        limits.connections_max = 1;
        limits.place_within = PATIENCE;
    })
    .await;
    let big = json!({"kind": "echo", "input": "x".repeat(1_000_000)});
    for _ in 0..8 {
        server.yard.post("/api/v1/tasks", &big).await.ok();
    }
    let mut wire = server.connect().await;
    for _ in 0..20 {
        wire.get("/api/v1/tasks?include=payload").await;
    }

    wire.0.read_u8().await.unwrap();

    // A little for each probe that is answered: each answer alone takes it longer than it may.
    let trickle = async {
        let mut piece = [0; 1024];
        while wire.0.read(&mut piece).await.is_ok_and(|read| read > 0) {
            probed(&server).await;
        }
    };
    // There is only one place, so whoever else is answered comes after it was left.
    let mut next = server.connect().await;
    next.get(ANY).await;
    let mut answer = pin!(next.answer());
    let (head, _) = tokio::select! {
        answer = &mut answer => answer,
        () = trickle => answer.await,
    };
    assert!(head.starts_with("http/1.1 200"), "{head}");
}

#[tokio::test]
async fn without_auth_a_foreign_name_is_refused_on_loopback_all_the_same() {
    let yard = Yard::with(|settings| settings.access = Access::None);
    let server = Server::around(yard).await;
    let mut wire = server.connect().await;

    wire.say("GET /api/v1/tasks HTTP/1.1\r\nhost: evil.test\r\n\r\n")
        .await;
    let (head, body) = wire.answer().await;
    assert!(head.starts_with("http/1.1 421"), "{head}");
    assert!(body.contains("wrong_host"), "{body}");

    wire.get("/api/v1/tasks").await;
    let (head, _) = wire.answer().await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
}

#[tokio::test]
async fn a_refusal_is_read_by_who_sends_all_of_its_body_first() {
    let server = Server::with(|limits| limits.bulk_max = 1 << 20).await;
    let mut wire = server.connect().await;
    wire.say("POST /api/v1/tasks/batch HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(1 << 20));
    for _ in 0..16 {
        wire.say(&chunk).await;
    }
    wire.say("0\r\n\r\n").await;

    let (head, body) = wire.answer().await;

    assert!(head.starts_with("http/1.1 413"), "{head}");
    assert!(body.contains("too_large"), "{body}");
}
