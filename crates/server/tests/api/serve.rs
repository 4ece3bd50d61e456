//! Real connections: what only shows on the wire.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use taskyard_server::serve::serve;
use taskyard_server::settings::{Access, Limits, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::yard::Yard;

/// Longer than anything here should take; whoever waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    yard: Yard,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Server {
    async fn with(set: impl FnOnce(&mut Limits)) -> Self {
        Self::around(Yard::with(|settings: &mut Settings| {
            set(&mut settings.limits);
        }))
        .await
    }

    async fn around(yard: Yard) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(serve(listener, yard.app.clone(), yard.stop.clone()));
        Self {
            yard,
            address,
            serving,
        }
    }

    async fn connect(&self) -> Wire {
        Wire(TcpStream::connect(self.address).await.unwrap(), Vec::new())
    }

    /// Until it has stopped.
    async fn stopped(self) {
        timeout(PATIENCE, self.serving).await.unwrap().unwrap();
    }
}

/// With what was read beyond the last answer.
struct Wire(TcpStream, Vec<u8>);

impl Wire {
    async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    async fn post(&mut self, path: &str, body: &Value) {
        let body = body.to_string();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        self.say(&(head + &body)).await;
    }

    async fn get(&mut self, path: &str) {
        self.say(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
            .await;
    }

    /// One whole answer: its head, in small letters, and its body.
    async fn answer(&mut self) -> (String, String) {
        let mut bytes = std::mem::take(&mut self.1);
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let head = head.to_lowercase();
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                let length: usize = length.map_or(0, |length| length.parse().unwrap());
                if body.len() >= length {
                    self.1 = body.as_bytes()[length..].to_vec();
                    return (head, body[..length].to_owned());
                }
            }
            let mut piece = vec![0; 65536];
            let read = timeout(PATIENCE, self.0.read(&mut piece))
                .await
                .unwrap()
                .unwrap();
            assert_ne!(read, 0, "closed after {text:?}");
            bytes.extend_from_slice(&piece[..read]);
        }
    }

    /// A problem, and the end of the connection.
    async fn is_told(&mut self, status: u16, code: &str) {
        let (head, body) = self.answer().await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
        assert!(
            head.contains("content-type: application/problem+json"),
            "{head}"
        );
        assert!(head.contains("connection: close"), "{head}");
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(problem["code"], code, "{body}");
        assert_eq!(problem["status"], status);
        let id = problem["request_id"].as_str().unwrap();
        assert!(head.contains(&format!("x-request-id: {id}")), "{head}");
        assert_eq!(self.rest().await, "");
    }

    /// Everything up to the end of the connection, which may be a reset.
    async fn rest(&mut self) -> String {
        let mut bytes = std::mem::take(&mut self.1);
        // What was read before a reset stays in the buffer.
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut bytes))
            .await
            .unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

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
    let taken = head.starts_with("http/1.1 200") && body == r#"{"tasks":[]}"#;
    let refused = head.starts_with("http/1.1 503") && body.contains("stopping");
    assert!(taken || refused, "{head}\n{body}");
    assert_eq!(idle.rest().await, "");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_stop_cuts_off_what_does_not_end_in_time() {
    let server = Server::with(|limits| limits.stop_within = Duration::from_millis(50)).await;
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
    next.get("/health").await;
    next.answer().await;

    let id = server.yard.submit("echo").await;

    assert_eq!(server.yard.status(&id).await, "pending");
}

#[tokio::test]
async fn half_a_head_is_not_waited_for() {
    let server = Server::with(|limits| limits.head_within = Duration::from_millis(100)).await;
    let mut silent = server.connect().await;
    let mut half = server.connect().await;
    half.say("GET /health HTTP/1.1\r\nhost: local").await;

    assert_eq!(silent.rest().await, "");
    half.is_told(408, "head_timeout").await;
}

