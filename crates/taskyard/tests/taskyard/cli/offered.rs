//! What a message offers to be typed does what it says when a shell reads it.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use taskyard_api::submit::Submit;
use taskyard_api::task::Status;

use crate::yard::{Process, Server, Yard, taskyard};

/// A shell in the yard's directory in which this is typed; `taskyard` stands for the program.
fn typed(yard: &Yard, server: &Server, line: &str) -> Process {
    let rest = line.strip_prefix("taskyard ").expect(line);
    let mut shell = Command::new("sh");
    for (name, _) in taskyard().get_envs() {
        shell.env_remove(name);
    }
    shell
        .args(["-c", &format!("exec \"$0\" {rest}")])
        .arg(taskyard().get_program())
        .env("TASKYARD_URL", &server.url)
        .current_dir(yard.directory.path())
        .stdin(Stdio::null());
    Process::start(shell, yard.path("typed.log"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_that_explain_offers_takes_the_task() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    server.register_for_all("without-labels").await;

    for requires in [
        json!({"city": "São Paulo", "g": "it's"}),
        json!({"g": "x; touch pwned"}),
        json!({"g": "$(touch pwned)", "-h": "`touch pwned`"}),
        json!({"g": "~ \\ \" {a,b} !x"}),
        json!({"at_least": ">=16", "above": ">16", "below": "<8", "at_most": "<=0.5"}),
    ] {
        let task = json!({"kind": "echo", "input": 1, "requires": requires});
        let task: Submit<Value> = serde_json::from_value(task).unwrap();
        let id = server.submit_as(task).await;
        let explained = server.client.explain(id).await.unwrap();
        let action = explained.reasons[0].action.clone().unwrap();
        let (_, line) = action.split_once(": ").unwrap();

        let worker = typed(&yard, &server, line);
        let ended = server.ended(id).await;

        assert_eq!(ended.status, Status::Completed, "{line}");
        worker.kill();
    }
    assert!(!yard.path("pwned").exists());
}
