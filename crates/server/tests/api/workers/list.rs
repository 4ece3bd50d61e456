//! `GET /workers`.

use std::time::Duration;

use serde_json::json;

use crate::yard::Yard;

#[tokio::test]
async fn workers_are_listed_by_name_with_what_they_do() {
    let yard = Yard::new();
    let gone = json!({
        "worker_id": "gone", "kinds": ["resize"], "queues": ["slow"], "labels": {"gpu": "a100"}, "capacity": 4,
    });
    yard.post("/api/v1/workers/register", &gone).await.ok();
    yard.pass(Duration::from_secs(31));
    yard.worker("idle").await;
    yard.leased().await;

    insta::assert_json_snapshot!(yard.get("/api/v1/workers").await.ok());
}

#[tokio::test]
async fn workers_are_listed_in_pages() {
    let yard = Yard::new();
    for name in ["b", "c", "a"] {
        yard.worker(name).await;
    }
    let page = async |query: &str| {
        let page = yard.get(&format!("/api/v1/workers?{query}")).await.ok();
        let items = page["items"].as_array().unwrap().iter();
        let names: Vec<String> = items
            .map(|worker| worker["worker_id"].as_str().unwrap().to_owned())
            .collect();
        (names.concat(), page["next_cursor"].clone())
    };

    let (names, next) = page("limit=2").await;
    assert_eq!(names, "ab");
    let next = next.as_str().unwrap();
    assert_eq!(
        page(&format!("limit=2&cursor={next}")).await,
        ("c".to_owned(), json!(null))
    );
    assert_eq!(page("limit=3").await, ("abc".to_owned(), json!(null)));
    assert_eq!(page("limit=1000").await, ("abc".to_owned(), json!(null)));
    for wrong in [
        "limit=0",
        "limit=1001",
        "cursor=a/b",
        "cursor=x",
        "cursor=b",
        "cursor=",
    ] {
        let reply = yard.get(&format!("/api/v1/workers?{wrong}")).await;
        reply.refused(422, "invalid");
    }

    // A name behind something else than what cursors of this list begin with.
    let begins = if next.starts_with('A') { 'B' } else { 'A' };
    let path = format!("/api/v1/workers?cursor={begins}{}", &next[1..]);
    yard.get(&path).await.wrong_at(&["cursor"]);

    // Cursors of the two lists are not mistaken for each other.
    yard.submit("echo").await;
    yard.submit("echo").await;
    let tasks = yard.get("/api/v1/tasks?limit=1").await.ok();
    let of_tasks = tasks["next_cursor"].as_str().unwrap();
    for (list, cursor) in [("workers", of_tasks), ("tasks", next)] {
        let reply = yard.get(&format!("/api/v1/{list}?cursor={cursor}")).await;
        reply.wrong_at(&["cursor"]);
    }
}
