//! `POST /workers/{id}/claim`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::yard::{Clock, Reply, Yard, in_memory, json_request, places, settle};

const CLAIM: &str = "/api/v1/workers/w/claim";

#[tokio::test]
async fn a_claim_is_answered_with_all_that_a_run_needs() {
    let yard = Yard::new();
    yard.worker("w").await;
    yard.submit("echo").await;

    let claimed = yard.post(CLAIM, &json!({"limit": 5})).await.ok();

    insta::assert_json_snapshot!(claimed, {".tasks[].id" => "[id]", ".tasks[].lease_token" => "[token]"});
    assert_eq!(
        claimed["tasks"][0]["lease_token"].as_str().unwrap().len(),
        30
    );
}

#[tokio::test]
async fn a_claim_gets_no_more_than_it_asks_for_and_nothing_when_there_is_nothing() {
    let yard = Yard::new();
    yard.worker("w").await;
    for _ in 0..3 {
        yard.submit("echo").await;
    }

    let mut counts = Vec::new();
    for _ in 0..3 {
        let claimed = yard.post(CLAIM, &json!({"limit": 2})).await.ok();
        counts.push(claimed["tasks"].as_array().unwrap().len());
    }

    assert_eq!(counts, [2, 1, 0]);
}

#[tokio::test]
async fn a_claim_gets_no_more_than_the_server_gives_to_one() {
    for (asked, got) in [(1, 1), (2, 2), (3, 2), (1000, 2)] {
        let yard = Yard::with(|settings| settings.limits.claim_max = 2);
        yard.worker("w").await;
        for _ in 0..3 {
            yard.submit("echo").await;
        }
        let claim = json!({"limit": asked});

        let claimed = yard.post(CLAIM, &claim).await.ok();

        assert_eq!(claimed["tasks"].as_array().unwrap().len(), got, "{asked}");
    }
}

#[tokio::test]
async fn a_run_claimed_with_begin_is_running() {
    let yard = Yard::new();
    yard.worker("w").await;
    let id = yard.submit("echo").await;

    yard.post(CLAIM, &json!({"limit": 1, "begin": true}))
        .await
        .ok();

    assert_eq!(yard.status(&id).await, "running");
}

#[tokio::test]
async fn the_same_claim_again_is_answered_with_the_same_leases() {
    let yard = Yard::new();
    yard.worker("w").await;
    yard.submit("echo").await;
    yard.submit("echo").await;

    let first = yard.post(CLAIM, &json!({"limit": 1, "seq": 1})).await.ok();
    let again = yard.post(CLAIM, &json!({"limit": 1, "seq": 1})).await.ok();
    let next = yard.post(CLAIM, &json!({"limit": 1, "seq": 2})).await.ok();

    assert_eq!(again, first);
    assert_ne!(next["tasks"][0]["id"], first["tasks"][0]["id"]);
}

/// Whoever asks again was told of no run: what has ended since is not missed, and what is dealt anew is dealt again.
#[tokio::test]
async fn the_same_claim_again_leaves_out_what_has_ended() {
    let yard = Yard::new();
    yard.worker("w").await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(yard.submit("echo").await);
    }
    let claim = json!({"limit": 2, "seq": 1});
    let first = yard.post(CLAIM, &claim).await.ok();
    let of = |claimed: &Value, place: usize| claimed["tasks"][place].clone();
    let cancel = |run: &Value| format!("/api/v1/tasks/{}/cancel", run["id"].as_str().unwrap());

    yard.post(&cancel(&of(&first, 0)), &json!({})).await.ok();
    let again = yard.post(CLAIM, &claim).await.ok();
    yard.post(&cancel(&of(&first, 1)), &json!({})).await.ok();
    let anew = yard.post(CLAIM, &claim).await.ok();

    assert_eq!(again["tasks"], json!([of(&first, 1)]));
    let ids = |claimed: &Value| [of(claimed, 0)["id"].clone(), of(claimed, 1)["id"].clone()];
    assert_eq!(ids(&anew), [json!(tasks[2]), json!(tasks[3])]);
    assert_eq!(yard.post(CLAIM, &claim).await.ok(), anew);
    for run in [of(&first, 0), of(&again, 0), of(&anew, 0)] {
        assert_eq!(run.get("cancel"), None, "it has none, cancelled or not");
    }
}

