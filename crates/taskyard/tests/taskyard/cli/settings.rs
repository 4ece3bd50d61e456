//! Flags, variables and the file.

use serde_json::Value;

use crate::yard::{Yard, run};

#[test]
fn each_setting_says_where_it_came_from() {
    let yard = Yard::new();
    std::fs::write(
        yard.path("taskyard.toml"),
        "sweep = \"2s\"\nlease = \"90s\"\ninternal_kinds = [\"echo\", \"noop\"]\n",
    )
    .unwrap();

    let printed = run(
        yard.directory.path(),
        &["config", "--grace", "5s", "--output", "json"],
        &[
            ("TASKYARD_LEASE", "2m"),
            ("HEARTBEAT_TTL_SECONDS", "45"),
            ("TASKYARD_TOKEN", "secret"),
        ],
    );

    let settings: Value = serde_json::from_str(&printed.stdout).expect(&printed.stderr);
    let check = |name: &str, value: &str, from: &str| {
        assert_eq!(settings[name]["value"], value, "{name}");
        assert_eq!(settings[name]["from"], from, "{name}");
    };
    check("grace", "5s", "flag");
    check("lease", "2m", "environment (TASKYARD_LEASE)");
    check(
        "heartbeat_ttl",
        "45s",
        "environment (HEARTBEAT_TTL_SECONDS)",
    );
    check("sweep", "2s", "file (taskyard.toml)");
    check("internal_kinds", "echo,noop", "file (taskyard.toml)");
    check("heartbeat", "10s", "default");
    check("server_wait", "60s", "default");
    let commands = |name: &str| settings[name]["commands"].clone();
    assert_eq!(commands("concurrency"), serde_json::json!(["worker"]));
    assert_eq!(commands("drain"), serde_json::json!(["serve", "worker"]));
    check("drain", "10s", "default");
    let by_default = serde_json::json!({"worker": "30s"});
    assert_eq!(settings["drain"]["other_values"], by_default);
    assert_eq!(commands("output"), serde_json::json!(["all"]));
    assert!(!printed.stdout.contains("secret"), "{}", printed.stdout);
}

#[test]
fn the_file_may_say_several_as_a_list_or_with_commas() {
    let lists = r#"
allow_command = ["wc", "sh"]
allow_env = ["usual", "LANG"]
allow_http = ["api.example.com", "[::1]:8080"]
log = ["warn", "taskyard_engine=debug"]
retain = ["completed=7d", "failed=30d"]
token = ["new", "old"]
"#;
    let texts = r#"
allow_command = "wc,sh"
allow_env = "usual,LANG"
allow_http = "api.example.com,[::1]:8080"
log = "warn,taskyard_engine=debug"
retain = "completed=7d,failed=30d"
token = "new,old"
"#;
    let config = |file: &str| {
        let yard = Yard::new();
        std::fs::write(yard.path("taskyard.toml"), file).unwrap();
        run(yard.directory.path(), &["config", "--output", "json"], &[])
    };

    let listed = config(lists);

    assert_eq!(listed.code, 0, "{}", listed.stderr);
    assert_eq!(listed.stdout, config(texts).stdout);
    let settings: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(settings["allow_command"]["value"], "wc,sh");
    assert_eq!(settings["retain"]["value"], "completed=7d,failed=30d");

    let nothing = config("allow_command = []\n").stderr;
    assert!(
        nothing.contains("it names no program; leave it out"),
        "{nothing}"
    );
    let two = config("listen = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n").stderr;
    assert!(two.contains("it takes one value"), "{two}");
}

