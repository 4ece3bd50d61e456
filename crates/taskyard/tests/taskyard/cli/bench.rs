//! What `taskyard bench` tells of a server's own weight, with next to nothing in its database.

use serde_json::Value;

use crate::yard::{Process, Yard, postgres_server, run, taskyard};

const SMALL: [&str; 7] = [
    "bench",
    "--only",
    "start,idle,queued",
    "--scale",
    "0.001",
    "--seconds",
    "100ms",
];

const SMALL_SHARED: [&str; 7] = [
    "bench",
    "--only",
    "W10,W11",
    "--scale",
    "0.001",
    "--seconds",
    "100ms",
];

const SMALL_STARTS: [&str; 9] = [
    "bench",
    "--only",
    "start",
    "--scale",
    "0.001",
    "--repeat",
    "100",
    "--database",
    "sqlite:.",
];

/// Of each figure its name, unit and value.
fn figures(small: &[&str], database: &str) -> Vec<(String, String, f64)> {
    let yard = Yard::new();
    let arguments = [small, &["--database", database]].concat();
    let printed = run(yard.directory.path(), &arguments, &[]);
    assert_eq!(printed.code, 0, "{}", printed.stderr);
    let lines = printed.stdout.lines();
    let figure = |line| {
        let figure: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| figure[name].as_str().unwrap().to_owned();
        assert!(figure["settings"]["store"].is_string(), "{line}");
        (
            text("workload"),
            text("unit"),
            figure["value"].as_f64().unwrap(),
        )
    };
    lines.map(figure).collect()
}

fn weighs_a_server(database: &str) {
    let figures = figures(&SMALL, database);

    let names = figures
        .iter()
        .map(|(name, unit, _)| (name.as_str(), unit.as_str()));
    assert_eq!(
        names.collect::<Vec<_>>(),
        [
            ("start", "ms"),
            ("start-worst", "ms"),
            ("idle-memory", "MB"),
            ("idle-memory-used", "MB"),
            ("idle-core", "%"),
            ("queued", "MB"),
            ("queued-peak", "MB"),
        ]
    );
    let values: Vec<f64> = figures.iter().map(|(_, _, value)| *value).collect();
    assert!(values[0] > 0.0 && values[0] <= values[1], "{values:?}");
    // A process of this program, whichever way it was built.
    for megabytes in [values[2], values[3], values[5]] {
        assert!((5.0..1000.0).contains(&megabytes), "{values:?}");
    }
    assert!((0.0..100.0).contains(&values[4]), "{values:?}");
    assert!(values[5] <= values[6], "{values:?}");
}

#[test]
fn bench_weighs_a_server_on_sqlite() {
    weighs_a_server("sqlite:.");
}

#[test]
fn bench_weighs_a_server_on_postgres() {
    let Some(server) = postgres_server() else {
        return;
    };
    weighs_a_server(&server);
}

