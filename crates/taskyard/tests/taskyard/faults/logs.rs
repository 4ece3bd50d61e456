//! What runs print, whoever dies meanwhile.

use serde_json::json;
use taskyard_api::logs::{LogLine, LogsQuery, Stream};
use taskyard_api::task::Status;
use taskyard_core::id::TaskId;

use crate::yard::{QUICK, Server, Yard};

/// All that there is of a task's log.
async fn log(server: &Server, task: TaskId) -> Vec<LogLine> {
    let mut lines = Vec::new();
    let mut query = LogsQuery {
        limit: Some(1000),
        ..LogsQuery::default()
    };
    loop {
        let page = server.client.logs(task, &query).await.unwrap();
        lines.extend(page.items);
        match page.next_cursor {
            Some(cursor) => query.cursor = Some(cursor),
            None => return lines,
        }
    }
}

fn texts(lines: &[LogLine]) -> Vec<&str> {
    lines.iter().map(|line| line.line.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_printed_while_the_server_is_down_arrive_once_and_in_order() {
    let yard = Yard::new();
    let server = yard.serve(&[&QUICK[..], &["--internal-workers", "0"]].concat());
    let address = server.url.replace("http://", "");
    let _worker = yard.worker(&server, "printer", &["--allow-command", "sh"]);
    // It goes on when the test says so, and prints all the while.
    let go = yard.path("go");
    let script = format!(
        "i=0; while [ $i -lt 300 ] || [ ! -e '{}' ]; do i=$((i+1)); echo $i; sleep 0.01; done; echo end",
        go.display()
    );
    let task = server
        .submit("command", json!({"argv": ["sh", "-c", script]}))
        .await;
    while log(&server, task).await.len() < 10 {}

    server.process.kill();
    let server = yard.serve_at(
        &address,
        &[&QUICK[..], &["--internal-workers", "0"]].concat(),
    );
    let before = log(&server, task).await.len();
    while log(&server, task).await.len() < before + 100 {}
    std::fs::write(go, "").unwrap();

    assert_eq!(server.ended(task).await.status, Status::Completed);
    let lines = log(&server, task).await;
    let (last, counted) = lines.split_last().unwrap();
    let expected: Vec<String> = (1..=counted.len())
        .map(|number| number.to_string())
        .collect();
    assert_eq!(texts(counted), expected);
    assert_eq!(last.line, "end");
    assert!(
        lines
            .iter()
            .all(|line| line.attempt == 1 && line.stream == Stream::Stdout)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_lines_of_a_run_are_there_when_its_task_has_ended() {
    let yard = Yard::new();
    let server = yard.serve(&["--allow-command", "sh"]);
    for _ in 0..20 {
        let parameters = json!({"problem_id": "test-problem", "parameters": {"max_steps": 2}});
        let problem = server.submit("problem", parameters).await;
        let argv = ["sh", "-c", "echo out; echo err >&2; printf open; exit 3"];
        let command = server.submit("command", json!({"argv": argv})).await;

        assert_eq!(server.ended(problem).await.status, Status::Completed);
        assert_eq!(server.ended(command).await.status, Status::Failed);

        assert_eq!(
            texts(&log(&server, problem).await),
            ["step 1 of 2", "step 2 of 2"]
        );
        let lines = log(&server, command).await;
        let of = |stream| {
            let lines = lines.iter().filter(|line| line.stream == stream);
            lines.map(|line| line.line.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(of(Stream::Stdout), ["out", "open"]);
        assert_eq!(of(Stream::Stderr), ["err"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_kept_to_the_server_s_limit_and_ends_in_time() {
    let yard = Yard::new();
    let server = yard.serve(&["--allow-command", "sh"]);
    let argv = ["sh", "-c", "yes abcdefghij | head -n 5000000"];

    let task = server.submit("command", json!({"argv": argv})).await;

    let ended = server.ended(task).await;
    assert_eq!(ended.status, Status::Completed, "{ended:?}");
    let lines = log(&server, task).await;
    let bytes: usize = lines.iter().map(|line| line.line.len()).sum();
    assert!(!lines.is_empty() && bytes <= 4 << 20, "{bytes}");
}
