//! Settings that make no sense, wherever they stand: refused at the start, by their names.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use serde_json::Value;

use crate::yard::{Yard, run, taskyard};

/// Settings that take any text, or nearly: what is wrong with it shows when it is used, and is tested there.
const TEXTS: [&str; 2] = ["allow_command", "listen"];

#[test]
fn no_setting_takes_nonsense_from_its_variable() {
    let yard = Yard::new();
    let config = ["config", "--output", "json"];
    let printed = run(yard.directory.path(), &config, &[]);
    let settings: Value = serde_json::from_str(&printed.stdout).expect(&printed.stderr);
    // Those of other commands are shown there, and judged by them.
    let is_of_serve = |setting: &Value| {
        let commands = setting["commands"].as_array().unwrap();
        commands.iter().any(|name| name == "serve" || name == "all")
    };
    let settings = settings.as_object().unwrap().iter();
    let names: Vec<&String> = settings
        .filter(|(name, setting)| is_of_serve(setting) && !TEXTS.contains(&name.as_str()))
        .map(|(name, _)| name)
        .collect();
    assert!(names.len() > 60, "{names:?}");

    for name in names {
        let variable = match name.as_str() {
            "config_file" => "TASKYARD_CONFIG".to_owned(),
            name => format!("TASKYARD_{}", name.to_uppercase()),
        };
        let printed = run(
            yard.directory.path(),
            &["config"],
            &[(&variable, "\u{e9} ?(\u{1b}[2J")],
        );

        assert_eq!(printed.code, 2, "{variable}: {}", printed.stdout);
        let flag = format!("--{}", name.replace('_', "-"));
        let said = &printed.stderr;
        assert!(
            said.contains(&variable) || said.contains(&flag) || name == "config_file",
            "{variable}: {said}"
        );
        assert!(!said.contains('\u{1b}'), "{variable}: {said:?}");
    }
}

/// What leaves no room and no time, names nothing, or means another thing wherever it is started.
#[test]
fn what_nobody_can_want_is_refused_at_the_start_wherever_it_stands() {
    const ROOM: &str = "must be at least 1 byte";
    const TIME: &str = "must be at least 1ms";
    let yard = Yard::new();
    let rooms = [
        "input-max",
        "output-max",
        "log-line-max",
        "body-max",
        "bodies-max",
        "answers-max",
        "claim-bytes-max",
        "queue-bytes-max",
        "head-max",
        "http-response-max",
        "http-headers-max",
    ];
    let times = [
        "worker-life",
        "key-life",
        "operation-life",
        "sweep",
        "timeout",
        "priority-level",
        "metrics-within",
        "place-within",
        "head-within",
        "idle-within",
        "body-pause",
        "body-within",
        "write-pause",
        "answer-within",
    ];
    let rooms = rooms.map(|flag| ("serve", flag, "0", ROOM));
    let times = times.map(|flag| ("serve", flag, "0s", TIME));
    // A heartbeat takes its time: of shorter ones none would come in time.
    let beats = [
        ("heartbeat", "99ms", "must be at least 100ms"),
        ("heartbeat-ttl", "1ms", "must be at least 300ms"),
        ("lease", "0s", "must be at least 300ms"),
        ("lease", "1ms", "must be at least 300ms"),
        ("lease", "299ms", "must be at least 300ms"),
    ];
    let beats = beats.map(|(flag, value, why)| ("serve", flag, value, why));
    let others = [
        ("serve", "input-max", "1025GiB", "must be at most 1024GiB"),
        ("serve", "wrong-tokens-max", "0", "1.."),
        ("serve", "allow-command", "", "leave it out to allow none"),
        ("serve", "allow-command", "bin/tool", "begins with /"),
        ("serve", "allow-command", "any,wc", "stands alone"),
        ("serve", "allow-http", "", "leave it out to allow none"),
        ("serve", "internal-kinds", "", "it runs"),
        ("worker", "http-response-max", "0", ROOM),
        ("worker", "allow-command", "", "leave it out to allow none"),
        ("worker", "allow-command", "./tool", "begins with /"),
        ("worker", "kinds", "", "it runs"),
        ("worker", "queues", "", "must not be empty"),
        ("worker", "queues", "a b", "may hold only"),
        ("worker", "name", "", "must not be empty"),
        ("worker", "name", "a/b", "may hold only"),
        ("worker", "label", "", "name=value"),
        ("worker", "label", "a/b=1", "may hold only"),
        ("worker", "label", "a=", "1 to 64 bytes"),
    ];
    let all = rooms.into_iter().chain(times).chain(beats).chain(others);
    for (command, setting, value, why) in all {
        let variable = match setting {
            "name" => "TASKYARD_WORKER_NAME".to_owned(),
            "label" => "TASKYARD_LABELS".to_owned(),
            setting => format!("TASKYARD_{}", setting.replace('-', "_").to_uppercase()),
        };
        let file = format!("{} = {value:?}\n", setting.replace('-', "_"));
        let typed = format!("--{setting}={value}");
        for (words, variables, file) in [
            (vec![command, &typed], vec![], ""),
            (vec![command], vec![(&*variable, value)], ""),
            (vec![command], vec![], &*file),
        ] {
            std::fs::write(yard.path("taskyard.toml"), file).unwrap();
            let printed = run(yard.directory.path(), &words, &variables);

            let said = &printed.stderr;
            assert_eq!(printed.code, 2, "{words:?} {variables:?} {file}: {said}");
            let flag = format!("--{setting}");
            assert!(
                said.contains(&flag) && said.contains(why),
                "{words:?} {variables:?} {file}: {said}"
            );
        }
    }
}

