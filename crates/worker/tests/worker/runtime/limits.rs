//! What the server takes: what it says of that is kept to, and what it refuses all the same costs no run.

use std::collections::BTreeSet;
use std::time::Duration;

use taskyard_api::client::Error;
use taskyard_api::report::Said;
use taskyard_api::worker::{Heard, Heartbeat, Limits, Registered};
use taskyard_worker::executor::{Failure, Finish, Stop};
use tokio::time::Instant;

use super::post::{
    Post, Running, claimed, error, heard, id, lost, noops, problem, raw, registered, taken, tokens,
    told, too_large,
};

/// A worker that runs these, of more slots than that, whose heartbeats the test answers.
async fn running(count: u64, limits: Limits) -> (Post, Vec<Running>) {
    let mut post = Post::limited(8, limits).await;
    post.answers_heartbeats = false;
    post.give(told(1..1 + count)).await;
    let mut runs = Vec::new();
    for _ in 0..count {
        runs.push(post.running().await);
    }
    (post, runs)
}

fn named(heartbeat: &Heartbeat) -> impl Iterator<Item = String> {
    let held = heartbeat.held.iter();
    held.map(|held| held.lease_token.clone())
}

fn full_for(wait: Duration) -> Error {
    let mut full = problem(429, "queue_full");
    full.retry_after_ms = u64::try_from(wait.as_millis()).ok();
    Error::Problem(Box::new(full))
}

