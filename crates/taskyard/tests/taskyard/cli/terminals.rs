//! What is seen on a terminal, which pipes never show.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use taskyard_api::logs::{AppendLogs, NewLine, Stream};
use taskyard_api::run::Fail;
use taskyard_api::worker::{Claim, Claimed, Register};

use crate::terminal::Terminal;
use crate::yard::{Server, Yard, taskyard};

/// The terminal's other page: taken, and given back.
const OPENED: &str = "\u{1b}[?1049h";
const CLOSED: &str = "\u{1b}[?1049l";

/// What the worker `hand` gets that registers so.
async fn claimed(server: &Server, register: Value) -> Claimed {
    let register: Register = serde_json::from_value(register).unwrap();
    server.client.register(&register).await.unwrap();
    let claim = Claim {
        limit: 1,
        ..Claim::default()
    };
    server.client.claim("hand", &claim).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_watched_is_drawn_anew_when_something_changes() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let first = server.submit("resize", json!(1)).await;
    let mut command = taskyard();
    command.args(["list", "--watch", "--server", &server.url]);
    let mut list = Terminal::start(command, 120);

    let drawn = list.until(&[&first.to_string(), "pending"]);
    assert!(
        drawn.contains(OPENED) && drawn.contains("TASK"),
        "{drawn:?}"
    );
    server.client.cancel(first).await.unwrap();
    let drawn = list.until(&["\u{1b}[H", "cancelled"]);
    assert!(drawn.contains(&first.to_string()), "{drawn:?}");
    let second = server.submit("resize", json!(2)).await;
    list.until(&["\u{1b}[H", &second.to_string(), &first.to_string()]);

    list.process.signal(Signal::SIGINT);
    let (code, last) = list.rest();
    assert_eq!(code, Some(0));
    let (_, left) = last.rsplit_once(CLOSED).unwrap();
    assert!(
        left.contains(&second.to_string()),
        "what was seen stays: {left:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_followed_steers_no_terminal() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let id = server.submit("by-hand", json!(null)).await;
    let register = json!({"worker_id": "hand", "kinds": ["by-hand"]});
    let claimed = claimed(&server, register).await;
    let mut command = taskyard();
    command.args(["logs", "-f", &id.to_string(), "--server", &server.url]);
    let mut logs = Terminal::start(command, 80);

    let evil = "\u{1b}]0;title\u{7}\u{1b}[31mred\u{1b}[0m\u{1b}[2J";
    let append = AppendLogs {
        lease_token: claimed.tasks[0].lease_token.clone(),
        first_seq: Some(1),
        lines: vec![NewLine {
            at: None,
            stream: Stream::Stdout,
            line: evil.to_owned(),
        }],
    };
    server.client.append_logs(id, &append).await.unwrap();

    let shown = logs.until(&["[2J\r\n"]);
    assert_eq!(shown, "\u{fffd}]0;title\u{fffd}red\u{fffd}[2J\r\n");
    server.client.cancel(id).await.unwrap();
    assert_eq!(logs.rest().0, Some(0));
}

#[test]
fn on_a_narrow_terminal_a_servers_log_goes_on_below() {
    let yard = Yard::new();
    let mut command = taskyard();
    let database = yard.database();
    command.args(["serve", "--listen", "127.0.0.1:0", "--database", &database]);
    let mut server = Terminal::start(command, 40);

    let shown = server.until(&["INFO", "serving on http"]);

    let plain = anstream::adapter::strip_str(&shown).to_string();
    let goes_on = |line: &str| line.starts_with("  ") && !line.trim().is_empty();
    assert!(plain.lines().any(goes_on), "{plain}");
    let is_whole = |line: &str| line.len() <= 40 || !line.trim().contains(' ');
    assert!(plain.lines().all(is_whole), "{plain}");
    server.process.signal(Signal::SIGTERM);
    assert_eq!(server.rest().0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_steers_no_terminal() {
    const EVIL: &str = "\u{1b}]52;c;ZXZpbA==\u{7}\u{1b}[2J\u{1b}[1;1Hall is well\u{202e}";
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let id = server.submit("by-hand", json!(null)).await;
    let register =
        json!({"worker_id": "hand", "kinds": ["by-hand"], "labels": {"team": "x\u{202e}y"}});
    let claimed = claimed(&server, register).await;
    let fail = json!({
        "lease_token": claimed.tasks[0].lease_token, "retry": false,
        "error": {"code": "c", "message": EVIL},
    });
    let fail: Fail<serde_json::Value> = serde_json::from_value(fail).unwrap();
    server.client.fail(id, &fail).await.unwrap();

    let task = id.to_string();
    for words in [
        &["explain", &task][..],
        &["show", &task],
        &["list"],
        &["wait", &task],
        &["workers"],
        &["workers", "show", "hand"],
    ] {
        let mut command = taskyard();
        command.args(words).args(["--server", &server.url]);
        let shown = Terminal::start(command, 300).rest().1;
        let plain = anstream::adapter::strip_str(&shown).to_string();

        assert!(plain.contains('\u{fffd}'), "{words:?}: {shown:?}");
        for steering in ["\u{1b}]", "\u{1b}[2J", "\u{1b}[1;1H", "\u{202e}"] {
            assert!(!shown.contains(steering), "{words:?}: {shown:?}");
        }
    }
}
