//! What a worker takes, and how much of it.

use std::collections::BTreeMap;
use std::time::Duration;

use taskyard_api::report::{Reported, Said};
use taskyard_api::time::Time;
use taskyard_api::worker::{Claim, Heard};
use taskyard_worker::runtime::Settings;
use tokio::time::Instant;

use super::post::{NOW, Post, claimed, heard, id, lost, noops, raw, taken, task, tokens, told};

#[tokio::test(start_paused = true)]
async fn a_worker_says_who_it_is_and_asks_for_as_much_as_it_can_start() {
    let mut post = Post::with(Settings {
        concurrency: 3,
        queues: Some(vec!["fast".to_owned()]),
        labels: BTreeMap::from([("gpu".to_owned(), "a100".to_owned())]),
        ..Settings::named("w")
    });

    let register = post.register(4).await;
    let (claim, _answer) = post.claim().await;

    assert_eq!(register.worker_id, "w");
    assert_eq!(register.kinds, ["echo", "noop", "told"]);
    assert_eq!(register.queues.unwrap(), ["fast"]);
    assert_eq!(register.labels["gpu"], "a100");
    assert_eq!(register.capacity, Some(3));
    assert_eq!((claim.limit, claim.wait_ms), (3, Some(30_000)));
    assert_eq!(
        (claim.seq, claim.epoch, claim.begin),
        (Some(1), Some(4), false)
    );
}

#[tokio::test(start_paused = true)]
async fn results_and_the_next_claim_go_in_one_call() {
    let mut post = Post::registered(2).await;
    post.give(vec![task(1, "noop"), task(2, "echo")]).await;

    let (report, _answer) = post.report().await;

    assert_eq!(tokens(&report), ["1", "2"]);
    let claim = report.claim.unwrap();
    assert_eq!((claim.limit, claim.seq), (2, Some(2)));
    assert_eq!(report.epoch, Some(1));
    for result in &report.results {
        assert_eq!(
            (result.outcome, result.started_at),
            (Said::Completed, Some(Time(NOW)))
        );
    }
    assert!(report.results[0].output.is_none());
    assert_eq!(report.results[1].output.as_ref().unwrap().get(), "7");
}

#[tokio::test(start_paused = true)]
async fn nothing_more_than_n_leases_are_held() {
    let mut post = Post::registered(3).await;
    post.give(told(1..3)).await;
    let (first, second) = (post.running().await, post.running().await);

    let (claim, answer) = post.claim().await;
    assert_eq!(claim.limit, 1);
    first.complete();
    let (report, reported) = post.report().await;
    assert!(report.claim.is_none(), "one claim is open already");
    answer.send(Ok(claimed(told(3..4)))).unwrap();
    let third = post.running().await;

    // Until the report is answered, its slot is taken as far as anyone knows.
    assert!(post.is_quiet().await);
    reported.send(Ok(taken(&report, Vec::new()))).unwrap();
    let (claim, _answer) = post.claim().await;
    assert_eq!(claim.limit, 1);
    drop((second, third));
}

