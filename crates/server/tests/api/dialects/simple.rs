//! Tasks that are claimed by their ids, and workers that are known by their names alone. What is asked and answered is
//! recorded beside the tests of the program.

use std::time::Duration;

use axum::body::Body;
use http::Method;
use serde_json::{Value, json};
use taskyard_server::Secret;
use taskyard_server::settings::Access;

use crate::yard::{Yard, request};

async fn submitted(yard: &Yard, data: &Value) -> String {
    let task = yard.post("/tasks", &json!({"data": data})).await.ok();
    task["id"].as_str().unwrap().to_owned()
}

async fn claimed(yard: &Yard, worker: &str) -> String {
    let id = submitted(yard, &json!(1)).await;
    let body = json!({"worker_id": worker});
    let task = yard.post(&format!("/tasks/{id}/claim"), &body).await.ok();
    assert_eq!(task["status"], "processing");
    id
}

async fn beat(yard: &Yard, worker: &str) {
    let path = format!("/workers/{worker}/heartbeat");
    yard.send(request(Method::POST, &path, Body::empty()))
        .await
        .ok();
}

async fn active(yard: &Yard) -> Value {
    yard.get("/workers/count").await.ok()["count"].take()
}

async fn status(yard: &Yard, id: &str) -> Value {
    yard.get(&format!("/tasks/{id}")).await.ok()["status"].take()
}

#[tokio::test]
async fn a_heartbeat_keeps_all_that_its_worker_has() {
    let yard = Yard::new();
    let tasks = [claimed(&yard, "w1").await, claimed(&yard, "w1").await];

    // Twice as long as a lease lasts.
    for _ in 0..15 {
        yard.pass(Duration::from_secs(10));
        beat(&yard, "w1").await;
        yard.sweep().await;
    }

    for id in tasks {
        assert_eq!(status(&yard, &id).await, "processing");
        let body = json!({"worker_id": "w1", "result": id});
        let done = yard.post(&format!("/tasks/{id}/complete"), &body).await;
        assert_eq!(done.ok()["result"], id);
    }
}

#[tokio::test]
async fn who_is_silent_for_30_s_is_not_counted_and_its_tasks_go_back() {
    let yard = Yard::new();
    let id = claimed(&yard, "silent").await;
    beat(&yard, "other").await;
    yard.pass(Duration::from_secs(29));
    beat(&yard, "other").await;
    yard.sweep().await;
    assert_eq!(active(&yard).await, 2);
    assert_eq!(status(&yard, &id).await, "processing");

    yard.pass(Duration::from_secs(1));
    yard.sweep().await;

    assert_eq!(active(&yard).await, 1);
    assert_eq!(status(&yard, &id).await, "pending");
    let late = json!({"worker_id": "silent", "result": "late"});
    let path = format!("/tasks/{id}/complete");
    yard.post(&path, &late).await.refused(409, "stale_lease");
    let claim = json!({"worker_id": "other"});
    let again = yard.post(&format!("/tasks/{id}/claim"), &claim).await.ok();
    assert_eq!(again["worker_id"], "other");
    yard.post(&path, &late).await.refused(409, "stale_lease");
}

#[tokio::test]
async fn a_later_registration_ends_what_the_name_had() {
    let yard = Yard::new();
    let id = claimed(&yard, "w1").await;
    yard.worker("w1").await;

    let body = json!({"worker_id": "w1", "result": 1});
    let reply = yard.post(&format!("/tasks/{id}/complete"), &body).await;

    reply.refused(409, "stale_lease");
    beat(&yard, "w1").await;
    yard.sweep().await;
    assert_eq!(status(&yard, &id).await, "pending");
}