#[test]
fn bench_compares_servers_that_share_a_database() {
    let Some(server) = postgres_server() else {
        return;
    };
    let figures = figures(&SMALL_SHARED, &server);

    let named = figures
        .iter()
        .map(|(name, unit, _)| (name.as_str(), unit.as_str()));
    assert_eq!(
        named.collect::<Vec<_>>(),
        [
            ("W10-submit-one", "tasks/s"),
            ("W10-submit-two", "tasks/s"),
            ("W10-lives-one", "tasks/s"),
            ("W10-lives-two", "tasks/s"),
            ("W10-drain-one", "tasks/s"),
            ("W10-drain-two", "tasks/s"),
            ("W10-hop-p50", "ms"),
            ("W10-hop-p99", "ms"),
            ("W11-core-1", "%"),
            ("W11-memory-1", "MB"),
            ("W11-core-2", "%"),
            ("W11-memory-2", "MB"),
        ]
    );
    let idle = ["W11-core-1", "W11-core-2"];
    for (name, _, value) in &figures {
        assert!(*value > 0.0 || idle.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn what_several_servers_share_is_not_measured_on_sqlite() {
    let yard = Yard::new();

    let refused = run(
        yard.directory.path(),
        &["bench", "--only", "W1,W10", "--database", "sqlite:."],
        &[],
    );

    assert_eq!(refused.code, 2, "{}", refused.stderr);
    for said in ["W10", "PostgreSQL", "--database"] {
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
}

#[test]
fn bench_measures_no_more_than_somebody_reads() {
    let yard = Yard::new();
    let mut command = taskyard();
    command.args(SMALL_STARTS);
    command.current_dir(yard.directory.path());
    let mut bench = Process::start(command, yard.path("bench.log"));

    // Of a hundred measurements the first is not taken any more.
    drop(bench.child.stdout.take());
    let printed = bench.finish();

    assert_eq!(printed.code, 0, "{}", printed.stderr);
    let left = std::fs::read_dir(yard.directory.path()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["bench.log"]);
}

#[test]
fn what_looks_at_a_process_wants_one_of_its_own() {
    let yard = Yard::new();
    let arguments = ["--only", "W1,idle", "--server", "http://127.0.0.1:1"];

    let refused = run(
        yard.directory.path(),
        &[&["bench"], &arguments[..]].concat(),
        &[],
    );

    assert_eq!(refused.code, 2, "{}", refused.stderr);
    for said in ["idle", "--server"] {
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
}

#[test]
fn what_cannot_be_measured_is_refused_by_its_flag_before_anything_begins() {
    let yard = Yard::new();
    for (flag, value, said) in [
        ("--seconds", "0s", "from 100ms to 1m"),
        ("--seconds", "99ms", "from 100ms to 1m"),
        ("--seconds", "61s", "from 100ms to 1m"),
        ("--seconds", "3650d", "from 100ms to 1m"),
        ("--seconds", "-1s", "must not be negative"),
        ("--seconds", "3", "with its unit"),
        ("--scale", "0", "from 0.001 to 1"),
        ("--scale", "-1", "from 0.001 to 1"),
        ("--scale", "NaN", "from 0.001 to 1"),
        ("--scale", "inf", "from 0.001 to 1"),
        ("--scale", "1e300", "from 0.001 to 1"),
        ("--repeat", "0", "1..=100"),
        ("--repeat", "-1", "1..=100"),
        ("--repeat", "101", "1..=100"),
        ("--server", "https://127.0.0.1:1", "without TLS"),
        ("--server", "http://127.0.0.1:1/api", "without a path"),
        ("--database", "postgres://", "names no host"),
    ] {
        let refused = run(yard.directory.path(), &["bench", flag, value], &[]);

        let told = &refused.stderr;
        assert_eq!(refused.code, 2, "{flag} {value}: {told}");
        assert!(
            told.contains(flag) && told.contains(said),
            "{flag} {value}: {told}"
        );
        assert_eq!(refused.stdout, "");
    }
}

/// What is set where the command stands is not set for what it measures.
#[test]
fn the_server_that_is_measured_is_as_it_is_by_default() {
    let yard = Yard::new();
    std::fs::write(yard.path("taskyard.toml"), "input_max = \"10B\"\n").unwrap();
    let environment = [
        ("TASKYARD_TOKEN", "s3cret"),
        ("TASKYARD_BATCH_MAX", "1"),
        ("TASKYARD_LEASE", "nonsense"),
        ("MAX_ATTEMPTS_DEFAULT", "1"),
    ];
    let bench = [
        "bench",
        "--only",
        "W1-bulk,W2",
        "--scale",
        "0.001",
        "--seconds",
        "100ms",
    ];

    let printed = run(yard.directory.path(), &bench, &environment);

    assert_eq!(printed.code, 0, "{}", printed.stderr);
    assert_eq!(workloads(&printed.stdout), ["W1-bulk", "W2"]);
}

fn workloads(printed: &str) -> Vec<String> {
    let workload = |line| {
        let figure: Value = serde_json::from_str(line).unwrap();
        assert!(figure["value"].as_f64().unwrap() > 0.0, "{line}");
        figure["workload"].as_str().unwrap().to_owned()
    };
    printed.lines().map(workload).collect()
}

#[test]
fn a_named_server_is_measured_with_its_token_and_without_its_workers() {
    let yard = Yard::new();
    let server = yard.serve(&["--token", "s3cret,older", "--internal-workers", "3"]);
    let temporary = yard.path("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let token = ("TASKYARD_TOKEN", "s3cret,other");
    let ask = |words: &[&str], token| {
        let environment = [token, ("TMPDIR", temporary.to_str().unwrap())];
        run(yard.directory.path(), words, &environment)
    };
    let bench = [
        "bench",
        "--only",
        "W1,W2,W3,W5x64",
        "--scale",
        "0.001",
        "--seconds",
        "100ms",
        "--server",
        &server.url,
    ];

    let refused = ask(&bench, ("TASKYARD_TOKEN", "wrong"));
    let printed = ask(&bench, token);

    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert_eq!(refused.stdout, "");
    assert!(
        refused.stderr.contains("TASKYARD_TOKEN"),
        "{}",
        refused.stderr
    );
    assert_eq!(printed.code, 0, "{}", printed.stderr);
    assert_eq!(
        workloads(&printed.stdout),
        [
            "W1", "W2", "W3-p50", "W3-p99", "W3s-p50", "W3s-p99", "W5x64"
        ]
    );
    for worker in ["worker-1", "worker-2", "worker-3"] {
        let show = ["workers", "show", worker, "--server", &server.url];
        let shown = ask(&show, token);
        let idle = "0 completed, 0 failed";
        assert!(shown.stdout.contains(idle), "{}", shown.stdout);
    }
    let left = temporary.read_dir().unwrap().count();
    assert_eq!(left, 0, "what its worker logged");
}
