//! The files that come for running it elsewhere, in `deploy/` and beside it: read by what they are for, and run as far as
//! that goes without a container runtime and a cluster. `tests/deploy` does both, with this build.

use std::process::Command;

use crate::yard::taskyard;

/// Runs one of its programs.
fn passes(program: &str) {
    let Some(python) = std::env::var_os("TASKYARD_TEST_DEPLOY") else {
        eprintln!("skipped: TASKYARD_TEST_DEPLOY names no Python; `make test` installs one");
        return;
    };
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/deploy");
    let binary = taskyard();

    let mut command = Command::new(python);
    for (name, _) in binary.get_envs() {
        command.env_remove(name);
    }
    let ran = command
        .arg(program)
        .env("TASKYARD_TEST_BINARY", binary.get_program())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(directory)
        .output()
        .unwrap();

    let said = String::from_utf8_lossy(&ran.stdout);
    let complaints = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}\n{complaints}");
    eprintln!("{said}{complaints}");
}

#[test]
fn the_files_for_running_it_elsewhere_are_well_formed_and_name_what_there_is() {
    passes("files.py");
}

#[test]
fn what_the_compose_file_starts_works_and_stops() {
    passes("compose.py");
}

#[test]
fn two_servers_and_two_databases_bear_the_loss_of_either() {
    passes("ha.py");
}
