//! A log that is followed: told as it grows, until its task has ended or the server goes.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use taskyard_core::policy::Policy;
use tokio::time::timeout;

use super::logs::Run;
use crate::wire::{PATIENCE, Server};
use crate::yard::{Yard, request};

/// One who follows.
struct Following {
    body: BodyDataStream,
    text: String,
}

impl Following {
    async fn of(run: &Run, query: &str) -> Self {
        let path = format!("{}?follow=true{query}", run.path());
        let request = request(Method::GET, &path, Body::empty());
        let response = run.yard.front.answer(request).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        Self {
            body: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// The next record; none at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((line, rest)) = self.text.split_once('\n') {
                let (line, rest) = (line.to_owned(), rest.to_owned());
                self.text = rest;
                if !line.is_empty() {
                    return Some(serde_json::from_str(&line).unwrap());
                }
                continue;
            }
            let piece = timeout(PATIENCE, self.body.next()).await.unwrap()?;
            self.text.push_str(str::from_utf8(&piece.unwrap()).unwrap());
        }
    }

    async fn line(&mut self) -> String {
        let record = self.next().await.unwrap();
        let line = record["line"].as_str();
        line.unwrap_or_else(|| panic!("no line: {record}"))
            .to_owned()
    }

    async fn ends_with(&mut self, status: &str) {
        let end = json!({"status": status, "next_cursor": null});
        assert_eq!(self.next().await, Some(end));
        assert_eq!(self.next().await, None);
    }
}

impl Run {
    async fn complete(&self) {
        let path = format!("/api/v1/tasks/{}/complete", self.id);
        let body = json!({"lease_token": self.token});
        self.yard.post(&path, &body).await.ok();
    }
}

#[tokio::test]
async fn all_who_follow_are_told_what_is_there_and_what_comes_until_the_end() {
    let run = Run::new().await;
    run.print(Some(1), &["a", "b"]).await;
    let mut both = [Following::of(&run, "").await, Following::of(&run, "").await];
    for following in &mut both {
        assert_eq!(following.line().await, "a");
        assert_eq!(following.line().await, "b");
    }

    run.print(Some(3), &["c"]).await;
    for following in &mut both {
        assert_eq!(following.line().await, "c");
    }
    run.print(Some(4), &["last"]).await;
    run.complete().await;

    for following in &mut both {
        assert_eq!(following.line().await, "last");
        following.ends_with("completed").await;
    }
}

#[tokio::test]
async fn a_task_that_has_ended_is_told_to_its_end_at_once() {
    let run = Run::new().await;
    run.complete().await;
    Following::of(&run, "").await.ends_with("completed").await;

    let run = Run::new().await;
    let many: Vec<String> = (0..2_500).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    run.print(Some(1), &many).await;
    run.complete().await;
    let mut following = Following::of(&run, "").await;
    for text in many {
        assert_eq!(following.line().await, text);
    }
    following.ends_with("completed").await;
}

#[tokio::test]
async fn one_who_follows_a_task_that_waits_is_told_of_its_cancel() {
    let yard = Yard::new();
    let id = yard.submit("echo").await;
    let run = Run {
        yard,
        id,
        token: String::new(),
    };
    let mut following = Following::of(&run, "").await;

    let cancel = format!("/api/v1/tasks/{}/cancel", run.id);
    run.yard.post_text(&cancel, "").await.ok();

    following.ends_with("cancelled").await;
}

#[tokio::test]
async fn a_line_has_the_cursor_behind_which_another_follow_goes_on() {
    let run = Run::new().await;
    run.print(Some(1), &["a", "b"]).await;
    let first = Following::of(&run, "").await.next().await.unwrap();
    let cursor = first["cursor"].as_str().unwrap();

    let mut following = Following::of(&run, &format!("&cursor={cursor}")).await;
    run.print(Some(3), &["c"]).await;
    run.complete().await;

    assert_eq!(following.line().await, "b");
    assert_eq!(following.line().await, "c");
    following.ends_with("completed").await;
}

#[tokio::test]
async fn one_stream_is_followed_alone() {
    let run = Run::new().await;
    let mut following = Following::of(&run, "&stream=stderr").await;
    run.print(Some(1), &["out"]).await;
    let err = json!([{"stream": "stderr", "line": "err"}]);
    run.print_as(&run.token, Some(2), err).await.ok();
    run.complete().await;

    assert_eq!(following.line().await, "err");
    following.ends_with("completed").await;
}

