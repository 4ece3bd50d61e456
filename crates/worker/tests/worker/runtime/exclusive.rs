//! Runs of which there must never be two at once.

use std::time::Duration;

use taskyard_api::report::Said;
use taskyard_api::worker::{Claimed, Heard, Registered, Run};
use taskyard_worker::executor::Stop;
use tokio::time::Instant;

use super::post::{Post, Running, claimed, heard, id, registered, task, told};

fn exclusive(number: u64) -> Run {
    Run {
        exclusive: true,
        timeout_ms: 3_600_000,
        ..task(number, "told")
    }
}

/// Two thirds of a lease of 75 s, less 2 s to end in.
const WITHIN: Duration = Duration::from_secs(48);

/// When it is looked at next.
const LOOK: Duration = Duration::from_millis(100);

/// The first, which is exclusive, in time; the other one may run twice, so it goes on.
async fn the_first_alone_is_ended(post: &mut Post, begun: Instant, [one, two]: [Running; 2]) {
    assert_eq!(one.stopped().await, Stop::LeaseLost);

    let within = WITHIN..=WITHIN + LOOK;
    assert!(within.contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(two.context.stop.reason(), None);
    two.complete();
    assert_eq!(post.take().await.results.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_lease_nobody_confirms_is_ended_before_another_can_begin() {
    let mut post = Post::registered(2).await;
    post.answers_heartbeats = false;
    let begun = Instant::now();
    post.give([exclusive(1), told(2..3).remove(0)].into()).await;
    let (one, two) = (post.running().await, post.running().await);

    the_first_alone_is_ended(&mut post, begun, [one, two]).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_heartbeats_are_answered_goes_on() {
    let mut post = Post::registered(1).await;
    post.give(vec![exclusive(1)]).await;
    let running = post.running().await;

    // Whoever waits for the next report answers the heartbeats meanwhile.
    let ends = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_mins(10)).await;
        assert_eq!(running.context.stop.reason(), None);
        running.complete();
    });

    assert_eq!(post.take().await.results[0].outcome, Said::Completed);
    ends.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_confirmed_from_when_it_was_asked_about() {
    let mut post = Post::registered(1).await;
    post.answers_heartbeats = false;
    post.give(vec![exclusive(1)]).await;
    let running = post.running().await;
    let (_, answer) = post.heartbeat_of(1).await;
    let asked = Instant::now();
    // As late as it may come.
    tokio::time::sleep(Duration::from_secs(9)).await;
    let _ = answer.send(Ok(heard()));

    assert_eq!(running.stopped().await, Stop::LeaseLost);

    let within = WITHIN..=WITHIN + LOOK;
    assert!(within.contains(&asked.elapsed()), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_the_server_does_not_confirm_in_its_answer_is_not_confirmed() {
    let mut post = Post::registered(2).await;
    post.answers_heartbeats = false;
    let begun = Instant::now();
    post.give([exclusive(1), told(2..3).remove(0)].into()).await;
    let (one, two) = (post.running().await, post.running().await);
    let (_, answer) = post.heartbeat_of(2).await;
    let unconfirmed = vec![id(1), id(2)];
    let answered = answer.send(Ok(Heard {
        unconfirmed,
        ..heard()
    }));
    answered.unwrap();

    the_first_alone_is_ended(&mut post, begun, [one, two]).await;
}

/// Another server of the database may answer than the one it registered at, or the same one with other settings.
#[tokio::test(start_paused = true)]
async fn a_lease_lasts_as_long_as_the_server_says_that_confirmed_it_last() {
    let mut post = Post::registered(2).await;
    post.answers_heartbeats = false;
    post.give(vec![exclusive(1)]).await;
    let running = post.running().await;
    let (_, answer) = post.heartbeat_of(1).await;
    let asked = Instant::now();
    let shorter = Heard {
        lease_ms: Some(3000),
        heartbeat_ms: Some(1000),
        ..heard()
    };
    answer.send(Ok(shorter)).unwrap();

    // The next one comes as often as that server wants, and is not answered.
    let (_, _answer) = post.heartbeat_of(1).await;
    let again = Duration::from_secs(1)..=Duration::from_secs(1) + LOOK;
    assert!(again.contains(&asked.elapsed()), "{:?}", asked.elapsed());
    assert_eq!(running.stopped().await, Stop::LeaseLost);

    // Two thirds of 3 s, less a sixth.
    let within = Duration::from_millis(1500)..=Duration::from_millis(1500) + LOOK;
    assert!(within.contains(&asked.elapsed()), "{:?}", asked.elapsed());
}

/// The claim may be served by another server than the one it registered at.
#[tokio::test(start_paused = true)]
async fn a_lease_lasts_as_long_as_the_server_says_that_gave_it() {
    let mut post = Post::registered(1).await;
    post.answers_heartbeats = false;
    let begun = Instant::now();
    let (_, answer) = post.claim().await;
    let shorter = Claimed {
        lease_ms: Some(3000),
        heartbeat_ms: Some(1000),
        ..claimed(vec![exclusive(1)])
    };
    answer.send(Ok(shorter)).unwrap();
    let running = post.running().await;

    let (_, _answer) = post.heartbeat_of(1).await;
    let first = Duration::from_secs(1)..=Duration::from_secs(1) + LOOK;
    assert!(first.contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(running.stopped().await, Stop::LeaseLost);

    let within = Duration::from_millis(1500)..=Duration::from_millis(1500) + LOOK;
    assert!(within.contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_does_not_heed_is_dropped_within_a_sixth_of_a_short_lease() {
    let mut post = Post::unregistered(1);
    post.told(Registered {
        lease_ms: 3000,
        heartbeat_ms: 1000,
        ..registered(1)
    })
    .await;
    post.answers_heartbeats = false;
    let begun = Instant::now();
    post.give(vec![exclusive(1)]).await;
    let mut running = post.running().await;

    running.context.stop.stopped().await;
    assert!(
        begun.elapsed() <= Duration::from_millis(1600),
        "{:?}",
        begun.elapsed()
    );
    running.dropped().await;

    assert!(
        begun.elapsed() <= Duration::from_millis(2100),
        "{:?}",
        begun.elapsed()
    );
}
