//! What runs print: handed in by their workers, shown in pages.

use serde_json::{Value, json};
use taskyard_core::policy::Policy;
use taskyard_engine::services::orphans::{self, Looked};

use crate::yard::{Reply, Yard};

/// A run in the hands of worker `w`.
pub(super) struct Run {
    pub(super) yard: Yard,
    pub(super) id: String,
    pub(super) token: String,
}

impl Run {
    pub(super) async fn new() -> Self {
        Self::on(Yard::new()).await
    }

    pub(super) async fn on(yard: Yard) -> Self {
        let (id, token) = yard.leased().await;
        Self { yard, id, token }
    }

    pub(super) fn path(&self) -> String {
        format!("/api/v1/tasks/{}/logs", self.id)
    }

    pub(super) async fn print_as(&self, token: &str, first: Option<u32>, lines: Value) -> Reply {
        let mut body = json!({"lease_token": token, "lines": lines});
        if let Some(first) = first {
            body["first_seq"] = json!(first);
        }
        self.yard.post(&self.path(), &body).await
    }

    pub(super) async fn print(&self, first: Option<u32>, texts: &[&str]) -> Value {
        let lines = texts.iter().map(|text| out(text)).collect();
        self.print_as(&self.token, first, lines).await.ok()
    }

    async fn page(&self, query: &str) -> Value {
        self.yard
            .get(&format!("{}?{query}", self.path()))
            .await
            .ok()
    }

    async fn texts(&self, query: &str) -> Vec<String> {
        texts(&self.page(query).await)
    }

    async fn fail(&self) {
        let path = format!("/api/v1/tasks/{}/fail", self.id);
        let body = json!({"lease_token": self.token, "error": {"code": "e", "message": "m"}});
        self.yard.post(&path, &body).await.ok();
    }
}

fn out(text: &str) -> Value {
    json!({"stream": "stdout", "line": text})
}

