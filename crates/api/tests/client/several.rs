//! Several servers: which of them is asked, and what is said to a second one.

use std::time::Duration;

use serde_json::json;
use taskyard_api::client::{Client, Error};
use taskyard_api::logs::LogsQuery;
use taskyard_api::report::{Report, RunResult, Said};
use taskyard_api::submit::Submit;
use taskyard_api::worker::{Claim, Heartbeat};

use super::fake::{Does, Fake, client_of};
use super::{ID, id, nobody};

const SUBMITTED: &str = r#"{"id": "01890a5d-ac96-774b-bcce-b302099a8057", "status": "pending"}"#;
const STANDING: &str =
    r#"{"task_id": "01890a5d-ac96-774b-bcce-b302099a8057", "status": "cancelled"}"#;
const NO_TASKS: &str = r#"{"tasks": []}"#;
const NO_LINES: &str = r#"{"items": [], "next_cursor": null}"#;
const REPORTED: &str = r#"{"results": []}"#;
const HEARD: &str =
    r#"{"expires_at": "2026-01-31T12:00:00.000Z", "lost": [], "cancel": [], "drain": false}"#;

/// A first server that does this, and a second one that serves so.
async fn two(first: Does, second: &str) -> (Fake, Fake) {
    (
        Fake::that(first).await,
        Fake::that(Does::serves(second)).await,
    )
}

fn stops() -> Does {
    Does::refuses(503, "stopping", Some(1_000))
}

fn claim(seq: Option<i64>) -> Claim {
    Claim {
        limit: 1,
        wait_ms: Some(60_000),
        seq,
        ..Claim::default()
    }
}

fn heartbeat() -> Heartbeat<&'static str> {
    Heartbeat {
        held: Vec::new(),
        epoch: None,
        leaves: false,
    }
}

fn says_again(request: &str) -> bool {
    request.contains("\nx-again: true\n") || request.contains("\r\nx-again: true")
}

fn key(request: &str) -> Option<&str> {
    let mut lines = request.lines();
    lines.find_map(|line| line.strip_prefix("idempotency-key: "))
}

#[tokio::test]
async fn what_broke_off_is_said_to_the_next_server_where_said_twice_it_means_the_same() {
    for broken in [Does::BreaksOff, Does::BreaksHalfWay] {
        let (first, second) = two(broken, NO_LINES).await;
        let client = client_of(&[&first, &second]);

        client.logs(id(), &LogsQuery::default()).await.unwrap();
        client.logs(id(), &LogsQuery::default()).await.unwrap();

        assert_eq!(first.heard().len(), 1, "it is left");
        assert_eq!(second.heard().len(), 2);
    }
}

#[tokio::test]
async fn what_may_have_been_done_and_is_done_once_is_said_to_no_second_server() {
    let (first, second) = two(Does::BreaksOff, STANDING).await;
    let client = client_of(&[&first, &second]);

    let error = client.cancel(id()).await.unwrap_err();

    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.may_be_done() && error.is_worth_repeating());
    assert!(second.heard().is_empty());
    // Whoever asks again asks there.
    client.cancel(id()).await.unwrap();
    assert_eq!((first.heard().len(), second.heard().len()), (1, 1));
}

#[tokio::test]
async fn a_submit_has_its_key_before_it_is_sent_first() {
    let (first, second) = two(Does::BreaksHalfWay, SUBMITTED).await;
    let client = client_of(&[&first, &second]);

    for task in [json!(1), json!(2)] {
        client.submit(&Submit::new("echo", task)).await.unwrap();
    }

    let (first, second) = (first.heard(), second.heard());
    assert_eq!(key(&first[0]), key(&second[0]));
    assert!(key(&first[0]).is_some_and(|key| key.len() == 32));
    assert_ne!(key(&second[0]), key(&second[1]), "each has its own");
}