#[tokio::test]
async fn an_idle_connection_outlives_the_time_for_a_head_and_ends_after_its_own() {
    let server = Server::with(|limits| {
        limits.head_within = Duration::from_millis(40);
        limits.idle_within = Duration::from_millis(400);
    })
    .await;
    let mut wire = server.connect().await;
    wire.get("/health").await;
    wire.answer().await;
    let began = tokio::time::Instant::now();

    assert_eq!(wire.rest().await, "");

    assert!(
        began.elapsed() >= Duration::from_millis(300),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_body_that_stands_still_is_given_up() {
    let server = Server::with(|limits| limits.body_pause_max = Duration::from_millis(50)).await;
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
async fn malformed_heads_are_refused_and_the_connection_closed() {
    let server = Server::with(|_| {}).await;
    let many: String = (0..10_000).fold(String::new(), |text, n| text + &format!("x{n}: y\r\n"));
    let long = format!("x: {}\r\n", "y".repeat(200_000));
    for (what, head, status) in [
        ("no HTTP", "hello\r\n\r\n".to_owned(), 400),
        (
            "10,000 headers",
            format!("GET / HTTP/1.1\r\nhost: localhost\r\n{many}\r\n"),
            431,
        ),
        (
            "a long header",
            format!("GET / HTTP/1.1\r\nhost: localhost\r\n{long}\r\n"),
            431,
        ),
        (
            "a long address",
            format!(
                "GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n",
                "y".repeat(65_534)
            ),
            414,
        ),
        (
            "a NUL",
            "GET /\0 HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
            400,
        ),
        (
            "a bare CR",
            "GET / HTTP/1.1\r\nhost: localhost\r\nx: a\rb: c\r\n\r\n".to_owned(),
            400,
        ),
        (
            "a space in a name",
            "GET / HTTP/1.1\r\nhost : localhost\r\n\r\n".to_owned(),
            400,
        ),
        (
            "two lengths",
            "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"
                .to_owned(),
            400,
        ),
        (
            "a signed length",
            "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: +1\r\n\r\n".to_owned(),
            400,
        ),
    ] {
        let mut wire = server.connect().await;
        wire.say(&head).await;
        let code = match status {
            414 => "address_too_long",
            431 => "head_too_large",
            _ => "malformed",
        };
        eprintln!("{what}");
        wire.is_told(status, code).await;
    }
    server.yard.get("/health").await.ok();
}

#[tokio::test]
async fn what_is_malformed_behind_a_request_is_told_too() {
    let server = Server::with(|_| {}).await;
    let mut wire = server.connect().await;
    wire.say("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\nnonsense\r\n\r\n")
        .await;

    let (head, _) = wire.answer().await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    wire.is_told(400, "malformed").await;
}

#[tokio::test]
async fn a_head_is_taken_up_to_its_limit_to_the_byte() {
    let server = Server::with(|limits| limits.head_bytes_max = 10_000).await;
    let head = |bytes: usize| {
        let start = "GET /health HTTP/1.1\r\nhost: localhost\r\nx: ";
        let end = "\r\n\r\n";
        format!(
            "{start}{}{end}",
            "y".repeat(bytes - start.len() - end.len())
        )
    };
    let mut wire = server.connect().await;

    wire.say(&head(10_000)).await;
    let (answer, _) = wire.answer().await;
    assert!(answer.starts_with("http/1.1 200"), "{answer}");
    wire.say(&head(10_001)).await;
    wire.is_told(431, "head_too_large").await;
}

#[tokio::test]
async fn a_request_cannot_be_smuggled_behind_another() {
    let server = Server::with(|_| {}).await;
    let mut wire = server.connect().await;
    let hidden = "POST /api/v1/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 25\r\n\r\n{\"kind\":\"echo\",\"input\":1}";
    wire.say(&format!(
        "POST /api/v1/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
    ))
    .await;

    // The chunks count: the first body is empty, and a connection with such a head is not used for another request.
    let rest = wire.rest().await;

    assert!(rest.starts_with("HTTP/1.1 400"), "{rest}");
    assert_eq!(rest.matches("HTTP/1.1").count(), 1, "{rest}");
    assert_eq!(server.yard.total().await, 0);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_while_all_are_served() {
    let server = Server::with(|limits| limits.connections_max = 1).await;
    server.yard.worker("w").await;
    let mut first = server.connect().await;
    let claim = json!({"limit": 1, "wait_ms": 60_000});
    first.post("/api/v1/workers/w/claim", &claim).await;
    let mut second = server.connect().await;
    second.get("/health").await;
    let early = timeout(Duration::from_millis(50), second.answer()).await;
    assert!(early.is_err(), "answered without a place");

    // As soon as the first has its answer, it makes room.
    server.yard.submit("echo").await;

    let (head, _) = first.answer().await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let (head, _) = second.answer().await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(first.rest().await, "");
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
        next.get("/health").await;
        let (head, _) = next.answer().await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert_eq!(gone.rest().await, "");
        std::mem::forget(next);
    }
}

#[tokio::test]
async fn a_reader_that_takes_a_little_now_and_then_is_left_too() {
    let server = Server::with(|limits| limits.answer_within = Duration::from_millis(400)).await;
    let big = json!({"kind": "echo", "input": "x".repeat(1_000_000)});
    for _ in 0..8 {
        server.yard.post("/api/v1/tasks", &big).await.ok();
    }
    let mut wire = server.connect().await;
    for _ in 0..20 {
        wire.get("/api/v1/tasks?include=payload").await;
    }

    // Each answer alone takes it longer than it may.
    let trickle = async {
        let mut piece = [0; 1024];
        loop {
            match wire.0.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(_) => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    };
    timeout(PATIENCE, trickle).await.unwrap();
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
