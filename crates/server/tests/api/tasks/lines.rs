//! `POST /tasks/batch` with lines.

use std::fmt::Write as _;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::Request;
use serde_json::Value;

use crate::yard::{Yard, lines_request, places};

fn lines(numbers: impl Iterator<Item = usize>) -> String {
    numbers.fold(String::new(), |mut text, n| {
        writeln!(text, r#"{{"kind":"echo","input":{n}}}"#).unwrap();
        text
    })
}

fn keyed(body: impl Into<Body>) -> Request<Body> {
    let mut request = lines_request(body);
    let key = "k".repeat(255).parse().unwrap();
    request.headers_mut().insert("idempotency-key", key);
    request
}

/// A yard whose streams are stored three tasks at a time.
fn yard() -> Yard {
    Yard::with(|settings| settings.limits.tasks_max = 3)
}

fn ids(reply: &Value) -> Vec<String> {
    let ids = reply["ids"].as_array().unwrap();
    ids.iter()
        .map(|id| id.as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn lines_cut_anywhere_are_stored_in_their_order() {
    let yard = yard();
    let text = format!(
        "\n{}\r\n  \n{}",
        lines(0..4),
        r#"{"kind":"echo","input":4}"#
    );
    let bytes: Vec<_> = text
        .into_bytes()
        .chunks(7)
        .map(|chunk| Ok::<_, std::io::Error>(Bytes::copy_from_slice(chunk)))
        .collect();

    let reply = yard
        .send(lines_request(Body::from_stream(stream::iter(bytes))))
        .await;

    assert_eq!(reply.status, 201);
    let ids = ids(&reply.ok());
    assert_eq!(ids.len(), 5);
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(yard.task(id).await["input"], n);
    }
}

#[tokio::test]
async fn a_bad_line_is_named_and_refuses_its_whole_piece() {
    let yard = Yard::new();
    let mut text = lines(0..6);
    text.push_str("{\"kind\":\"echo\",\"input\":1,\"priority\":101}\n");
    text.push_str(&lines(7..9));

    let problem = yard
        .send(lines_request(text))
        .await
        .wrong_at(&["/priority"]);

    assert_eq!(
        problem["detail"],
        "line 7: /priority: must be from -100 to 100"
    );
    assert_eq!(yard.total().await, 0);
}

#[tokio::test]
async fn a_line_that_is_not_json_is_named_too() {
    let yard = Yard::new();
    let text = lines(0..6) + "{\"kind\":\n";

    let problem = yard
        .send(lines_request(text))
        .await
        .refused(400, "not_json");

    assert!(problem["detail"].as_str().unwrap().starts_with("line 7: "));
}

#[tokio::test]
async fn a_stream_that_broke_off_says_how_much_of_it_is_stored() {
    let yard = yard();
    let text = lines(0..7) + "nonsense\n";

    let problem = yard
        .send(lines_request(text))
        .await
        .refused(400, "not_json");

    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("line 8: "), "{detail}");
    assert!(detail.contains("its first 6 tasks are stored"), "{detail}");
    assert_eq!(yard.total().await, 6);
}

#[tokio::test]
async fn the_same_stream_sent_again_goes_on_where_it_stopped() {
    let yard = yard();
    yard.send(keyed(lines(0..7) + "nonsense\n"))
        .await
        .refused(400, "not_json");
    assert_eq!(yard.total().await, 6);

    let reply = yard.send(keyed(lines(0..8))).await.ok();
    let again = yard.send(keyed(lines(0..8))).await.ok();

    assert_eq!(yard.total().await, 8);
    assert_eq!(ids(&again), ids(&reply));
    for (n, id) in ids(&reply).iter().enumerate() {
        assert_eq!(yard.task(id).await["input"], n);
    }
}

#[tokio::test]
async fn a_key_tells_a_longer_or_shorter_stream_from_its_own() {
    let yard = yard();
    yard.send(keyed(lines(0..6))).await.ok();

    for other in [lines(0..7), lines(0..3), lines(0..2), lines(1..7)] {
        let reply = yard.send(keyed(other)).await;
        reply.refused(422, "idempotency_key_reused");
    }
    // Its first piece is the same, and whoever sends this again gets the same refusal again.
    let longer = yard.send(keyed(lines(0..7))).await;
    let problem = longer.refused(422, "idempotency_key_reused");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("under another key"), "{detail}");
    assert!(!detail.contains("goes on"), "{detail}");

    assert_eq!(yard.total().await, 6);
}

#[tokio::test]
async fn a_piece_holds_no_more_bytes_than_an_array_may() {
    let yard = Yard::with(|settings| settings.limits.bulk_max = 99);
    let text = lines(0..7) + "nonsense\n";

    yard.send(lines_request(text))
        .await
        .refused(400, "not_json");

    // Three lines of 25 bytes at a time.
    assert_eq!(yard.total().await, 6);
}

#[tokio::test]
async fn a_stream_holds_tasks_up_to_its_limit() {
    let yard = Yard::with(|settings| settings.limits.stream_tasks_max = 5);

    yard.send(lines_request(lines(0..5))).await.ok();
    let reply = yard.send(lines_request(lines(0..6))).await;

    reply.refused(413, "too_large");
    assert_eq!(yard.total().await, 5);
}

#[tokio::test]
async fn a_line_without_end_is_refused_before_it_is_held() {
    let yard = Yard::with(|settings| settings.limits.input_max = 1000);
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 999])));

    let reply = yard.send(lines_request(Body::from_stream(endless))).await;

    let problem = reply.refused(413, "too_large");
    assert_eq!(problem["detail"], "line 1: longer than 66536 bytes");
}

#[tokio::test]
async fn a_line_that_is_too_long_is_refused_also_where_it_comes_as_one() {
    let yard = Yard::with(|settings| settings.limits.input_max = 1000);
    let line = |bytes: usize| {
        let task = r#"{"kind": "echo", "input": 1}"#;
        format!("{task}{}\n", " ".repeat(bytes - task.len()))
    };

    let longest = yard.send(lines_request(line(66_536))).await;
    let longer = format!("{}{}", line(40), line(66_537));
    let longer = yard.send(lines_request(longer)).await;

    longest.ok();
    let problem = longer.refused(413, "too_large");
    assert_eq!(problem["detail"], "line 2: longer than 66536 bytes");
    assert_eq!(yard.total().await, 1);
}

#[tokio::test]
async fn no_lines_are_a_mistake() {
    let yard = Yard::new();
    for text in ["", "\n\n  \n"] {
        yard.send(lines_request(text)).await.refused(422, "invalid");
    }
}

#[tokio::test]
async fn an_id_that_is_taken_is_named_with_its_line() {
    let yard = Yard::new();
    let id = yard.app.engine().new_task();
    let task = |input| format!("{{\"kind\":\"echo\",\"input\":{input},\"id\":\"{id}\"}}\n");
    yard.send(lines_request(task(1))).await.ok();

    let text = format!("{}\n{}", lines(0..2), task(2));
    let problem = yard
        .send(lines_request(text))
        .await
        .refused(409, "id_taken");

    assert_eq!(places(&problem), ["/id"]);
    assert!(problem["detail"].as_str().unwrap().starts_with("line 4: "));
    assert_eq!(yard.total().await, 1);
}