#[test]
fn heartbeats_come_often_enough_for_the_times_that_are_set() {
    let yard = Yard::new();
    let heartbeat = |flags: &[&str], environment: &[(&str, &str)]| {
        let command = [&["config", "--output", "json"], flags].concat();
        let printed = run(yard.directory.path(), &command, environment);
        assert_eq!(printed.code, 0, "{}", printed.stderr);
        let settings: Value = serde_json::from_str(&printed.stdout).expect(&printed.stderr);
        settings["heartbeat"]["value"].as_str().unwrap().to_owned()
    };

    assert_eq!(heartbeat(&[], &[]), "10s");
    assert_eq!(heartbeat(&["--heartbeat-ttl", "3s"], &[]), "1s");
    assert_eq!(heartbeat(&["--lease", "18s"], &[]), "6s");
    assert_eq!(heartbeat(&[], &[("HEARTBEAT_TTL_SECONDS", "6")]), "2s");
    assert_eq!(heartbeat(&["--heartbeat-ttl", "10m"], &[]), "10s");
    let set = ["--heartbeat", "4s", "--heartbeat-ttl", "9s"];
    assert_eq!(heartbeat(&set, &[]), "4s");
}

#[test]
fn older_names_in_the_environment_mean_settings_of_today() {
    let yard = Yard::new();
    let config = |environment: &[(&str, &str)]| {
        let printed = run(
            yard.directory.path(),
            &["config", "--output", "json"],
            environment,
        );
        let settings: Value = serde_json::from_str(&printed.stdout).expect(&printed.stderr);
        move |name: &str| {
            let text = |field: &str| settings[name][field].as_str().unwrap().to_owned();
            (text("value"), text("from"))
        }
    };
    let said = |value: &str, from: &str| (value.to_owned(), from.to_owned());

    let url = "postgres://me:secret@localhost/tasks";
    let all = config(&[
        ("DATABASE_URL", url),
        ("LEASE_SECONDS", "80"),
        ("REQUEUE_SWEEP_SECONDS", "15"),
        ("MAX_ATTEMPTS_DEFAULT", "4"),
        ("TASKYARD_MAX_LOSSES", "6"),
    ]);
    let shown = "postgres://me:***@localhost/tasks";
    assert_eq!(all("database"), said(shown, "environment (DATABASE_URL)"));
    assert_eq!(all("lease"), said("80s", "environment (LEASE_SECONDS)"));
    let sweep = said("15s", "environment (REQUEUE_SWEEP_SECONDS)");
    assert_eq!(all("sweep"), sweep);
    let attempts = said("4", "environment (MAX_ATTEMPTS_DEFAULT)");
    assert_eq!(all("max_attempts"), attempts);
    let losses = said("6", "environment (TASKYARD_MAX_LOSSES)");
    assert_eq!(all("max_losses"), losses);

    // Another program's, and none at all.
    let foreign = config(&[
        ("DATABASE_URL", "mysql://localhost/shop"),
        ("LEASE_SECONDS", ""),
    ]);
    assert_eq!(foreign("database"), said("sqlite:taskyard.db", "default"));
    assert_eq!(foreign("lease"), said("75s", "default"));
    for (name, value) in [("LEASE_SECONDS", "1m"), ("MAX_ATTEMPTS_DEFAULT", "many")] {
        let printed = run(yard.directory.path(), &["config"], &[(name, value)]);
        assert_eq!(printed.code, 2);
        assert!(printed.stderr.contains(name), "{}", printed.stderr);
    }
}

#[test]
fn the_file_reaches_the_commands_below_db() {
    let yard = Yard::new();
    let file = yard.path("there.db");
    std::fs::write(
        yard.path("taskyard.toml"),
        format!("database = \"sqlite:{}\"\n", file.display()),
    )
    .unwrap();

    let printed = run(yard.directory.path(), &["db", "migrate"], &[]);

    assert_eq!(printed.code, 0, "{}", printed.stderr);
    assert!(file.exists(), "{}", printed.stdout);
}

#[test]
fn a_variable_that_is_no_setting_is_told() {
    let yard = Yard::new();

    let printed = run(
        yard.directory.path(),
        &["config"],
        &[("TASKYARD_LEAS", "2m")],
    );

    assert_eq!(printed.code, 0);
    assert!(
        printed.stderr.contains("is TASKYARD_LEASE meant?"),
        "{}",
        printed.stderr
    );
}

