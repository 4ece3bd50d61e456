//! A server does what its `/openapi.json` says: schemathesis asks it thousands of questions made of the description, good
//! ones and bad ones, and holds the answers against it. The same questions each time. How it goes about it stands in
//! `tests/api`.

use std::process::Command;

use taskyard_api::client::Client;
use taskyard_api::submit::Submit;

use crate::yard::Yard;

const SETTINGS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/api/schemathesis.toml"
);
const HOOKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/api/hooks.py");

/// Enough that claims bring something, of which there is more to ask.
const TASKS: usize = 10_000;
const TOKEN: &str = "s3cret";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_does_what_its_description_says() {
    let Some(schemathesis) = std::env::var_os("TASKYARD_TEST_SCHEMATHESIS") else {
        eprintln!(
            "skipped: TASKYARD_TEST_SCHEMATHESIS names no schemathesis; `make test` installs one"
        );
        return;
    };
    let yard = Yard::new();
    // With a token, so that it is seen that nobody is let in without it.
    // Wrong ones are tried as well, more than one address may.
    let server = yard.serve(&["--token", TOKEN, "--wrong-tokens-max", "1000000"]);
    let client = Client::new(&[server.url.parse().unwrap()], Some(TOKEN)).unwrap();
    let task = Submit::new("resize", 1);
    client.submit_batch(&vec![task; TASKS], None).await.unwrap();

    let ran = Command::new(schemathesis)
        .args(["--config-file", SETTINGS, "run"])
        .arg(format!("{}/openapi.json", server.url))
        // Spelled like this it is recognized, and left out to see what happens.
        .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
        .arg("--no-color")
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
