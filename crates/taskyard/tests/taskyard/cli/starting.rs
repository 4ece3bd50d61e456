//! Starting and stopping a server, and what stands in the way.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::yard::{Yard, is_heeded, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_says_where_it_serves_and_stops_well_when_told_to() {
    let yard = Yard::new();

    let server = yard.serve(&[]);
    let health = server.client.health().await.unwrap();

    assert!(health.ok);
    assert_eq!(health.database.kind, "sqlite");
    assert_eq!(server.stop().code(), Some(0));
    yard.is_well();
}

#[test]
fn a_terminal_that_is_closed_ends_in_order_whoever_is_not_to_outlive_it() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let mut worker = yard.worker(&server, "w", &[]);
    let submit = ["submit", "noop", "--wait", "--server", &server.url];
    assert_eq!(run(yard.directory.path(), &submit, &[]).code, 0);

    let closed = [Signal::SIGTERM, Signal::SIGHUP][usize::from(is_heeded(Signal::SIGHUP))];
    worker.signal(closed);
    assert_eq!(worker.wait().code(), Some(0));
    assert!(worker.log().contains("stopped"), "{}", worker.log());
    let mut process = server.process;
    process.signal(closed);
    assert_eq!(process.wait().code(), Some(0));
    yard.is_well();

    // As `nohup` starts it.
    let server = yard.serve_after("trap '' HUP", &[]);
    server.process.signal(Signal::SIGHUP);
    let listed = run(
        yard.directory.path(),
        &["list", "--server", &server.url],
        &[],
    );
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn what_is_no_regular_file_is_refused_and_nothing_left_beside_it() {
    let yard = Yard::new();
    mkfifo(&yard.path("pipe"), Mode::S_IRWXU).unwrap();
    let _socket = UnixListener::bind(yard.path("socket")).unwrap();
    std::os::unix::fs::symlink("pipe", yard.path("link")).unwrap();
    let names = || {
        let entries = std::fs::read_dir(yard.directory.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort_unstable();
        names
    };
    let before = names();

    for name in ["pipe", "socket", "link"] {
        let database = format!("sqlite:{}", yard.path(name).display());
        for command in [&["serve"][..], &["db", "migrate"], &["db", "check"]] {
            let arguments = [command, &["--database", &database]].concat();
            let refused = run(yard.directory.path(), &arguments, &[]);

            assert_eq!(refused.code, 2, "{arguments:?}: {}", refused.stderr);
            let why = "this is a device, a pipe or a socket; name a file";
            assert!(refused.stderr.contains(why), "{}", refused.stderr);
            assert_eq!(names(), before, "{arguments:?}");
        }
    }
}

#[test]
fn a_second_server_on_the_same_file_is_refused() {
    let yard = Yard::new();
    let server = yard.serve(&[]);

    let second = run(
        yard.directory.path(),
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--database",
            &yard.database(),
        ],
        &[],
    );

    assert_eq!(second.code, 1);
    let address = server.url.trim_start_matches("http://");
    let holder = format!(
        "in use by another server (process {}, which listens on {address})",
        server.process.id()
    );
    assert!(second.stderr.contains(&holder), "{}", second.stderr);
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn a_taken_port_names_the_flag_that_changes_it() {
    let yard = Yard::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();

    let printed = run(yard.directory.path(), &["serve", "--listen", &address], &[]);

    assert_eq!(printed.code, 1);
    assert!(
        printed.stderr.contains("--listen") && printed.stderr.contains(&address),
        "{}",
        printed.stderr
    );
}

#[test]
fn an_address_that_others_can_reach_needs_a_token() {
    let yard = Yard::new();

    let printed = run(
        yard.directory.path(),
        &["serve", "--listen", "0.0.0.0:0"],
        &[],
    );

    assert_eq!(printed.code, 2);
    for way in ["TASKYARD_TOKEN", "--no-auth"] {
        assert!(printed.stderr.contains(way), "{}", printed.stderr);
    }
}

#[test]
fn a_file_that_is_no_database_of_ours_is_refused_and_left_alone() {
    let yard = Yard::new();
    std::fs::write(
        yard.path("tasks.db"),
        "these are my notes, and they are long enough to be a page",
    )
    .unwrap();

    let printed = run(
        yard.directory.path(),
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--database",
            &yard.database(),
        ],
        &[],
    );

    assert_eq!(printed.code, 1);
    assert!(printed.stderr.contains("tasks.db"), "{}", printed.stderr);
    assert!(
        std::fs::read_to_string(yard.path("tasks.db"))
            .unwrap()
            .starts_with("these are my notes")
    );
}

