//! The end of a worker that is told to stop.

use std::time::Duration;

use taskyard_api::report::Said;
use taskyard_api::worker::{Claimed, Heard};
use taskyard_worker::executor::{Finish, Stop};
use taskyard_worker::runtime::{Settings, Summary};
use tokio::time::Instant;

use super::post::{Post, claimed, heard, raw, taken, tokens, told};

#[tokio::test(start_paused = true)]
async fn an_idle_worker_asks_about_its_open_claim_and_goes() {
    let mut post = Post::registered(4).await;
    let (open, parked) = post.claim().await;
    let begin = Instant::now();

    post.stop.request();
    let (ask, answer) = post.claim().await;

    assert!(parked.is_closed(), "nobody waits for the poll any more");
    assert_eq!(ask.seq, open.seq);
    assert_eq!((ask.limit, ask.wait_ms), (1, Some(0)));
    answer.send(Ok(claimed(Vec::new()))).unwrap();
    assert_eq!(post.ended().await.unwrap(), Summary::default());
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_has_ended_in_order_says_that_it_leaves() {
    let mut post = Post::registered(1).await;
    post.answers_heartbeats = false;
    let (_, _parked) = post.claim().await;
    post.stop.request();
    post.give(Vec::new()).await;

    let (last, answer) = post.heartbeat().await;

    assert!(last.leaves && last.held.is_empty(), "{last:?}");
    assert_eq!(last.epoch, Some(1));
    answer.send(Ok(heard())).unwrap();
    assert_eq!(post.ended().await.unwrap(), Summary::default());
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_last_word_nobody_hears_goes_all_the_same() {
    let mut post = Post::registered(1).await;
    post.answers_heartbeats = false;
    let (_, _parked) = post.claim().await;
    post.stop.request();
    post.give(Vec::new()).await;
    let begin = Instant::now();

    let (_last, _unanswered) = post.heartbeat().await;

    post.ended().await.unwrap();
    assert_eq!(begin.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn draining_hands_back_what_has_not_begun() {
    let mut post = Post::registered(4).await;
    let (_, _parked) = post.claim().await;
    post.stop.request();

    post.give(told(1..2)).await;
    let report = post.take().await;

    assert_eq!((tokens(&report), report.claim), (vec!["1"], None));
    assert_eq!(report.results[0].outcome, Said::Released);
    assert!(post.no_more_runs());
    assert_eq!(post.ended().await.unwrap().released, 1);
}

#[tokio::test(start_paused = true)]
async fn runs_may_end_while_the_worker_drains() {
    let mut post = Post::registered(1).await;
    post.give(told(1..2)).await;
    let running = post.running().await;

    post.stop.request();
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(running.context.stop.reason(), None);
    running.complete();

    let report = post.take().await;
    assert_eq!(
        (report.results[0].outcome, report.claim),
        (Said::Completed, None)
    );
    assert_eq!(post.ended().await.unwrap().completed, 1);
}

#[tokio::test(start_paused = true)]
async fn runs_that_take_too_long_are_ended_and_handed_back() {
    let mut post = Post::registered(1).await;
    post.give(told(1..2)).await;
    let running = post.running().await;
    let begin = Instant::now();

    post.stop.request();
    assert_eq!(running.stopped().await, Stop::ShuttingDown);

    assert_eq!(begin.elapsed(), Duration::from_secs(30));
    let report = post.take().await;
    assert_eq!(report.results[0].outcome, Said::Released);
    assert_eq!(post.ended().await.unwrap().released, 1);
}

#[tokio::test(start_paused = true)]
async fn a_second_request_ends_the_runs_at_once() {
    let mut post = Post::registered(1).await;
    post.give(told(1..2)).await;
    let running = post.running().await;
    let begin = Instant::now();

    post.stop.request();
    post.stop.request();

    assert_eq!(running.stopped().await, Stop::ShuttingDown);
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_server_can_tell_a_worker_to_drain() {
    let mut post = Post::registered(2).await;
    post.answers_heartbeats = false;
    post.give(told(1..2)).await;
    let running = post.running().await;
    let (_, _parked) = post.claim().await;

    let (_, answer) = post.heartbeat().await;
    let drain = true;
    answer.send(Ok(Heard { drain, ..heard() })).unwrap();
    post.give(Vec::new()).await;
    post.answers_heartbeats = true;
    running.complete();

    assert!(post.take().await.claim.is_none());
    assert_eq!(post.ended().await.unwrap().completed, 1);
}

#[tokio::test(start_paused = true)]
async fn who_drains_for_its_server_lets_its_runs_take_their_time() {
    let mut post = Post::registered(2).await;
    post.give(told(1..2)).await;
    let running = post.running().await;
    let (_, answer) = post.claim().await;

    let drain = Claimed {
        drain: true,
        ..claimed(Vec::new())
    };
    answer.send(Ok(drain)).unwrap();

    assert!(post.is_quiet().await, "it claims no more");
    tokio::time::sleep(Settings::named("w").drain_within + Duration::from_secs(9)).await;
    running.complete();
    assert!(post.take().await.claim.is_none());
    assert_eq!(post.ended().await.unwrap().completed, 1);
}

#[tokio::test(start_paused = true)]
async fn who_drains_for_its_server_hands_back_what_takes_too_long_once_it_is_told_to_stop() {
    let mut post = Post::registered(1).await;
    post.give(told(1..2)).await;
    let running = post.running().await;
    post.stop.drain();
    tokio::time::sleep(Duration::from_secs(9)).await;

    let begin = Instant::now();
    post.stop.request();

    assert_eq!(running.stopped().await, Stop::ShuttingDown);
    assert_eq!(begin.elapsed(), Settings::named("w").drain_within);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_saves_its_state_when_told_to_stop_hands_it_on() {
    let mut post = Post::registered(1).await;
    post.answers_heartbeats = false;
    post.give(told(1..2)).await;
    let running = post.running().await;
    post.stop.request();
    post.stop.request();

    let why = running.context.stop.stopped().await;
    running.context.reports.checkpoint(raw("[5]"));
    running.end(Finish::Stopped { why, detail: None });
    let (heartbeat, answer) = post.heartbeat().await;
    assert_eq!(heartbeat.held[0].checkpoint.as_ref().unwrap().get(), "[5]");
    answer.send(Ok(heard())).unwrap();

    assert_eq!(post.take().await.results[0].outcome, Said::Released);
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_server_is_away_gives_up_in_the_end() {
    let mut post = Post::registered(1).await;
    post.give(told(1..2)).await;
    let running = post.running().await;
    post.stop.request();
    running.complete();
    let begin = Instant::now();

    post.stay_away().await;
    let summary = post.ended().await.unwrap();

    assert_eq!((summary.completed, summary.undelivered), (1, 1));
    // Nothing runs any more, so all that is left is the time to deliver.
    assert_eq!(begin.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn the_time_to_deliver_begins_when_the_last_run_has_ended() {
    let mut post = Post::registered(1).await;
    post.give(told(1..2)).await;
    let running = post.running().await;
    let begin = Instant::now();
    post.stop.request();
    let ends = async {
        let why = running.context.stop.stopped().await;
        // A run that takes its time to end.
        tokio::time::sleep(Duration::from_secs(7)).await;
        running.end(Finish::Stopped { why, detail: None });
    };

    tokio::join!(post.stay_away(), ends);
    let summary = post.ended().await.unwrap();

    assert_eq!((summary.released, summary.undelivered), (1, 1));
    assert_eq!(begin.elapsed(), Duration::from_secs(30 + 7 + 10));
}

#[tokio::test(start_paused = true)]
async fn a_claim_with_results_is_asked_about_with_them() {
    let mut post = Post::registered(1).await;
    post.give(told(1..2)).await;
    post.running().await.complete();
    let (sent, _parked) = post.report().await;

    post.stop.request();
    let (again, answer) = post.report().await;

    assert_eq!(tokens(&again), tokens(&sent));
    assert_eq!(again.claim.unwrap().wait_ms, Some(0));
    answer.send(Ok(taken(&again, Vec::new()))).unwrap();
    assert_eq!(post.ended().await.unwrap().completed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_future_is_dropped_ends_its_runs() {
    let mut post = Post::registered(1).await;
    post.give(told(1..2)).await;
    let mut running = post.running().await;

    post.abandon();

    running.dropped().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_may_have_more_time_than_any_clock_shows() {
    let mut post = Post::with(Settings {
        drain_within: Duration::MAX,
        stop_within: Duration::MAX,
        deliver_within: Duration::MAX,
        ..Settings::named("w")
    });
    post.register(1).await;
    post.give(told(1..2)).await;
    let running = post.running().await;

    post.stop.request();
    // Longer than a run may go on by default, and less than its own time.
    tokio::time::sleep(Duration::from_secs(50)).await;
    running.complete();
    post.take().await;

    assert_eq!(post.ended().await.unwrap().completed, 1);
}
