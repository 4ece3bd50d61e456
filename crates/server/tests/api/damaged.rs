//! Tasks of which the database holds no JSON any more: what they hold was written over behind the server's back. Each is
//! tried on both databases.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use taskyard_core::json::Json;
use taskyard_core::lane::LaneKey;
use taskyard_core::name::Name;
use taskyard_core::random::Seeded;
use taskyard_core::rows::Failure;
use taskyard_core::verbs::claim::Run;
use taskyard_core::verbs::heartbeat::{Heartbeat, Held};
use taskyard_core::verbs::report::{Report, RunResult, Word};
use taskyard_core::verbs::submit::{NewTask, Submit};
use taskyard_engine::engine::ClaimCall;
use taskyard_store::postgres::{self, PostgresStore, scratch};

use crate::yard::{Clock, Yard};

const CLAIM: &str = "/api/v1/workers/w/claim";
const REPORT: &str = "/api/v1/workers/w/report";
/// What is left of some JSON.
const GARBAGE: &str = r#"{"n": "#;

async fn on_both(test: impl AsyncFn(Yard)) {
    let on_sqlite = Yard::new();
    on_sqlite.worker("w").await;
    test(on_sqlite).await;
    let Ok(server) = std::env::var("TASKYARD_TEST_POSTGRES_URL") else {
        let must = std::env::var_os("TASKYARD_REQUIRE_POSTGRES").is_some();
        assert!(!must, "there is no PostgreSQL server");
        return;
    };
    static MADE: AtomicU32 = AtomicU32::new(0);
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    let name = format!("taskyard_damaged_{}_{made}", std::process::id());
    let url = scratch::create(&server, &name).await.unwrap();
    let clock = Clock::new();
    let options = postgres::Options {
        clock: Some(clock.read()),
        hints: true,
        pooled: false,
        random: Box::new(Seeded::new(1)),
        within: taskyard_store::postgres::WITHIN,
    };
    let store = PostgresStore::connect(&url, options).await.unwrap();
    let on_postgres = Yard::around(Arc::new(store), clock, |_| {});
    on_postgres.worker("w").await;
    test(on_postgres).await;
    scratch::remove(&url).await.unwrap();
}

/// Past all that looks at what is handed in, as damage comes.
async fn task_holding(yard: &Yard, input: &str) -> String {
    let engine = yard.app.engine();
    let [queue, kind] = ["default", "echo"].map(|name| Name::path(name).unwrap());
    let lane = LaneKey::of(queue, kind);
    let task = NewTask::new(engine.new_task(), lane, Json::stored(input));
    let submitted = engine.submit(Submit::of(vec![task])).await.unwrap();
    yard.pass(Duration::from_millis(1));
    submitted.ids[0].to_string()
}