#[tokio::test(start_paused = true)]
async fn many_slots_are_filled_by_two_claims_at_a_time() {
    let mut post = Post::registered(100).await;

    let (first, first_answer) = post.claim().await;
    let (second, _second_answer) = post.claim().await;
    first_answer.send(Ok(claimed(noops(0..50)))).unwrap();
    let (report, _answer) = post.report().await;

    assert_eq!((first.limit, second.limit), (50, 50));
    assert_eq!((first.seq, second.seq), (Some(1), Some(2)));
    assert_eq!(report.results.len(), 50);
    assert_eq!(report.claim.unwrap().limit, 50);
    assert!(post.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_was_lost_is_sent_again_with_its_seq() {
    let mut post = Post::registered(2).await;
    post.give(noops(1..3)).await;
    let (report, answer) = post.report().await;
    let claim = report.claim.unwrap();

    answer.send(Err(lost())).unwrap();
    let (again, answer) = post.report().await;

    assert_eq!(tokens(&again), ["1", "2"]);
    assert!(!claim.again);
    let said = Claim {
        again: true,
        ..claim
    };
    assert_eq!(again.claim.unwrap(), said);
    answer.send(Ok(taken(&again, noops(3..4)))).unwrap();
    let (next, _answer) = post.report().await;
    assert_eq!(tokens(&next), ["3"]);
    assert_eq!(next.claim.unwrap().seq, Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_a_report_did_not_get_served_is_sent_again_alone() {
    let mut post = Post::registered(1).await;
    post.give(noops(1..2)).await;
    let (report, answer) = post.report().await;

    let without = Reported {
        tasks: None,
        ..taken(&report, Vec::new())
    };
    answer.send(Ok(without)).unwrap();

    let (again, _answer) = post.claim().await;
    let said = report.claim.map(|claim| Claim {
        again: true,
        ..claim
    });
    assert_eq!(Some(again), said);
}

#[tokio::test(start_paused = true)]
async fn a_run_gets_its_input_its_attempt_and_the_checkpoint_of_the_one_before() {
    let mut post = Post::registered(1).await;
    let mut task = task(1, "told");
    task.checkpoint = Some(raw(r#"{"at":5}"#));

    post.give(vec![task]).await;
    let running = post.running().await;

    assert_eq!(running.run.task, id(1));
    assert_eq!((running.run.input.get(), running.run.attempt), ("7", 2));
    assert_eq!(
        running.run.checkpoint.as_ref().unwrap().get(),
        r#"{"at":5}"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_given_out_again_to_its_own_worker_ends_the_older_run() {
    let mut post = Post::registered(2).await;
    post.give(told(1..2)).await;
    let older = post.running().await;
    let mut again = task(1, "told");
    again.lease_token = "newer".to_owned();

    post.give(vec![again]).await;
    let newer = post.running().await;
    assert_eq!(
        older.stopped().await,
        taskyard_worker::executor::Stop::LeaseLost
    );
    newer.complete();

    let report = post.report().await.0;
    assert_eq!(tokens(&report), ["newer"]);
    assert_eq!(report.results[0].outcome, Said::Completed);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_claimed_while_too_many_bytes_wait() {
    let mut post = Post::registered(20).await;
    let long = format!("\"{}\"", "x".repeat(8 << 20));
    let mut tasks: Vec<_> = (0..9).map(|number| task(number, "echo")).collect();
    for task in &mut tasks {
        task.input = raw(&long);
    }
    post.give(tasks).await;

    // Each goes alone; with seven that wait there is room again.
    let claims = [
        post.take().await.claim,
        post.take().await.claim,
        post.take().await.claim,
    ];

    assert_eq!(claims.map(|claim| claim.is_some()), [false, false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_hold_a_claim_is_not_asked_at_once() {
    let mut post = Post::registered(1).await;
    let begin = Instant::now();

    post.give(Vec::new()).await;
    post.claim().await;
    assert_eq!(begin.elapsed(), Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_was_held_is_made_anew_at_once() {
    let mut post = Post::registered(1).await;
    let (_, answer) = post.claim().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let begin = Instant::now();

    answer.send(Ok(claimed(Vec::new()))).unwrap();
    post.claim().await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_came_too_late_to_be_sure_begins_when_the_server_says_it_holds() {
    let mut post = Post::registered(3).await;
    let (_, answer) = post.claim().await;
    post.answers_heartbeats = false;

    // A third of the 30 s without a sign of life after which a worker's leases are lost.
    tokio::time::advance(Duration::from_secs(10)).await;
    answer.send(Ok(claimed(told(1..4)))).unwrap();
    let (asked, said) = post.heartbeat_of(3).await;
    assert!(post.no_more_runs());
    let gone = Heard {
        lost: vec![id(1)],
        cancel: vec![id(3)],
        ..heard()
    };
    said.send(Ok(gone)).unwrap();

    assert_eq!(post.running().await.run.task, id(2));
    assert!(post.no_more_runs());
    assert!(asked.held.iter().all(|held| !held.running));
    let (claim, _answer) = post.claim().await;
    assert_eq!(claim.limit, 2);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_came_in_time_begins_at_once() {
    let mut post = Post::registered(1).await;
    let (_, answer) = post.claim().await;
    post.answers_heartbeats = false;

    tokio::time::advance(Duration::from_millis(9_500)).await;
    answer.send(Ok(claimed(told(1..2)))).unwrap();

    assert_eq!(post.running().await.run.task, id(1));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_sent_again_brings_leases_as_old_as_its_first_sending() {
    let mut post = Post::registered(1).await;
    let (_, answer) = post.claim().await;
    tokio::time::advance(Duration::from_secs(10)).await;
    answer.send(Err(lost())).unwrap();
    let (_, answer) = post.claim().await;
    post.answers_heartbeats = false;

    answer.send(Ok(claimed(told(1..2)))).unwrap();
    let (_, said) = post.heartbeat_of(1).await;
    assert!(post.no_more_runs());
    said.send(Ok(heard())).unwrap();

    assert_eq!(post.running().await.run.task, id(1));
}

#[tokio::test(start_paused = true)]
async fn runs_that_nobody_can_vouch_for_are_handed_back() {
    let mut post = Post::registered(1).await;
    let (_, answer) = post.claim().await;
    post.answers_heartbeats = false;
    tokio::time::advance(Duration::from_secs(10)).await;
    answer.send(Ok(claimed(told(1..2)))).unwrap();

    let (_, said) = post.heartbeat_of(1).await;
    said.send(Err(lost())).unwrap();

    let (report, _answer) = post.report().await;
    assert_eq!(tokens(&report), ["1"]);
    assert_eq!(report.results[0].outcome, Said::Released);
    assert!(post.no_more_runs());
}
