//! Heartbeats: what they say and what is heard.

use std::time::Duration;

use taskyard_api::task::Progress;
use taskyard_api::worker::{Heard, Heartbeat};
use taskyard_core::time::Timestamp;
use taskyard_worker::executor::{Failure, Finish, Stop};
use taskyard_worker::executors::Simulated;
use tokio::time::Instant;

use super::post::{
    Answer, Call, NOW, Post, begun, error, heard, id, lost, problem, raw, task, tokens, told,
};

fn named(heartbeat: &Heartbeat) -> Vec<&str> {
    let mut tokens: Vec<&str> = heartbeat
        .held
        .iter()
        .map(|held| held.lease_token.as_str())
        .collect();
    tokens.sort_unstable();
    tokens
}

/// A worker that runs these, of more slots than that, whose heartbeats the test answers.
async fn running(count: u64) -> (Post, Vec<super::post::Running>) {
    let mut post = Post::registered(8).await;
    post.answers_heartbeats = false;
    post.give(told(1..1 + count)).await;
    let mut runs = Vec::new();
    for _ in 0..count {
        runs.push(post.running().await);
    }
    (post, runs)
}

/// A run that has failed behind a second checkpoint, with the first on its way.
async fn failed_behind_checkpoints() -> (Post, Answer<Heard>) {
    let (mut post, mut runs) = running(1).await;
    let run = runs.pop().unwrap();
    run.context.reports.checkpoint(raw("1"));
    let (_, first) = post.heartbeat().await;
    run.context.reports.checkpoint(raw("2"));
    run.end(Finish::Failed(Failure::passing("busy", "later")));
    (post, first)
}