#[tokio::test]
async fn a_drained_worker_is_told_why_it_gets_nothing_and_completes_what_it_has() {
    let yard = Yard::new();
    let held = claimed(&yard, "w1").await;
    let next = submitted(&yard, &json!(2)).await;
    yard.post_text("/api/v1/workers/w1/drain", "").await.ok();

    let path = "/workers/w1/heartbeat";
    let heard = yard.send(request(Method::POST, path, Body::empty())).await;
    let heard = heard.ok();
    assert_eq!(
        (&heard["status"], &heard["drain"]),
        (&json!("ok"), &json!(true))
    );
    let body = json!({"worker_id": "w1", "result": 1});
    let claim = format!("/tasks/{next}/claim");
    let problem = yard.post(&claim, &body).await;
    let problem = problem.refused(409, "worker_draining");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("DELETE /api/v1/workers/{id}"), "{detail}");
    let done = yard.post(&format!("/tasks/{held}/complete"), &body).await;
    assert_eq!(done.ok()["status"], "completed");

    // It holds nothing now, so the name is free for whoever bears it next.
    yard.delete("/api/v1/workers/w1").await;
    beat(&yard, "w1").await;
    assert_eq!(yard.post(&claim, &body).await.ok()["worker_id"], "w1");
}

#[tokio::test]
async fn a_result_that_comes_too_late_is_kept_beside_its_run() {
    let yard = Yard::new();
    let id = claimed(&yard, "w1").await;
    yard.pass(Duration::from_secs(30));
    yard.sweep().await;
    let path = format!("/tasks/{id}/complete");
    let late = json!({"worker_id": "w1", "result": "late"});

    yard.post(&path, &late).await.refused(409, "stale_lease");

    let attempts = format!("/api/v1/tasks/{id}/attempts");
    let kept = yard.get(&attempts).await.ok()["late_results"].take();
    assert_eq!(kept[0]["output"], "late");
    // Somebody else ends it; what ended it is not late, and whoever never had it has nothing to keep.
    beat(&yard, "w2").await;
    beat(&yard, "w3").await;
    let other = json!({"worker_id": "w2", "result": 2});
    yard.post(&format!("/tasks/{id}/claim"), &other).await.ok();
    yard.post(&path, &other).await.ok();
    yard.post(&path, &other).await.refused(409, "already_ended");
    let never = json!({"worker_id": "w3", "result": 3});
    yard.post(&path, &never).await.refused(409, "already_ended");
    let kept = yard.get(&attempts).await.ok()["late_results"].take();
    assert_eq!(kept.as_array().map(Vec::len), Some(1), "{kept}");
    yard.post(&path, &late).await.refused(409, "already_ended");
    assert_eq!(status(&yard, &id).await, "completed");
}

#[tokio::test]
async fn a_task_sent_again_with_its_key_is_made_once() {
    let yard = Yard::new();
    let body = json!({"data": 1}).to_string();

    let first = yard.post_keyed("/tasks", "k", body.clone()).await.ok();
    let again = yard.post_keyed("/tasks", "k", body).await.ok();
    let other = yard.post_keyed("/tasks", "k", r#"{"data":2}"#).await;

    assert_eq!(again, first);
    other.refused(422, "idempotency_key_reused");
    assert_eq!(yard.total().await, 1);
}

#[tokio::test]
async fn a_killed_worker_is_told_so_until_it_was_deleted() {
    let yard = Yard::new();
    let id = claimed(&yard, "w1").await;
    yard.post_text("/api/v1/workers/w1/kill", "").await.ok();
    let body = json!({"worker_id": "w1", "result": "late"});
    let calls = [
        "/workers/w1/heartbeat".to_owned(),
        format!("/tasks/{id}/claim"),
        format!("/tasks/{id}/complete"),
    ];

    for path in &calls {
        let problem = yard.post(path, &body).await;
        let problem = problem.refused(409, "worker_replaced");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with("the worker was killed"), "{detail}");
    }

    assert_eq!(active(&yard).await, 0);
    assert_eq!(status(&yard, &id).await, "pending");
    yard.delete("/api/v1/workers/w1").await;
    beat(&yard, "w1").await;
    assert_eq!(active(&yard).await, 1);
    // What the process before it had is not its own.
    let late = yard.post(&calls[2], &body).await;
    late.refused(409, "stale_lease");
}

#[tokio::test]
async fn nobody_calls_under_the_name_of_a_worker_inside_of_a_server() {
    let yard = Yard::new();
    yard.internal_worker("worker-1").await;
    let id = submitted(&yard, &json!(1)).await;
    let body = json!({"worker_id": "worker-1"});

    for path in [
        "/workers/worker-1/heartbeat".to_owned(),
        format!("/tasks/{id}/claim"),
        format!("/tasks/{id}/complete"),
    ] {
        let reply = yard.post(&path, &body).await;
        reply.refused(409, "worker_is_internal");
    }
}

