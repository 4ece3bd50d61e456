//! What health checks ask, and how long a server that stops is there for load balancers.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::ask;
use crate::yard::{Yard, run};

#[test]
fn a_health_check_tells_whether_a_server_takes_requests_and_hears_a_worker() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "2"]);
    while ask(&yard, &server, &["workers", "show", "worker-2"]).code != 0 {}
    let killed = ask(&yard, &server, &["workers", "kill", "worker-2"]);
    assert_eq!(killed.code, 0, "{}", killed.stderr);

    let well = ask(&yard, &server, &["health", "--output", "json"]);
    let told: Value = serde_json::from_str(&well.stdout).unwrap();
    assert_eq!((well.code, &told["ready"]), (0, &json!(true)), "{told}");
    for (worker, code, said) in [
        ("worker-1", 0, ""),
        ("worker-2", 1, "offline"),
        ("nobody", 1, "no worker is called \"nobody\""),
    ] {
        let asked = ask(&yard, &server, &["health", "--worker", worker]);
        assert_eq!(asked.code, code, "{worker}: {}", asked.stderr);
        assert!(asked.stderr.contains(said), "{worker}: {}", asked.stderr);
    }
    let (here, url) = (yard.path(""), server.url.clone());
    assert!(server.stop().success());
    let gone = run(&here, &["health"], &[("TASKYARD_URL", &url)]);
    assert_eq!(gone.code, 3, "{}", gone.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lingers_serves_on_while_it_says_that_it_stops() {
    let yard = Yard::new();
    let mut server = yard.serve(&["--internal-workers", "0", "--linger", "1h"]);
    assert!(server.client.ready().await.unwrap().ready);

    server.process.signal(Signal::SIGTERM);

    while server.client.ready().await.unwrap().ready {}
    let asked = ask(&yard, &server, &["health"]);
    assert_eq!(asked.code, 1, "{}", asked.stderr);
    assert!(asked.stderr.contains("stopping"), "{}", asked.stderr);
    let task = server.submit("echo", json!(1)).await;
    assert_eq!(server.client.task(task, None).await.unwrap().id, task);
    server.process.signal(Signal::SIGTERM);
    assert_eq!(server.process.wait().code(), Some(143));
}

#[test]
fn a_server_that_lingers_for_a_moment_ends_in_order() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0", "--linger", "10ms"]);

    assert!(server.stop().success());
}
