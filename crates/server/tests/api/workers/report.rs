//! `POST /workers/{id}/report`.

use serde_json::{Value, json};

use crate::yard::Yard;

const REPORT: &str = "/api/v1/workers/w/report";

/// So many runs in the hands of worker `w`.
async fn runs(yard: &Yard, count: usize) -> Vec<Value> {
    yard.worker("w").await;
    for _ in 0..count {
        yard.submit("echo").await;
    }
    let claim = json!({"limit": count});
    let mut claimed = yard.post("/api/v1/workers/w/claim", &claim).await.ok();
    match claimed["tasks"].take() {
        Value::Array(runs) => runs,
        other => panic!("{other}"),
    }
}

fn result(run: &Value, outcome: &str, more: Value) -> Value {
    let mut result =
        json!({"task_id": run["id"], "lease_token": run["lease_token"], "outcome": outcome});
    for (name, value) in more.as_object().unwrap() {
        result[name] = value.clone();
    }
    result
}

#[tokio::test]
async fn results_are_answered_one_by_one_in_their_order() {
    let yard = Yard::new();
    let runs = runs(&yard, 6).await;
    let mut stranger = result(&runs[0], "completed", json!({}));
    stranger["lease_token"] = json!("guess");
    let results = json!([
        result(&runs[0], "completed", json!({"output": 1})),
        result(
            &runs[1],
            "failed",
            json!({"error": {"code": "e", "message": "m"}, "retry": false})
        ),
        result(&runs[2], "timed_out", json!({})),
        result(&runs[3], "snoozed", json!({"delay_ms": 5})),
        result(&runs[4], "released", json!({})),
        stranger,
    ]);

    let reply = yard.post(REPORT, &json!({"results": results})).await;

    let reported = reply.ok();
    let statuses: Vec<&Value> = (0..6).map(|n| &reported["results"][n]["status"]).collect();
    assert_eq!(
        json!(statuses),
        json!([
            "completed",
            "failed",
            "scheduled",
            "scheduled",
            "pending",
            409
        ])
    );
    assert_eq!(reported["results"][5]["code"], "stale_lease");
    assert_eq!(reported["results"][5]["task_id"], runs[0]["id"]);
    // It is a problem as whole as any other.
    assert_eq!(reported["results"][5]["errors"], json!([]));
    assert_eq!(
        reported["results"][5]["request_id"],
        reply.header("x-request-id")
    );
    assert!(reported.get("tasks").is_none());
}

#[tokio::test]
async fn a_result_that_cannot_be_taken_keeps_no_other_from_being_taken() {
    let yard = Yard::with(|settings| settings.limits.output_max = 10);
    let runs = runs(&yard, 5).await;
    let results = json!([
        result(&runs[0], "completed", json!({"output": "far too long"})),
        result(&runs[1], "failed", json!({})),
        result(
            &runs[2],
            "completed",
            json!({"error": {"code": "e", "message": "m"}, "delay_ms": 1})
        ),
        result(&runs[3], "snoozed", json!({})),
        result(&runs[4], "completed", json!({})),
    ]);

    let reported = yard.post(REPORT, &json!({"results": results})).await.ok();

    let answers: Vec<Value> = (0..5)
        .map(|n| {
            let answer = &reported["results"][n];
            let errors = answer["errors"].as_array().cloned().unwrap_or_default();
            let places: Vec<&Value> = errors.iter().map(|error| &error["pointer"]).collect();
            json!([answer["status"], places])
        })
        .collect();
    assert_eq!(
        json!(answers),
        json!([
            [413, ["/results/0/output"]],
            [422, ["/results/1/error"]],
            [422, ["/results/2/error", "/results/2/delay_ms"]],
            [422, ["/results/3/delay_ms"]],
            ["completed", []],
        ])
    );
    assert_eq!(
        yard.status(runs[0]["id"].as_str().unwrap()).await,
        "assigned"
    );
}

#[tokio::test]
async fn what_is_no_id_names_no_task_and_keeps_no_other_result_from_being_taken() {
    let yard = Yard::new();
    let runs = runs(&yard, 2).await;
    let of = |task_id: &str| {
        let mut result = result(&runs[0], "completed", json!({}));
        result["task_id"] = json!(task_id);
        result
    };
    let upper = runs[0]["id"].as_str().unwrap().to_uppercase();
    let bad = [
        "",
        "7",
        "not-an-id",
        "\u{e9}\n",
        "00000000-0000-4000-8000-000000000000",
    ];
    let mut results: Vec<Value> = bad.iter().map(|id| of(id)).collect();
    results.insert(1, result(&runs[1], "completed", json!({})));
    results.push(of(&upper));

    let body = json!({"results": results, "claim": {"limit": 1}});
    let reported = yard.post(REPORT, &body).await.ok();

    let answers = reported["results"].as_array().unwrap();
    assert_eq!(answers.len(), results.len());
    for (index, answer) in answers.iter().enumerate() {
        let Some(id) = results[index]["task_id"]
            .as_str()
            .filter(|id| bad.contains(id))
        else {
            assert_eq!(answer["status"], "completed", "{answer}");
            continue;
        };
        assert_eq!(answer["status"], 404, "{id:?}: {answer}");
        assert_eq!(answer["code"], "not_found");
        assert_eq!(
            answer["errors"][0]["pointer"],
            format!("/results/{index}/task_id")
        );
        assert!(answer.get("task_id").is_none(), "{answer}");
    }
    for run in &runs {
        assert_eq!(yard.status(run["id"].as_str().unwrap()).await, "completed");
    }
}

