//! A database that is not there yet when a server starts, and one that several servers share.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;
use taskyard_api::task::Status;
use taskyard_core::id::TaskId;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_postgres::NoTls;
use tokio_util::sync::CancellationToken;

use crate::yard::Yard;

/// Its database's address through a door of ours, the door, and where it leads to.
async fn door_before(yard: &Yard) -> (String, TcpListener, (String, u16)) {
    let mut database: url::Url = yard.database().parse().unwrap();
    let (host, port) = (
        database.host_str().unwrap().to_owned(),
        database.port().unwrap_or(5432),
    );
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stand_in = door.local_addr().unwrap();
    database.set_host(Some("127.0.0.1")).unwrap();
    database.set_port(Some(stand_in.port())).unwrap();
    (database.to_string(), door, (host, port))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_waits_for_a_database_that_is_not_up_yet() {
    let Some(yard) = Yard::on_postgres().await else {
        return;
    };
    let (database, door, (host, port)) = door_before(&yard).await;
    let doorman = tokio::spawn(async move {
        // Whoever comes first finds nobody who answers.
        drop(door.accept().await.unwrap());
        loop {
            let (mut caller, _) = door.accept().await.unwrap();
            let mut behind = TcpStream::connect((host.as_str(), port)).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut caller, &mut behind).await });
        }
    });

    let server = tokio::task::block_in_place(|| yard.serve_on(&database, "127.0.0.1:0", &[]));

    assert!(server.client.health().await.unwrap().ok);
    server.process.log_with("the database is waited for");
    assert_eq!(server.stop().code(), Some(0));
    doorman.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_waits_for_a_database_in_which_somebody_holds_what_it_has_to_write() {
    let Some(yard) = Yard::on_postgres().await else {
        return;
    };
    assert_eq!(yard.serve(&[]).stop().code(), Some(0));
    let mut database: url::Url = yard.database().parse().unwrap();
    let (holder, connection) = tokio_postgres::connect(database.as_str(), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let hold = "begin; lock table server in exclusive mode";
    holder.batch_execute(hold).await.unwrap();
    database.set_query(Some("options=-c%20lock_timeout%3D100ms"));

    let serve = ["serve", "--listen", "127.0.0.1:0", "--database"];
    let serve = [&serve[..], &[database.as_str()]].concat();
    let mut process = yard.alone("serve", &serve, &[]);
    process.log_with("the database is waited for");
    holder.batch_execute("rollback").await.unwrap();

    process.log_with(r#""message":"serving""#);
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs_keeps_no_server_from_ending_in_its_time() {
    let Some(yard) = Yard::on_postgres().await else {
        return;
    };
    let (database, door, (host, port)) = door_before(&yard).await;
    let hangs = CancellationToken::new();
    let stalls = hangs.clone();
    let doorman = tokio::spawn(async move {
        loop {
            let (mut caller, _) = door.accept().await.unwrap();
            let mut behind = TcpStream::connect((host.as_str(), port)).await.unwrap();
            let stalls = stalls.clone();
            tokio::spawn(async move {
                tokio::select! {
                    _ = copy_bidirectional(&mut caller, &mut behind) => {}
                    // Nothing goes through any more, and nobody is told.
                    () = stalls.cancelled() => std::future::pending().await,
                }
            });
        }
    });
    let short = ["--drain", "1s", "--deliver", "1s"];
    let server = tokio::task::block_in_place(|| yard.serve_on(&database, "127.0.0.1:0", &short));
    server.submit("nobody-runs-this", json!(1)).await;

    hangs.cancel();
    let begun = Instant::now();
    let ended = tokio::task::block_in_place(|| server.stop());

    // Longer than what was said by what a slow machine takes, and much shorter than a database is waited for.
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(ended.code(), Some(1));
    doorman.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_at_one_server_hears_of_an_end_that_another_was_told() {
    let Some(yard) = Yard::on_postgres().await else {
        return;
    };
    let alone = ["--internal-workers", "0"];
    let (here, there) = (yard.serve(&alone), yard.serve(&alone));
    let never = here.submit("nobody-runs-this", json!(null)).await;
    let task = here.submit("echo", json!([1])).await;
    let wait = |id: TaskId, seconds: u64| {
        let client = here.client.clone();
        let wait = Duration::from_secs(seconds);
        tokio::spawn(async move { client.task(id, Some(wait)).await.unwrap() })
    };
    // Both are answered in the end, whether anything is heard or not: the first one first.
    let (not_heard, heard) = (wait(never, 30), wait(task, 60));
    // By the time that this is answered, they stand.
    let waits = here.client.task(task, Some(Duration::from_millis(100)));
    assert_eq!(waits.await.unwrap().status, Status::Pending);

    let worker = yard.worker(&there, "elsewhere", &[]);

    let ended = tokio::select! {
        ended = heard => ended.unwrap(),
        _ = not_heard => panic!("it was not heard"),
    };
    assert_eq!(ended.status, Status::Completed);
    assert_eq!(ended.worker_id.as_deref(), Some("elsewhere"));
    assert_eq!(worker.stop().code(), Some(0));
}