fn texts(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|item| item["line"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_line_is_shown_as_it_was_handed_in() {
    let run = Run::new().await;
    let at = "2026-01-31T12:00:00.125Z";
    let line = json!({"at": at, "stream": "stderr", "line": "\u{1b}[1mbold\u{1b}[0m\tü"});

    let answer = run
        .print_as(&run.token, Some(1), json!([line, out("")]))
        .await;

    assert_eq!(answer.ok(), json!({"next_seq": 3, "full": false}));
    let page = run.page("limit=1").await;
    let shown = json!({"seq": 1, "at": at, "attempt": 1, "stream": "stderr", "line": line["line"]});
    assert_eq!(page["items"], json!([shown]));
    let next = page["next_cursor"].as_str().unwrap();
    let page = run.page(&format!("cursor={next}")).await;
    assert_eq!(page["items"][0]["seq"], 2);
    assert_eq!(page["items"][0]["line"], "");
    assert_eq!(
        page["items"][0]["at"], "2026-09-21T14:13:20.000Z",
        "the server's own time"
    );
    assert_eq!(page["next_cursor"], Value::Null);
}

#[tokio::test]
async fn the_first_line_shows_that_the_run_began() {
    let run = Run::new().await;
    assert_eq!(run.yard.status(&run.id).await, "assigned");

    run.print(None, &[]).await;

    let task = run.yard.task(&run.id).await;
    assert_eq!(
        (&task["status"], &task["attempts"]),
        (&json!("running"), &json!(1))
    );
}

#[tokio::test]
async fn lines_sent_again_are_kept_once() {
    let run = Run::new().await;
    for _ in 0..2 {
        assert_eq!(run.print(Some(1), &["a", "b"]).await["next_seq"], 3);
    }
    assert_eq!(run.print(Some(2), &["b", "c"]).await["next_seq"], 4);
    assert_eq!(run.print(Some(9), &["i"]).await["next_seq"], 10);
    assert_eq!(run.print(Some(5), &["e"]).await["next_seq"], 10);
    assert_eq!(run.print(None, &["j"]).await["next_seq"], 11);

    assert_eq!(run.texts("").await, ["a", "b", "c", "i", "j"]);
}

#[tokio::test]
async fn each_attempt_has_a_log_of_its_own() {
    let mut run = Run::new().await;
    run.print(Some(1), &["one"]).await;
    run.fail().await;
    run.yard.pass(std::time::Duration::from_mins(1));
    run.yard.promote().await;
    run.yard.worker("w").await;
    let again = run.yard.claim("w").await.unwrap();
    let old = std::mem::replace(
        &mut run.token,
        again["lease_token"].as_str().unwrap().to_owned(),
    );
    run.print(Some(1), &["two"]).await;

    let late = run.print_as(&old, Some(2), json!([out("late")])).await;
    late.refused(409, "stale_lease");

    let page = run.page("").await;
    assert_eq!(texts(&page), ["one", "two"]);
    assert_eq!(page["items"][1]["attempt"], 2);
    assert_eq!(run.texts("attempt=2").await, ["two"]);
    assert_eq!(run.texts("attempt=3").await, [] as [&str; 0]);
}

#[tokio::test]
async fn only_whoever_holds_the_lease_prints() {
    let run = Run::new().await;
    let lines = json!([out("x")]);
    for token in ["", "guessed", &"A".repeat(30)] {
        let refused = run.print_as(token, Some(1), lines.clone()).await;
        refused.refused(409, "stale_lease");
    }
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    let body = json!({"lease_token": run.token, "lines": lines});
    let path = format!("/api/v1/tasks/{unknown}/logs");
    run.yard.post(&path, &body).await.refused(404, "not_found");
    run.yard.get(&path).await.refused(404, "not_found");
    run.yard
        .get(&format!("{path}?follow=1"))
        .await
        .refused(404, "not_found");

    let cancel = format!("/api/v1/tasks/{}/cancel", run.id);
    run.yard.post_text(&cancel, "").await.ok();
    let refused = run.print_as(&run.token, Some(1), lines).await;
    let problem = refused.refused(409, "already_ended");
    assert_eq!(problem["task_status"], "cancelled");
    assert_eq!(run.texts("").await, [] as [&str; 0]);
}

#[tokio::test]
async fn what_is_wrong_is_named_and_nothing_is_kept() {
    let run = Run::new().await;
    for (lines, pointer) in [
        (json!([out("a"), out("b\nc")]), "/lines/1/line"),
        (json!([{"stream": "stdin", "line": "a"}]), "/lines/0/stream"),
        (json!([{"stream": "stdout"}]), "/lines/0/line"),
        (json!([{"stream": "stdout", "line": 5}]), "/lines/0/line"),
        (
            json!([{"stream": "stdout", "line": "", "at": "now"}]),
            "/lines/0/at",
        ),
        (json!({}), "/lines"),
    ] {
        let refused = run.print_as(&run.token, Some(1), lines.clone()).await;
        refused.wrong_at(&[pointer]);
    }
    for first in [0, 2_147_483_647, u32::MAX] {
        let refused = run.print_as(&run.token, Some(first), json!([])).await;
        refused.wrong_at(&["/first_seq"]);
    }
    // None of its lines is left out without a word.
    let last = Some(2_147_483_646);
    let refused = run
        .print_as(&run.token, last, json!([out("a"), out("b")]))
        .await;
    refused.wrong_at(&["/first_seq"]);
    let unknown = json!([{"stream": "stdout", "line": "a", "level": "info"}]);
    let refused = run.print_as(&run.token, None, unknown).await;
    refused.refused(422, "unknown_field");
    let nul = format!(
        r#"{{"lease_token":"{}","lines":[{{"stream":"stdout","line":"a\u0000b"}}]}}"#,
        run.token
    );
    assert_eq!(run.yard.post_text(&run.path(), nul).await.status, 422);
    let not_utf8 = [br#"{"lines":[{"line":""#, &[0xff][..], br#""}]}"#].concat();
    assert_eq!(run.yard.post_text(&run.path(), not_utf8).await.status, 422);

    assert_eq!(run.texts("").await, [] as [&str; 0]);
    assert_eq!(
        run.yard.status(&run.id).await,
        "assigned",
        "none of these began it"
    );
}

#[tokio::test]
async fn a_wrong_query_is_refused_with_its_parameter() {
    let run = Run::new().await;
    let other = run.yard.submit("echo").await;
    run.print(None, &["a", "b"]).await;
    let cursor = run.page("limit=1").await["next_cursor"].clone();
    let cursor = cursor.as_str().unwrap();
    for (query, name) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("attempt=0", "attempt"),
        ("stream=stdin", "stream"),
        ("follow=yes", "follow"),
        ("follow=true&limit=5", "limit"),
        ("cursor=AAAA", "cursor"),
        (&format!("cursor={cursor}A"), "cursor"),
    ] {
        let reply = run.yard.get(&format!("{}?{query}", run.path())).await;
        reply.wrong_at(&[name]);
    }
    let path = format!("/api/v1/tasks/{other}/logs?cursor={cursor}");
    run.yard.get(&path).await.wrong_at(&["cursor"]);
    let path = format!("{}?since=1", run.path());
    run.yard.get(&path).await.refused(422, "unknown_field");
}

#[tokio::test]
async fn a_log_is_kept_up_to_its_limits_and_its_worker_told() {
    let run = Run::on(Yard::under(Policy {
        log_bytes_max: 10 * (16 + 8),
        log_line_bytes_max: 8,
        ..Policy::default()
    }))
    .await;
    let full = run.print(Some(1), &["12345678"; 10]).await;
    assert_eq!(full, json!({"next_seq": 11, "full": false}), "to the edge");

    let over = run.print(Some(11), &["", "", ""]).await;
    assert_eq!(over, json!({"next_seq": 14, "full": true}));
    assert_eq!(run.print(None, &["more"]).await["full"], true);

    let page = run.page("").await;
    assert_eq!(texts(&page).len(), 11);
    assert_eq!(page["items"][10]["stream"], "worker");
    assert!(texts(&page)[10].contains("--log-max"), "{page}");
}

#[tokio::test]
async fn a_long_line_is_cut_and_a_flood_is_taken_in_parts() {
    let run = Run::on(Yard::with(|settings| settings.limits.tasks_max = 1_000)).await;
    let exact = "x".repeat(16 << 10);
    run.print(None, &[&exact, &format!("{exact}y")]).await;
    let lines = run.texts("").await;
    assert_eq!(lines[0], exact);
    let word = " … [cut: the line has 16385 bytes]";
    let beginning = &exact[..exact.len() - word.len()];
    assert_eq!(lines[1], format!("{beginning}{word}"));

    let thousand = Value::Array(vec![out("z"); 1_000]);
    run.print_as(&run.token, None, thousand).await.ok();
    let more = Value::Array(vec![out("z"); 1_001]);
    let refused = run.print_as(&run.token, None, more).await;
    refused.refused(413, "too_large");
}

#[tokio::test]
async fn a_task_without_a_log_has_an_empty_one() {
    let yard = Yard::new();
    let id = yard.submit("echo").await;

    let page = yard.get(&format!("/api/v1/tasks/{id}/logs")).await.ok();

    assert_eq!(page, json!({"items": [], "next_cursor": null}));
}

#[tokio::test]
async fn logs_of_tasks_that_are_gone_are_swept() {
    let run = Run::new().await;
    run.print(None, &["kept"]).await;
    let engine = run.yard.app.engine();
    let mut looked = Looked::default();
    assert_eq!(orphans::run_once(engine, &mut looked).await.unwrap(), 0);

    // As if the task's row had been taken away.
    let gone = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
    orphan(engine, gone).await;

    assert_eq!(orphans::run_once(engine, &mut looked).await.unwrap(), 1);
    assert_eq!(
        engine.store().logs().tasks(None, 10).await.unwrap().len(),
        1
    );
    assert_eq!(run.texts("").await, ["kept"]);
}

async fn orphan(engine: &taskyard_engine::engine::Engine, task: taskyard_core::id::TaskId) {
    use taskyard_core::id::{Fence, SlotKey};
    use taskyard_core::log::{Append, Limits, Line, Owner, Stream};
    let now = engine.store().now();
    let append = Append {
        owner: Owner {
            run: SlotKey::only(task).run(Fence(1)),
            attempt: 1,
            claimed_at: now,
        },
        first: None,
        lines: vec![Line {
            at: now,
            stream: Stream::Stdout,
            text: "nobody's".to_owned(),
        }],
        limits: Limits {
            bytes_max: 1_000,
            line_bytes_max: 100,
        },
    };
    engine.store().logs().append(append).await.unwrap();
}
