//! Bodies that come slowly, or many at once.

use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, stream};
use http::Request;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::trouble::Stuck;
use crate::yard::{Clock, Reply, Yard, json_request, lines_request};

const BATCH: &str = "/api/v1/tasks/batch";
const MIB: usize = 1 << 20;

type Sender = UnboundedSender<std::io::Result<Bytes>>;

fn blank(bytes: usize) -> Bytes {
    vec![b' '; bytes].into()
}

fn open() -> (Sender, Body) {
    let (sender, receiver) = unbounded_channel();
    let pieces = stream::unfold(receiver, async |mut receiver| {
        Some((receiver.recv().await?, receiver))
    });
    (sender, Body::from_stream(pieces))
}

/// A request that is served on its own, with what is still to be sent of it.
fn under_way(yard: &Yard, request: Request<Body>) -> JoinHandle<Reply> {
    let front = yard.front.clone();
    tokio::spawn(async move { Reply::of(front.answer(request).await).await })
}

/// Two pieces of a body, of which the second is awaited until it was taken.
async fn taken(sender: &Sender, pieces: [usize; 2]) {
    for bytes in pieces {
        sender.send(Ok(blank(bytes))).unwrap();
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn yard() -> Yard {
    Yard::with(|settings| settings.limits.bodies_max = 4 * MIB)
}

#[tokio::test]
async fn bodies_beyond_the_budget_are_refused_for_the_moment() {
    let yard = yard();
    let (sender, body) = open();
    let first = under_way(&yard, json_request(BATCH, body));
    taken(&sender, [2 * MIB, MIB]).await;

    let two_pieces = || {
        let pieces = [blank(MIB), Bytes::from("[]")].map(Ok::<_, std::io::Error>);
        Body::from_stream(stream::iter(pieces))
    };
    let second = yard.post_text(BATCH, two_pieces()).await;

    let problem = second.refused(503, "bodies_full");
    assert_eq!(problem["retry_after_ms"], 1000);
    assert_eq!(second.header("retry-after"), "1");
    assert_eq!(second.header("connection"), "close");

    // What is refused, or done with, makes room.
    drop(sender);
    first.await.unwrap().refused(400, "not_json");
    let again = yard.post_text(BATCH, two_pieces()).await;
    again.refused(422, "invalid");
}

#[tokio::test]
async fn small_bodies_are_served_while_large_ones_hold_the_budget() {
    let yard = yard();
    let (sender, body) = open();
    let large = under_way(&yard, json_request(BATCH, body));
    // All that large ones may hold: seven eighths.
    taken(&sender, [2 * MIB, MIB + MIB / 2]).await;

    yard.submit("echo").await;
    let pieces = [r#"{"kind":"echo","#, r#""input":1}"#].map(Ok::<_, std::io::Error>);
    let body = Body::from_stream(stream::iter(pieces));
    yard.post_text("/api/v1/tasks", body).await.ok();
    let lines = "{\"kind\":\"echo\",\"input\":1}\n".repeat(3);
    yard.send(lines_request(lines)).await.ok();

    assert_eq!(yard.total().await, 5);
    drop(sender);
    large.await.unwrap().refused(400, "not_json");
}

#[tokio::test]
async fn a_body_in_one_piece_counts_where_it_is_not_small() {
    let yard = yard();
    let (sender, body) = open();
    let large = under_way(&yard, json_request(BATCH, body));
    // All that large ones may hold: seven eighths.
    taken(&sender, [2 * MIB, MIB + MIB / 2]).await;

    let small = yard.post_text(BATCH, blank(64 << 10)).await;
    small.refused(400, "not_json");
    let more = yard.post_text(BATCH, blank((64 << 10) + 1)).await;
    more.refused(503, "bodies_full");

    drop(sender);
    large.await.unwrap().refused(400, "not_json");
    let more = yard.post_text(BATCH, blank((64 << 10) + 1)).await;
    more.refused(400, "not_json");
}

#[tokio::test]
async fn a_body_in_one_piece_counts_until_its_request_is_answered() {
    let yard = Yard::around(Stuck::store(), Clock::new(), |settings| {
        settings.limits.bodies_max = 4 * MIB;
    });
    let task = |blanks: usize| format!(r#"{{"kind":"echo","input":1}}{}"#, " ".repeat(blanks));
    let submit = || yard.post_text("/api/v1/tasks", task(MIB));
    let mut waiting = pin!(join_all((0..3).map(|_| submit())));
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());

    let refused = submit().now_or_never().expect("it waits for nobody");
    refused.refused(503, "bodies_full");
}

#[tokio::test]
async fn a_stream_holds_its_part_of_the_budget_too() {
    let yard = yard();
    let (sender, body) = open();
    let request = json_request(BATCH, body);
    let large = under_way(&yard, request);
    taken(&sender, [2 * MIB, MIB]).await;

    let line = format!(
        "{{\"kind\":\"echo\",\"input\":\"{}\"}}\n",
        "x".repeat(60_000)
    );
    // Also where each line comes alone and makes room for the next: all of them are stored together.
    let lines: Vec<_> = (0..10)
        .map(|_| Ok::<_, std::io::Error>(line.clone()))
        .collect();
    let one_by_one = Body::from_stream(stream::iter(lines));
    let bodies = [Body::from(line.repeat(10)), one_by_one];

    for body in bodies {
        let reply = yard.send(lines_request(body)).await;
        reply.refused(503, "bodies_full");
    }
    drop(sender);
    large.await.unwrap().refused(400, "not_json");
    yard.send(lines_request(line.repeat(10))).await.ok();
}

/// Something every so often, for ever.
fn trickle(piece: &'static str, every: Duration) -> Body {
    let pieces = stream::repeat(piece).then(move |piece| async move {
        sleep(every).await;
        Ok::<_, std::io::Error>(piece)
    });
    Body::from_stream(pieces)
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_given_up_after_five_minutes() {
    let yard = Yard::on_model();
    let began = Instant::now();

    let body = trickle(" ", Duration::from_secs(29));
    let reply = yard.post_text(BATCH, body).await;

    let problem = reply.refused(408, "body_timeout");
    assert_eq!(problem["detail"], "the body was not whole after 300 s");
    assert_eq!(reply.header("connection"), "close");
    assert_eq!(began.elapsed().as_secs(), 300);
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_last_as_long_as_it_goes_on() {
    let yard = Yard::on_model_with(|settings| settings.limits.tasks_max = 10);
    let began = Instant::now();

    // 10 tasks in 200 s are stored in time, 30 times over.
    let line = "{\"kind\":\"echo\",\"input\":1}\n";
    let pieces = stream::repeat(line).take(300).then(|line| async move {
        sleep(Duration::from_secs(20)).await;
        Ok::<_, std::io::Error>(line)
    });
    let reply = yard.send(lines_request(Body::from_stream(pieces))).await;
    reply.ok();
    assert_eq!(began.elapsed().as_secs(), 6000);

    let slow = trickle(&line[..1], Duration::from_secs(29));
    let reply = yard.send(lines_request(slow)).await;
    reply.refused(408, "body_timeout");
}