#[tokio::test]
async fn each_number_of_a_claim_has_its_range() {
    let yard = Yard::new();
    yard.worker("w").await;
    for (body, pointers) in [
        (json!({"limit": 0}), &["/limit"][..]),
        (
            json!({"limit": 1001, "wait_ms": 60_001, "seq": 0}),
            &["/limit", "/wait_ms", "/seq"],
        ),
        (json!({"limit": 1, "wait_ms": u64::MAX}), &["/wait_ms"]),
        (json!({"limit": 1, "epoch": 0}), &["/epoch"]),
        (json!({"limit": 1, "epoch": u32::MAX}), &["/epoch"]),
        (json!({"limit": -1}), &["/limit"]),
        (
            json!({"limit": 1_u64 << 40, "epoch": -1}),
            &["/limit", "/epoch"],
        ),
    ] {
        let problem = yard.post(CLAIM, &body).await.wrong_at(pointers);
        let said = problem["detail"].as_str().unwrap();
        assert!(said.contains("must be from"), "{said}");
    }
    yard.post(CLAIM, &json!({"limit": 1000, "seq": i64::MAX}))
        .await
        .ok();
}

#[tokio::test]
async fn who_is_no_worker_is_not_found() {
    let yard = Yard::new();
    for (name, at) in [
        ("nobody", &[][..]),
        ("a%20b", &["id"]),
        ("%ff", &["id"]),
        ("%00", &["id"]),
        ("a%2Fb", &["id"]),
    ] {
        for (verb, body) in [
            ("claim", json!({"limit": 1})),
            ("heartbeat", json!({"held": []})),
            ("report", json!({"results": []})),
        ] {
            let reply = yard
                .post(&format!("/api/v1/workers/{name}/{verb}"), &body)
                .await;
            assert_eq!(places(&reply.refused(404, "not_found")), at, "{name}");
        }
    }
}