#[tokio::test]
async fn a_task_of_a_paused_queue_is_not_free() {
    let yard = Yard::new();
    let id = submitted(&yard, &json!(1)).await;
    yard.post("/api/v1/queues/default/pause", &json!({}))
        .await
        .ok();

    let body = json!({"worker_id": "w1"});
    let reply = yard.post(&format!("/tasks/{id}/claim"), &body).await;

    reply.refused(409, "not_claimable");
}

#[tokio::test]
async fn labels_that_a_task_requires_are_asked_of_who_says_which_it_has() {
    let yard = Yard::new();
    let demanding = json!({"kind": "a", "input": 1, "requires": {"gpu": "a100"}});
    let task = yard.post("/api/v1/tasks", &demanding).await.ok();
    let claim = format!("/tasks/{}/claim", task["id"].as_str().unwrap());
    yard.worker("w").await;

    let labelled = yard.post(&claim, &json!({"worker_id": "w"})).await;
    let by_name = yard.post(&claim, &json!({"worker_id": "counter-1"})).await;

    let problem = labelled.refused(409, "not_claimable");
    assert!(problem["detail"].as_str().unwrap().contains("requires"));
    assert_eq!(by_name.ok()["status"], "processing");
}

#[tokio::test]
async fn a_claim_that_is_refused_makes_nobody_known() {
    let yard = Yard::new();
    let ended = submitted(&yard, &json!(1)).await;
    yard.post(&format!("/api/v1/tasks/{ended}/cancel"), &json!({}))
        .await
        .ok();
    let later = json!({"kind": "a", "input": 1, "delay_ms": 1000});
    let later = yard.post("/api/v1/tasks", &later).await.ok();
    let later = later["id"].as_str().unwrap();
    let none = "01a21162-b23c-7f2c-bbfc-ea8e6e590d9f";
    let nobody = json!({"worker_id": "nobody"});

    for (id, status, code) in [
        (none, 404, "not_found"),
        (&ended, 409, "not_claimable"),
        (later, 409, "not_claimable"),
    ] {
        let reply = yard.post(&format!("/tasks/{id}/claim"), &nobody).await;
        reply.refused(status, code);
    }

    let workers = yard.get("/api/v1/workers").await.ok();
    assert_eq!(workers["items"], json!([]));
}

#[tokio::test]
async fn a_worker_says_its_name_in_the_letters_of_names() {
    let yard = Yard::new();
    let id = submitted(&yard, &json!(1)).await;
    let mut wrong = vec![
        json!({}),
        json!({"worker_id": null}),
        json!({"worker_id": 5}),
    ];
    let long = "w".repeat(65);
    for name in [
        "",
        "a b",
        "a/b",
        "..",
        "\u{1b}[31m",
        "é",
        "register",
        "connect",
        &long,
    ] {
        wrong.push(json!({"worker_id": name}));
    }

    for body in &wrong {
        for verb in ["claim", "complete"] {
            // What cannot have a task is refused for that.
            let reply = yard.post(&format!("/tasks/{id}/{verb}"), body).await;
            if verb == "complete"
                && ["register", "connect"].contains(&body["worker_id"].as_str().unwrap_or(""))
            {
                reply.refused(409, "stale_lease");
            } else {
                reply.wrong_at(&["/worker_id"]);
            }
        }
    }

    assert_eq!(status(&yard, &id).await, "pending");
    let workers = yard.get("/api/v1/workers").await.ok();
    assert_eq!(workers["items"], json!([]));
}