#[tokio::test(start_paused = true)]
async fn heartbeats_come_as_often_as_the_server_wants_and_name_what_is_held() {
    let (mut post, _runs) = running(2).await;
    let (first, answer) = post.heartbeat().await;
    let at = Instant::now();
    answer.send(Ok(heard())).unwrap();

    let (second, _answer) = post.heartbeat().await;

    assert_eq!(at.elapsed(), Duration::from_secs(10));
    for heartbeat in [first, second] {
        assert_eq!(named(&heartbeat), ["1", "2"]);
        assert_eq!(heartbeat.epoch, Some(1));
        assert!(heartbeat.held.iter().all(|held| held.running));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_is_stopped_and_not_reported() {
    let (mut post, mut runs) = running(2).await;
    let (_, answer) = post.heartbeat().await;

    let cancel = vec![id(1)];
    answer.send(Ok(Heard { cancel, ..heard() })).unwrap();

    let other = runs.pop().unwrap();
    assert_eq!(runs.pop().unwrap().stopped().await, Stop::Cancelled);
    other.complete();
    assert_eq!(tokens(&post.take().await), ["2"]);
    let (heartbeat, _answer) = post.heartbeat().await;
    assert!(heartbeat.held.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_told_to_ask_hears_at_once_what_was_cancelled() {
    let (mut post, mut runs) = running(1).await;
    let (_, answer) = post.heartbeat().await;
    answer.send(Ok(heard())).unwrap();
    let begin = Instant::now();

    post.stop.ask();
    let (heartbeat, answer) = post.heartbeat().await;

    assert_eq!(named(&heartbeat), ["1"]);
    assert_eq!(begin.elapsed(), Duration::ZERO);
    let cancel = vec![id(1)];
    answer.send(Ok(Heard { cancel, ..heard() })).unwrap();
    assert_eq!(runs.pop().unwrap().stopped().await, Stop::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_lease_is_lost_is_stopped_and_not_reported() {
    let (mut post, mut runs) = running(1).await;
    let (_, answer) = post.heartbeat().await;

    let lost = vec![id(1)];
    answer.send(Ok(Heard { lost, ..heard() })).unwrap();

    assert_eq!(runs.pop().unwrap().stopped().await, Stop::LeaseLost);
    let (heartbeat, _answer) = post.heartbeat().await;
    assert!(heartbeat.held.is_empty());
    post.stop.request();
    let (ask, answer) = post.claim().await;
    assert_eq!(ask.limit, 7);
    drop(answer);
    post.give(Vec::new()).await;
    assert_eq!(post.ended().await.unwrap().dropped, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_heard_of_an_older_run_does_not_end_the_newer_one_of_its_task() {
    let (mut post, runs) = running(1).await;
    runs[0].context.reports.checkpoint(raw("1"));
    let (_, answer) = post.heartbeat().await;
    let mut again = task(1, "told");
    again.lease_token = "newer".to_owned();
    post.give(vec![again]).await;
    let newer = post.running().await;

    let lost = vec![id(1)];
    answer.send(Ok(Heard { lost, ..heard() })).unwrap();

    let (heartbeat, _answer) = post.heartbeat().await;
    assert_eq!(named(&heartbeat), ["newer"]);
    newer.complete();
    assert_eq!(tokens(&post.take().await), ["newer"]);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_refused_ends_the_run() {
    let (mut post, mut runs) = running(1).await;

    let (_, start, answer) = post.start_call().await;
    assert_eq!(start.lease_token, "1");
    let mut ended = problem(409, "already_ended");
    ended.task_status = Some(taskyard_api::task::Status::Cancelled);
    let ended = taskyard_api::client::Error::Problem(Box::new(ended));
    answer.send(Err(ended)).unwrap();

    assert_eq!(runs.pop().unwrap().stopped().await, Stop::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn progress_and_checkpoints_go_at_once_and_then_once_a_second() {
    let (mut post, runs) = running(2).await;
    let begin = Instant::now();

    runs[0].context.reports.progress(0.25, Some("on it"));
    runs[0].context.reports.checkpoint(raw("[1]"));
    let (heartbeat, answer) = post.heartbeat().await;
    assert_eq!(named(&heartbeat), ["1"]);
    let held = &heartbeat.held[0];
    let progress = held.progress.clone().unwrap();
    assert_eq!(
        (progress.fraction, progress.message.as_deref()),
        (Some(0.25), Some("on it"))
    );
    assert_eq!(held.checkpoint.as_ref().unwrap().get(), "[1]");
    answer.send(Ok(heard())).unwrap();

    for step in [0.3, 0.4, 7.0] {
        runs[0].context.reports.progress(step, None);
    }
    let (heartbeat, answer) = post.heartbeat().await;
    assert_eq!(begin.elapsed(), Duration::from_secs(1));
    let whole = Progress {
        fraction: Some(1.0),
        message: None,
    };
    assert_eq!(heartbeat.held[0].progress, Some(whole));
    assert!(heartbeat.held[0].checkpoint.is_none());
    answer.send(Ok(heard())).unwrap();

    // The same again is no news.
    runs[0].context.reports.progress(1.0, None);
    let (heartbeat, _answer) = post.heartbeat().await;
    assert_eq!(named(&heartbeat), ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn news_that_did_not_arrive_is_sent_again_unless_there_is_newer() {
    let (mut post, runs) = running(1).await;
    runs[0].context.reports.progress(0.5, None);
    runs[0].context.reports.checkpoint(raw("1"));
    let (_, answer) = post.heartbeat().await;
    runs[0].context.reports.checkpoint(raw("2"));

    answer.send(Err(lost())).unwrap();

    let (heartbeat, _answer) = post.heartbeat().await;
    assert_eq!(
        heartbeat.held[0].progress.as_ref().unwrap().fraction,
        Some(0.5)
    );
    assert_eq!(heartbeat.held[0].checkpoint.as_ref().unwrap().get(), "2");
}

#[tokio::test(start_paused = true)]
async fn the_last_checkpoint_of_a_failed_run_arrives_before_its_result() {
    let (mut post, first) = failed_behind_checkpoints().await;

    first.send(Ok(heard())).unwrap();

    let (heartbeat, second) = post.heartbeat().await;
    assert_eq!(heartbeat.held[0].checkpoint.as_ref().unwrap().get(), "2");
    assert!(!post.has_report().await);
    second.send(Ok(heard())).unwrap();

    assert_eq!(tokens(&post.take().await), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_on_its_way_holds_the_result_back_and_is_sent_again_if_lost() {
    let (mut post, mut runs) = running(1).await;
    let run = runs.pop().unwrap();
    run.context.reports.checkpoint(raw("1"));
    let (_, answer) = post.heartbeat().await;
    run.end(Finish::Failed(Failure::passing("busy", "later")));
    assert!(!post.has_report().await);

    answer.send(Err(lost())).unwrap();
    let (heartbeat, answer) = post.heartbeat().await;
    assert_eq!(heartbeat.held[0].checkpoint.as_ref().unwrap().get(), "1");
    assert!(!post.has_report().await);
    answer.send(Ok(heard())).unwrap();

    assert_eq!(tokens(&post.take().await), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn the_last_checkpoint_of_a_failed_run_goes_though_the_one_before_it_was_lost() {
    let (mut post, first) = failed_behind_checkpoints().await;
    assert!(!post.has_report().await);

    first.send(Err(lost())).unwrap();

    let (heartbeat, second) = post.heartbeat().await;
    assert_eq!(heartbeat.held[0].checkpoint.as_ref().unwrap().get(), "2");
    second.send(Ok(heard())).unwrap();
    assert_eq!(tokens(&post.take().await), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_that_is_too_long_is_left_out() {
    let (mut post, runs) = running(1).await;
    runs[0].context.reports.checkpoint(raw("1"));
    runs[0]
        .context
        .reports
        .checkpoint(raw(&format!("\"{}\"", "x".repeat(64 << 10))));

    let (heartbeat, _answer) = post.heartbeat().await;

    assert_eq!(heartbeat.held[0].checkpoint.as_ref().unwrap().get(), "1");
}

#[tokio::test(start_paused = true)]
async fn news_that_the_server_refuses_does_not_cost_the_lease() {
    let (mut post, runs) = running(1).await;
    runs[0].context.reports.checkpoint(raw("1"));
    let (_, answer) = post.heartbeat().await;

    answer.send(Err(error(422, "invalid"))).unwrap();

    let (heartbeat, _answer) = post.heartbeat().await;
    assert_eq!(named(&heartbeat), ["1"]);
    assert!(heartbeat.held[0].checkpoint.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_without_an_answer_is_given_up_and_sent_again() {
    let (mut post, _runs) = running(1).await;
    let (_, hangs) = post.heartbeat().await;
    let at = Instant::now();

    let (heartbeat, _answer) = post.heartbeat().await;

    assert_eq!(named(&heartbeat), ["1"]);
    assert!(at.elapsed() < Duration::from_secs(11), "{:?}", at.elapsed());
    drop(hangs);
}

#[tokio::test(start_paused = true)]
async fn runs_go_on_past_their_lease_and_are_reported() {
    let (mut post, mut runs) = running(1).await;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(40) {
        let (_, answer) = post.heartbeat().await;
        answer.send(Err(lost())).unwrap();
    }

    let run = runs.pop().unwrap();
    assert_eq!(run.context.stop.reason(), None);
    run.complete();

    assert_eq!(tokens(&post.take().await), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_waits_keeps_its_lease() {
    let (mut post, mut runs) = running(1).await;
    runs.pop().unwrap().complete();

    let heartbeat = loop {
        match post.next().await {
            Call::Report(_, answer) => drop(answer.send(Err(lost()))),
            Call::Heartbeat(heartbeat, _) => break heartbeat,
            _ => {}
        }
    };

    assert_eq!(named(&heartbeat), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn few_starts_are_on_their_way_at_a_time_and_a_heartbeat_tells_of_the_others() {
    let mut post = Post::registered(20).await;
    post.answers_heartbeats = false;
    post.give(told(0..20)).await;
    let mut starts = Vec::new();
    for _ in 0..8 {
        starts.push(post.start_call().await);
    }
    assert!(post.is_quiet().await);

    let (heartbeat, answer) = post.heartbeat().await;
    assert_eq!(heartbeat.held.len(), 20);
    answer.send(Ok(heard())).unwrap();
    assert!(post.is_quiet().await);
    for (task, start, answer) in starts {
        answer.send(Ok(begun(task, &start))).unwrap();
    }

    assert!(post.is_quiet().await, "the server knows of all by now");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_begins_later_only_holds_its_task_until_then() {
    let mut post = Post::with_executor(Simulated {
        kind: "slow",
        begins_after: Duration::from_secs(15),
        takes: Duration::from_mins(1),
    });
    post.register(1).await;
    post.answers_heartbeats = false;
    post.give(vec![task(1, "slow")]).await;
    let given = Instant::now();
    // That of the idle worker may have gone before.
    let (first, answer) = post.heartbeat_of(1).await;
    answer.send(Ok(heard())).unwrap();

    let (told, start, answer) = post.start_call().await;

    assert_eq!(given.elapsed(), Duration::from_secs(15));
    let begins = Timestamp::from(start.started_at.unwrap());
    assert_eq!((told, begins), (id(1), NOW + Duration::from_secs(15)));
    answer.send(Ok(begun(id(1), &start))).unwrap();
    let (second, _answer) = post.heartbeat().await;
    let running = [first, second].map(|heartbeat| heartbeat.held[0].running);
    assert_eq!(running, [false, true]);
}
