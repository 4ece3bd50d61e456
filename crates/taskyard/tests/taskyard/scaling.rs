//! What `docs/scaling.md` shows, and what measures it.

use std::process::Command;

/// Runs it from where the project stands.
fn python(arguments: &[&str]) {
    let mut command = Command::new("python3");
    command
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let done = command.output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "python3 {arguments:?}: {said}");
}

#[test]
fn its_tables_follow_from_what_was_measured() {
    python(&["bench/model.py", "--check"]);
}

#[test]
fn what_measures_it_counts_right() {
    python(&["-m", "unittest", "discover", "--start-directory", "bench"]);
}