#[tokio::test]
async fn a_server_that_leaves_says_where_to_go_on() {
    let run = Run::new().await;
    run.print(Some(1), &["a"]).await;
    let mut following = Following::of(&run, "").await;
    let cursor = following.next().await.unwrap()["cursor"].clone();

    run.yard.leaving.cancel();

    let end = json!({"status": null, "next_cursor": cursor});
    assert_eq!(following.next().await, Some(end));
    assert_eq!(following.next().await, None);
    let path = format!("{}?cursor={}", run.path(), cursor.as_str().unwrap());
    assert_eq!(run.yard.get(&path).await.ok()["items"], json!([]));
}

#[tokio::test]
async fn no_more_follow_than_may_and_whoever_goes_makes_room() {
    let run = Run::on(Yard::with(|settings| settings.limits.follows_max = 2)).await;
    let first = Following::of(&run, "").await;
    let _second = Following::of(&run, "").await;

    let path = format!("{}?follow=true", run.path());
    let refused = run.yard.get(&path).await;
    let problem = refused.refused(503, "follows_full");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("--follows-max")
    );
    drop(first);

    Following::of(&run, "").await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_over_a_connection_may_be_silent_and_the_connection_goes_on_behind_it() {
    let silence = Duration::from_mins(5);
    let server = Server::on_model_with(|limits| limits.idle_within = silence / 3).await;
    let (id, token) = server.yard.leased().await;
    let mut wire = server.connect().await;
    let path = format!("/api/v1/tasks/{id}/logs");
    wire.get(&format!("{path}?follow=true")).await;
    let print = async |first: u32, text: &str| {
        let lines = json!([{"stream": "stdout", "line": text}]);
        let body = json!({"lease_token": token, "first_seq": first, "lines": lines});
        server.yard.post(&path, &body).await.ok();
    };
    print(1, "one").await;
    wire.reads_up_to("one").await;
    tokio::time::sleep(silence).await;

    print(2, "two").await;
    wire.reads_up_to("two").await;
    let complete = format!("/api/v1/tasks/{id}/complete");
    server
        .yard
        .post(&complete, &json!({"lease_token": token}))
        .await
        .ok();
    wire.reads_up_to("completed").await;
    wire.reads_up_to("\r\n0\r\n\r\n").await;

    wire.get("/health").await;
    let (head, _) = wire.answer().await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
}

#[tokio::test]
async fn a_reader_that_stops_is_closed_and_makes_room() {
    let policy = Policy {
        log_bytes_max: 64 << 20,
        ..Policy::default()
    };
    let yard = Yard::made_of(policy, |settings| {
        settings.limits.write_pause_max = Duration::from_millis(300);
        settings.limits.follows_max = 1;
    });
    let server = Server::around(yard).await;
    let (id, token) = server.yard.leased().await;
    let path = format!("/api/v1/tasks/{id}/logs");
    let mut stuck = server.connect().await;
    stuck.get(&format!("{path}?follow=true")).await;
    // More than any system keeps on the way.
    let lines = vec![json!({"stream": "stdout", "line": "x".repeat(15_000)}); 700];
    for _ in 0..3 {
        let body = json!({"lease_token": token, "lines": lines});
        server.yard.post(&path, &body).await.ok();
    }

    let full = format!("{path}?follow=true");
    let freed = async {
        while server
            .yard
            .front
            .answer(request(Method::GET, &full, Body::empty()))
            .await
            .status()
            != StatusCode::OK
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, freed).await.unwrap();
}

#[tokio::test]
async fn a_reader_that_is_gone_makes_room() {
    let server = Server::with(|limits| limits.follows_max = 1).await;
    let (id, _) = server.yard.leased().await;
    let path = format!("/api/v1/tasks/{id}/logs?follow=true");
    let mut gone = server.connect().await;
    gone.get(&path).await;
    gone.reads_up_to("\r\n\r\n").await;
    drop(gone);

    let freed = async {
        while server
            .yard
            .front
            .answer(request(Method::GET, &path, Body::empty()))
            .await
            .status()
            != StatusCode::OK
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, freed).await.unwrap();
}