#[tokio::test]
async fn an_epoch_that_no_registration_had_is_not_told_of_another_process_alone() {
    let yard = Yard::new();
    yard.worker("w").await;

    let reply = yard.post(CLAIM, &json!({"limit": 1, "epoch": 7})).await;

    let problem = reply.refused(409, "worker_replaced");
    let said = problem["detail"].as_str().unwrap();
    assert!(said.contains("no registration ever had"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_claim_waits_for_the_first_task() {
    let yard = Yard::on_model();
    yard.worker("w").await;
    let began = Instant::now();

    let waits = json!({"limit": 1, "wait_ms": 60_000});
    let (claimed, id) = tokio::join!(yard.post(CLAIM, &waits), async {
        settle().await;
        tokio::time::advance(Duration::from_secs(7)).await;
        yard.submit("echo").await
    });

    assert_eq!(claimed.ok()["tasks"][0]["id"], id);
    assert_eq!(began.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_time_is_up_is_answered_with_nothing() {
    let yard = Yard::on_model();
    yard.worker("w").await;
    let began = Instant::now();

    let claimed = yard
        .post(CLAIM, &json!({"limit": 1, "wait_ms": 2500}))
        .await;

    assert_eq!(claimed.ok()["tasks"], Value::Array(Vec::new()));
    assert_eq!(began.elapsed().as_millis(), 2500);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_every_wait() {
    let yard = Yard::on_model();
    yard.worker("w").await;
    let id = yard.submit("later").await;
    yard.claim("w").await.unwrap();
    let began = Instant::now();

    let waits = json!({"limit": 1, "wait_ms": 60_000});
    let path = format!("/api/v1/tasks/{id}?wait_ms=60000");
    let (claimed, shown, ()) = tokio::join!(yard.post(CLAIM, &waits), yard.get(&path), async {
        settle().await;
        yard.stop.cancel();
    });

    assert_eq!(claimed.ok()["tasks"], Value::Array(Vec::new()));
    assert_eq!(shown.ok()["status"], "assigned");
    assert!(began.elapsed() < Duration::from_secs(1));
    let refused = yard.post(CLAIM, &json!({"limit": 1})).await;
    refused.refused(503, "stopping");
    assert_eq!(refused.header("retry-after"), "1");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_leaves_holds_nobody_back_and_serves_until_it_stops() {
    let yard = Yard::on_model();
    yard.worker("w").await;
    let id = yard.submit("later").await;
    yard.claim("w").await.unwrap();
    let waits = json!({"limit": 1, "wait_ms": 60_000});
    let reports = json!({"results": [], "claim": {"limit": 1, "wait_ms": 60_000}});
    let path = format!("/api/v1/tasks/{id}?wait_ms=60000");
    let all = async || {
        tokio::join!(
            yard.post(CLAIM, &waits),
            yard.post("/api/v1/workers/w/report", &reports),
            yard.get(&path)
        )
    };
    let began = Instant::now();

    let ((claimed, reported, shown), ()) = tokio::join!(all(), async {
        settle().await;
        yard.leaving.cancel();
    });

    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(claimed.ok()["tasks"], json!([]));
    assert_eq!(reported.ok()["tasks"], json!([]));
    assert_eq!(shown.ok()["status"], "assigned");

    // Who asks again at once is held back for a moment, so that nobody asks without a pause.
    let (claimed, reported, shown) = all().await;
    assert_eq!(began.elapsed(), Duration::from_secs(1));
    assert_eq!(claimed.ok()["tasks"], json!([]));
    assert_eq!(reported.ok()["tasks"], json!([]));
    assert_eq!(shown.ok()["status"], "assigned");

    let accepted = yard.submit("echo").await;
    assert_eq!(yard.claim("w").await.unwrap()["id"], accepted);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_dropped_takes_no_task() {
    let yard = Yard::on_model();
    yard.worker("w").await;
    {
        let waits = json!({"limit": 1, "wait_ms": 60_000});
        let mut claiming = std::pin::pin!(yard.post(CLAIM, &waits));
        tokio::select! {
            biased;
            _ = claiming.as_mut() => panic!("there is nothing to claim"),
            () = settle() => {}
        }
    }

    let id = yard.submit("echo").await;

    assert_eq!(yard.status(&id).await, "pending");
}

/// One that says whether it may have reached a server before.
async fn post_again(yard: &Yard, path: &str, again: &str, body: &Value) -> Reply {
    let mut request = json_request(path, Body::from(body.to_string()));
    let again = again.parse().unwrap();
    request.headers_mut().insert("x-again", again);
    yard.send(request).await
}

#[tokio::test]
async fn a_claim_that_says_it_was_sent_again_is_told_what_another_server_dealt_to_it() {
    let clock = Clock::new();
    let store = in_memory(&clock);
    let here = Yard::around(Arc::clone(&store), clock.clone(), |_| {});
    let there = Yard::around(store, clock, |_| {});
    let worker = here.worker("w").await;
    let claim = |seq: i64| json!({"limit": 1, "seq": seq, "epoch": worker["epoch"]});
    there.post(CLAIM, &claim(1)).await.ok();
    here.submit("echo").await;
    let dealt = here.post(CLAIM, &claim(2)).await.ok();

    let as_new = post_again(&there, CLAIM, "false", &claim(2)).await.ok();
    let told = post_again(&there, CLAIM, "true", &claim(2)).await.ok();
    let report = json!({"results": [], "claim": claim(2)});
    let reported = post_again(&there, "/api/v1/workers/w/report", "true", &report).await;

    assert_eq!(as_new["tasks"], json!([]));
    assert_eq!(told["tasks"], dealt["tasks"]);
    assert_eq!(reported.ok()["tasks"], dealt["tasks"]);
}

#[tokio::test]
async fn whether_it_was_sent_again_is_said_with_true_or_false() {
    let yard = Yard::new();
    yard.worker("w").await;

    for path in [CLAIM, "/api/v1/workers/w/report"] {
        let body = json!({});
        let refused = post_again(&yard, path, "maybe", &body).await;
        refused.wrong_at(&["X-Again"]);
    }
}
