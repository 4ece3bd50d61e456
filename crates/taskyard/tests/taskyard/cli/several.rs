//! Commands that know several servers.

use std::net::TcpListener;

use serde_json::Value;

use crate::yard::{Printed, Yard, run};

/// Nobody listens there.
const AWAY: [&str; 2] = ["http://127.0.0.1:1", "http://127.0.0.1:9"];

fn list(yard: &Yard, more: &[&str], environment: &[(&str, &str)]) -> Printed {
    let arguments = [&["list", "--output", "json"], more].concat();
    run(yard.directory.path(), &arguments, environment)
}

#[test]
fn where_none_of_several_servers_is_there_each_is_named() {
    let yard = Yard::new();

    let refused = list(&yard, &["--server", AWAY[0], "--server", AWAY[1]], &[]);

    assert_eq!(refused.code, 3, "{}", refused.stderr);
    let said = &refused.stderr;
    assert!(
        said.contains("none of 2 servers serves: no answer from"),
        "{said}"
    );
    for server in AWAY {
        assert!(
            said.contains(&format!("no answer from {server}/api/v1/tasks")),
            "{said}"
        );
    }
    assert!(
        said.contains("Start a server with `taskyard serve`"),
        "{said}"
    );
    let told: Value = serde_json::from_str(&refused.stdout).unwrap();
    assert_eq!(told["problem"]["code"], "unreachable");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_servers_are_named_by_flags_by_commas_by_the_environment_and_by_a_file() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let both = format!("{},{}", AWAY[0], server.url);
    let file = yard.path("taskyard.toml");

    let flags = list(&yard, &["--server", AWAY[0], "--server", &server.url], &[]);
    let commas = list(&yard, &["--server", &both], &[]);
    let environment = list(&yard, &[], &[("TASKYARD_URL", &both)]);
    let lines = format!("server = [\"{}\", \"{}\"]\n", AWAY[0], server.url);
    std::fs::write(&file, lines).unwrap();
    let by_file = list(&yard, &[], &[]);
    std::fs::remove_file(file).unwrap();

    for printed in [flags, commas, environment, by_file] {
        assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_in_time_is_left_for_the_next() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    // Connections are made by the system, and nobody takes them.
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    let both = format!("http://{},{}", hangs.local_addr().unwrap(), server.url);

    let printed = list(&yard, &["--server", &both, "--server-answer", "100ms"], &[]);
    let too_short = list(&yard, &["--server-answer", "99ms"], &[]);

    assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
    assert_eq!(too_short.code, 2);
    assert!(
        too_short.stderr.contains("must be at least 100ms"),
        "{}",
        too_short.stderr
    );
}
