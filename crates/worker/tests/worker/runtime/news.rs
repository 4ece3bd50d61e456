//! News that take long, and the heartbeats that go on meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use taskyard_api::client;
use taskyard_api::worker::{Heard, Heartbeat};
use taskyard_worker::executor::{Failure, Finish};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::post::{Post, Running, heard, id, problem, raw, tokens, told};

type Answer = oneshot::Sender<Result<Heard, client::Error>>;

/// As often as the server wants a heartbeat, and how long it leases.
const EVERY: Duration = Duration::from_secs(10);
const LEASE: Duration = Duration::from_secs(75);

/// What a wait between two tries may add.
const PAUSE: Duration = Duration::from_millis(250);

/// A worker that runs these, each with a checkpoint to save, whose heartbeats the test answers.
async fn saving(count: u64) -> (Post, Vec<Running>) {
    let mut post = Post::registered(8).await;
    post.answers_heartbeats = false;
    post.give(told(1..1 + count)).await;
    let mut runs = Vec::new();
    for _ in 0..count {
        runs.push(post.running().await);
    }
    for run in &runs {
        run.context.reports.checkpoint(raw("1"));
    }
    (post, runs)
}

fn brings_news(heartbeat: &Heartbeat) -> bool {
    let mut held = heartbeat.held.iter();
    held.any(|held| held.checkpoint.is_some())
}

fn named(heartbeat: &Heartbeat) -> BTreeSet<&str> {
    let held = heartbeat.held.iter();
    held.map(|held| &*held.lease_token).collect()
}

/// The next heartbeat with news; full ones are answered.
async fn next_news(post: &mut Post) -> (Heartbeat, Answer) {
    loop {
        let (heartbeat, answer) = post.heartbeat().await;
        if brings_news(&heartbeat) {
            return (heartbeat, answer);
        }
        answer.send(Ok(heard())).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn news_that_take_for_ever_hold_up_no_heartbeat() {
    let (mut post, runs) = saving(3).await;
    let (begin, mut hanging) = (Instant::now(), Vec::new());

    let (mut last, mut longest) = (begin, Duration::ZERO);
    while begin.elapsed() < LEASE * 2 {
        let (heartbeat, answer) = post.heartbeat().await;
        if brings_news(&heartbeat) {
            hanging.push(answer);
            continue;
        }
        assert_eq!(named(&heartbeat), ["1", "2", "3"].into());
        longest = longest.max(last.elapsed());
        last = Instant::now();
        answer.send(Ok(heard())).unwrap();
        for run in &runs {
            run.context.reports.progress(0.5, None);
        }
    }

    assert!(longest <= EVERY, "{longest:?} without a heartbeat");
    assert!(last.elapsed() <= EVERY, "{:?} ago", last.elapsed());
}

#[tokio::test(start_paused = true)]
async fn news_that_are_refused_for_now_hold_up_no_heartbeat() {
    let (mut post, _runs) = saving(1).await;
    let (_, answer) = next_news(&mut post).await;
    let mut full = problem(429, "queue_full");
    full.retry_after_ms = Some(60_000);
    let refused = Instant::now();
    answer
        .send(Err(client::Error::Problem(Box::new(full))))
        .unwrap();

    for _ in 0..5 {
        let (heartbeat, answer) = post.heartbeat().await;
        assert!(!brings_news(&heartbeat));
        answer.send(Ok(heard())).unwrap();
    }

    assert!(
        refused.elapsed() <= 5 * EVERY,
        "{:?} for five",
        refused.elapsed()
    );
    let (_again, _answer) = next_news(&mut post).await;
    assert!(refused.elapsed() >= Duration::from_mins(1));
}

#[tokio::test(start_paused = true)]
async fn news_that_do_not_get_through_in_time_go_in_halves() {
    let (mut post, _runs) = saving(5).await;
    let (mut saved, mut hanging) = (BTreeSet::new(), Vec::new());

    let saving = async {
        while saved.len() < 5 {
            let (heartbeat, answer) = next_news(&mut post).await;
            if heartbeat.held.len() > 2 {
                hanging.push(answer);
            } else {
                saved.extend(named(&heartbeat).into_iter().map(str::to_owned));
                answer.send(Ok(heard())).unwrap();
            }
        }
    };

    // Five, then three of them.
    let within = 2 * EVERY + PAUSE;
    let saved = tokio::time::timeout(within, saving).await;
    saved.expect("all of them are saved");
}

#[tokio::test(start_paused = true)]
async fn news_of_one_run_may_take_as_long_as_a_lease() {
    for (takes, is_heard) in [
        (LEASE - Duration::from_millis(1), true),
        (LEASE + Duration::from_millis(1), false),
    ] {
        let (mut post, _runs) = saving(1).await;
        let (_, answer) = next_news(&mut post).await;

        let heartbeats = async {
            loop {
                let (heartbeat, answer) = post.heartbeat().await;
                assert!(!brings_news(&heartbeat), "it is said again");
                answer.send(Ok(heard())).unwrap();
            }
        };
        let waited = tokio::time::timeout(takes, heartbeats).await;

        waited.expect_err("heartbeats go on");
        assert_eq!(answer.send(Ok(heard())).is_ok(), is_heard, "{takes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_without_an_answer_has_the_line_to_itself_until_one_gets_through() {
    let (mut post, runs) = saving(1).await;
    let (_, mut news) = next_news(&mut post).await;
    let (first, _hangs) = post.heartbeat().await;
    assert!(!brings_news(&first));
    let sent = Instant::now();

    news.closed().await;
    assert_eq!(sent.elapsed(), EVERY, "given up with it");
    let (second, answer) = post.heartbeat().await;
    assert!(sent.elapsed() <= EVERY + PAUSE, "{:?}", sent.elapsed());
    assert!(!brings_news(&second));
    runs[0].context.reports.checkpoint(raw("2"));
    let beside = tokio::time::timeout(EVERY / 2, post.heartbeat()).await;
    assert!(beside.is_err(), "news go beside it");
    answer.send(Ok(heard())).unwrap();

    let (heartbeat, _answer) = post.heartbeat().await;
    assert_eq!(heartbeat.held[0].checkpoint.as_ref().unwrap().get(), "2");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_has_ended_keeps_its_lease_while_its_last_checkpoint_is_on_its_way() {
    let (mut post, mut runs) = saving(1).await;
    let (_, hangs) = next_news(&mut post).await;
    let failure = Failure::passing("busy", "later");
    runs.remove(0).end(Finish::Failed(failure));
    assert!(!post.has_report().await);

    let (heartbeat, answer) = post.heartbeat().await;
    assert_eq!(named(&heartbeat), ["1"].into());
    // Nobody would begin from it any more.
    let lost = vec![id(1)];
    answer.send(Ok(Heard { lost, ..heard() })).unwrap();

    let report = tokio::time::timeout(EVERY, post.take()).await;
    assert_eq!(tokens(&report.expect("it is reported")), ["1"]);
    drop(hangs);
}
