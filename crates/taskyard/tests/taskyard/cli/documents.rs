//! What programs read where a command is refused before a server has said anything.

use serde_json::Value;

use crate::yard::{Yard, run};

#[test]
fn what_is_refused_here_is_a_document_as_well() {
    let yard = Yard::new();
    let away = ["--server", "http://127.0.0.1:1"];
    for (arguments, code, called, said) in [
        (&["list", "--status", "done"][..], 2, "usage", "'done'"),
        (&["submit", "echo", "bad"], 2, "usage", "is not JSON"),
        (&["queues", "set", "x"], 2, "usage", "nothing is set"),
        (&["show", "42"], 2, "usage", "UUIDv7"),
        (&["list"], 3, "unreachable", "taskyard serve"),
        (&["db", "check"], 2, "usage", "there is no database"),
    ] {
        let server = if arguments[0] == "db" { &[][..] } else { &away };
        for json in [&["--output", "json"][..], &["--output=json"]] {
            let arguments = [arguments, server, json].concat();
            let printed = run(yard.directory.path(), &arguments, &[]);

            assert_eq!(printed.code, code, "{}", printed.stderr);
            let document: Value = serde_json::from_str(&printed.stdout).unwrap();
            let problem = &document["problem"];
            assert_eq!(problem["code"], called, "{document}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(said), "{detail}");
            assert!(!detail.contains("Usage:"), "{detail}");
            assert!(printed.stderr.contains(said), "{}", printed.stderr);
        }
    }

    let variable = [("TASKYARD_OUTPUT", "json")];
    let by_variable = run(yard.directory.path(), &["show"], &variable);
    assert!(by_variable.stdout.contains("\"usage\""));
    let table = run(yard.directory.path(), &["show"], &[]);
    assert_eq!((table.code, table.stdout.as_str()), (2, ""));
}

#[test]
fn rows_of_a_database_are_an_object_by_table() {
    let yard = Yard::new();
    let migrate = ["db", "migrate", "--output", "json"];

    let printed = run(yard.directory.path(), &migrate, &[]);

    let document: Value = serde_json::from_str(&printed.stdout).unwrap();
    assert_eq!(document["rows"]["task"], 0, "{document}");
}