#[test]
fn nonsense_is_refused_and_named_wherever_it_stands() {
    let yard = Yard::new();
    let directory = yard.directory.path();
    let check = |arguments: &[&str], environment: &[(&str, &str)], names: &[&str]| {
        let printed = run(directory, arguments, environment);
        assert_eq!(printed.code, 2, "{}", printed.stderr);
        for name in names {
            assert!(
                printed.stderr.contains(name),
                "{name} is missing in: {}",
                printed.stderr
            );
        }
    };

    check(
        &["serve", "--database", "postgres://"],
        &[],
        &["--database", "names no host"],
    );
    check(
        &["serve", "--lease", "75"],
        &[],
        &["--lease", "with its unit"],
    );
    check(
        &["config"],
        &[("TASKYARD_SWEEP", "soon")],
        &["--sweep", "soon"],
    );
    check(
        &["config"],
        &[("TASKYARD_LEASE", "abc")],
        &["--lease", "the variable TASKYARD_LEASE"],
    );
    check(
        &["config", "--lease", "5s", "--heartbeat", "2s"],
        &[],
        &["--lease", "three"],
    );
    check(
        &["config", "--lease", "3600001ms"],
        &[],
        &["--lease", "at most 60m"],
    );
    check(
        &["config"],
        &[("LEASE_SECONDS", "1.5")],
        &["LEASE_SECONDS", "whole seconds"],
    );
    check(
        &["config", "--internal-workers", "51"],
        &[],
        &["--internal-workers", "50"],
    );
    check(&["config", "--internal-workers", "-1"], &[], &["-1"]);
    check(
        &["config", "--input-max", "much"],
        &[],
        &["--input-max", "1MiB"],
    );
    check(
        &["config", "--config", "nowhere.toml"],
        &[],
        &["nowhere.toml"],
    );
    check(
        &["serve", "--heartbeat", "20s"],
        &[],
        &[
            "--heartbeat-ttl is 30s",
            "--heartbeat 20s",
            "twice that, 40s",
        ],
    );
    check(
        &["config", "--lists-max", "2"],
        &[],
        &["--lists-max", "2 readers"],
    );
    check(
        &["config", "--place-within", "0s"],
        &[],
        &["--place-within", "1ms"],
    );
    check(
        &["serve", "--lease", "20s", "--heartbeat", "10s"],
        &[],
        &["--lease is 20s", "--heartbeat 10s", "three times that, 30s"],
    );
    check(
        &["serve", "--bodies-max", "33554431"],
        &[],
        &["--bodies-max", "--body-max", "33554432"],
    );
    check(
        &["serve", "--queue-bytes-max", "33554431"],
        &[],
        &["--queue-bytes-max", "--body-max", "33554432"],
    );
    check(
        &["serve", "--body-max", "8191"],
        &[],
        &["--body-max", "8192"],
    );
    check(
        &["config", "--queue-max", "15"],
        &[],
        &["--queue-max", "16.."],
    );
    check(
        &[
            "config",
            "--bodies-max",
            "64MiB",
            "--checkpoint-max",
            "33MiB",
        ],
        &[],
        &["--bodies-max", "--checkpoint-max", "69337088"],
    );
    check(
        &["config", "--stream-max", "0"],
        &[],
        &["--stream-max", "1.."],
    );
    check(
        &["config", "--listen", "0.0.0.0:8000"],
        &[],
        &["0.0.0.0:8000", "TASKYARD_TOKEN", "--no-auth"],
    );
    check(
        &["config", "--listen", "localhost:8000"],
        &[("TASKYARD_TOKEN", "")],
        &["TASKYARD_TOKEN (--token) is empty"],
    );
    check(
        &["serve", "--attempt-detail-max", "1048577"],
        &[],
        &["--attempt-detail-max", "1048576"],
    );
    check(
        &[
            "config",
            "--history-max",
            "1000",
            "--attempt-detail-max",
            "104858",
        ],
        &[],
        &["--attempt-detail-max", "104857", "--history-max", "2000"],
    );
    check(
        &["serve", "--history-max", "1001"],
        &[],
        &["--history-max", "1000"],
    );
    check(
        &["serve", "--claim-max", "1001"],
        &[],
        &["--claim-max", "1000"],
    );
    check(
        &["serve", "--key-life", "59s"],
        &[],
        &["--key-life", "a minute"],
    );
    check(
        &["serve", "--operation-life", "59s"],
        &[],
        &["--operation-life", "a minute"],
    );
    check(
        &["serve", "--head-max", "8191"],
        &[],
        &["--head-max", "8192"],
    );
    check(
        &["serve", "--body-within", "0s"],
        &[],
        &["--body-within", "1ms"],
    );
    for log in ["foo", "verbose", "a=b=c", "info,taskyard_engin=debug"] {
        check(
            &["serve", "--log", log],
            &[],
            &["--log", log, "debug", "taskyard_engine"],
        );
    }
    check(
        &["config"],
        &[("TASKYARD_LOG", "loud")],
        &["loud", "the variable TASKYARD_LOG"],
    );
    for (flag, value) in [
        ("--allow-origin", "foo"),
        ("--allow-host", "http://x"),
        ("--listen", "foo"),
        ("--listen", "127.0.0.1:99999"),
        ("--allow-env", "A B"),
        ("--allow-command", "wc,,sort"),
        ("--allow-http", "https://example.com"),
    ] {
        check(&["config", flag, value], &[], &[flag, value]);
    }
    check(
        &["serve", "--database", "mysql://x"],
        &[],
        &["--database", "sqlite:"],
    );

    std::fs::write(yard.path("taskyard.toml"), "leese = \"2m\"\n").unwrap();
    check(&["config"], &[], &["taskyard.toml", "leese", "lease"]);
    std::fs::write(yard.path("taskyard.toml"), "lease = 75\n").unwrap();
    check(&["config"], &[], &["lease in the file taskyard.toml", "75"]);
    std::fs::write(yard.path("taskyard.toml"), "lease = [\"1m\", \"2m\"]\n").unwrap();
    check(&["config"], &[], &["taskyard.toml", "lease", "one value"]);
    std::fs::write(yard.path("taskyard.toml"), "lease = [").unwrap();
    check(&["config"], &[], &["taskyard.toml", "TOML"]);
}

