//! What is left in the log of what goes wrong.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use http::Method;
use serde_json::{Value, json};
use taskyard_api::worker::Claim;
use taskyard_core::store::Error;
use taskyard_server::settings::Access;
use taskyard_server::v1::workers;
use taskyard_server::{Secret, logged};
use tracing::Level;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use crate::trouble::Broken;
use crate::yard::{Reply, Yard, request};

const TASKS: &str = "/api/v1/tasks";

/// The lines of this thread at level info and above.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn start() -> (Self, DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_max_level(Level::INFO)
            .with_writer(log.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// Those since it was asked last.
    fn lines(&self) -> Vec<Value> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// A line for the request that was answered so.
#[track_caller]
fn check(line: &Value, level: &str, reply: &Reply, error: &str, others: u64) {
    assert_eq!(line["level"], level, "{line}");
    assert_eq!(line["request_id"], reply.header("x-request-id"), "{line}");
    assert_eq!(line["status"], reply.status.as_u16(), "{line}");
    assert_eq!(line["path"], TASKS, "{line}");
    let said = line["error"].as_str().unwrap();
    assert!(said.contains(error), "{line}");
    assert_eq!(line["others"], others, "{line}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_has_a_line_at_once_and_one_every_ten_seconds() {
    for (how, level) in [
        (
            (|| Error::Unavailable("the cable".into())) as fn() -> Error,
            "WARN",
        ),
        (|| Error::Failed("the cable".to_owned()), "ERROR"),
    ] {
        let (yard, _) = Broken::yard(how);
        let (log, _guard) = Log::start();

        let first = yard.get(TASKS).await;
        for _ in 0..99 {
            yard.get(TASKS).await;
        }
        let lines = log.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        check(&lines[0], level, &first, "the cable", 0);

        tokio::time::advance(Duration::from_secs(10)).await;
        let later = yard.get(TASKS).await;
        let lines = log.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        check(&lines[0], level, &later, "the cable", 99);
    }
}

#[tokio::test]
async fn each_bug_has_a_line_of_its_own() {
    let (yard, _) = Broken::yard(|| panic!("a bug"));
    let (log, _guard) = Log::start();

    let broken = yard.get(TASKS).await;

    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    check(&lines[0], "ERROR", &broken, "a bug", 0);
}

#[tokio::test]
async fn what_is_refused_for_its_own_sake_has_no_line() {
    let yard = Yard::new();
    let (log, _guard) = Log::start();

    yard.get("/nowhere").await.refused(404, "not_found");
    yard.post_text(TASKS, "no").await.refused(400, "not_json");
    yard.submit("echo").await;

    assert_eq!(log.lines(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_server_that_is_full_has_one_line_for_all_whom_it_refuses() {
    let yard = Yard::with(|settings| {
        settings.limits.bodies_max = 100_000;
    });
    let (log, _guard) = Log::start();
    let body = json!({"kind": "echo", "input": "x".repeat(100_000)});

    let first = yard.post(TASKS, &body).await;
    first.refused(503, "bodies_full");
    yard.post(TASKS, &body).await.refused(503, "bodies_full");

    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    check(&lines[0], "WARN", &first, "Too many bodies", 0);
}

#[tokio::test(start_paused = true)]
async fn wrong_tokens_have_a_line_at_once_and_one_every_ten_seconds_without_the_tokens() {
    let yard = Yard::on_model_with(|settings| {
        settings.access = Access::Token(Secret::new("s3cret"));
    });
    let (log, _guard) = Log::start();
    let ask = async |path: &str, token: &str| {
        let mut asks = request(Method::GET, path, Body::empty());
        let bearer = format!("Bearer {token}").parse().unwrap();
        asks.headers_mut().insert("authorization", bearer);
        yard.send(asks).await
    };

    for others in [0, 199] {
        for _ in 0..200 {
            ask(TASKS, "gu3ss").await;
        }
        let lines = log.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0]["level"], "WARN", "{}", lines[0]);
        assert_eq!(lines[0]["others"], others, "{}", lines[0]);
        assert!(!lines[0].to_string().contains("gu3ss"), "{}", lines[0]);
        tokio::time::advance(Duration::from_secs(10)).await;
    }
    let metrics = ask("/metrics", "s3cret").await;
    let metrics = String::from_utf8_lossy(&metrics.bytes);
    assert!(
        metrics.contains("\ntaskyard_wrong_tokens_total 400\n"),
        "{metrics}"
    );
    // Who has none is asked for one, as a browser is.
    yard.get(TASKS).await.refused(401, "unauthorized");
    assert_eq!(log.lines(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_call_from_inside_is_told_without_a_request() {
    let (yard, _) = Broken::yard(|| Error::Unavailable("the cable".into()));
    let (log, _guard) = Log::start();
    let claim = Claim {
        limit: 1,
        ..Claim::default()
    };

    for _ in 0..3 {
        let claimed = workers::claim(&yard.app, "w", &claim, |_| Ok(()));
        logged(&yard.app, claimed).await.unwrap_err();
    }

    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0].get("request_id"), None, "{}", lines[0]);
    assert!(lines[0]["error"].as_str().unwrap().contains("the cable"));
}

#[tokio::test(start_paused = true)]
async fn probes_tell_of_a_database_that_is_not_well_once() {
    let (yard, _) = Broken::yard(|| Error::Unavailable("the cable".into()));
    let (log, _guard) = Log::start();

    for _ in 0..5 {
        yard.get("/health").await;
        yard.get("/ready").await;
        tokio::time::advance(Duration::from_secs(1)).await;
    }

    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["message"], "the database is not well");
}

#[tokio::test(start_paused = true)]
async fn probes_tell_of_a_database_that_answers_again_once() {
    let (yard, can_read) = Broken::mendable_yard(|| Error::Unavailable("the cable".into()));
    let (log, _guard) = Log::start();
    yard.get("/health").await;
    log.lines();

    can_read.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(1)).await;
        yard.get("/health").await;
    }

    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["message"], "the database answers again");
}
