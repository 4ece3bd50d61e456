//! What runs print, from their workers to whoever reads.

use std::io::{BufRead as _, BufReader, Read as _};

use serde_json::json;
use taskyard_api::logs::{AppendLogs, AppendedLogs, NewLine, Stream};
use taskyard_api::run::Complete;
use taskyard_api::worker::{Claim, Register};
use taskyard_core::id::TaskId;

use super::ask;
use crate::yard::{Server, Yard, run};

/// A run that this test has in its hands.
struct Run {
    id: TaskId,
    token: String,
}

async fn claimed(server: &Server) -> Run {
    let id = server.submit("by-hand", json!(null)).await;
    let register: Register =
        serde_json::from_value(json!({"worker_id": "hand", "kinds": ["by-hand"]})).unwrap();
    server.client.register(&register).await.unwrap();
    let claim = Claim {
        limit: 1,
        ..Claim::default()
    };
    let mut claimed = server.client.claim("hand", &claim).await.unwrap();
    Run {
        id,
        token: claimed.tasks.remove(0).lease_token,
    }
}

impl Run {
    async fn print(
        &self,
        server: &Server,
        first: u32,
        stream: Stream,
        lines: &[&str],
    ) -> AppendedLogs {
        let lines = lines.iter().map(|line| NewLine {
            at: None,
            stream,
            line: (*line).to_owned(),
        });
        let append = AppendLogs {
            lease_token: self.token.clone(),
            first_seq: Some(first),
            lines: lines.collect(),
        };
        server.client.append_logs(self.id, &append).await.unwrap()
    }

    async fn complete(&self, server: &Server) {
        let complete = Complete::<serde_json::Value> {
            lease_token: self.token.clone(),
            output: Some(json!("done")),
            started_at: None,
        };
        server.client.complete(self.id, &complete).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_printed_harmlessly_or_raw_and_in_parts() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let run = claimed(&server).await;
    let odd = "\u{1b}[31mred\u{1b}[0m  ü";
    run.print(&server, 1, Stream::Stdout, &[odd, ""]).await;
    run.print(&server, 3, Stream::Stderr, &["oh"]).await;
    let id = run.id.to_string();

    let all = ask(&yard, &server, &["logs", &id]);
    assert_eq!((all.code, &*all.stdout), (0, "red  ü\n\noh\n"));
    let raw = ask(&yard, &server, &["logs", &id, "--raw"]);
    assert_eq!((raw.code, raw.stdout), (0, format!("{odd}\n\noh\n")));
    let stderr = ask(&yard, &server, &["logs", &id, "--stream", "stderr"]);
    assert_eq!(stderr.stdout, "oh\n");
    let other = ask(&yard, &server, &["logs", &id, "--attempt", "2"]);
    assert_eq!((other.code, other.stdout.as_str()), (0, ""));
    let lines = ask(&yard, &server, &["logs", &id, "--output", "json"]).stdout;
    let last: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!((&last["line"], &last["seq"]), (&json!("oh"), &json!(3)));
    assert!(!lines.contains('\u{1b}'), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_is_printed_whole() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let run = claimed(&server).await;
    let many: Vec<String> = (0..5_000).map(|n| format!("line {n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    run.print(&server, 1, Stream::Stdout, &many).await;

    let printed = ask(&yard, &server, &["logs", &run.id.to_string()]);

    assert_eq!(printed.stdout, many.join("\n") + "\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_followed_to_the_tasks_end_across_restarts_of_the_server() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let address = server.url.trim_start_matches("http://").to_owned();
    let run = claimed(&server).await;
    run.print(&server, 1, Stream::Stdout, &["one", "two"]).await;
    let mut logs = yard.command(&server, "logs", &["logs", &run.id.to_string(), "-f"]);
    let mut told = BufReader::new(logs.child.stdout.take().unwrap());
    let mut next = || {
        let mut line = String::new();
        told.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    assert_eq!([next(), next()], ["one", "two"]);

    // In order, and with no time to say anything.
    assert_eq!(server.stop().code(), Some(0));
    let server = yard.serve_at(&address, &["--internal-workers", "0"]);
    let appended = run
        .print(&server, 1, Stream::Stdout, &["one", "two", "three"])
        .await;
    assert_eq!(appended.next_seq, 4, "what a stop leaves behind is there");
    assert_eq!(next(), "three");
    server.process.kill();
    let server = yard.serve_at(&address, &["--internal-workers", "0"]);
    let appended = run.print(&server, 4, Stream::Stdout, &["four"]).await;
    assert_eq!(appended.next_seq, 5, "the end of a process loses no line");
    assert_eq!(next(), "four");
    run.complete(&server).await;

    let mut rest = String::new();
    told.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    assert_eq!(logs.wait().code(), Some(0), "{}", logs.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submit_that_waits_tells_the_log_on_standard_error() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let waits = yard.command(&server, "submit", &["submit", "by-hand", "--wait"]);
    let register = json!({"worker_id": "hand", "kinds": ["by-hand"]});
    let register: Register = serde_json::from_value(register).unwrap();
    server.client.register(&register).await.unwrap();
    let claim = Claim {
        limit: 1,
        wait_ms: Some(30_000),
        ..Claim::default()
    };
    let mut claimed = server.client.claim("hand", &claim).await.unwrap();
    let claimed = claimed.tasks.remove(0);
    let run = Run {
        id: claimed.id,
        token: claimed.lease_token,
    };
    run.print(&server, 1, Stream::Stdout, &["working on it"])
        .await;
    run.print(&server, 2, Stream::Stderr, &["the last line"])
        .await;
    run.complete(&server).await;

    let ended = waits.finish();

    assert_eq!((ended.code, ended.stdout.as_str()), (0, "\"done\"\n"));
    let said = ended.stderr;
    assert!(said.contains("working on it\nthe last line\n"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_told_says_why() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    for arguments in [&["logs", unknown][..], &["logs", unknown, "--follow"]] {
        let refused = ask(&yard, &server, arguments);
        assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
        assert!(
            refused.stderr.contains("no task with this id"),
            "{}",
            refused.stderr
        );
    }
    let wrong = ask(&yard, &server, &["logs", unknown, "--stream", "stdin"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("stderr"), "{}", wrong.stderr);
    let url = server.url.clone();
    assert_eq!(server.stop().code(), Some(0));
    let away = run(
        yard.directory.path(),
        &["logs", unknown],
        &[("TASKYARD_URL", &url)],
    );
    assert_eq!(away.code, 3, "{}", away.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_logs_that_is_no_good_costs_no_task() {
    for content in [
        &b"not a database, but long enough to be taken for one at first"[..],
        &[0x5a; 8192],
    ] {
        let yard = Yard::new();
        std::fs::write(yard.path("tasks.db.logs"), content).unwrap();
        let server = yard.serve(&["--internal-workers", "1"]);

        let done = server.submit("noop", json!(null)).await;
        server.ended(done).await;

        let logs = ask(&yard, &server, &["logs", &done.to_string()]);
        assert_eq!(logs.code, 1, "{}", logs.stderr);
        assert!(
            logs.stderr.contains("Logs not available"),
            "{}",
            logs.stderr
        );
        server.process.log_with("tasks.db.logs");
        assert_eq!(server.stop().code(), Some(0));
        assert_eq!(std::fs::read(yard.path("tasks.db.logs")).unwrap(), content);
    }
}
