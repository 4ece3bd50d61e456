//! A backup taken while a server is at work, and what becomes of workers that return to a restored one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use taskyard_api::submit::Submit;
use taskyard_api::task::Status;
use taskyard_core::id::TaskId;

use crate::yard::{Process, QUICK, Yard, after, run};

const CALLERS: usize = 8;
/// So many are acknowledged before the backup begins, and at least so many while it is taken or after.
const BEFORE: usize = 300;

#[test]
fn a_backup_without_room_names_the_copy_and_not_the_database() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    server.stop();
    let copy = yard.path("copy.db");

    // No file may have more than that, which is enough to look at the database, and ends no process.
    let mut command = after("trap '' XFSZ; ulimit -f 128");
    command.args(["db", "backup", "--database", &yard.database()]);
    command.arg(&copy);
    let printed = Process::start(command, yard.path("backup.log")).finish();

    assert_eq!(printed.code, 1, "{}", printed.stderr);
    let said = printed.stderr;
    assert!(
        said.contains("copy.db") && said.contains("cannot be written"),
        "{said}"
    );
    assert!(!said.contains("tasks.db"), "{said}");
    assert!(!copy.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_lacks_nothing_that_was_acknowledged_before_it() {
    let yard = Yard::new();
    let server = yard.serve(&QUICK);
    let (stop, acknowledged) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (client, stop) = (server.client.clone(), Arc::clone(&stop));
            let acknowledged = Arc::clone(&acknowledged);
            tokio::spawn(async move {
                let mut ids: Vec<(usize, TaskId)> = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    let task = Submit::new("echo", json!({ "pad": "x".repeat(500) }));
                    let id = client.submit(&task).await.unwrap().id;
                    ids.push((acknowledged.fetch_add(1, Ordering::SeqCst), id));
                }
                ids
            })
        })
        .collect();
    let until = async |count: usize| {
        while acknowledged.load(Ordering::SeqCst) < count {
            tokio::task::yield_now().await;
        }
    };
    until(BEFORE).await;

    let file = yard.path("kept.db");
    let kept = file.display().to_string();
    let before = acknowledged.load(Ordering::SeqCst);
    let database = yard.database();
    let arguments = ["db", "backup", &*kept, "--database", &*database];
    let taken = tokio::task::block_in_place(|| run(yard.directory.path(), &arguments, &[]));
    assert_eq!(taken.code, 0, "{}", taken.stderr);
    until(before + BEFORE).await;
    stop.store(true, Ordering::SeqCst);
    let mut ids = Vec::new();
    for caller in callers {
        ids.extend(caller.await.unwrap());
    }
    server.stop();

    let restored = format!("sqlite:{}", yard.path("restored.db").display());
    let put = run(
        yard.directory.path(),
        &["db", "restore", &kept, "--database", &restored],
        &[],
    );
    assert_eq!(put.code, 0, "{}", put.stderr);
    let check = run(
        yard.directory.path(),
        &["db", "check", "--database", &restored],
        &[],
    );
    assert_eq!(check.stdout.trim(), "nothing is wrong", "{}", check.stderr);
    let server = yard.serve_on(&restored, "127.0.0.1:0", &QUICK);
    for (_, id) in ids.iter().filter(|(place, _)| *place < before) {
        let task = server.ended(*id).await;
        assert_eq!(task.status, Status::Completed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_of_before_is_refused_by_the_restored_database() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let id = server.submit("outside", json!(1)).await;
    let http = |url: &str, path: &str, body: serde_json::Value| {
        let request = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = request.post(format!("{url}/api/v1{path}")).json(&body);
        async move {
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            (status, answer.json::<serde_json::Value>().await.unwrap())
        }
    };
    let register = json!({"worker_id": "w", "kinds": ["*"]});
    http(&server.url, "/workers/register", register).await;
    let (_, claimed) = http(&server.url, "/workers/w/claim", json!({"limit": 1})).await;
    let token = claimed["tasks"][0]["lease_token"].clone();
    let kept = yard.path("kept.db").display().to_string();
    let database = yard.database();
    let command = |words: &[&str]| {
        let words = [words, &["--database", &database]].concat();
        run(yard.directory.path(), &words, &[])
    };
    assert_eq!(command(&["db", "backup", &kept]).code, 0);
    let in_use = command(&["db", "restore", &kept]);
    assert_eq!(in_use.code, 1);
    assert!(
        in_use.stderr.contains("in use by another server"),
        "{}",
        in_use.stderr
    );
    server.stop();

    let put = command(&["db", "restore", &kept]);
    assert_eq!(put.code, 0, "{}", put.stderr);
    assert!(put.stdout.contains(".replaced-"), "{}", put.stdout);
    let server = yard.serve(&["--internal-workers", "0"]);
    let done = json!({"lease_token": token, "output": 1});
    let (status, problem) = http(&server.url, &format!("/tasks/{id}/complete"), done).await;

    assert_eq!((status, &problem["code"]), (409, &json!("stale_lease")));
}
