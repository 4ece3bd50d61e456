//! `GET /tasks`.

use serde_json::{Value, json};

use crate::unreadable;
use crate::yard::Yard;

fn inputs(page: &Value) -> Vec<&Value> {
    let items = page["items"].as_array().unwrap();
    items.iter().map(|task| &task["input"]).collect()
}

/// Tasks 0 to 4, of kinds and queues in turn, each labelled with its number.
async fn five() -> Yard {
    let yard = Yard::new();
    for n in 0..5 {
        let (kind, queue) = [("echo", "default"), ("sleep", "slow")][n % 2];
        let body = json!({
            "kind": kind, "queue": queue, "input": n,
            "labels": {"n": n.to_string(), "user": "ann"},
        });
        yard.post("/api/v1/tasks", &body).await.ok();
        yard.pass(std::time::Duration::from_millis(1));
    }
    yard
}

async fn list(yard: &Yard, query: &str) -> Value {
    yard.get(&format!("/api/v1/tasks?include=payload&{query}"))
        .await
        .ok()
}

#[tokio::test]
async fn the_newest_come_first_and_without_their_payloads() {
    let yard = five().await;

    let page = yard.get("/api/v1/tasks").await.ok();

    let items = page["items"].as_array().unwrap();
    assert_eq!(items.len(), 5);
    assert_eq!(items[0]["labels"]["n"], "4");
    assert!(items[0].get("input").is_none() && items[0].get("output").is_none());
    assert_eq!(page["next_cursor"], Value::Null);
}

#[tokio::test]
async fn filters_pick_and_all_of_them_must_fit() {
    let yard = five().await;
    for (query, found) in [
        ("sort=created", json!([0, 1, 2, 3, 4])),
        ("sort=-created&kind=echo", json!([4, 2, 0])),
        ("queue=slow", json!([3, 1])),
        ("queue=slow&kind=echo", json!([])),
        ("status=pending,running&label=n%3D2", json!([2])),
        ("label=user=ann&label=n=1", json!([1])),
        ("label=user=bob", json!([])),
        ("status=completed", json!([])),
    ] {
        assert_eq!(json!(inputs(&list(&yard, query).await)), found, "{query}");
    }
}

#[tokio::test]
async fn tasks_are_found_by_their_worker_by_words_by_their_id_and_by_when_they_were_made() {
    let yard = five().await;
    let all = yard.get("/api/v1/tasks?sort=created").await.ok();
    let (id, time) = (
        |n: usize| all["items"][n]["id"].as_str().unwrap(),
        |n: usize| all["items"][n]["created_at"].as_str().unwrap(),
    );
    yard.worker("w").await;
    let claimed = yard.claim("w").await.unwrap();
    assert_eq!(claimed["id"], json!(id(0)));
    yard.post(&format!("/api/v1/tasks/{}/cancel", id(1)), &json!({}))
        .await
        .ok();

    for (query, found) in [
        ("worker_id=w".to_owned(), json!([0])),
        ("worker_id=w&status=pending".to_owned(), json!([])),
        ("worker_id=nobody".to_owned(), json!([])),
        ("q=SLE".to_owned(), json!([3, 1])),
        ("q=ann+ech".to_owned(), json!([4, 2, 0])),
        ("q=ann+bob".to_owned(), json!([])),
        (format!("q={}", id(2)), json!([2])),
        (format!("q={}&kind=sleep", id(2)), json!([])),
        (format!("created_after={}", time(3)), json!([4, 3])),
        (format!("created_before={}", time(1)), json!([0])),
        (
            format!("created_after={}&created_before={}", time(1), time(3)),
            json!([2, 1]),
        ),
        (
            format!("created_after={}&created_before={}", time(3), time(1)),
            json!([]),
        ),
    ] {
        assert_eq!(json!(inputs(&list(&yard, &query).await)), found, "{query}");
    }
    let cursor = list(&yard, "q=echo&limit=1").await["next_cursor"].clone();
    let other = format!("/api/v1/tasks?q=ech&cursor={}", cursor.as_str().unwrap());
    yard.get(&other).await.wrong_at(&["cursor"]);
}