async fn whole(yard: &Yard) -> String {
    task_holding(yard, r#"{"n": 1}"#).await
}

/// In the hands of worker `w`.
async fn run(yard: &Yard) -> Run {
    let call = ClaimCall {
        worker: Name::plain("w").unwrap(),
        epoch: None,
        task: None,
        limit: 1,
        wait: Duration::ZERO,
        begin: true,
        seq: 0,
        again: false,
    };
    let claimed = yard.app.engine().claim(call).await.unwrap();
    claimed.tell().runs.remove(0)
}

async fn says(yard: &Yard, run: &Run, word: Word) {
    let report = Report {
        worker: None,
        results: [RunResult::new(run.token(), word, None)].into(),
    };
    yard.app.engine().report(report).await.unwrap();
}

fn garbled_failure(retry: bool) -> Word {
    let error = Failure {
        detail: Some(Json::stored(GARBAGE)),
        ..Failure::new("boom", "it broke")
    };
    Word::Failed { error, retry }
}

fn ids(claimed: &Value) -> Vec<&str> {
    let runs = claimed["tasks"].as_array().unwrap();
    runs.iter().map(|run| run["id"].as_str().unwrap()).collect()
}

async fn has_failed_for_its(what: &str, yard: &Yard, id: &str) {
    let task = yard.task(id).await;
    assert_eq!(task["status"], "failed", "{task}");
    assert_eq!(task["error"]["code"], "unreadable", "{task}");
    let said = task["error"]["message"].as_str().unwrap();
    assert!(
        said.contains(&format!("the {what} of this task is damaged")),
        "{said}"
    );
}

#[tokio::test]
async fn a_damaged_task_fails_and_those_beside_it_are_handed_out() {
    on_both(async |yard| {
        let first = whole(&yard).await;
        let bad = task_holding(&yard, GARBAGE).await;
        // Read when it is known that it goes out.
        let long = task_holding(&yard, &format!("[{:?}", "x".repeat(100_000))).await;
        let last = whole(&yard).await;

        let claimed = yard.post(CLAIM, &json!({"limit": 9, "seq": 1})).await.ok();

        assert_eq!(ids(&claimed), [&first, &last]);
        for bad in [&bad, &long] {
            has_failed_for_its("input", &yard, bad).await;
        }
        let again = yard.post(CLAIM, &json!({"limit": 9, "seq": 1})).await.ok();
        assert_eq!(again, claimed);
        for run in claimed["tasks"].as_array().unwrap() {
            let done = json!({"lease_token": run["lease_token"], "output": 1});
            let path = format!("/api/v1/tasks/{}/complete", run["id"].as_str().unwrap());
            yard.post(&path, &done).await.ok();
            let task = yard.task(run["id"].as_str().unwrap()).await;
            assert_eq!((&task["attempts"], &task["losses"]), (&json!(1), &json!(0)));
        }
    })
    .await;
}

#[tokio::test]
async fn a_claim_that_got_only_damaged_tasks_looks_again() {
    on_both(async |yard| {
        for _ in 0..3 {
            task_holding(&yard, "").await;
        }
        let good = whole(&yard).await;

        let claimed = yard.post(CLAIM, &json!({"limit": 1, "seq": 1})).await.ok();
        assert_eq!(ids(&claimed), [&good]);

        // And one that waits goes on waiting.
        let claim = json!({"limit": 1, "wait_ms": 60_000});
        let waiting = yard.post(CLAIM, &claim);
        let submitting = async {
            let bad = task_holding(&yard, GARBAGE).await;
            let ended = yard
                .get(&format!("/api/v1/tasks/{bad}?wait_ms=60000"))
                .await;
            assert_eq!(ended.ok()["status"], "failed");
            whole(&yard).await
        };
        let (claimed, good) = tokio::join!(waiting, submitting);
        assert_eq!(ids(&claimed.ok()), [&good]);
    })
    .await;
}

#[tokio::test]
async fn a_claim_sent_again_is_answered_with_what_came_behind_the_damaged_tasks() {
    on_both(async |yard| {
        task_holding(&yard, GARBAGE).await;
        let good = whole(&yard).await;
        let claim = json!({"limit": 1, "seq": 1});

        let claimed = yard.post(CLAIM, &claim).await.ok();
        let again = yard.post(CLAIM, &claim).await.ok();

        assert_eq!(ids(&claimed), [&good]);
        assert_eq!(again, claimed);
        // Nor is it dealt to a second time.
        let other = whole(&yard).await;
        assert_eq!(yard.post(CLAIM, &claim).await.ok(), claimed);
        assert_eq!(yard.status(&other).await, "pending");
    })
    .await;
}

#[tokio::test]
async fn after_sixteen_hands_of_damaged_tasks_a_claim_is_answered_with_none() {
    on_both(async |yard| {
        let mut bad = Vec::new();
        for _ in 0..17 {
            bad.push(task_holding(&yard, GARBAGE).await);
        }

        let claimed = yard.post(CLAIM, &json!({"limit": 1})).await.ok();

        assert_eq!(ids(&claimed), [""; 0]);
        has_failed_for_its("input", &yard, &bad[15]).await;
        assert_eq!(yard.status(&bad[16]).await, "pending");
    })
    .await;
}

#[tokio::test]
async fn a_report_is_taken_though_what_it_claims_is_damaged() {
    on_both(async |yard| {
        for beside in [true, false] {
            let held = whole(&yard).await;
            let run = yard.claim("w").await.unwrap();
            let bad = task_holding(&yard, GARBAGE).await;
            let good = if beside {
                vec![whole(&yard).await]
            } else {
                Vec::new()
            };
            let result =
                json!({"task_id": held, "lease_token": run["lease_token"], "outcome": "completed"});
            let report = json!({"results": [result], "claim": {"limit": 5}});

            let reported = yard.post(REPORT, &report).await.ok();

            assert_eq!(reported["results"][0]["status"], "completed");
            assert_eq!(ids(&reported), good);
            has_failed_for_its("input", &yard, &bad).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_task_whose_checkpoint_is_damaged_fails_with_that() {
    on_both(async |yard| {
        let id = whole(&yard).await;
        let run = run(&yard).await;
        let heartbeat = Heartbeat {
            worker: Name::plain("w").unwrap(),
            epoch: None,
            held: vec![Held {
                token: run.token(),
                running: true,
                progress: None,
                checkpoint: Some(Json::stored(GARBAGE)),
            }],
            leaves: false,
        };
        yard.app.engine().heartbeat(heartbeat).await.unwrap();
        says(&yard, &run, Word::Released).await;

        assert_eq!(yard.claim("w").await, None);

        has_failed_for_its("checkpoint", &yard, &id).await;
    })
    .await;
}

#[tokio::test]
async fn answers_show_null_for_what_is_damaged_and_say_where() {
    on_both(async |yard| {
        let id = task_holding(&yard, GARBAGE).await;
        let held = run(&yard).await;
        says(&yard, &held, garbled_failure(true)).await;
        let path = format!("/api/v1/tasks/{id}");

        let task = yard.task(&id).await;
        assert_eq!(task["unreadable"], json!(["/input", "/error/detail"]));
        assert_eq!(
            (&task["input"], &task["output"]),
            (&json!(null), &json!(null))
        );
        assert_eq!(
            task["error"],
            json!({"code": "boom", "message": "it broke", "detail": null})
        );
        let patched = yard.patch(&path, &json!({"priority": 3})).await.ok();
        assert_eq!(patched["priority"], 3);
        assert_eq!(patched["unreadable"], task["unreadable"]);
        let attempts = yard.get(&format!("{path}/attempts")).await.ok();
        assert_eq!(attempts["unreadable"], json!(["/items/0/error/detail"]));

        let beside = whole(&yard).await;
        let completed = run(&yard).await;
        let output = Json::stored(GARBAGE);
        says(
            &yard,
            &completed,
            Word::Completed {
                output: output.clone(),
            },
        )
        .await;
        says(
            &yard,
            &completed,
            Word::Completed {
                output: Json::null(),
            },
        )
        .await;
        let page = yard
            .get("/api/v1/tasks?include=payload&sort=created")
            .await
            .ok();
        let places = |page: &Value| {
            let tasks = page["items"].as_array().unwrap();
            tasks
                .iter()
                .map(|task| task["unreadable"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            places(&page),
            [json!(["/input", "/error/detail"]), json!(["/output"])]
        );
        assert!(page.get("unreadable").is_none(), "{page}");
        assert_eq!(page["items"][1]["input"], json!({"n": 1}));
        let page = yard.get("/api/v1/tasks?sort=created").await.ok();
        assert_eq!(places(&page), [json!(["/error/detail"]), json!(null)]);

        // What was refused is kept, and damaged there.
        let report = json!({"lease_token": "guess", "output": 1});
        yard.post(&format!("/api/v1/tasks/{beside}/complete"), &report)
            .await
            .refused(409, "stale_lease");
        says(&yard, &completed, garbled_failure(false)).await;
        let attempts = yard
            .get(&format!("/api/v1/tasks/{beside}/attempts"))
            .await
            .ok();
        let late = attempts["late_results"].as_array().unwrap();
        let of_run = late.iter().position(|late| late["fence"] == 1).unwrap();
        let place = format!("/late_results/{of_run}/error/detail");
        assert_eq!(attempts["unreadable"], json!([place]));
    })
    .await;
}

#[tokio::test]
async fn the_simple_routes_show_null_and_let_nobody_take_what_is_damaged() {
    on_both(async |yard| {
        let bad = task_holding(&yard, GARBAGE).await;
        let good = whole(&yard).await;

        let list = yard.get("/tasks").await.ok();
        assert_eq!(list[0]["data"], json!({"n": 1}));
        assert_eq!(
            (&list[1]["data"], &list[1]["unreadable"]),
            (&json!(null), &json!(["/data"]))
        );
        let claim = json!({"worker_id": "hand"});
        let refused = yard.post(&format!("/tasks/{bad}/claim"), &claim).await;
        let problem = refused.refused(409, "not_claimable");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("damaged"), "{detail}");
        has_failed_for_its("input", &yard, &bad).await;
        let shown = yard.get(&format!("/tasks/{bad}")).await.ok();
        assert_eq!(
            (&shown["status"], &shown["data"]),
            (&json!("failed"), &json!(null))
        );
        let taken = yard
            .post(&format!("/tasks/{good}/claim"), &claim)
            .await
            .ok();
        assert_eq!(taken["status"], "processing");
    })
    .await;
}

#[tokio::test]
async fn what_is_damaged_is_not_run_again() {
    on_both(async |yard| {
        let bad = task_holding(&yard, GARBAGE).await;
        let good = whole(&yard).await;
        for id in [&bad, &good] {
            yard.post_text(&format!("/api/v1/tasks/{id}/cancel"), "")
                .await
                .ok();
        }

        let again = yard
            .post_text(&format!("/api/v1/tasks/{bad}/retry"), "")
            .await;
        again.refused(409, "input_damaged");
        yard.post_text(&format!("/api/v1/tasks/{good}/retry"), "")
            .await
            .ok();
    })
    .await;
}
