//! Those who submit, cancel, read and probe.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use taskyard_api::task::Status;
use taskyard_core::id::TaskId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::calls::{Answer, Caller};
use super::{Shared, now, pause};
use crate::history::{Op, Outcome, Record};

/// How long one submission is repeated of which nobody knows what became.
const REPEATED_FOR: Duration = Duration::from_secs(30);
const AGAIN_IN: Duration = Duration::from_millis(50);
/// Of a hundred submissions, how many are wrong in a way that is refused.
const WRONG: u32 = 3;
const PROBED_EVERY: Duration = Duration::from_millis(50);

/// One submission, the same each time that it is sent.
struct Submission {
    name: String,
    body: String,
    key: Option<String>,
    /// Sending it twice makes one task.
    is_safe_to_repeat: bool,
    /// Where it was refused for the moment, that is the end of it.
    gives_up: bool,
}

pub(super) async fn submit(mut caller: Caller, shared: Arc<Shared>, ends: CancellationToken) {
    let mut number = 0;
    while !ends.is_cancelled() {
        number += 1;
        let submission = make(&mut caller, &shared, number);
        let until = Instant::now() + REPEATED_FOR;
        loop {
            let answer = send(&mut caller, &submission).await;
            if answer.outcome == Outcome::Ok {
                let id = answer.body["id"].as_str().unwrap_or_default();
                shared.note(id, &mut caller.random);
                break;
            }
            let is_settled =
                answer.outcome == Outcome::Fail && (submission.gives_up || !answer.is_passing());
            if is_settled || !submission.is_safe_to_repeat || Instant::now() > until {
                break;
            }
            pause(AGAIN_IN, &CancellationToken::new()).await;
        }
        pause(shared.plan.pause, &ends).await;
    }
}

fn make(caller: &mut Caller, shared: &Shared, number: u32) -> Submission {
    let name = format!("{}-{number}", caller.name);
    let kinds = &shared.plan.kinds;
    let is_wrong = caller.random.random_range(0..100) < WRONG;
    let kind = if is_wrong {
        "no such name of a kind"
    } else {
        kinds[caller.random.random_range(0..kinds.len())]
    };
    let input = match kind {
        "sleep" => json!({ "ms": caller.random.random_range(20..200) }),
        _ => json!({ "name": name }),
    };
    let mut body = json!({
        "kind": kind,
        "input": input,
        "labels": { "name": name },
        "retry": { "backoff_ms": 50, "max_ms": 200 },
    });
    let mut key = None;
    let mut is_safe_to_repeat = true;
    match caller.random.random_range(0..10) {
        0..5 => {
            body["id"] = TaskId::new(now(), caller.random.random())
                .to_string()
                .into()
        }
        5 if shared.plan.with_plain => is_safe_to_repeat = false,
        _ => key = Some(format!("{name}-{}", caller.random.random::<u32>())),
    }
    Submission {
        name,
        body: body.to_string(),
        key,
        is_safe_to_repeat,
        gives_up: caller.random.random(),
    }
}

async fn send(caller: &mut Caller, submission: &Submission) -> Answer {
    let (body, key) = (Some(submission.body.as_str()), submission.key.as_deref());
    let answer = caller
        .ask(Op::Submit, Method::POST, "/api/v1/tasks", body, key)
        .await;
    let record = Record {
        name: Some(submission.name.clone()),
        task: answer.body["id"].as_str().map(str::to_owned),
        // A task that was there may have ended since; that it is `pending` is as old as its first answer.
        status: None,
        ..answer.record.clone()
    };
    caller.write(vec![record]);
    answer
}

/// Cancels tasks, or looks at them.
pub(super) async fn look(mut caller: Caller, shared: Arc<Shared>, ends: CancellationToken, op: Op) {
    while !ends.is_cancelled() {
        pause(shared.plan.pause * 2, &ends).await;
        let Some(task) = shared.any(&mut caller.random) else {
            continue;
        };
        let path = format!("/api/v1/tasks/{task}");
        let answer = if op == Op::Cancel {
            let path = format!("{path}/cancel");
            caller.ask(op, Method::POST, &path, None, None).await
        } else {
            caller.ask(op, Method::GET, &path, None, None).await
        };
        // A cancel that comes too late is told how the task ended.
        let told = ["status", "task_status"].map(|field| status(&answer.body[field]));
        let record = Record {
            task: Some(task),
            status: told.into_iter().flatten().next(),
            ..answer.record.clone()
        };
        caller.write(vec![record]);
    }
}

/// Whether a server says that it is ready.
pub(super) async fn probe(mut caller: Caller, server: usize, ends: CancellationToken) {
    while !ends.is_cancelled() {
        let answer = caller
            .ask_at(server, Op::Ready, Method::GET, "/ready", None, None)
            .await;
        caller.write(vec![answer.record]);
        pause(PROBED_EVERY, &ends).await;
    }
}

pub(super) fn status(word: &Value) -> Option<Status> {
    serde_json::from_value(word.clone()).ok()
}