#[test]
fn a_token_that_is_none_is_refused_by_who_would_send_it() {
    let yard = Yard::new();
    for token in ["", "s3 cret"] {
        let printed = run(
            yard.directory.path(),
            &["list"],
            &[("TASKYARD_TOKEN", token)],
        );

        assert_eq!(printed.code, 2, "{token:?}: {}", printed.stderr);
        let said = printed.stdout + &printed.stderr;
        assert!(said.contains("TASKYARD_TOKEN (--token)"), "{said}");
        assert!(!said.contains("s3"), "{said}");
    }
}

#[test]
fn a_variable_that_is_no_text_is_named() {
    let yard = Yard::new();

    let output = taskyard()
        .arg("config")
        .env("TASKYARD_LEASE", OsStr::from_bytes(b"\xff"))
        .current_dir(yard.directory.path())
        .output()
        .unwrap();

    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("TASKYARD_LEASE is not UTF-8"), "{said}");
}

#[test]
fn a_token_that_no_request_can_bear_is_refused_and_not_shown() {
    let yard = Yard::new();
    for token in ["s3cret\n", " s3cret", "s3 cret", "s3cret\u{7f}", "s3crét"] {
        let printed = run(
            yard.directory.path(),
            &["serve", "--listen", "127.0.0.1:0"],
            &[("TASKYARD_TOKEN", token)],
        );

        assert_eq!(printed.code, 2, "{token:?}: {}", printed.stderr);
        let said = printed.stdout + &printed.stderr;
        assert!(
            said.contains("TASKYARD_TOKEN") && said.contains("ASCII"),
            "{said}"
        );
        assert!(!said.contains("s3"), "{said}");
    }
}

#[test]
fn a_file_that_holds_no_settings_is_refused_by_its_name() {
    let yard = Yard::new();
    let spaces = " ".repeat(1 << 20);
    let long = format!("{spaces} ");
    for (content, said) in [
        (&b"nonsense"[..], "in line 1"),
        (b"[serve]\nlease = \"80s\"", "serve"),
        (
            b"leese = \"80s\"",
            "\"leese\", which is no setting; is \"lease\" meant?",
        ),
        (b"log-format = \"json\"", "is \"log_format\" meant?"),
        (
            b"coffee = true",
            "`taskyard config` without this file lists them",
        ),
        (b"config_file = \"other.toml\"", "which is no setting"),
        (b"lease = \"80s\"\nlease = \"80s\"", "in line 2"),
        (b"lease = {a = 1}", "lease"),
        (b"lease = 2026-01-31", "lease"),
        (b"internal_workers = 1.5", "internal_workers in the file"),
        (b"lease = \"\xff\"", "UTF-8"),
        (b"\0\0\0", "in line 1"),
        (long.as_bytes(), "more than 1048576 bytes"),
    ] {
        std::fs::write(yard.path("taskyard.toml"), content).unwrap();

        let printed = run(yard.directory.path(), &["config"], &[]);

        assert_eq!(printed.code, 2, "{said}: {}", printed.stdout);
        let told = &printed.stderr;
        assert!(
            told.contains("taskyard.toml") && told.contains(said),
            "{said}: {told}"
        );
    }
    std::fs::write(yard.path("taskyard.toml"), spaces).unwrap();
    assert_eq!(run(yard.directory.path(), &["config"], &[]).code, 0);
}

#[test]
fn what_is_refused_says_where_its_value_comes_from() {
    let yard = Yard::new();
    let refused = |variable: &[(&str, &str)], flags: &[&str], said: &[&str]| {
        for command in ["serve", "config"] {
            let words = [&[command], flags].concat();
            let printed = run(yard.directory.path(), &words, variable);
            assert_eq!(
                printed.code, 2,
                "{words:?} {variable:?}: {}",
                printed.stderr
            );
            for said in said {
                assert!(
                    printed.stderr.contains(said),
                    "{words:?} {variable:?}: {}",
                    printed.stderr
                );
            }
        }
    };

    for (name, flag, value) in [
        ("TASKYARD_DATABASE", "--database", "mysql://x"),
        ("TASKYARD_DATABASE", "--database", "sqlite:."),
        ("TASKYARD_ALLOW_ORIGIN", "--allow-origin", "evil"),
        ("TASKYARD_ALLOW_HOST", "--allow-host", "a b"),
        ("TASKYARD_INTERNAL_KINDS", "--internal-kinds", "nonsense"),
        ("TASKYARD_KEY_LIFE", "--key-life", "1s"),
        ("TASKYARD_HEAD_MAX", "--head-max", "1"),
        ("TASKYARD_CONFIG", "--config", "/nope"),
    ] {
        let place = format!("The value of {flag} comes from the variable {name}.");
        refused(&[(name, value)], &[], &[&place]);
        let printed = run(yard.directory.path(), &["config", flag, value], &[]);
        assert!(
            !printed.stderr.contains("comes from"),
            "it was typed: {}",
            printed.stderr
        );
    }
    let ttl = "The value of --heartbeat-ttl comes from the variable HEARTBEAT_TTL_SECONDS.";
    let two = [("HEARTBEAT_TTL_SECONDS", "5")];
    refused(&two, &["--heartbeat", "4s"], &["with --heartbeat 4s", ttl]);
    std::fs::write(yard.path("taskyard.toml"), "key_life = \"1s\"\n").unwrap();
    let file = "The value of --key-life comes from key_life in the file taskyard.toml.";
    refused(&[], &[], &[file]);
    let printed = run(yard.directory.path(), &["config", "--output", "json"], &[]);
    assert!(
        printed.stdout.contains("key_life in the file"),
        "programs are told as well: {}",
        printed.stdout
    );
}