#[test]
fn what_is_wrong_with_the_settings_is_told_before_the_database_is_touched() {
    let yard = Yard::new();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--database"];
    let database = yard.database();

    for (kinds, names) in [
        ("ecco", "\"ecco\""),
        ("command", "--allow-command"),
        ("http", "--allow-http"),
    ] {
        let arguments = [&serve[..], &[&database, "--internal-kinds", kinds]].concat();
        let printed = run(yard.directory.path(), &arguments, &[]);

        assert_eq!(printed.code, 2, "{}", printed.stderr);
        for name in ["--internal-kinds", names] {
            assert!(printed.stderr.contains(name), "{}", printed.stderr);
        }
    }
    assert!(yard.directory.path().read_dir().unwrap().next().is_none());
}

#[test]
fn a_database_that_cannot_be_written_is_named_with_what_to_do() {
    let yard = Yard::new();
    std::fs::write(yard.path("file"), "").unwrap();
    let database = format!("sqlite:{}/tasks.db", yard.path("file").display());

    let arguments = ["serve", "--listen", "127.0.0.1:0", "--database", &database];
    let printed = run(yard.directory.path(), &arguments, &[]);

    assert_eq!(printed.code, 1);
    for name in ["file/tasks.db cannot be written", "--database"] {
        assert!(printed.stderr.contains(name), "{}", printed.stderr);
    }
}

#[test]
fn what_is_no_file_is_refused_and_none_of_its_name_is_made() {
    let yard = Yard::new();
    for (database, why) in [
        ("sqlite:.", "a directory"),
        ("sqlite::memory:", "not in memory"),
        ("sqlite:x.db?mode=ro", "behind a ?"),
    ] {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--database", database];
        let printed = run(yard.directory.path(), &arguments, &[]);

        assert_eq!(printed.code, 2);
        for said in ["--database", database, why] {
            assert!(printed.stderr.contains(said), "{}", printed.stderr);
        }
    }
    assert!(yard.directory.path().read_dir().unwrap().next().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_a_server_with_a_path_is_told_of() {
    let yard = Yard::new();
    let server = yard.serve(&[]);

    let address = format!("{}/foo", server.url);
    let printed = run(yard.directory.path(), &["list", "--server", &address], &[]);

    assert_eq!(printed.code, 1);
    for said in ["no such route", "--server", "a path"] {
        assert!(printed.stderr.contains(said), "{}", printed.stderr);
    }
}

#[test]
fn a_backup_into_a_folder_that_is_not_there_names_it() {
    let yard = Yard::new();
    let database = yard.database();
    let made = ["db", "migrate", "--database", &database];
    assert_eq!(run(yard.directory.path(), &made, &[]).code, 0);

    let backup = ["db", "backup", "no/such/x.db", "--database", &database];
    let printed = run(yard.directory.path(), &backup, &[]);

    assert_eq!(printed.code, 2, "{}", printed.stdout);
    for said in [
        "there is no folder ",
        "no/such for the backup",
        "`mkdir -p ",
    ] {
        assert!(printed.stderr.contains(said), "{}", printed.stderr);
    }
}

#[test]
fn looking_at_a_database_that_is_not_there_makes_none() {
    let yard = Yard::new();

    let printed = run(
        yard.directory.path(),
        &["db", "stats", "--database", &yard.database()],
        &[],
    );

    assert_eq!(printed.code, 2);
    assert!(
        printed.stderr.contains("taskyard db migrate"),
        "{}",
        printed.stderr
    );
    assert!(!yard.path("tasks.db").exists());
}
