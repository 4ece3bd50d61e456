//! What becomes of a run, and how it is said.

use std::time::Duration;

use taskyard_api::report::{RunResult, Said};
use taskyard_worker::executor::{Executor, Failure, Finish, Stop};
use tokio::time::Instant;

use super::post::{Post, id, raw, task, tokens, told};

/// What a run that finishes so is reported as.
async fn reported(finish: Finish) -> RunResult {
    let mut post = Post::registered(1).await;
    post.give(told(1..2)).await;
    post.running().await.end(finish);
    post.report().await.0.results.remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_reported_with_all_it_says() {
    let failure = Failure::lasting("no_such_page", "it is gone").with_detail(raw(r#"{"page":9}"#));

    let result = reported(Finish::Failed(failure)).await;

    assert_eq!((result.outcome, result.retry), (Said::Failed, Some(false)));
    let error = result.error.unwrap();
    assert_eq!(
        (error.code.as_str(), error.message.as_str()),
        ("no_such_page", "it is gone")
    );
    assert_eq!(error.detail.unwrap().get(), r#"{"page":9}"#);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_may_pass_leaves_the_retry_to_the_task() {
    let result = reported(Finish::Failed(Failure::passing("busy", "later"))).await;

    assert_eq!((result.outcome, result.retry), (Said::Failed, None));
}

#[tokio::test(start_paused = true)]
async fn words_longer_than_servers_take_are_cut() {
    let failure = Failure {
        code: "x".repeat(100).into(),
        ..Failure::passing("", "ä".repeat(100_000))
    };

    let error = reported(Finish::Failed(failure)).await.error.unwrap();

    assert_eq!(error.code.len(), 64);
    assert_eq!(error.message.len(), 16 << 10);
}

#[tokio::test(start_paused = true)]
async fn an_executor_that_stops_unasked_has_failed() {
    let why = Stop::Cancelled;

    let result = reported(Finish::Stopped { why, detail: None }).await;

    assert_eq!(result.outcome, Said::Failed);
    assert_eq!(result.error.unwrap().code, "stopped");
}

#[tokio::test(start_paused = true)]
async fn a_kind_without_an_executor_fails_for_others_to_try() {
    let mut post = Post::registered(1).await;

    post.give(vec![task(1, "resize")]).await;

    let result = &post.report().await.0.results[0];
    assert_eq!((result.outcome, result.retry), (Said::Failed, None));
    assert_eq!(result.error.as_ref().unwrap().code, "no_executor");
}

#[tokio::test(start_paused = true)]
async fn a_run_is_told_when_its_time_is_up_and_reported_with_what_it_shows() {
    let mut post = Post::registered(1).await;
    let begin = Instant::now();
    post.give(told(1..2)).await;
    let running = post.running().await;

    let why = running.context.stop.stopped().await;
    assert_eq!(
        (why, begin.elapsed()),
        (Stop::TimedOut, Duration::from_mins(1))
    );
    running.end(Finish::Stopped {
        why,
        detail: Some(raw("\"so far\"")),
    });

    let result = &post.report().await.0.results[0];
    assert_eq!(result.outcome, Said::TimedOut);
    let error = result.error.as_ref().unwrap();
    assert_eq!(
        (error.code.as_str(), error.message.as_str()),
        ("timeout", "the run took longer than 60s")
    );
    assert_eq!(error.detail.as_ref().unwrap().get(), "\"so far\"");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_completes_although_its_time_is_up_has_completed() {
    let mut post = Post::registered(1).await;
    post.give(told(1..2)).await;
    let running = post.running().await;

    running.context.stop.stopped().await;
    running.complete();

    assert_eq!(post.report().await.0.results[0].outcome, Said::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_does_not_heed_is_dropped_and_reported_all_the_same() {
    let mut post = Post::registered(1).await;
    let begin = Instant::now();
    post.give(told(1..2)).await;
    let running = post.running().await;

    let report = post.report().await.0;

    assert_eq!(report.results[0].outcome, Said::TimedOut);
    // Its timeout of a minute and its grace, which ends before the server takes the run away.
    assert_eq!(begin.elapsed(), Duration::from_secs(68));
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_lasts_is_told_of_and_a_short_one_is_not() {
    let mut post = Post::registered(2).await;
    post.give(told(1..3)).await;
    let (long, short) = (post.running().await, post.running().await);

    tokio::time::sleep(Duration::from_millis(99)).await;
    short.complete();
    assert_eq!(tokens(&post.take().await), ["2"]);
    tokio::time::sleep(Duration::from_millis(2)).await;
    long.complete();

    assert_eq!(tokens(&post.take().await), ["1"]);
    assert_eq!(post.started, [id(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_and_the_worker_goes_on() {
    let mut post = Post::with_executor(Panics);
    post.register(1).await;
    post.give(vec![task(1, "panics")]).await;

    let report = post.take().await;
    let error = report.results[0].error.as_ref().unwrap();
    assert_eq!(error.code, "panic");
    assert!(
        error.message.ends_with("such a thing as 7"),
        "{}",
        error.message
    );
    assert_eq!(report.results[0].retry, None);

    post.give(vec![task(2, "noop")]).await;
    assert_eq!(tokens(&post.report().await.0), ["2"]);
}

struct Panics;

#[async_trait::async_trait]
impl Executor for Panics {
    fn kind(&self) -> &str {
        "panics"
    }

    async fn run(
        &self,
        run: taskyard_worker::executor::Run,
        _: taskyard_worker::executor::Context,
    ) -> Finish {
        panic!("such a thing as {}", run.input);
    }
}
