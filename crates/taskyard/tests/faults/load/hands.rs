//! A worker in this process: plain HTTP, one claim after the other, each call in the history.

use std::time::Duration;

use rand::RngExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::calls::{Answer, Caller};
use super::pause;
use super::submitters::status;
use crate::history::{Op, Outcome, Record};

const LIMIT: u32 = 4;
const WAIT_MS: u32 = 500;
/// How long it tries to say what came of its runs.
const REPORTED_FOR: Duration = Duration::from_secs(20);
const AGAIN_IN: Duration = Duration::from_millis(50);
/// Of a hundred runs, how many fail.
const FAILING: u32 = 5;

pub(super) async fn work(mut caller: Caller, ends: CancellationToken) {
    let mut seq = 0_u32;
    let mut is_known = false;
    while !ends.is_cancelled() {
        if !is_known {
            is_known = register(&mut caller, "hand").await;
            if !is_known {
                pause(AGAIN_IN, &ends).await;
                continue;
            }
        }
        // Sent again under its number where nobody knows what became of it, so that no run is given to nobody.
        seq += 1;
        let claimed = loop {
            let answer = claim(&mut caller, seq).await;
            match answer.outcome {
                Outcome::Ok => break answer.body["tasks"].as_array().cloned().unwrap_or_default(),
                Outcome::Fail if !answer.is_passing() => {
                    is_known = false;
                    break Vec::new();
                }
                Outcome::Fail | Outcome::Unknown => {
                    if ends.is_cancelled() {
                        return;
                    }
                    pause(AGAIN_IN, &ends).await;
                }
            }
        };
        if !claimed.is_empty() {
            report(&mut caller, &claimed).await;
        }
    }
}

pub(crate) async fn register(caller: &mut Caller, kind: &str) -> bool {
    let body = json!({ "worker_id": caller.name, "kinds": [kind], "capacity": LIMIT });
    let path = "/api/v1/workers/register";
    let answer = caller
        .ask(Op::Claim, Method::POST, path, Some(&body.to_string()), None)
        .await;
    let is_known = answer.outcome == Outcome::Ok;
    caller.write(vec![answer.record]);
    is_known
}

pub(crate) async fn claim(caller: &mut Caller, seq: u32) -> Answer {
    let body = json!({ "limit": LIMIT, "wait_ms": WAIT_MS, "begin": true, "seq": seq });
    let path = format!("/api/v1/workers/{}/claim", caller.name);
    let answer = caller
        .ask(
            Op::Claim,
            Method::POST,
            &path,
            Some(&body.to_string()),
            None,
        )
        .await;
    let runs = answer.body["tasks"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let mut records: Vec<Record> = runs
        .iter()
        .map(|run| Record {
            task: run["id"].as_str().map(str::to_owned),
            token: run["lease_token"].as_str().map(str::to_owned),
            ..answer.record.clone()
        })
        .collect();
    if records.is_empty() {
        records.push(answer.record.clone());
    }
    caller.write(records);
    answer
}

/// Says what came of these runs until it is heard.
pub(crate) async fn report(caller: &mut Caller, runs: &[Value]) {
    let results: Vec<Value> = runs
        .iter()
        .map(|run| {
            let (id, token) = (&run["id"], &run["lease_token"]);
            if caller.random.random_range(0..100) < FAILING {
                let error = json!({ "code": "meant", "message": "it was meant to fail" });
                json!({ "task_id": id, "lease_token": token, "outcome": "failed", "error": error })
            } else {
                json!({ "task_id": id, "lease_token": token, "outcome": "completed", "output": run["input"] })
            }
        })
        .collect();
    let body = json!({ "results": results }).to_string();
    let path = format!("/api/v1/workers/{}/report", caller.name);
    let until = Instant::now() + REPORTED_FOR;
    loop {
        let answer = caller
            .ask(Op::Report, Method::POST, &path, Some(&body), None)
            .await;
        let told = told(&answer, runs);
        let is_open = |record: &Record| {
            record.outcome == Outcome::Unknown || record.code.as_deref() == Some("unavailable")
        };
        let goes_on = answer.is_passing() || told.iter().any(is_open);
        caller.write(told);
        if !goes_on || Instant::now() > until {
            return;
        }
        pause(AGAIN_IN, &CancellationToken::new()).await;
    }
}

/// What was said to each of the results.
fn told(answer: &Answer, runs: &[Value]) -> Vec<Record> {
    let each = runs.iter().enumerate().map(|(index, run)| {
        let said = &answer.body["results"][index];
        let is_taken = said["status"].is_string();
        let code = said["code"].as_str().or(answer.code.as_deref());
        let outcome = match answer.outcome {
            Outcome::Ok if !is_taken && code == Some("outcome_unknown") => Outcome::Unknown,
            Outcome::Ok if !is_taken => Outcome::Fail,
            outcome => outcome,
        };
        Record {
            task: run["id"].as_str().map(str::to_owned),
            token: run["lease_token"].as_str().map(str::to_owned),
            status: status(&said["status"]),
            outcome,
            code: code.map(str::to_owned),
            ..answer.record.clone()
        }
    });
    each.collect()
}
