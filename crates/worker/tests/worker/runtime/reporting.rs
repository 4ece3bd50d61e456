//! How results get to the server.

use taskyard_api::answered::Answered;
use taskyard_api::client;
use taskyard_api::report::{Reported, Said};

use super::post::{Post, claimed, error, id, lost, noops, problem, taken, task, tokens, told};

#[tokio::test(start_paused = true)]
async fn results_go_out_while_a_claim_waits() {
    let mut post = Post::registered(3).await;
    post.give(told(1..3)).await;
    let (first, second) = (post.running().await, post.running().await);
    let (_claim, parked) = post.claim().await;

    first.complete();
    let report = post.take().await;
    assert_eq!((tokens(&report), report.claim), (vec!["1"], None));
    second.complete();
    let report = post.take().await;
    assert_eq!((tokens(&report), report.claim), (vec!["2"], None));

    parked.send(Ok(claimed(Vec::new()))).unwrap();
    assert_eq!(post.claim().await.0.limit, 3);
}

#[tokio::test(start_paused = true)]
async fn results_that_gather_while_a_call_is_on_its_way_go_in_the_next() {
    let mut post = Post::registered(4).await;
    post.give(told(1..4)).await;
    let (_claim, _parked) = post.claim().await;
    post.running().await.complete();
    let (first, answer) = post.report().await;
    post.running().await.complete();
    post.running().await.complete();
    assert!(post.is_quiet().await);

    answer.send(Ok(taken(&first, Vec::new()))).unwrap();

    assert_eq!(tokens(&post.take().await), ["2", "3"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_comes_back_gets_every_result() {
    let mut post = Post::registered(4).await;
    post.give(noops(0..4)).await;

    for _ in 0..20 {
        let (report, answer) = post.report().await;
        assert_eq!(tokens(&report), ["0", "1", "2", "3"]);
        answer.send(Err(lost())).unwrap();
    }
    post.take().await;
    let (_claim, _parked) = post.claim().await;
    post.stop.request();
    post.give(Vec::new()).await;

    let summary = post.ended().await.unwrap();
    assert_eq!((summary.completed, summary.undelivered), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_refused_for_its_lease_is_not_sent_again() {
    let mut post = Post::registered(2).await;
    post.give(noops(1..3)).await;
    let (report, answer) = post.report().await;

    let stale = Answered::Refused(Box::new(problem(409, "stale_lease")));
    let mut reported = taken(&report, Vec::new());
    reported.results[0] = stale;
    answer.send(Ok(reported)).unwrap();

    assert_eq!(post.claim().await.0.limit, 2);
    assert!(post.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_the_server_could_not_take_now_goes_again_alone() {
    let mut post = Post::registered(2).await;
    post.give(noops(1..3)).await;
    let (report, answer) = post.report().await;

    let mut reported = taken(&report, Vec::new());
    reported.results[1] = Answered::Refused(Box::new(problem(503, "unavailable")));
    answer.send(Ok(reported)).unwrap();

    assert_eq!(tokens(&post.report().await.0), ["2"]);
}

#[tokio::test(start_paused = true)]
async fn an_output_that_is_too_large_fails_its_task() {
    for (status, code, said) in [
        (413, "too_large", "output_too_large"),
        (422, "invalid", "invalid_output"),
    ] {
        let mut post = Post::registered(2).await;
        post.give(vec![task(1, "echo"), task(2, "echo")]).await;
        let (report, answer) = post.report().await;
        let mut reported = taken(&report, Vec::new());
        reported.results[0] = Answered::Refused(Box::new(problem(status, code)));
        answer.send(Ok(reported)).unwrap();

        let (report, answer) = post.report().await;
        let result = &report.results[0];
        assert_eq!((report.results.len(), result.task_id), (1, id(1)));
        assert_eq!((result.outcome, result.retry), (Said::Failed, Some(false)));
        assert!(result.output.is_none());
        assert_eq!(result.error.as_ref().unwrap().code, said);

        // Refused once more there is nothing left to leave out.
        let mut reported = taken(&report, Vec::new());
        reported.results[0] = Answered::Refused(Box::new(problem(status, code)));
        answer.send(Ok(reported)).unwrap();
        post.claim().await;
        assert!(post.is_quiet().await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_refused_as_a_whole_is_split_until_the_bad_result_stands_alone() {
    let proxy = || client::Error::Unexpected {
        url: "http://a".parse().unwrap(),
        status: 413,
        what: "<html>".to_owned(),
    };
    let mut post = Post::registered(8).await;
    post.give((0..8).map(|number| task(number, "echo")).collect())
        .await;

    let (mut completed, mut failed, mut calls) = (Vec::new(), Vec::new(), 0);
    while completed.len() + failed.len() < 8 {
        let (report, answer) = post.report().await;
        calls += 1;
        let bad = |result: &taskyard_api::report::RunResult| {
            result.lease_token == "5" && result.output.is_some()
        };
        if report.results.iter().any(bad) {
            answer.send(Err(proxy())).unwrap();
            continue;
        }
        for result in &report.results {
            match result.outcome {
                Said::Completed => completed.push(result.lease_token.clone()),
                _ => failed.push(result.lease_token.clone()),
            }
        }
        answer.send(Ok(taken(&report, Vec::new()))).unwrap();
    }

    completed.sort_unstable();
    assert_eq!(completed, ["0", "1", "2", "3", "4", "6", "7"]);
    assert_eq!(failed, ["5"]);
    assert!(calls <= 9, "{calls} calls");
    // The claim that went with the refused call is not forgotten.
    assert_eq!(post.claim().await.0.seq, Some(2));
}

#[tokio::test(start_paused = true)]
async fn results_that_an_answer_says_nothing_of_go_again() {
    let mut post = Post::registered(2).await;
    post.give(noops(1..3)).await;
    let (report, answer) = post.report().await;

    let mut reported: Reported = taken(&report, Vec::new());
    reported.results.pop();
    answer.send(Ok(reported)).unwrap();

    assert_eq!(tokens(&post.report().await.0), ["2"]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_forgotten_while_it_reports_registers_and_reports_again() {
    let mut post = Post::registered(1).await;
    post.give(noops(1..2)).await;
    let (_report, answer) = post.report().await;

    answer.send(Err(error(404, "not_found"))).unwrap();
    post.register(7).await;
    let (report, _answer) = post.report().await;

    assert_eq!(tokens(&report), ["1"]);
    assert_eq!(
        (report.epoch, report.claim.unwrap().epoch),
        (Some(7), Some(7))
    );
}