#[tokio::test]
async fn a_submit_with_an_id_needs_no_key_nor_does_one_to_a_single_server() {
    let (first, second) = two(Does::BreaksOff, SUBMITTED).await;
    let task = Submit {
        id: Some(id()),
        ..Submit::new("echo", 1)
    };

    let both = client_of(&[&first, &second]);
    both.submit(&task).await.unwrap();
    let alone = client_of(&[&second]);
    alone.submit(&Submit::new("echo", 1)).await.unwrap();

    let heard = [first.heard(), second.heard()].concat();
    assert_eq!(heard.len(), 3);
    assert!(heard.iter().all(|request| key(request).is_none()));
    assert!(heard[0].contains(ID) && heard[1].contains(ID));
}

#[tokio::test]
async fn the_key_of_whoever_submits_is_kept() {
    let (first, second) = two(Does::BreaksOff, r#"{"ids": []}"#).await;
    let client = client_of(&[&first, &second]);
    let tasks = [Submit::new("echo", 1)];

    client.submit_batch(&tasks, Some("mine")).await.unwrap();

    for server in [first, second] {
        assert_eq!(key(&server.heard()[0]), Some("mine"));
    }
}

#[tokio::test]
async fn a_claim_with_a_number_goes_on_at_the_next_server_and_says_that_it_may_be_known() {
    let (first, second) = two(Does::BreaksOff, NO_TASKS).await;
    let client = client_of(&[&first, &second]);

    client.claim("w", &claim(Some(7))).await.unwrap();

    assert!(!says_again(&first.heard()[0]));
    assert!(says_again(&second.heard()[0]), "{:?}", second.heard());
    assert!(second.heard()[0].contains(r#""seq":7"#));
}

#[tokio::test]
async fn a_claim_without_a_number_is_sent_once_alone_and_in_a_report() {
    let (first, second) = two(Does::BreaksOff, REPORTED).await;
    let client = client_of(&[&first, &second]);
    let report = Report::<&str> {
        results: Vec::new(),
        claim: Some(claim(None)),
        epoch: None,
    };

    client.report("w", &report).await.unwrap_err();
    assert_eq!((first.heard().len(), second.heard().len()), (1, 0));

    let (first, second) = two(Does::BreaksOff, NO_TASKS).await;
    let client = client_of(&[&first, &second]);
    client.claim("w", &claim(None)).await.unwrap_err();
    assert_eq!((first.heard().len(), second.heard().len()), (1, 0));
}

#[tokio::test]
async fn results_are_said_again_under_their_leases() {
    let (first, second) = two(Does::BreaksOff, REPORTED).await;
    let client = client_of(&[&first, &second]);
    let report = Report::<&str> {
        results: vec![RunResult::new(id(), "token", Said::Released)],
        claim: Some(claim(Some(8))),
        epoch: Some(3),
    };

    client.report("w", &report).await.unwrap();

    let body = |server: &Fake| server.heard()[0].split_once("\n\n").unwrap().1.to_owned();
    assert_eq!(body(&first), body(&second));
    assert!(body(&second).contains(r#""epoch":3"#));
}

#[tokio::test]
async fn a_claim_that_its_worker_repeats_says_so_at_once() {
    let (first, second) = two(Does::serves(NO_TASKS), NO_TASKS).await;
    let client = client_of(&[&first, &second]);
    let again = Claim {
        again: true,
        ..claim(Some(7))
    };

    client.claim("w", &again).await.unwrap();

    assert!(says_again(&first.heard()[0]));
    assert!(!first.heard()[0].contains(r#""again""#), "not in the body");
}

#[tokio::test]
async fn a_server_that_cannot_serve_now_is_left_whatever_was_asked() {
    for code in [
        "stopping",
        "unavailable",
        "connections_full",
        "follows_full",
    ] {
        let (first, second) = two(Does::refuses(503, code, None), STANDING).await;
        let client = client_of(&[&first, &second]);

        client.cancel(id()).await.unwrap();
        client.cancel(id()).await.unwrap();

        let heard = (first.heard().len(), second.heard().len());
        assert_eq!(heard, (1, 2), "{code}");
        assert!(!says_again(&second.heard()[0]), "nothing was done");
    }
}

#[tokio::test]
async fn what_a_server_does_not_know_the_outcome_of_is_done_once_too() {
    let unknown = Does::refuses(503, "outcome_unknown", Some(1_000));
    let (first, second) = two(unknown, STANDING).await;
    let client = client_of(&[&first, &second]);

    let error = client.cancel(id()).await.unwrap_err();

    assert_eq!(error.code(), Some("outcome_unknown"));
    assert!(second.heard().is_empty());
}

#[tokio::test]
async fn who_stands_before_a_server_and_gets_no_answer_of_it_is_left() {
    for status in [502, 503, 504] {
        let html = "content-type: text/html\r\n";
        let proxy = Does::Answers(status, html, "<html>no</html>".to_owned());
        let (first, second) = two(proxy, NO_LINES).await;
        let client = client_of(&[&first, &second]);

        client.logs(id(), &LogsQuery::default()).await.unwrap();

        assert_eq!(second.heard().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_refusal_that_any_server_would_give_is_told_by_the_first() {
    for (status, code) in [(404, "not_found"), (429, "queue_full"), (507, "disk_full")] {
        let (first, second) = two(Does::refuses(status, code, None), STANDING).await;
        let client = client_of(&[&first, &second]);

        let error = client.cancel(id()).await.unwrap_err();

        assert_eq!(error.code(), Some(code));
        assert!(second.heard().is_empty());
    }
}

#[tokio::test]
async fn where_none_serves_each_is_named_with_its_reason_and_was_asked_once() {
    let away = nobody().await;
    let (stopping, broken) = (Fake::that(stops()).await, Fake::that(Does::BreaksOff).await);
    let urls = [
        format!("http://{away}"),
        stopping.url.clone(),
        broken.url.clone(),
    ];
    let urls = urls.map(|url| url.parse().unwrap());
    let client = Client::new(&urls, None).unwrap();

    let error = client.logs(id(), &LogsQuery::default()).await.unwrap_err();

    let said = error.to_string();
    let Error::Several(tried) = &error else {
        panic!("{said}")
    };
    let servers = tried.iter().map(|tried| tried.server.as_str());
    let asked = [&format!("http://{away}"), &stopping.url, &broken.url];
    assert_eq!(servers.collect::<Vec<_>>(), asked);
    assert!(
        said.starts_with("none of 3 servers serves: no answer from http://"),
        "{said}"
    );
    assert!(
        said.contains(&format!("; {} answers: stopping (503)", stopping.url)),
        "{said}"
    );
    assert!(said.contains("refused"), "{said}");
    assert!(error.is_worth_repeating() && error.may_be_done());
    assert!(!error.is_unreachable() && !error.reached_nobody());
    assert_eq!((stopping.heard().len(), broken.heard().len()), (1, 1));
}

#[tokio::test]
async fn a_server_that_hangs_is_left_when_its_time_is_up() {
    let (first, second) = two(Does::Hangs, NO_LINES).await;
    let client = client_of(&[&first, &second]).answered_within(Duration::from_millis(200));

    for _ in 0..2 {
        client.logs(id(), &LogsQuery::default()).await.unwrap();
    }

    assert_eq!((first.heard().len(), second.heard().len()), (1, 2));
}

#[tokio::test]
async fn a_log_that_does_not_begin_in_time_is_followed_elsewhere() {
    let (first, second) = two(Does::Hangs, "").await;
    let client = client_of(&[&first, &second]).answered_within(Duration::from_millis(200));

    client
        .follow_logs(id(), &LogsQuery::default())
        .await
        .unwrap();

    assert_eq!((first.heard().len(), second.heard().len()), (1, 1));
}

/// Its worker has waited as long as it may.
#[tokio::test]
async fn a_heartbeat_that_is_given_up_takes_all_calls_away_from_its_server() {
    let (first, second) = two(Does::Hangs, NO_TASKS).await;
    let client = client_of(&[&first, &second]);
    let claims = client.clone();
    let open = tokio::spawn(async move { claims.claim("w", &claim(Some(1))).await });
    first.has_heard().await;

    let beat = heartbeat();
    let beat = client.heartbeat("w", &beat);
    let given_up = tokio::time::timeout(Duration::from_millis(200), beat).await;

    assert!(given_up.is_err());
    open.await.unwrap().unwrap();
    assert!(says_again(&second.heard()[0]), "it may have been dealt to");
}

#[tokio::test]
async fn a_call_that_is_dropped_otherwise_says_nothing_of_its_server() {
    let (first, second) = two(Does::Hangs, HEARD).await;
    let client = client_of(&[&first, &second]);
    let claimed = claim(Some(1));
    let claim = client.claim("w", &claimed);

    let given_up = tokio::time::timeout(Duration::from_millis(100), claim).await;
    assert!(given_up.is_err());

    let beat = heartbeat();
    let beat = client.heartbeat("w", &beat);
    let given_up = tokio::time::timeout(Duration::from_millis(100), beat).await;
    assert!(given_up.is_err(), "it is asked still");
    assert_eq!(first.heard().len(), 2);
}

#[tokio::test]
async fn a_server_that_closes_its_connections_stops_and_is_left() {
    let (first, second) = two(Does::serves_and_closes(NO_TASKS), NO_TASKS).await;
    let client = client_of(&[&first, &second]);

    client.claim("w", &claim(Some(1))).await.unwrap();
    client.claim("w", &claim(Some(2))).await.unwrap();

    assert_eq!((first.heard().len(), second.heard().len()), (1, 1));
    assert!(
        !says_again(&second.heard()[0]),
        "the first one was answered"
    );
}

#[tokio::test]
async fn a_followed_log_that_broke_off_is_asked_for_elsewhere() {
    let (first, second) = two(Does::BreaksHalfWay, "").await;
    let client = client_of(&[&first, &second]);

    let mut following = client
        .follow_logs(id(), &LogsQuery::default())
        .await
        .unwrap();
    assert!(!matches!(following.next().await, Ok(Some(_))));
    let behind = LogsQuery {
        cursor: Some("c".to_owned()),
        ..LogsQuery::default()
    };
    client.follow_logs(id(), &behind).await.unwrap();

    assert_eq!((first.heard().len(), second.heard().len()), (1, 1));
    assert!(second.heard()[0].contains("cursor=c"));
}

#[tokio::test]
async fn the_token_goes_to_the_servers_that_were_named_and_no_further() {
    let elsewhere = Fake::that(Does::serves(NO_LINES)).await;
    let location = format!("location: {}/\r\n", elsewhere.url);
    let redirects = Does::Answers(307, location.leak(), String::new());
    let (first, second) = (Fake::that(redirects).await, Fake::that(stops()).await);
    let client = client_of(&[&second, &first]);

    client.logs(id(), &LogsQuery::default()).await.unwrap_err();

    assert!(elsewhere.heard().is_empty());
    for named in [first, second] {
        assert!(named.heard()[0].contains("authorization: bearer secret"));
    }
}

#[tokio::test]
async fn the_user_and_password_of_an_address_are_sent_and_shown_nowhere() {
    let with_login = |url: &str| {
        let url = url.replace("//", "//me:hunter2@");
        Client::new(&[url.parse().unwrap()], None)
    };
    let proxy = Fake::that(Does::BreaksOff).await;
    let refused = Fake::that(Does::Answers(502, "", "<p>bad</p>".to_owned())).await;

    let query = LogsQuery::default();
    let none = with_login(&proxy.url).unwrap().logs(id(), &query).await;
    let bad = with_login(&refused.url).unwrap().logs(id(), &query).await;
    let unlike = with_login("ftp://files").unwrap_err();

    // me:hunter2, as RFC 7617 has it.
    let basic = "authorization: basic bwu6ahvudgvymg==";
    assert!(proxy.heard()[0].contains(basic), "{:?}", proxy.heard());
    for error in [none.unwrap_err(), bad.unwrap_err(), unlike] {
        let said = format!("{error} {error:?}");
        assert!(!said.contains("hunter2") && said.contains("://"), "{said}");
    }
}