#[tokio::test]
async fn a_label_is_found_by_whatever_its_value_holds() {
    let yard = Yard::new();
    for value in ["a,b", "a", "b=c", "a,b=c", "a b&c+d"] {
        let body = json!({"kind": "echo", "input": value, "labels": {"t": value}});
        yard.post("/api/v1/tasks", &body).await.ok();
    }

    for (query, found) in [
        ("label=t%3Da%2Cb", "a,b"),
        ("label=t=a,b", "a,b"),
        ("label=t=a", "a"),
        ("label=t=b=c", "b=c"),
        ("label=t=a,b=c", "a,b=c"),
        ("label=t=a+b%26c%2Bd", "a b&c+d"),
    ] {
        assert_eq!(inputs(&list(&yard, query).await), [found], "{query}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_to_the_end() {
    let yard = five().await;
    let mut found = Vec::new();
    let mut query = "limit=2".to_owned();
    loop {
        let page = list(&yard, &query).await;
        assert!(inputs(&page).len() <= 2);
        found.extend(inputs(&page).into_iter().cloned());
        match &page["next_cursor"] {
            Value::String(cursor) => query = format!("limit=2&cursor={cursor}"),
            end => {
                assert_eq!(*end, Value::Null);
                break;
            }
        }
    }

    assert_eq!(json!(found), json!([4, 3, 2, 1, 0]));
}

#[tokio::test]
async fn a_cursor_of_another_filter_is_refused() {
    let yard = five().await;
    let page = list(&yard, "limit=1&kind=echo").await;
    let cursor = page["next_cursor"].as_str().unwrap();

    list(&yard, &format!("limit=3&kind=echo&cursor={cursor}")).await;
    for query in [
        format!("cursor={cursor}"),
        format!("kind=sleep&cursor={cursor}"),
        format!("kind=echo&sort=created&cursor={cursor}"),
        format!("kind=echo&cursor={}", &cursor[1..]),
        "cursor=".to_owned(),
        "cursor=%00".to_owned(),
    ] {
        let reply = yard.get(&format!("/api/v1/tasks?{query}")).await;
        reply.wrong_at(&["cursor"]);
    }
}

#[tokio::test]
async fn a_wrong_parameter_is_named() {
    let yard = Yard::new();
    for (query, name) in [
        ("status=done", "status"),
        ("status=", "status"),
        ("status=pending,", "status"),
        ("kind=a%20b", "kind"),
        ("queue=", "queue"),
        ("label=n", "label"),
        ("worker_id=a%2Fb", "worker_id"),
        ("q=", "q"),
        ("q=a+b+c+d+e+f+g+h+i", "q"),
        ("created_after=yesterday", "created_after"),
        ("created_before=2026-01-31T13:00:00-25:00", "created_before"),
        ("created_before=2026-01-31", "created_before"),
        ("label=a%2Fb=1", "label"),
        ("sort=priority", "sort"),
        ("include=all", "include"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=%2B1", "limit"),
        ("limit=1e2", "limit"),
        ("limit=18446744073709551616", "limit"),
        ("limit=1&limit=2", "limit"),
    ] {
        let reply = yard.get(&format!("/api/v1/tasks?{query}")).await;
        reply.wrong_at(&[name]);
    }
    yard.get("/api/v1/tasks?limit=1").await.ok();
    yard.get("/api/v1/tasks?limit=1000").await.ok();
}

#[tokio::test]
async fn a_time_whose_plus_was_not_escaped_tells_how_to_write_it() {
    let yard = Yard::new();
    let list = |time: &str| {
        let path = format!("/api/v1/tasks?created_after={time}");
        let yard = &yard;
        async move { yard.get(&path).await }
    };

    let wrong = list("2026-01-01T00:00:00+02:00").await;
    let detail = wrong.wrong_at(&["created_after"])["detail"].to_string();
    assert!(detail.contains("write it %2B"), "{detail}");
    list("2026-01-01T00:00:00%2B02:00").await.ok();
    for other in ["2026-01-01+00:00:00Z", "2026-01-01T00:00:00"] {
        let detail = list(other).await.wrong_at(&["created_after"])["detail"].to_string();
        assert!(!detail.contains("%2B"), "{detail}");
    }
}

#[tokio::test]
async fn a_filter_names_up_to_32_labels() {
    let yard = Yard::new();
    let list = |labels: usize| format!("/api/v1/tasks?{}", vec!["label=n=1"; labels].join("&"));

    yard.get(&list(32)).await.ok();
    yard.get(&list(33)).await.wrong_at(&["label"]);
}

#[tokio::test]
async fn an_unknown_parameter_is_refused_on_every_route() {
    let yard = Yard::new();
    let id = yard.submit("echo").await;
    for path in [
        "/api/v1/tasks?colour=red",
        "/api/v1/tasks/stats?colour=red",
        &format!("/api/v1/tasks/{id}?colour=red"),
        &format!("/api/v1/tasks/{id}/attempts?colour=red"),
        "/api/v1/workers?colour=red",
    ] {
        let problem = yard.get(path).await.refused(422, "unknown_field");
        assert_eq!(crate::yard::places(&problem), ["colour"]);
    }
    let body = json!({"kind": "echo", "input": 1});
    let reply = yard.post("/api/v1/tasks?colour=red", &body).await;
    reply.refused(422, "unknown_field");
}

#[tokio::test]
async fn a_page_ends_before_the_details_of_errors_grow_too_large() {
    let yard = Yard::new();
    for _ in 0..3 {
        let (id, token) = yard.leased().await;
        let detail = "x".repeat(5 << 20);
        let body = json!({
            "lease_token": token, "retry": false,
            "error": {"code": "e", "message": "m", "detail": detail},
        });
        yard.post(&format!("/api/v1/tasks/{id}/fail"), &body)
            .await
            .ok();
        yard.pass(std::time::Duration::from_millis(1));
    }

    let page = yard.get("/api/v1/tasks").await.ok();

    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert!(page["next_cursor"].is_string());
}

#[tokio::test]
async fn a_page_that_looked_at_all_it_may_has_a_cursor_though_it_found_little() {
    let yard = Yard::with(|settings| settings.limits.list_look_at_max = 2);
    for n in 0..3 {
        let body = json!({"kind": "echo", "input": n, "labels": {"n": n.to_string()}});
        yard.post("/api/v1/tasks", &body).await.ok();
        yard.pass(std::time::Duration::from_millis(1));
    }

    let page = list(&yard, "label=n=0").await;
    assert_eq!(inputs(&page), Vec::<&Value>::new());
    let cursor = page["next_cursor"].as_str().unwrap();

    let page = list(&yard, &format!("label=n=0&cursor={cursor}")).await;
    assert_eq!(json!(inputs(&page)), json!([0]));
    assert_eq!(page["next_cursor"], Value::Null);
}

#[tokio::test]
async fn a_page_ends_before_what_its_filter_throws_away_grows_too_large() {
    let yard = Yard::with(|settings| settings.limits.input_max = 6 << 20);
    for user in ["ann", "bob", "bob", "bob"] {
        let input = "x".repeat(5 << 20);
        let body = json!({"kind": "echo", "input": input, "labels": {"user": user}});
        yard.post("/api/v1/tasks", &body).await.ok();
        yard.pass(std::time::Duration::from_millis(1));
    }

    // Two of 5 MiB are more than the 8 MiB that one page reads.
    let page = list(&yard, "label=user=ann").await;
    assert_eq!(inputs(&page), Vec::<&Value>::new());

    let cursor = page["next_cursor"].as_str().unwrap();
    let page = list(&yard, &format!("label=user=ann&cursor={cursor}")).await;
    assert_eq!(inputs(&page).len(), 1);
    assert_eq!(page["next_cursor"], Value::Null);

    // Without their payloads they are small.
    let page = yard.get("/api/v1/tasks?label=user=ann").await.ok();
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn tasks_that_cannot_be_read_are_named_on_their_page_and_the_others_are_shown() {
    let (yard, model, ids) = unreadable::yard().await;
    let whole = yard.get("/api/v1/tasks").await.ok();
    assert!(whole.get("unreadable").is_none(), "{whole}");

    for id in &ids[1..3] {
        model.blot(id.parse().unwrap());
    }

    let first = "/api/v1/tasks?sort=created&kind=other&limit=1";
    let page = yard.get(first).await.ok();
    assert_eq!(page["items"], json!([]));
    assert_eq!(page["unreadable"], json!(ids[1..3]));
    let page = yard.get("/api/v1/tasks?sort=created&limit=1").await.ok();
    assert_eq!(page["items"][0]["id"], ids[0].as_str());
    assert!(page.get("unreadable").is_none(), "{page}");
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = format!("/api/v1/tasks?sort=created&cursor={cursor}");
    let page = yard.get(&rest).await.ok();
    assert_eq!(page["items"][0]["id"], ids[3].as_str());
    assert_eq!(page["unreadable"], json!(ids[1..3]));
    assert_eq!(page["next_cursor"], Value::Null);
}
