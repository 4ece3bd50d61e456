//! A database that is not there yet when a server starts.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::yard::Yard;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_waits_for_a_database_that_is_not_up_yet() {
    let Some(yard) = Yard::on_postgres().await else {
        return;
    };
    let mut database: url::Url = yard.database().parse().unwrap();
    let (host, port) = (
        database.host_str().unwrap().to_owned(),
        database.port().unwrap_or(5432),
    );
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stand_in = door.local_addr().unwrap();
    database.set_host(Some("127.0.0.1")).unwrap();
    database.set_port(Some(stand_in.port())).unwrap();
    let doorman = tokio::spawn(async move {
        // Whoever comes first finds nobody who answers.
        drop(door.accept().await.unwrap());
        loop {
            let (mut caller, _) = door.accept().await.unwrap();
            let mut behind = TcpStream::connect((host.as_str(), port)).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut caller, &mut behind).await });
        }
    });

    let database = database.to_string();
    let server = tokio::task::block_in_place(|| yard.serve_on(&database, "127.0.0.1:0", &[]));

    assert!(server.client.health().await.unwrap().ok);
    let log = server.process.log();
    assert!(log.contains("the database is waited for"), "{log}");
    assert_eq!(server.stop().code(), Some(0));
    doorman.abort();
}
