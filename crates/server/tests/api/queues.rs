//! `/queues`.

use std::time::Duration;

use serde_json::{Value, json};
use taskyard_core::policy::Policy;
use taskyard_core::retention::Retention;
use taskyard_engine::services::retain::{self, Places};

use crate::yard::Yard;

async fn submit(yard: &Yard, queue: &str) -> String {
    let body = json!({"kind": "echo", "input": 1, "queue": queue});
    let made = yard.post("/api/v1/tasks", &body).await.ok();
    made["id"].as_str().unwrap().to_owned()
}

async fn queues(yard: &Yard) -> Vec<Value> {
    let page = yard.get("/api/v1/queues").await.ok();
    assert_eq!(page["next_cursor"], Value::Null);
    page["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn queues_are_listed_with_what_waits_in_them_and_for_how_long() {
    let yard = Yard::new();
    assert_eq!(queues(&yard).await, [] as [Value; 0]);
    submit(&yard, "slow").await;
    yard.pass(Duration::from_secs(5));
    submit(&yard, "slow").await;
    submit(&yard, "fast").await;
    yard.worker("w").await;
    let path = "/api/v1/queues/set-only/pause";
    yard.post_text(path, "").await.ok();

    let listed = queues(&yard).await;

    let names: Vec<&Value> = listed.iter().map(|queue| &queue["name"]).collect();
    assert_eq!(names, ["fast", "set-only", "slow"]);
    let slow = &listed[2];
    assert_eq!(
        (&slow["counts"]["pending"], &slow["oldest_ms"]),
        (&json!(2), &json!(5000))
    );
    assert_eq!(
        (&slow["paused"], &listed[1]["paused"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(listed[1]["oldest_ms"], Value::Null);
}

#[tokio::test]
async fn queues_are_listed_in_pages() {
    let yard = Yard::with(|settings| settings.limits.list_look_at_max = 3);
    let names: Vec<String> = (0..7).map(|number| format!("q:{number}/a")).collect();
    for name in &names {
        submit(&yard, name).await;
    }

    for (limit, pages) in [(2, 4), (7, 3), (1000, 3)] {
        let mut found = Vec::new();
        let mut path = format!("/api/v1/queues?limit={limit}");
        for _ in 1..pages {
            let page = yard.get(&path).await.ok();
            found.extend(page["items"].as_array().unwrap().clone());
            let cursor = page["next_cursor"].as_str().unwrap();
            path = format!("/api/v1/queues?limit={limit}&cursor={cursor}");
        }
        let last = yard.get(&path).await.ok();
        found.extend(last["items"].as_array().unwrap().clone());
        let found: Vec<&str> = found
            .iter()
            .map(|queue| queue["name"].as_str().unwrap())
            .collect();
        assert_eq!(found, names, "{limit}");
        assert_eq!(last["next_cursor"], Value::Null, "{limit}");
    }

    for (query, place) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=AAAAAAAAAAAA", "cursor"),
    ] {
        let path = format!("/api/v1/queues?{query}");
        yard.get(&path).await.wrong_at(&[place]);
    }
}

#[tokio::test]
async fn what_an_address_leaves_out_is_no_name() {
    let yard = Yard::new();
    for dots in [".", ".."] {
        for field in ["queue", "kind"] {
            let mut task = json!({"kind": "echo", "input": 1});
            task[field] = json!(dots);
            let place = format!("/{field}");
            yard.post("/api/v1/tasks", &task).await.wrong_at(&[&place]);
        }
        let path = format!("/api/v1/tasks?queue={dots}");
        yard.get(&path).await.wrong_at(&["queue"]);
    }
    submit(&yard, "...").await;
    assert_eq!(queues(&yard).await.len(), 1);
}

#[tokio::test]
async fn nothing_of_a_paused_queue_is_given_out_until_it_goes_on() {
    let yard = Yard::new();
    yard.worker("w").await;
    let id = submit(&yard, "a/b").await;

    let paused = yard.post_text("/api/v1/queues/a%2Fb/pause", "").await.ok();
    assert_eq!(
        paused,
        json!({
            "name": "a/b", "paused": true,
            "defaults": {"max_attempts": null, "timeout_ms": null, "retry": null}, "retention": null,
        })
    );
    assert_eq!(yard.claim("w").await, None);
    submit(&yard, "a/b").await;
    assert_eq!(yard.claim("w").await, None);

    let resumed = yard
        .post("/api/v1/queues/a%2Fb/resume", &json!({}))
        .await
        .ok();
    assert_eq!(resumed["paused"], false);
    assert_eq!(yard.claim("w").await.unwrap()["id"], json!(id));
}

#[tokio::test]
async fn a_worker_that_waits_gets_what_a_queue_has_when_it_goes_on() {
    let yard = Yard::new();
    yard.worker("w").await;
    let id = submit(&yard, "slow").await;
    yard.post_text("/api/v1/queues/slow/pause", "").await.ok();
    let claim = json!({"limit": 1, "wait_ms": 60_000});
    let waiting = yard.post("/api/v1/workers/w/claim", &claim);
    let resume = async {
        // The claim is on its way first.
        crate::yard::settle().await;
        yard.post_text("/api/v1/queues/slow/resume", "").await.ok();
    };

    let (claimed, ()) = tokio::join!(waiting, resume);

    assert_eq!(claimed.ok()["tasks"][0]["id"], json!(id));
}

#[tokio::test]
async fn tasks_take_what_their_queue_says_unless_they_say_themselves() {
    let yard = Yard::new();
    let change = json!({
        "max_attempts": 3, "timeout_ms": 5000,
        "retry": {"backoff_ms": 10, "factor": 1.5, "max_ms": 100, "jitter": 0.0},
    });
    let set = yard.patch("/api/v1/queues/slow", &change).await.ok();
    assert_eq!((&set["defaults"], &set["paused"]), (&change, &json!(false)));

    let task = yard.task(&submit(&yard, "slow").await).await;
    for field in ["max_attempts", "timeout_ms", "retry"] {
        assert_eq!(task[field], change[field], "{field}");
    }
    let own = json!({"kind": "echo", "input": 1, "queue": "slow", "max_attempts": 9});
    let own = yard.post("/api/v1/tasks", &own).await.ok();
    let own = yard.task(own["id"].as_str().unwrap()).await;
    assert_eq!(
        (&own["max_attempts"], &own["timeout_ms"]),
        (&json!(9), &json!(5000))
    );

    // What is named null is the server's again, the rest as it was.
    let back = yard
        .patch("/api/v1/queues/slow", &json!({"retry": null}))
        .await
        .ok();
    let expected = json!({"max_attempts": 3, "timeout_ms": 5000, "retry": null});
    assert_eq!(back["defaults"], expected);
    let same = yard.patch("/api/v1/queues/slow", &json!({})).await.ok();
    assert_eq!(same, back);
}

#[tokio::test]
async fn what_cannot_be_set_is_named_and_changes_nothing() {
    let yard = Yard::new();
    for (body, place) in [
        (json!({"max_attempts": 0}), "/max_attempts"),
        (json!({"max_attempts": "many"}), "/max_attempts"),
        (json!({"timeout_ms": 0}), "/timeout_ms"),
        (json!({"timeout_ms": 1.5}), "/timeout_ms"),
        (json!({"retry": {"factor": 0.5}}), "/retry/factor"),
    ] {
        let reply = yard.patch("/api/v1/queues/slow", &body).await;
        reply.wrong_at(&[place]);
    }
    let unknown = json!({"paused": true});
    yard.patch("/api/v1/queues/slow", &unknown)
        .await
        .refused(422, "unknown_field");
    for nobody in ["%20", "a%00b", "%ff", &"x".repeat(65)] {
        let path = format!("/api/v1/queues/{nobody}/pause");
        yard.post_text(&path, "").await.refused(404, "not_found");
    }
    assert_eq!(queues(&yard).await, [] as [Value; 0]);
}

#[tokio::test]
async fn what_ended_is_kept_as_long_as_its_queue_or_the_server_says() {
    let yard = Yard::under(Policy {
        retention: Retention::all(Duration::from_hours(48)),
        ..Policy::default()
    });
    let week = json!({"retention": {"completed_ms": 604_800_000, "cancelled_ms": 0}});
    let set = yard.patch("/api/v1/queues/short", &week).await.ok();
    let said = json!({"completed_ms": 604_800_000, "failed_ms": null, "timeout_ms": null, "cancelled_ms": 0});
    assert_eq!(set["retention"], said);
    assert_eq!(queues(&yard).await[0]["retention"], said);
    let mut tasks = Vec::new();
    for queue in ["short", "plain"] {
        let id = submit(&yard, queue).await;
        yard.post_text(&format!("/api/v1/tasks/{id}/cancel"), "")
            .await
            .ok();
        tasks.push(format!("/api/v1/tasks/{id}"));
    }
    let mut places = Places::default();
    let mut round = async |hours| {
        yard.pass(Duration::from_hours(hours));
        retain::run_once(yard.app.engine(), &mut places)
            .await
            .unwrap()
    };

    assert_eq!(round(23).await, 0, "its id is still known");
    assert_eq!(round(2).await, 1);
    yard.get(&tasks[0]).await.refused(404, "not_found");
    yard.get(&tasks[1]).await.ok();
    assert_eq!(round(24).await, 1);
    yard.get(&tasks[1]).await.refused(404, "not_found");
    let stats = yard.get("/api/v1/tasks/stats").await.ok();
    assert_eq!(stats["total"], json!(0), "counts are of what is kept");

    let back = json!({"retention": null});
    let set = yard.patch("/api/v1/queues/short", &back).await.ok();
    assert_eq!(set["retention"], Value::Null);
}

#[tokio::test]
async fn a_retention_that_cannot_be_is_refused_by_its_field() {
    let yard = Yard::new();
    for (retention, pointer) in [
        (json!({"failed_ms": -1}), "/retention/failed_ms"),
        (
            json!({"timeout_ms": 315_360_000_001_i64}),
            "/retention/timeout_ms",
        ),
    ] {
        let answer = yard
            .patch("/api/v1/queues/q", &json!({"retention": retention}))
            .await;
        let problem = answer.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], pointer);
    }
    let unknown = json!({"retention": {"done_ms": 1}});
    let answer = yard.patch("/api/v1/queues/q", &unknown).await;
    answer.refused(422, "unknown_field");
    let longest = json!({"retention": {"timeout_ms": 315_360_000_000_i64}});
    yard.patch("/api/v1/queues/q", &longest).await.ok();
}