#[tokio::test]
async fn what_is_no_text_is_no_result_and_none_is_taken() {
    let yard = Yard::new();
    let runs = runs(&yard, 2).await;
    let mut wrong = result(&runs[1], "completed", json!({}));
    wrong["task_id"] = json!(7);
    let results = json!([result(&runs[0], "completed", json!({})), wrong]);

    let refused = yard.post(REPORT, &json!({"results": results})).await;

    refused.wrong_at(&["/results/1/task_id"]);
    let first = runs[0]["id"].as_str().unwrap();
    assert_eq!(yard.status(first).await, "assigned");
}

#[tokio::test]
async fn a_report_may_ask_for_new_tasks_in_the_same_call() {
    let yard = Yard::new();
    let runs = runs(&yard, 1).await;
    let next = yard.submit("echo").await;
    let body = json!({
        "results": [result(&runs[0], "completed", json!({}))], "claim": {"limit": 3},
    });

    let reported = yard.post(REPORT, &body).await.ok();

    assert_eq!(reported["results"][0]["status"], "completed");
    assert_eq!(reported["tasks"][0]["id"], next);
    assert_eq!(reported["lease_ms"], 75_000);
    assert_eq!(reported["heartbeat_ms"], 10_000);
}

#[tokio::test]
async fn the_same_report_again_gets_the_same_answers() {
    let yard = Yard::new();
    let runs = runs(&yard, 2).await;
    let body = json!({"results": [
        result(&runs[0], "completed", json!({"output": 1})),
        result(&runs[1], "failed", json!({"error": {"code": "e", "message": "m"}})),
    ]});

    let first = yard.post(REPORT, &body).await.ok();
    let again = yard.post(REPORT, &body).await.ok();
    let alone = json!({"lease_token": runs[0]["lease_token"], "output": 1});
    let path = format!("/api/v1/tasks/{}/complete", runs[0]["id"].as_str().unwrap());

    assert_eq!(again, first);
    yard.post(&path, &alone).await.ok();
}

#[tokio::test]
async fn a_report_holds_up_to_its_limit_of_results() {
    let yard = Yard::with(|settings| settings.limits.tasks_max = 2);
    let runs = runs(&yard, 2).await;
    let one = |n: usize| result(&runs[n], "released", json!({}));

    let over = json!({"results": [one(0), one(1), one(1)]});
    yard.post(REPORT, &over).await.refused(413, "too_large");
    yard.post(REPORT, &json!({"results": [one(0), one(1)]}))
        .await
        .ok();
}

#[tokio::test]
async fn a_wrong_claim_keeps_its_report_from_being_taken() {
    let yard = Yard::new();
    let runs = runs(&yard, 1).await;
    let body = json!({
        "results": [result(&runs[0], "completed", json!({}))], "claim": {"limit": 0, "wait_ms": 60_001},
    });

    yard.post(REPORT, &body)
        .await
        .wrong_at(&["/claim/limit", "/claim/wait_ms"]);

    assert_eq!(
        yard.status(runs[0]["id"].as_str().unwrap()).await,
        "assigned"
    );
}

#[tokio::test(start_paused = true)]
async fn a_report_that_is_refused_does_not_wait_for_its_claim() {
    let yard = Yard::on_model();
    yard.worker("w").await;
    yard.worker("w").await;
    let began = tokio::time::Instant::now();
    let body = json!({
        "results": [], "epoch": 1, "claim": {"limit": 1, "wait_ms": 60_000, "epoch": 2},
    });

    let reply = yard.post(REPORT, &body).await;

    reply.refused(409, "worker_replaced");
    assert_eq!(began.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_result_is_told_before_there_is_anything_to_claim() {
    let yard = Yard::on_model();
    let runs = runs(&yard, 2).await;
    let mut stale = result(&runs[0], "completed", json!({}));
    stale["lease_token"] = json!("guess");
    let began = tokio::time::Instant::now();
    let body = json!({
        "results": [stale, result(&runs[1], "completed", json!({}))],
        "claim": {"limit": 1, "wait_ms": 60_000},
    });

    let reported = yard.post(REPORT, &body).await.ok();

    assert_eq!(began.elapsed().as_secs(), 0);
    assert_eq!(reported["results"][0]["status"], 409);
    assert_eq!(reported["results"][1]["status"], "completed");
    assert!(reported.get("tasks").is_none(), "{reported}");
}

#[tokio::test]
async fn beside_a_refused_result_what_can_be_claimed_at_once_is() {
    let yard = Yard::new();
    let runs = runs(&yard, 1).await;
    let next = yard.submit("echo").await;
    let mut stale = result(&runs[0], "completed", json!({}));
    stale["lease_token"] = json!("guess");
    let body = json!({"results": [stale], "claim": {"limit": 1, "wait_ms": 60_000}});

    let reported = yard.post(REPORT, &body).await.ok();

    assert_eq!(reported["results"][0]["status"], 409);
    assert_eq!(reported["tasks"][0]["id"], next);
}

#[tokio::test]
async fn what_was_claimed_beside_a_report_that_failed_goes_to_others() {
    let yard = Yard::new();
    yard.worker("w").await;
    let id = yard.submit("echo").await;
    let another = yard.worker("w").await;
    let report = json!({"results": [], "epoch": 1, "claim": {"limit": 1, "epoch": 2}});

    yard.post(REPORT, &report)
        .await
        .refused(409, "worker_replaced");

    let claim = json!({"limit": 1, "wait_ms": 60_000});
    let claimed = yard.post("/api/v1/workers/w/claim", &claim).await.ok();
    assert_eq!(claimed["tasks"][0]["id"], id, "{another:?}");
}
