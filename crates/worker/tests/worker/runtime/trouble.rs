//! The server is away, has forgotten the worker, or has another of its name.

use std::time::Duration;

use taskyard_api::client;
use taskyard_api::worker::Claim;
use taskyard_worker::executor::Stop;
use taskyard_worker::runtime::Error;
use tokio::time::Instant;

use super::post::{Call, Post, error, heard, lost, noops, problem, registered, tokens, told};

#[tokio::test(start_paused = true)]
async fn registration_is_tried_until_the_server_is_there() {
    let mut post = Post::unregistered(1);
    for _ in 0..3 {
        let Call::Register(_, answer) = post.next().await else {
            panic!("nothing else is to be said yet")
        };
        answer.send(Err(lost())).unwrap();
    }

    post.register(1).await;

    assert_eq!(post.claim().await.0.limit, 1);
}

#[tokio::test(start_paused = true)]
async fn waits_grow_to_ten_seconds_and_begin_anew_after_a_success() {
    let mut post = Post::registered(1).await;
    // One that got through would cut a wait short.
    post.answers_heartbeats = false;
    let mut waits = Vec::new();
    for _ in 0..12 {
        let (_, answer) = post.claim().await;
        answer.send(Err(lost())).unwrap();
        let failed = Instant::now();
        let (_, answer) = post.claim().await;
        waits.push(failed.elapsed());
        answer.send(Err(lost())).unwrap();
    }
    assert!(waits[0] >= Duration::from_millis(100) && waits[0] <= Duration::from_millis(201));
    assert!(waits[11] >= Duration::from_secs(5) && waits[11] <= Duration::from_secs(10));

    post.give(Vec::new()).await;
    let (_, answer) = post.claim().await;
    answer.send(Err(lost())).unwrap();
    let failed = Instant::now();
    post.claim().await;
    assert!(failed.elapsed() <= Duration::from_millis(201));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_waits_long_goes_when_a_heartbeat_gets_through() {
    let mut post = Post::registered(2).await;
    post.give(told(1..2)).await;
    let _running = post.running().await;
    for _ in 0..12 {
        let (_, answer) = post.claim().await;
        answer.send(Err(lost())).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begin = Instant::now();

    post.stop.ask();
    post.claim().await;

    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_waits_long_goes_when_the_server_is_said_to_serve_again() {
    let mut post = Post::registered(1).await;
    post.answers_heartbeats = false;
    for _ in 0..12 {
        let (_, answer) = post.claim().await;
        answer.send(Err(lost())).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begin = Instant::now();

    post.stop.try_again();
    post.claim().await;

    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_time_gets_it() {
    let mut post = Post::registered(1).await;
    let (_, answer) = post.claim().await;
    let mut full = problem(429, "queue_full");
    full.retry_after_ms = Some(4000);

    answer
        .send(Err(client::Error::Problem(Box::new(full))))
        .unwrap();
    let refused = Instant::now();
    post.claim().await;

    assert!(refused.elapsed() >= Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_an_hour_gets_a_minute() {
    let mut post = Post::registered(1).await;
    post.answers_heartbeats = false;
    let (_, answer) = post.claim().await;
    let mut full = problem(429, "queue_full");
    full.retry_after_ms = Some(3_600_000);

    answer
        .send(Err(client::Error::Problem(Box::new(full))))
        .unwrap();
    let refused = Instant::now();
    post.claim().await;

    assert_eq!(refused.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_proxys_page_is_a_server_that_is_away() {
    let mut post = Post::registered(1).await;
    let (claim, answer) = post.claim().await;

    answer
        .send(Err(client::Error::Unexpected {
            url: "http://a".parse().unwrap(),
            status: 502,
            what: "<html>".to_owned(),
        }))
        .unwrap();

    // Who stands in between does not know whether it was served.
    let again = Claim {
        again: true,
        ..claim
    };
    assert_eq!(post.claim().await.0, again);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_the_server_has_forgotten_registers_again() {
    let mut post = Post::registered(2).await;
    post.answers_heartbeats = false;
    post.give(told(1..2)).await;
    let running = post.running().await;
    let (_, answer) = post.claim().await;

    answer.send(Err(error(404, "not_found"))).unwrap();
    post.register(9).await;
    let at = Instant::now();

    let (claim, _answer) = post.claim().await;
    assert_eq!((claim.epoch, claim.limit), (Some(9), 1));
    // Whether its lease still stands is what the next heartbeat tells.
    assert_eq!(running.context.stop.reason(), None);
    let (heartbeat, _answer) = post.heartbeat().await;
    assert_eq!((heartbeat.epoch, at.elapsed()), (Some(9), Duration::ZERO));
    assert_eq!(heartbeat.held[0].lease_token, "1");
}

#[tokio::test(start_paused = true)]
async fn a_replaced_worker_ends_its_runs_and_stops() {
    let mut post = Post::registered(2).await;
    post.give(told(1..2)).await;
    let running = post.running().await;
    let (_, answer) = post.claim().await;

    answer.send(Err(error(409, "worker_replaced"))).unwrap();

    assert_eq!(running.stopped().await, Stop::LeaseLost);
    let error = post.ended().await.unwrap_err();
    assert!(matches!(&error, Error::Replaced(name) if name == "w"));
    assert!(
        error
            .to_string()
            .contains("worker w was killed, or another process has registered")
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_said_before_a_new_registration_replaces_nobody() {
    let mut post = Post::registered(100).await;
    let (_, first) = post.claim().await;
    let (_, second) = post.claim().await;
    first.send(Err(error(404, "not_found"))).unwrap();
    post.register(2).await;
    post.claim().await;

    second.send(Err(error(409, "worker_replaced"))).unwrap();

    let (claim, _answer) = post.claim().await;
    assert_eq!((claim.epoch, claim.seq), (Some(2), Some(2)));
}

#[tokio::test(start_paused = true)]
async fn a_refused_worker_stops_and_says_why() {
    let mut post = Post::unregistered(1);
    let Call::Register(_, answer) = post.next().await else {
        panic!("nothing else is to be said yet")
    };

    answer.send(Err(error(422, "invalid"))).unwrap();

    let error = post.ended().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server refuses this worker: invalid (422)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_from_the_beginning_ends_the_worker() {
    let mut post = Post::unregistered(1);
    let Call::Register(_, answer) = post.next().await else {
        panic!("nothing else is to be said yet")
    };

    answer.send(Err(error(401, "unauthorized"))).unwrap();

    let error = post.ended().await.unwrap_err();
    assert!(error.to_string().contains("unauthorized"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_for_a_while_costs_no_run() {
    let mut post = Post::registered(1).await;
    post.answers_heartbeats = false;
    post.give(told(1..2)).await;
    let running = post.running().await;
    for _ in 0..3 {
        let (_, answer) = post.heartbeat().await;
        answer.send(Err(error(401, "unauthorized"))).unwrap();
    }
    assert_eq!(running.context.stop.reason(), None);

    let (_, answer) = post.heartbeat().await;
    answer.send(Ok(heard())).unwrap();
    // It is forgotten that it was refused, however much later it was to end for that.
    for _ in 0..10 {
        let (_, answer) = post.heartbeat().await;
        answer.send(Ok(heard())).unwrap();
    }
    running.complete();

    assert_eq!(tokens(&post.take().await), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_stays_refused_ends_the_worker_when_its_leases_are_over() {
    let mut post = Post::registered(1).await;
    post.answers_heartbeats = false;
    let mut tasks = told(1..2);
    tasks[0].timeout_ms = 600_000;
    post.give(tasks).await;
    let running = post.running().await;
    let (_, answer) = post.heartbeat().await;
    answer.send(Ok(heard())).unwrap();
    let renewed = Instant::now();

    let refuse = async {
        loop {
            let (_, answer) = post.heartbeat().await;
            if answer.send(Err(error(401, "unauthorized"))).is_err() {
                return;
            }
        }
    };
    tokio::select! {
        why = running.stopped() => assert_eq!(why, Stop::ShuttingDown),
        () = refuse => panic!("its runs end first"),
    }

    let lease = Duration::from_secs(75);
    assert!((lease..lease + Duration::from_secs(1)).contains(&renewed.elapsed()));
    let error = post.ended().await.unwrap_err();
    assert!(error.to_string().contains("unauthorized"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_registration_is_made_again_under_the_newer_epoch() {
    let mut post = Post::unregistered(1);
    let Call::Register(_, answer) = post.next().await else {
        panic!("nothing else is to be said yet")
    };
    answer.send(Err(lost())).unwrap();
    let Call::Register(_, answer) = post.next().await else {
        panic!("nothing else is to be said yet")
    };
    answer.send(Ok(registered(2))).unwrap();

    assert_eq!(post.claim().await.0.epoch, Some(2));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_claimed_while_the_server_is_away() {
    let mut post = Post::registered(4).await;
    post.give(noops(1..2)).await;
    let (_, answer) = post.report().await;
    answer.send(Err(lost())).unwrap();

    assert!(post.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_forgets_at_once_is_asked_ever_less_often() {
    let mut post = Post::registered(1).await;
    let mut waits = Vec::new();
    for epoch in 2..10 {
        let (_, answer) = post.claim().await;
        answer.send(Err(error(404, "not_found"))).unwrap();
        let forgotten = Instant::now();
        post.register(epoch).await;
        waits.push(forgotten.elapsed());
    }

    assert!(waits[0] < Duration::from_millis(250), "{waits:?}");
    assert!(waits[7] >= Duration::from_secs(5), "{waits:?}");
}