#[test]
fn no_password_is_shown_and_one_that_nobody_can_tell_is_refused() {
    let yard = Yard::new();
    for password in ["p/secret", "p#secret", "p?secret", "p@secret", "secret/@#?"] {
        let database = format!("postgres://u:{password}@h/d");
        for command in [
            &["config"][..],
            &["serve", "--listen", "127.0.0.1:0"],
            &["db", "check"],
        ] {
            let arguments = [command, &["--database", &database]].concat();
            let printed = run(yard.directory.path(), &arguments, &[]);

            let said = printed.stdout + &printed.stderr;
            assert_eq!(printed.code, 2, "{said}");
            assert!(!said.contains("secret"), "{said}");
            assert!(
                said.contains("%40") && said.contains("--database"),
                "{said}"
            );
        }
    }

    // Quotes that are not closed.
    std::fs::write(
        yard.path("taskyard.toml"),
        "lease = \"1m\"\ndatabase = \"postgres://u:secret@h",
    )
    .unwrap();
    let printed = run(yard.directory.path(), &["config"], &[]);
    assert_eq!(printed.code, 2);
    assert!(!printed.stderr.contains("secret"), "{}", printed.stderr);
    assert!(printed.stderr.contains("in line 2"), "{}", printed.stderr);
}

#[test]
fn lists_leave_a_reader_of_each_database() {
    let yard = Yard::new();
    let fits = |arguments: &[&str]| {
        let printed = run(
            yard.directory.path(),
            &[&["config"], arguments].concat(),
            &[],
        );
        printed.code == 0
    };
    let postgres = ["--database", "postgres://localhost/tasks"];

    assert!(fits(&["--lists-max", "1"]));
    assert!(fits(&[&postgres[..], &["--lists-max", "3"]].concat()));
    assert!(!fits(&[&postgres[..], &["--lists-max", "4"]].concat()));
}
