//! A server does what its `/openapi.json` says: schemathesis asks it thousands of questions made of the description, good
//! ones and bad ones, and holds the answers against it. The same questions each time. How it goes about it stands in
//! `tests/api`.

use std::process::Command;

use crate::yard::Yard;

const SETTINGS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/api/schemathesis.toml"
);
const HOOKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/api/hooks.py");

#[test]
fn a_server_does_what_its_description_says() {
    let Some(schemathesis) = std::env::var_os("TASKYARD_TEST_SCHEMATHESIS") else {
        eprintln!(
            "skipped: TASKYARD_TEST_SCHEMATHESIS names no schemathesis; `make test` installs one"
        );
        return;
    };
    let yard = Yard::new();
    // With a token, so that it is seen that nobody is let in without it.
    let server = yard.serve(&["--token", "s3cret"]);

    let ran = Command::new(schemathesis)
        .args(["--config-file", SETTINGS, "run"])
        .arg(format!("{}/openapi.json", server.url))
        // Spelled like this it is recognized, and left out to see what happens.
        .args(["--header", "Authorization: Bearer s3cret", "--no-color"])
        .env("SCHEMATHESIS_HOOKS", HOOKS)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // Neither a proxy nor settings of whoever runs the tests.
        .env("no_proxy", "*")
        .env("HOME", yard.directory.path())
        .current_dir(yard.directory.path())
        .output()
        .unwrap();

    let said = String::from_utf8_lossy(&ran.stdout);
    let complaints = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}\n{complaints}");
}
