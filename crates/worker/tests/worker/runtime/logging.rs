//! What runs print, on its way to the server.

use std::time::Duration;

use taskyard_api::logs::{AppendLogs, AppendedLogs, Stream};
use taskyard_api::report::Said;
use taskyard_api::time::Time;
use taskyard_api::worker::Limits;
use taskyard_worker::executor::{Context, Executor, Finish, Run, Stop};
use taskyard_worker::runtime::{Logs, Settings};
use tokio::time::Instant;

use super::post::{Answer, NOW, Post, Running, error, heard, id, lost, raw, task, told, too_large};

/// A worker with one run that goes on.
async fn at_work(settings: Settings) -> (Post, Running) {
    let mut post = Post::with(settings);
    post.register(1).await;
    post.give(told(1..2)).await;
    let running = post.running().await;
    (post, running)
}

async fn at_usual_work() -> (Post, Running) {
    at_work(Settings::named("w")).await
}

fn print(running: &Running, lines: &[&str]) {
    for line in lines {
        running.context.reports.log(Stream::Stdout, line);
    }
}

fn lines(append: &AppendLogs) -> Vec<&str> {
    append.lines.iter().map(|line| line.line.as_str()).collect()
}

/// Takes all of them.
fn take(append: &AppendLogs, answer: Answer<AppendedLogs>) {
    let count = u32::try_from(append.lines.len()).unwrap();
    let next_seq = append.first_seq.unwrap() + count;
    let full = false;
    let _ = answer.send(Ok(AppendedLogs { next_seq, full }));
}

