//! Answers that are large, and not read.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::time::timeout;

use crate::wire::{PATIENCE, Server, Wire};
use crate::yard::{Reply, Yard, request};

const PAGE: &str = "/api/v1/tasks?include=payload";
const MIB: usize = 1 << 20;

/// A task whose input has so many bytes.
async fn submit_large(yard: &Yard, bytes: usize) -> String {
    let task = json!({"kind": "big", "input": "x".repeat(bytes - 2)});
    let submitted = yard.post("/api/v1/tasks", &task).await.ok();
    submitted["id"].as_str().unwrap().to_owned()
}

/// An answer of which nothing was read.
async fn unread(yard: &Yard, path: &str) -> Response {
    let get = request(Method::GET, path, Body::empty());
    let response = yard.front.answer(get).await;
    assert_eq!(response.status(), StatusCode::OK);
    response
}

#[tokio::test]
async fn pages_with_payloads_are_refused_while_others_are_not_read() {
    let yard = Yard::with(|settings| settings.limits.answers_max = 10 * MIB + MIB / 2);
    submit_large(&yard, MIB).await;

    // What the first one did not need it gave back: together they are no more than one page may be.
    let (first, second) = (unread(&yard, PAGE).await, unread(&yard, PAGE).await);
    let third = unread(&yard, PAGE).await;
    let refused = yard.get(PAGE).await;
    let problem = refused.refused(503, "answers_full");
    assert_eq!(problem["retry_after_ms"], 1000);
    assert_eq!(refused.header("retry-after"), "1");
    // What is small is answered as before.
    let plain = yard.get("/api/v1/tasks").await.ok();
    assert_eq!(plain["items"].as_array().unwrap().len(), 1);

    drop((first, second));
    yard.get(PAGE).await.ok();
    Reply::of(third).await.ok();
}

#[tokio::test]
async fn a_page_with_payloads_is_refused_before_it_is_read() {
    let yard = Yard::with(|settings| settings.limits.answers_max = 8 * MIB);
    let large = submit_large(&yard, MIB / 8).await;
    let held = unread(&yard, &format!("/api/v1/tasks/{large}")).await;

    // It would hold nothing, but that is not known.
    let none = format!("{PAGE}&kind=none");
    yard.get(&none).await.refused(503, "answers_full");

    drop(held);
    yard.get(&none).await.ok();
}

#[tokio::test]
async fn an_answer_of_64_kib_does_not_count_and_one_byte_more_does() {
    let yard = Yard::with(|settings| settings.limits.answers_max = MIB / 2);
    let small = submit_large(&yard, 2).await;
    let path = |id: &str| format!("/api/v1/tasks/{id}");
    let around = yard.get(&path(&small)).await.bytes.len() - 2;
    let fits = submit_large(&yard, (64 << 10) - around).await;
    let beyond = submit_large(&yard, (64 << 10) - around + 1).await;
    let large = submit_large(&yard, MIB / 2).await;

    // One is given whatever its size.
    let held = unread(&yard, &path(&large)).await;
    let reply = yard.get(&path(&fits)).await;
    assert_eq!(reply.bytes.len(), 64 << 10);
    reply.ok();
    yard.get(&path(&beyond)).await.refused(503, "answers_full");

    drop(held);
    yard.get(&path(&beyond)).await.ok();
}

#[tokio::test]
async fn tasks_are_not_claimed_where_there_is_no_room_to_tell_of_them() {
    let yard = Yard::with(|settings| settings.limits.answers_max = MIB);
    let large = submit_large(&yard, MIB).await;
    let path = format!("/api/v1/tasks/{large}");
    yard.worker("w").await;
    let claim = async || {
        yard.post("/api/v1/workers/w/claim", &json!({"limit": 1}))
            .await
    };

    let held = unread(&yard, &path).await;
    claim().await.refused(503, "answers_full");
    assert_eq!(
        yard.get("/api/v1/tasks").await.ok()["items"][0]["status"],
        "pending"
    );
    drop(held);

    assert_eq!(claim().await.ok()["tasks"][0]["id"], large);
}