#[tokio::test]
async fn what_no_reader_could_hold_is_refused_where_it_stands() {
    let yard = Yard::new();
    let id = claimed(&yard, "w1").await;
    let deep = ["[".repeat(65), "]".repeat(65)].concat();
    for value in [
        "NaN",
        "1e400",
        "18446744073709551616",
        r#""\u0000""#,
        r#""\ud800""#,
        r#"{"a":1,"\u0061":2}"#,
        &deep,
    ] {
        let data = format!(r#"{{"data":{value}}}"#);
        let problem = yard.post_text("/tasks", data).await.refused(422, "invalid");
        let place = problem["errors"][0]["pointer"].as_str().unwrap();
        assert!(place.starts_with("/data"), "{problem}");
        let result = format!(r#"{{"worker_id":"w1","result":{value}}}"#);
        let path = format!("/tasks/{id}/complete");
        let problem = yard.post_text(&path, result).await;
        let problem = problem.refused(422, "invalid");
        let place = problem["errors"][0]["pointer"].as_str().unwrap();
        assert!(place.starts_with("/result"), "{problem}");
    }
    assert_eq!(status(&yard, &id).await, "processing");
    assert_eq!(yard.total().await, 1);
}

#[tokio::test]
async fn a_list_begins_behind_more_than_a_page() {
    let yard = Yard::new();
    let tasks: Vec<Value> = (0..1_200)
        .map(|number| json!({"kind": "other", "input": number}))
        .collect();
    yard.post("/api/v1/tasks/batch", &json!(tasks)).await.ok();

    let behind = async |offset: usize| {
        let path = format!("/tasks?limit=1&offset={offset}");
        let tasks = yard.get(&path).await.ok();
        tasks.get(0).map(|task| task["data"].clone())
    };

    assert_eq!(behind(0).await, Some(json!(1_199)));
    assert_eq!(behind(1_000).await, Some(json!(199)));
    assert_eq!(behind(1_199).await, Some(json!(0)));
    assert_eq!(behind(1_200).await, None);
    let default = yard.get("/tasks").await.ok();
    assert_eq!(default.as_array().unwrap().len(), 100);
    let most = yard.get("/tasks?limit=1000").await.ok();
    assert_eq!(most.as_array().unwrap().len(), 1_000);
}

#[tokio::test]
async fn a_list_ends_before_it_grows_too_large_and_goes_on_behind_what_came() {
    let yard = Yard::new();
    let data = "x".repeat(1 << 20);
    let data = &data[2..];
    for _ in 0..10 {
        submitted(&yard, &json!(data)).await;
    }

    let first = yard.get("/tasks").await.ok();
    let came = first.as_array().unwrap().len();
    let rest = yard.get(&format!("/tasks?offset={came}")).await.ok();

    assert!((1..10).contains(&came), "{came}");
    assert_eq!(came + rest.as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn what_a_task_is_about_and_what_comes_of_it_have_limits() {
    let yard = Yard::with(|settings| {
        settings.limits.input_max = 10;
        settings.limits.output_max = 10;
    });
    yard.post("/tasks", &json!({"data": "12345678"})).await.ok();
    let long = json!({"data": "123456789"});
    let problem = yard.post("/tasks", &long).await.refused(413, "too_large");
    assert_eq!(problem["errors"][0]["pointer"], "/data");

    let id = claimed(&yard, "w1").await;
    let path = format!("/tasks/{id}/complete");
    let long = json!({"worker_id": "w1", "result": "123456789"});
    let problem = yard.post(&path, &long).await.refused(413, "too_large");
    assert_eq!(problem["errors"][0]["pointer"], "/result");
    let fits = json!({"worker_id": "w1", "result": "12345678"});
    yard.post(&path, &fits).await.ok();
}

#[tokio::test]
async fn turned_off_there_are_no_such_routes() {
    let yard = Yard::with(|settings| settings.dialects = false);

    for path in ["/tasks", "/workers/count"] {
        yard.get(path).await.refused(404, "not_found");
    }
    yard.post("/tasks", &json!({"data": 1}))
        .await
        .refused(404, "not_found");
    let described = yard.get("/openapi.json").await.ok();
    assert!(described["paths"]["/tasks"].is_null());
}

#[tokio::test]
async fn whoever_may_not_come_in_may_not_here_either() {
    let closed = Yard::with(|settings| settings.access = Access::Token(Secret::new("s3cret")));
    closed.get("/tasks").await.refused(401, "unauthorized");
    let yard = Yard::new();
    let mut foreign = request(Method::POST, "/workers/w1/heartbeat", Body::empty());
    let headers = foreign.headers_mut();
    headers.insert("origin", "https://evil.example".parse().unwrap());
    yard.send(foreign).await.refused(403, "wrong_origin");
    let mut called = request(Method::GET, "/tasks", Body::empty());
    let headers = called.headers_mut();
    headers.insert("host", "evil.example".parse().unwrap());
    yard.send(called).await.refused(421, "wrong_host");
}