#[tokio::test(start_paused = true)]
async fn the_first_line_goes_at_once_and_what_follows_in_batches() {
    let (mut post, running) = at_usual_work().await;
    let begun = Instant::now();
    running.context.reports.log(Stream::Stderr, "a");
    let (first, answer) = post.logs().await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    print(&running, &["b", "c\nd"]);
    take(&first, answer);

    let (second, answer) = post.logs().await;

    assert_eq!(
        (first.lease_token.as_str(), first.first_seq),
        ("1", Some(1))
    );
    assert_eq!(
        (first.lines[0].stream, first.lines[0].at),
        (Stream::Stderr, Some(Time(NOW)))
    );
    assert_eq!(lines(&first), ["a"]);
    assert_eq!(
        (second.first_seq, lines(&second)),
        (Some(2), vec!["b", "c", "d"])
    );
    assert_eq!(begun.elapsed(), Logs::default().every);
    take(&second, answer);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let quiet = Instant::now();
    print(&running, &["e"]);
    assert_eq!(post.logs().await.0.first_seq, Some(5));
    assert_eq!(quiet.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_waits_for_no_time() {
    let (mut post, running) = at_usual_work().await;
    let long = "x".repeat(10 << 10);
    let begun = Instant::now();
    print(&running, &[&long]);
    let (first, answer) = post.logs().await;
    take(&first, answer);

    print(&running, &[long.as_str(); 20]);
    let (second, answer) = post.logs().await;
    take(&second, answer);

    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(second.lines.len(), 12, "as many as fit into a batch");
    assert_eq!(post.logs().await.0.first_seq, Some(14));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_prints_nothing_calls_nobody() {
    let (mut post, running) = at_usual_work().await;

    running.complete();

    assert_eq!(post.take().await.results[0].outcome, Said::Completed);
}

#[tokio::test(start_paused = true)]
async fn the_last_lines_are_sent_before_the_result() {
    let (mut post, running) = at_usual_work().await;
    print(&running, &["last"]);
    running.complete();
    let (append, answer) = post.logs().await;
    assert!(!post.has_report().await);

    take(&append, answer);

    assert_eq!(post.take().await.results[0].outcome, Said::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_no_lines_holds_a_result_only_for_so_long() {
    let (mut post, running) = at_usual_work().await;
    print(&running, &["a"]);
    let ended = Instant::now();
    running.complete();
    // One call that is never answered.
    let (_, _unanswered) = post.logs().await;

    let report = post.take().await;

    assert_eq!(report.results[0].outcome, Said::Completed);
    assert_eq!(ended.elapsed(), Logs::default().deliver_within);
}

#[tokio::test(start_paused = true)]
async fn lines_that_did_not_get_through_are_sent_again_under_their_numbers() {
    let (mut post, running) = at_usual_work().await;
    print(&running, &["a"]);
    let (first, answer) = post.logs().await;
    let _ = answer.send(Err(lost()));
    print(&running, &["b"]);

    let (again, unanswered) = post.logs().await;
    drop(unanswered);
    let (and_again, answer) = post.logs().await;

    assert_eq!(first, again);
    assert_eq!(first, and_again);
    take(&and_again, answer);
    let (next, _answer) = post.logs().await;
    assert_eq!((next.first_seq, lines(&next)), (Some(2), vec!["b"]));
}

#[tokio::test(start_paused = true)]
async fn of_lines_that_were_taken_in_part_the_rest_goes_again() {
    let (mut post, running) = at_usual_work().await;
    print(&running, &["a\nb\nc"]);
    let (_, answer) = post.logs().await;
    let full = false;
    let _ = answer.send(Ok(AppendedLogs { next_seq: 3, full }));

    let (rest, _answer) = post.logs().await;

    assert_eq!((rest.first_seq, lines(&rest)), (Some(3), vec!["c"]));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_once_the_log_is_full_or_the_lease_another_s() {
    let full = AppendedLogs {
        next_seq: 2,
        full: true,
    };
    let stuck = AppendedLogs {
        next_seq: 1,
        full: false,
    };
    for said in [
        Ok(full),
        Ok(stuck),
        Err(error(409, "stale_lease")),
        Err(error(404, "not_found")),
        Err(error(403, "forbidden")),
    ] {
        let (mut post, running) = at_usual_work().await;
        print(&running, &["a"]);
        let (_, answer) = post.logs().await;
        let _ = answer.send(said);
        tokio::time::sleep(Duration::from_secs(1)).await;
        print(&running, &["b"]);
        let ended = Instant::now();

        running.complete();

        assert_eq!(post.take().await.results[0].outcome, Said::Completed);
        assert_eq!(ended.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn lines_that_do_not_fit_go_in_halves_and_one_alone_is_left_out() {
    let (mut post, running) = at_usual_work().await;
    print(&running, &["a\nlong\nb"]);
    let mut sent = Vec::new();
    for _ in 0..5 {
        let (append, answer) = post.logs().await;
        if lines(&append).contains(&"long") {
            let _ = answer.send(Err(too_large()));
        } else {
            sent.extend(append.lines.iter().map(|line| line.line.clone()));
            take(&append, answer);
        }
    }

    assert_eq!(sent, ["a", "… a line that the server does not take …", "b"]);
}

#[tokio::test(start_paused = true)]
async fn batches_fit_into_what_the_server_takes() {
    let limits = Limits {
        body_bytes_max: 6 << 10,
        ..Limits::default()
    };
    let mut post = Post::limited(1, limits).await;
    post.give(told(1..2)).await;
    let running = post.running().await;

    print(&running, &["x".repeat(400).as_str(); 3]);

    // A third of a call, since a byte may take more than one, and a call is filled to a half.
    assert_eq!(post.logs().await.0.lines.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_buffer_that_is_full_leaves_lines_out_and_says_how_many() {
    let logs = Logs {
        buffer_bytes_max: 1000,
        line_bytes_max: 100,
        ..Logs::default()
    };
    let (mut post, running) = at_work(Settings {
        logs,
        ..Settings::named("w")
    })
    .await;
    print(&running, &["x".repeat(101).as_str(); 100]);
    running.complete();
    let mut kept = Vec::new();
    while kept.len() < 6 {
        let (append, answer) = post.logs().await;
        kept.extend(append.lines.iter().map(|line| line.line.clone()));
        take(&append, answer);
    }

    assert_eq!(kept.len(), 6);
    assert!(
        kept[0].ends_with("bytes of this line left out …"),
        "{}",
        kept[0]
    );
    assert_eq!(
        kept[5],
        "… 95 lines dropped: the worker had no room to keep them …"
    );
    post.take().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_time_is_up_waits_no_longer_than_its_server_bears() {
    let (mut post, running) = at_usual_work().await;
    print(&running, &["a"]);
    let (_, _unanswered) = post.logs().await;
    assert_eq!(running.stopped().await, Stop::TimedOut);
    let ended = Instant::now();

    let report = post.take().await;

    assert_eq!(report.results[0].outcome, Said::TimedOut);
    assert_eq!(ended.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_does_not_wait_for_its_log() {
    let mut post = Post::registered(1).await;
    post.answers_heartbeats = false;
    post.give(told(1..2)).await;
    let running = post.running().await;
    print(&running, &["a"]);
    let (_, _unanswered) = post.logs().await;
    let (_, answer) = post.heartbeat().await;
    let mut said = heard();
    said.cancel.push(id(1));
    let _ = answer.send(Ok(said));
    assert_eq!(running.stopped().await, Stop::Cancelled);
    let ended = Instant::now();

    // Its slot is free for another.
    post.give(told(2..3)).await;
    post.running().await;

    assert_eq!(ended.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn runs_share_a_few_calls() {
    let mut post = Post::registered(20).await;
    post.give(told(1..21)).await;
    for _ in 0..20 {
        let running = post.running().await;
        print(&running, &["a"]);
        std::mem::forget(running);
    }
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(post.logs().await);
    }
    assert!(!post.has_logs().await);

    let (append, answer) = open.remove(0);
    take(&append, answer);

    post.logs().await;
}

/// Done at once, but not without a word.
struct Talks;

#[async_trait::async_trait]
impl Executor for Talks {
    fn kind(&self) -> &str {
        "talks"
    }

    fn is_instant(&self) -> bool {
        true
    }

    async fn run(&self, _: Run, context: Context) -> Finish {
        context.reports.log(Stream::Worker, "done");
        Finish::Completed(raw("1"))
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_instant_run_prints_is_sent_as_well() {
    let mut post = Post::with_executor(Talks);
    post.register(1).await;
    post.give(vec![task(1, "talks")]).await;

    let (append, answer) = post.logs().await;

    assert_eq!(lines(&append), ["done"]);
    assert!(!post.has_report().await);
    take(&append, answer);
    assert_eq!(post.take().await.results[0].outcome, Said::Completed);
}
