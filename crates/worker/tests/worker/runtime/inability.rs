//! Runs that do not begin because their worker is in trouble.

use std::time::Duration;

use taskyard_api::logs::{AppendedLogs, NewLine, Stream};
use taskyard_api::report::{Report, Said};
use taskyard_worker::executor::{Failure, Finish};
use tokio::time::Instant;

use super::post::{Post, Running, claimed, noops, told};

fn not_begin(running: Running) {
    let why = "the disk is full".to_owned();
    running.end(Finish::NotBegun { why });
}

/// Takes the lines of such a run, then what is reported of it.
async fn handed_back(post: &mut Post) -> (Vec<NewLine>, Report) {
    let (append, answer) = post.logs().await;
    let next_seq = append.first_seq.unwrap() + u32::try_from(append.lines.len()).unwrap();
    let full = false;
    let _ = answer.send(Ok(AppendedLogs { next_seq, full }));
    (append.lines, post.take().await)
}

/// Lets the next run not begin, and answers how long the worker then takes nothing.
async fn wait_after_trouble(post: &mut Post) -> Duration {
    post.give(told(1..2)).await;
    not_begin(post.running().await);
    let ended = Instant::now();
    let (_, report) = handed_back(post).await;
    assert_eq!(report.claim, None);
    let (_, answer) = post.claim().await;
    let _ = answer.send(Ok(claimed(Vec::new())));
    ended.elapsed()
}

#[tokio::test(start_paused = true)]
async fn it_is_handed_back_and_its_log_says_why() {
    let mut post = Post::registered(1).await;
    post.give(told(1..2)).await;

    not_begin(post.running().await);
    let (lines, report) = handed_back(&mut post).await;

    assert_eq!((lines.len(), lines[0].stream), (1, Stream::Worker));
    assert!(lines[0].line.contains("the disk is full"), "{lines:?}");
    assert_eq!(report.results[0].outcome, Said::Released);
    assert!(report.results[0].error.is_none());
    post.stop.request();
    assert_eq!(post.ended().await.unwrap().released, 1);
}

#[tokio::test(start_paused = true)]
async fn the_worker_takes_nothing_for_longer_each_time_until_one_begins() {
    let mut post = Post::registered(1).await;
    let mut waits = Vec::new();

    for _ in 0..7 {
        waits.push(wait_after_trouble(&mut post).await.as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);

    post.give(told(2..3)).await;
    post.running().await.complete();
    post.take().await;
    assert_eq!(wait_after_trouble(&mut post).await.as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_shows_nothing_of_the_trouble_does_not_end_it() {
    let mut post = Post::registered(1).await;
    wait_after_trouble(&mut post).await;

    // Of another kind, and refused before it could begin.
    post.give(noops(3..4)).await;
    post.take().await;
    post.give(told(4..5)).await;
    let refused = Failure::lasting("invalid_input", "wrong");
    post.running().await.end(Finish::Failed(refused));
    post.take().await;

    assert_eq!(wait_after_trouble(&mut post).await.as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_had_begun_before_the_trouble_does_not_end_it() {
    let mut post = Post::registered(2).await;
    post.give(told(1..3)).await;
    let begun_before = post.running().await;
    not_begin(post.running().await);
    let ended = Instant::now();
    handed_back(&mut post).await;

    begun_before.complete();

    assert_eq!(post.take().await.claim, None);
    post.claim().await;
    assert_eq!(ended.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_comes_by_a_claim_that_was_open_is_tried_and_may_end_it() {
    let mut post = Post::registered(2).await;
    post.give(told(1..2)).await;
    let (_, open) = post.claim().await;
    not_begin(post.running().await);
    handed_back(&mut post).await;
    let begin = Instant::now();

    let _ = open.send(Ok(claimed(told(2..3))));
    let running = post.running().await;
    assert!(post.is_quiet().await, "it claims no more");
    running.complete();

    let (report, _answer) = post.report().await;
    assert!(report.claim.is_some());
    assert_eq!(begin.elapsed(), Duration::ZERO);
}
