//! Commands whose server dies while they wait for it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::thread;

use taskyard_api::page::TasksQuery;
use taskyard_api::task::Status;

use crate::yard::{QUICK, Server, Yard, run};

fn address(server: &Server) -> String {
    server.url.trim_start_matches("http://").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submit_that_waits_goes_on_over_a_server_that_restarts() {
    let yard = Yard::new();
    let first = yard.serve(&QUICK);
    let address = address(&first);
    let arguments = ["submit", "sleep", r#"{"ms": 1000}"#, "--wait"];
    let waiting = yard.command(&first, "waiting", &arguments);
    let query = TasksQuery::default().with_status(&[Status::Running]);
    while first.client.list(&query).await.unwrap().items.is_empty() {}

    first.process.kill();
    let _second = yard.serve_at(&address, &QUICK);

    let ended = waiting.finish();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let told = ended.stderr.matches("is away; waiting up to").count();
    assert!(told <= 1, "{}", ended.stderr);
}

#[test]
fn a_wait_that_gives_up_says_that_the_task_goes_on() {
    let yard = Yard::new();
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", door.local_addr().unwrap());
    // It is there once, and dies before it answers.
    let server = thread::spawn(move || {
        let (mut caller, _) = door.accept().unwrap();
        caller.read_exact(&mut [0]).unwrap();
    });
    let task = "01890a5d-ac96-774b-bcce-b302099a8057";

    let arguments = ["wait", task, "--server", &url, "--server-wait", "100ms"];
    let gave_up = run(yard.directory.path(), &arguments, &[]);

    server.join().unwrap();
    assert_eq!(gave_up.code, 3);
    for said in [
        "is away; waiting up to",
        "goes on",
        &format!("taskyard wait {task}"),
    ] {
        assert!(gave_up.stderr.contains(said), "{}", gave_up.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_whose_submission_broke_off_are_submitted_once_when_it_is_said_again() {
    const LINES: usize = 10_001;
    let yard = Yard::new();
    let first = yard.serve(&["--internal-workers", "0"]);
    let address = address(&first);
    let lines: String = (0..LINES).map(|number| format!("{number}\n")).collect();
    std::fs::write(yard.path("lines"), lines).unwrap();
    let mut arguments = vec!["submit", "x", "--each-line", "lines", "--server-wait", "0s"];
    let mut breaks = yard.command(&first, "breaks", &arguments);

    // The ids of the first piece do not fit into the pipe, so the command cannot go on before they are read.
    let mut ids = BufReader::new(breaks.child.stdout.take().unwrap());
    let mut printed = String::new();
    ids.read_line(&mut printed).unwrap();
    first.process.kill();
    ids.read_to_string(&mut printed).unwrap();
    let broken = breaks.finish();

    assert_eq!(broken.code, 3, "{}", broken.stderr);
    assert_eq!(printed.lines().count(), 10_000);
    assert!(
        broken.stderr.contains("10000 of 10001"),
        "{}",
        broken.stderr
    );
    let mut words = broken.stderr.split_whitespace().rev();
    words.find(|word| *word == "submits").unwrap();
    let key = words.next().unwrap();

    let second = yard.serve_at(&address, &["--internal-workers", "0"]);
    arguments.extend(["--idempotency-key", key]);
    let again = yard.command(&second, "again", &arguments).finish();

    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(again.stdout.lines().count(), LINES);
    assert!(again.stdout.starts_with(&printed));
    let stats = second.client.stats().await.unwrap();
    assert_eq!(stats.total, LINES as u64);
}