/// With so much room for answers: worker `w` has a run, another task is there to be claimed, and the answer at the path
/// is large.
async fn with_a_run(answers_max: usize) -> (Yard, Value, String) {
    let yard = Yard::with(|settings| settings.limits.answers_max = answers_max);
    let (id, token) = yard.leased().await;
    let large = submit_large(&yard, MIB / 2).await;
    let path = format!("/api/v1/tasks/{large}");
    yard.post_text(&format!("{path}/cancel"), "").await.ok();
    yard.submit("echo").await;
    let result = json!({"task_id": id, "lease_token": token, "outcome": "completed"});
    (
        yard,
        json!({"results": [result], "claim": {"limit": 1}}),
        path,
    )
}

#[tokio::test]
async fn a_report_is_taken_without_its_claim_where_there_is_no_room_to_tell_of_tasks() {
    let (yard, _, path) = with_a_run(MIB).await;
    let least = yard.get(&path).await.bytes.len() + (64 << 10);

    for (answers_max, claimed) in [(least, Some(1)), (least - 1, None)] {
        let (yard, report, path) = with_a_run(answers_max).await;
        let held = unread(&yard, &path).await;

        let reported = yard.post("/api/v1/workers/w/report", &report).await.ok();

        assert_eq!(reported["results"][0]["status"], "completed");
        assert_eq!(reported["tasks"].as_array().map(Vec::len), claimed);
        drop(held);
    }
}

#[tokio::test]
async fn workers_and_counts_are_refused_before_they_are_read() {
    let (yard, _, path) = with_a_run(MIB).await;
    let large = yard.get(&path).await.bytes.len();
    // What one worker may take in a list, and what is kept free for the counts.
    let (worker, counts) = (48 << 10, 8 * MIB);

    let (yard, _, path) = with_a_run(large + worker).await;
    let held = unread(&yard, &path).await;
    yard.get("/api/v1/workers?limit=1").await.ok();
    let two = yard.get("/api/v1/workers?limit=2").await;
    two.refused(503, "answers_full");
    drop(held);
    yard.get("/api/v1/workers?limit=2").await.ok();

    for (answers_max, is_told) in [(large + counts, true), (large + counts - 1, false)] {
        let (yard, _, path) = with_a_run(answers_max).await;
        let held = unread(&yard, &path).await;
        let stats = yard.get("/api/v1/tasks/stats").await;
        if is_told {
            stats.ok();
        } else {
            stats.refused(503, "answers_full");
        }
        drop(held);
    }
}

#[tokio::test]
async fn a_worker_with_as_much_as_it_may_have_fits_in_what_is_held_for_it() {
    let yard = Yard::new();
    let names = |sort: &str| -> Vec<String> {
        (0..256)
            .map(|number| format!("{sort}{number:0>63}"))
            .collect()
    };
    // Each of these is written in two characters.
    let value = "\"".repeat(64);
    let labels: BTreeMap<String, &str> = (0..32)
        .map(|number| (format!("l{number:0>63}"), &*value))
        .collect();
    let largest = json!({
        "worker_id": "w".repeat(64), "kinds": names("k"), "queues": names("q"), "labels": labels, "capacity": 1_000_000,
    });
    yard.post("/api/v1/workers/register", &largest).await.ok();

    let listed = yard.get("/api/v1/workers").await;

    assert!(listed.bytes.len() <= 48 << 10, "{}", listed.bytes.len());
    assert_eq!(listed.ok()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_nobody_reads_is_held_until_its_connection_ends() {
    let server = Server::with(|limits| {
        limits.answers_max = 10 * MIB;
        limits.connections_max = 1;
        limits.place_within = PATIENCE;
        limits.write_pause_max = Duration::from_mins(1);
    })
    .await;
    for _ in 0..8 {
        submit_large(&server.yard, MIB).await;
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let mut idle = Wire::of(socket.connect(server.address).await.unwrap());
    idle.get(PAGE).await;
    timeout(PATIENCE, idle.0.readable()).await.unwrap().unwrap();

    // More of it is left than the system takes.
    let page = server.yard.get(PAGE).await;
    page.refused(503, "answers_full");

    // There is only one place, so the next one is answered when the other is gone.
    drop(idle);
    let mut next = server.connect().await;
    next.get(PAGE).await;
    let (head, _) = next.answer().await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
}