fn of_two() -> Limits {
    Limits {
        runs_max: 2,
        ..Limits::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_goes_in_as_many_calls_as_the_server_takes_runs() {
    let (mut post, mut runs) = running(5, of_two()).await;

    for _ in 0..2 {
        let mut all = Vec::new();
        for _ in 0..3 {
            let (heartbeat, answer) = post.heartbeat().await;
            assert!(heartbeat.held.len() <= 2, "{heartbeat:?}");
            all.extend(named(&heartbeat));
            answer.send(Ok(heard())).unwrap();
        }
        all.sort_unstable();
        assert_eq!(all, ["1", "2", "3", "4", "5"]);
    }

    // What is said of a run is heard in whichever call named it.
    for _ in 0..3 {
        let (heartbeat, answer) = post.heartbeat().await;
        let is_there = named(&heartbeat).any(|token| token == "1");
        let cancel = if is_there { vec![id(1)] } else { Vec::new() };
        answer.send(Ok(Heard { cancel, ..heard() })).unwrap();
    }
    assert_eq!(runs.remove(0).stopped().await, Stop::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn few_calls_of_a_heartbeat_are_in_the_air_and_one_that_fails_takes_the_rest_along() {
    let one = Limits {
        runs_max: 1,
        ..Limits::default()
    };
    let (mut post, _runs) = running(6, one).await;
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(post.heartbeat().await.1);
    }
    let begin = Instant::now();

    for answer in answers {
        answer.send(Err(lost())).unwrap();
    }
    let mut all = BTreeSet::new();
    for _ in 0..6 {
        let (heartbeat, answer) = post.heartbeat().await;
        all.extend(named(&heartbeat));
        answer.send(Ok(heard())).unwrap();
    }

    assert_eq!(all.len(), 6);
    assert!(begin.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn the_wait_that_one_call_of_a_heartbeat_asks_for_is_kept_when_the_others_get_through() {
    let asked = Duration::from_secs(4);
    let (mut post, _runs) = running(5, of_two()).await;

    for _ in 0..3 {
        let full = post.heartbeat().await.1;
        let others = [post.heartbeat().await.1, post.heartbeat().await.1];
        let failed = Instant::now();
        full.send(Err(full_for(asked))).unwrap();
        for other in others {
            other.send(Ok(heard())).unwrap();
        }
        let again = post.heartbeat().await.1;
        assert!(failed.elapsed() >= asked, "{:?}", failed.elapsed());
        again.send(Ok(heard())).unwrap();
        for _ in 0..2 {
            post.heartbeat().await.1.send(Ok(heard())).unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn waits_between_heartbeats_begin_anew_once_one_has_got_through_whole() {
    let (mut post, _runs) = running(3, of_two()).await;
    let mut waits = Vec::new();
    for fails in [true, true, true, true, true, false, true] {
        let calls = [post.heartbeat().await.1, post.heartbeat().await.1];
        let landed = Instant::now();
        for (answer, said) in calls.into_iter().zip([fails, false]) {
            let said = if said { Err(lost()) } else { Ok(heard()) };
            answer.send(said).unwrap();
        }
        // Seen, and left for the next round.
        let next = post.heartbeat().await;
        waits.push(landed.elapsed());
        post.put_back(next);
    }

    assert!(waits[4] >= Duration::from_millis(1600), "{waits:?}");
    assert_eq!(waits[5], Duration::from_secs(10), "{waits:?}");
    assert!(waits[6] <= Duration::from_millis(201), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_left_to_say_when_the_server_went_away_is_said_when_it_is_back() {
    let (mut post, runs) = running(4, of_two()).await;
    for run in &runs {
        run.context.reports.checkpoint(raw("1"));
    }
    let (first, second) = (post.heartbeat().await, post.heartbeat().await);
    let begin = Instant::now();

    first.1.send(Err(lost())).unwrap();
    second.1.send(Err(error(422, "invalid"))).unwrap();

    let mut all = BTreeSet::new();
    while all.len() < 4 {
        let (heartbeat, answer) = post.heartbeat().await;
        all.extend(named(&heartbeat));
        answer.send(Ok(heard())).unwrap();
    }
    let within = Duration::from_secs(1);
    assert!(begin.elapsed() <= within, "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_of_too_many_runs_for_a_server_that_does_not_say_goes_in_halves() {
    let (mut post, mut runs) = running(5, Limits::default()).await;

    let mut all = BTreeSet::new();
    while all.len() < 5 {
        let (heartbeat, answer) = post.heartbeat().await;
        if heartbeat.held.len() > 2 {
            answer.send(Err(too_large())).unwrap();
        } else {
            all.extend(named(&heartbeat));
            answer.send(Ok(heard())).unwrap();
        }
    }

    let run = runs.remove(0);
    assert_eq!(run.context.stop.reason(), None);
    run.complete();
    assert_eq!(tokens(&post.take().await), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn bad_news_of_one_run_are_left_out_and_no_others() {
    let (mut post, runs) = running(3, Limits::default()).await;
    for run in &runs {
        run.context.reports.checkpoint(raw("1"));
    }

    let mut taken = BTreeSet::new();
    let full = loop {
        let (heartbeat, answer) = post.heartbeat().await;
        if heartbeat.held[0].checkpoint.is_none() {
            break heartbeat;
        }
        if named(&heartbeat).any(|token| token == "2") {
            answer.send(Err(error(422, "invalid"))).unwrap();
        } else {
            taken.extend(named(&heartbeat));
            answer.send(Ok(heard())).unwrap();
        }
    };

    assert_eq!(taken, ["1", "3"].map(str::to_owned).into());
    let all: BTreeSet<_> = named(&full).collect();
    assert_eq!(all, ["1", "2", "3"].map(str::to_owned).into());
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_is_refused_for_no_reason_of_ours_ends_nothing() {
    let (mut post, mut runs) = running(1, Limits::default()).await;
    let (_, answer) = post.heartbeat().await;
    answer.send(Err(too_large())).unwrap();
    let refused = Instant::now();

    let (heartbeat, _answer) = post.heartbeat().await;

    assert_eq!(named(&heartbeat).collect::<Vec<_>>(), ["1"]);
    assert_eq!(refused.elapsed(), Duration::from_secs(10));
    runs.remove(0).complete();
    assert_eq!(tokens(&post.take().await), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn the_last_checkpoint_of_a_failed_run_is_given_up_when_it_is_refused() {
    let (mut post, mut runs) = running(1, Limits::default()).await;
    let run = runs.remove(0);
    run.context.reports.checkpoint(raw("1"));
    let (_, answer) = post.heartbeat().await;
    run.end(Finish::Failed(Failure::passing("busy", "later")));
    assert!(!post.has_report().await);

    answer.send(Err(error(422, "invalid"))).unwrap();

    assert_eq!(tokens(&post.take().await), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn a_report_holds_no_more_results_and_a_claim_asks_for_no_more_tasks_than_the_server_takes() {
    let limits = Limits {
        claim_max: 5,
        ..of_two()
    };
    let mut post = Post::limited(8, limits).await;
    let (claim, answer) = post.claim().await;
    assert_eq!(claim.limit, 5);

    answer.send(Ok(claimed(noops(0..5)))).unwrap();
    let mut all = Vec::new();
    while all.len() < 5 {
        let (report, answer) = post.report().await;
        assert!(report.results.len() <= 2, "{report:?}");
        all.extend(tokens(&report).into_iter().map(str::to_owned));
        answer.send(Ok(taken(&report, Vec::new()))).unwrap();
    }

    assert_eq!(all, ["0", "1", "2", "3", "4"]);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_may_be_as_long_as_the_server_says() {
    let limits = |bytes: usize| Limits {
        checkpoint_bytes_max: bytes,
        ..Limits::default()
    };
    for (max, len, expected) in [
        (100_000, 100_000, true),
        (100_000, 100_001, false),
        (3, 3, true),
        (3, 4, false),
    ] {
        let (mut post, runs) = running(1, limits(max)).await;
        let checkpoint = format!("\"{}\"", "x".repeat(len - 2));
        runs[0].context.reports.checkpoint(raw(&checkpoint));

        let (heartbeat, _answer) = post.heartbeat().await;

        let is_there = heartbeat.held[0].checkpoint.is_some();
        assert_eq!(is_there, expected, "{len} bytes of {max}");
    }
}

#[tokio::test(start_paused = true)]
async fn limits_that_a_server_comes_back_with_hold_for_runs_under_way() {
    let (mut post, runs) = running(1, Limits::default()).await;
    let (_, answer) = post.claim().await;
    answer.send(Err(error(404, "not_found"))).unwrap();
    let longer = Limits {
        checkpoint_bytes_max: 100_000,
        ..Limits::default()
    };
    post.told(Registered {
        limits: longer,
        ..registered(2)
    })
    .await;
    post.claim().await;

    let checkpoint = format!("\"{}\"", "x".repeat(90_000));
    runs[0].context.reports.checkpoint(raw(&checkpoint));
    let has_checkpoint =
        |heartbeat: &Heartbeat| heartbeat.held.iter().any(|held| held.checkpoint.is_some());

    let (mut heartbeat, mut answer) = post.heartbeat().await;
    if !has_checkpoint(&heartbeat) {
        answer.send(Ok(heard())).unwrap();
        (heartbeat, answer) = post.heartbeat().await;
    }
    assert!(has_checkpoint(&heartbeat));
    drop(answer);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_cut_at_a_letters_end_within_the_bytes_that_the_server_takes() {
    for (message, bytes) in [
        ("x".repeat(1024), 1024),
        ("x".repeat(1025), 1024),
        ("é".repeat(1000), 1024),
        (format!("x{}", "é".repeat(1000)), 1023),
    ] {
        let (mut post, runs) = running(1, Limits::default()).await;
        runs[0].context.reports.progress(0.5, Some(&message));

        let (heartbeat, _answer) = post.heartbeat().await;

        let progress = heartbeat.held[0].progress.clone().unwrap();
        assert_eq!(progress.message.unwrap().len(), bytes);
    }
}

/// What comes before the second full heartbeat, or not at all.
async fn soon<T>(comes: impl Future<Output = T>) -> T {
    let within = tokio::time::timeout(Duration::from_secs(10), comes);
    within.await.expect("nothing came")
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_to_a_server_that_takes_short_bodies_however_long_its_words() {
    // The least that a server can be set to (`--body-max`).
    let body_bytes_max = 8 << 10;
    let limits = Limits {
        body_bytes_max,
        ..Limits::default()
    };
    let detail = format!("\"{}\"", "x".repeat(body_bytes_max));
    for (message, detail) in [
        ("\u{1}".repeat(16 << 10), None),
        ("\u{1}".repeat(16 << 10), Some(raw(&detail))),
        ("é".repeat(16 << 10), None),
    ] {
        let (mut post, mut runs) = running(1, limits).await;
        let failure = Failure {
            detail,
            ..Failure::passing("busy", message.clone())
        };
        runs.remove(0).end(Finish::Failed(failure));

        let result = loop {
            let (report, answer) = soon(post.report()).await;
            if serde_json::to_vec(&report).unwrap().len() <= body_bytes_max {
                break report.results.into_iter().next().unwrap();
            }
            answer.send(Err(too_large())).unwrap();
        };

        let told = result.error.unwrap();
        assert_eq!((result.outcome, &*told.code), (Said::Failed, "busy"));
        assert_eq!(result.retry, None, "it may do better");
        assert_eq!(told.message.len(), 1024);
        assert!(message.starts_with(&told.message));
    }
}

#[tokio::test(start_paused = true)]
async fn the_code_of_a_failure_is_told_without_what_servers_refuse() {
    let long = "é".repeat(65);
    for (code, told) in [
        ("no\nroom\u{7f}", "noroom"),
        ("\t", "failed"),
        (&long, &long[..128]),
    ] {
        let (mut post, mut runs) = running(1, Limits::default()).await;
        let failure = Failure {
            code: code.to_owned().into(),
            ..Failure::passing("", "")
        };
        runs.remove(0).end(Finish::Failed(failure));

        let (report, _answer) = post.report().await;

        assert_eq!(report.results[0].error.as_ref().unwrap().code, told);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_refused_when_there_is_nothing_more_to_leave_out_is_given_up() {
    for (bytes, tries) in [(1024, 1), (1025, 2)] {
        let (mut post, mut runs) = running(1, Limits::default()).await;
        let failure = Failure::passing("busy", "x".repeat(bytes));
        runs.remove(0).end(Finish::Failed(failure));

        for _ in 0..tries {
            let (_, answer) = soon(post.report()).await;
            answer.send(Err(too_large())).unwrap();
        }

        assert!(!post.has_report().await, "{bytes} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn an_overdue_run_has_four_fifths_of_the_margin_that_the_server_says() {
    let mut post = Post::unregistered(1);
    post.told(Registered {
        timeout_margin_ms: 1000,
        ..registered(1)
    })
    .await;
    let begin = Instant::now();
    post.give(told(1..2)).await;
    let does_not_heed = post.running().await;
    let within = Duration::from_millis(800);
    assert_eq!(does_not_heed.run.overdue_within, within);

    let report = post.report().await.0;

    assert_eq!(report.results[0].outcome, Said::TimedOut);
    assert_eq!(begin.elapsed(), Duration::from_mins(1) + within);
}

/// Three runs that come so late that the worker asks about them first.
async fn late(limits: Limits) -> Post {
    let mut post = Post::limited(3, limits).await;
    let (_, answer) = post.claim().await;
    post.answers_heartbeats = false;
    // Of the heartbeats that came meanwhile none is answered any more.
    tokio::time::advance(Duration::from_secs(10)).await;
    answer.send(Ok(claimed(told(1..4)))).unwrap();
    post
}

#[tokio::test(start_paused = true)]
async fn runs_that_came_late_are_asked_about_so_many_at_a_time() {
    let mut post = late(of_two()).await;

    let (first, said) = post.heartbeat_of(2).await;
    assert_eq!(named(&first).collect::<Vec<_>>(), ["1", "2"]);
    said.send(Ok(heard())).unwrap();
    for number in [1, 2] {
        assert_eq!(post.running().await.run.task, id(number));
    }
    let (second, said) = post.heartbeat_of(1).await;
    assert_eq!(named(&second).collect::<Vec<_>>(), ["3"]);
    said.send(Ok(heard())).unwrap();

    assert_eq!(post.running().await.run.task, id(3));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_refused_is_asked_of_fewer_and_ends_no_worker() {
    let mut post = late(Limits::default()).await;
    let (_, said) = post.heartbeat_of(3).await;
    said.send(Err(too_large())).unwrap();

    let (first, said) = post.heartbeat_of(1).await;
    assert_eq!(named(&first).collect::<Vec<_>>(), ["1"]);
    said.send(Err(too_large())).unwrap();
    let (report, answer) = post.report().await;
    assert_eq!(
        (tokens(&report), report.results[0].outcome),
        (vec!["1"], Said::Released)
    );
    answer.send(Ok(taken(&report, Vec::new()))).unwrap();
    for number in [2, 3] {
        let (_, said) = post.heartbeat_of(1).await;
        said.send(Ok(heard())).unwrap();
        assert_eq!(post.running().await.run.task, id(number));
    }
}
