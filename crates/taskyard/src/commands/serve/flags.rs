//! Each flag sets what it names; without any, everything is as the settings themselves say.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};
use taskyard_core::retention::Retention;
use taskyard_core::retry::Retry;

use super::*;
use crate::cli::{Cli, Command};

fn plan(flags: &[&str]) -> Plan {
    let words = ["taskyard", "serve"].iter().chain(flags);
    let cli = Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
    let Command::Serve(args) = cli.command else {
        panic!("it is `serve`");
    };
    Plan::make(&args).unwrap_or_else(|failure| panic!("{failure:?}"))
}

#[test]
fn without_flags_everything_is_as_the_settings_say() {
    let plan = plan(&[]);

    let policy = Policy {
        commands_refused: plan.policy.commands_refused,
        ..Policy::default()
    };
    assert_eq!(plan.policy, policy);
    assert_eq!(plan.limits, Limits::default());
}

#[test]
fn each_flag_sets_what_it_names() {
    let times = "--heartbeat 11s --heartbeat-ttl 31s --lease 76s --worker-life 25h --timeout 32m --timeout-margin 12s \
                 --priority-level 13m --key-life 26h --operation-life 29h --clock-skew 6m --poll 33s \
                 --retain completed=27h,failed=28h";
    let limits = "--max-attempts 7 --max-losses 8 --input-max 1001 --output-max 1002 --checkpoint-max 1003 \
                  --history-max 9 --attempt-detail-max 1004 --list-look-at-max 1005 --offset-max 1020 --lists-max 3 --depth-max 65 \
                  --body-max 9006 --bodies-max 300000 --answers-max 300001 --batch-max 1007 --claim-max 14 \
                  --claim-bytes-max 1008 --stream-max 1009 --queue-max 1010 --log-max 1017 --log-line-max 1018 --follows-max 1019 \
                  --queue-bytes-max 300002 --lanes-max 1011 --queues-max 1016 --operations-max 1022 --matching-max 1021 --wrong-tokens-max 1023 --workers-max 1012 \
                  --metrics-values-max 1015 --stats-lanes-max 99 --metrics-within 22s";
    let connections = "--connections-max 1013 --connections-spare 1014 --place-within 15s --head-max 9000 \
                       --head-within 16s --idle-within 17s --body-pause 18s --body-within 19s --write-pause 20s \
                       --answer-within 21s";
    let database = "--database postgres://localhost/tasks";
    let all = [times, limits, connections, database].join(" ");
    let flags: Vec<&str> = all.split_whitespace().collect();

    let plan = plan(&flags);

    let seconds = Duration::from_secs;
    assert_eq!(
        plan.policy,
        Policy {
            heartbeat: seconds(11),
            heartbeat_ttl: seconds(31),
            lease: seconds(76),
            poll: seconds(33),
            timeout: Duration::from_mins(32),
            timeout_margin: seconds(12),
            priority_level: Duration::from_mins(13),
            max_attempts: 7,
            max_losses: 8,
            commands_max: 1010,
            commands_bytes_max: 300_002,
            lanes_max: 1011,
            queues_max: 1016,
            operations_max: 1022,
            operation_life: Duration::from_hours(29),
            workers_max: 1012,
            stats_lanes_max: 99,
            claim_bytes_max: 1008,
            history_max: 9,
            log_bytes_max: 1017,
            log_line_bytes_max: 1018,
            key_life: Duration::from_hours(26),
            clock_skew: Duration::from_mins(6),
            retention: Retention {
                completed: Some(Duration::from_hours(27)),
                failed: Some(Duration::from_hours(28)),
                ..Retention::default()
            },
            worker_life: Duration::from_hours(25),
            // Tasks say these for themselves, or nobody sets them.
            retry: Retry::default(),
            suspect_patience: Policy::default().suspect_patience,
            server_ttl: Policy::default().server_ttl,
            lease_max: Policy::default().lease_max,
            // Another test has what this comes to.
            commands_refused: plan.policy.commands_refused,
        }
    );
    assert_eq!(
        plan.limits,
        Limits {
            input_max: 1001,
            output_max: 1002,
            attempt_detail_max: 1004,
            list_look_at_max: 1005,
            offset_max: 1020,
            matching_max: 1021,
            lists_max: 3,
            follows_max: 1019,
            checkpoint_max: 1003,
            depth_max: 65,
            bulk_max: 9006,
            tasks_max: 1007,
            claim_max: 14,
            stream_tasks_max: 1009,
            bodies_max: 300_000,
            answers_max: 300_001,
            body_pause_max: seconds(18),
            body_within: seconds(19),
            connections_max: 1013,
            connections_spare: 1014,
            place_within: seconds(15),
            head_bytes_max: 9000,
            head_within: seconds(16),
            idle_within: seconds(17),
            write_pause_max: seconds(20),
            answer_within: seconds(21),
            wrong_tokens_max: 1023,
            metrics_values_max: 1015,
            metrics_within: seconds(22),
            stop_within: Limits::default().stop_within,
        }
    );
}

#[test]
fn the_flags_say_what_becomes_of_commands_and_what_workers_inside_run() {
    let check = |flags: &str, commands: Option<Commands>, has: &[&str], has_not: &[&str]| {
        let flags: Vec<&str> = flags.split_whitespace().collect();
        let plan = plan(&flags);
        let refused = plan.policy.commands_refused;
        assert_eq!(refused.is_none(), commands.is_some(), "{flags:?}");
        assert_eq!(
            plan.commands,
            commands.unwrap_or(Commands::Run),
            "{flags:?}"
        );
        for (kinds, expected) in [(has, true), (has_not, false)] {
            for kind in kinds {
                assert_eq!(
                    plan.executors.get(kind).is_some(),
                    expected,
                    "{flags:?}: {kind}"
                );
            }
        }
    };
    let (refused, run) = (None, Some(Commands::Run));
    let simulated = |seconds| {
        Some(Commands::Simulated {
            picked_after: Duration::from_secs(seconds),
        })
    };

    check("", refused.clone(), &["simple"], &["command"]);
    check("--no-dialects", refused.clone(), &["simple"], &["command"]);
    check(
        "--internal-workers 0",
        run.clone(),
        &["simple"],
        &["command"],
    );
    check("--allow-command echo", run, &["command"], &[]);
    check("--simulate", simulated(1), &["command", "simple"], &[]);
    check(
        "--simulate --simulate-pick 3s",
        simulated(3),
        &["command"],
        &[],
    );
    let only = "--simulate --internal-kinds";
    check(
        &format!("{only} command"),
        simulated(1),
        &["command"],
        &["simple"],
    );
    check(
        &format!("{only} echo"),
        simulated(1),
        &["echo"],
        &["command"],
    );
    check("--internal-kinds echo", refused, &["echo"], &["simple"]);
    for flags in ["--simulate --allow-command echo", "--worker-id-pattern ["] {
        let words = ["taskyard", "serve"].into_iter();
        let words = words.chain(flags.split_whitespace());
        assert!(Cli::try_parse_from(words).is_err(), "{flags}");
    }
}

#[test]
fn a_depth_is_refused_that_would_not_be_in_force() {
    let least = taskyard_api::request::LEVELS_MIN;
    let read = |depth: usize| {
        let depth = depth.to_string();
        Cli::try_parse_from(["taskyard", "serve", "--depth-max", &depth]).is_ok()
    };

    assert!(read(least));
    assert!(!read(least - 1));
}

/// As the flag would be given: `1MiB` for `1 MiB`, `10000` for `10,000`, `5m` for `5 min`.
fn as_typed(documented: &str) -> String {
    let plain = documented.replace([' ', ','], "");
    let plain = plain.strip_suffix("bytes").unwrap_or(&plain);
    plain
        .strip_suffix("min")
        .map_or_else(|| plain.to_owned(), |minutes| format!("{minutes}m"))
}

#[test]
fn the_table_of_limits_has_every_limit_with_its_default() {
    let table = include_str!("../../../../../docs/limits.md");
    let documented: BTreeMap<&str, &str> = table
        .lines()
        .filter_map(|line| {
            let (flag, cells) = line.strip_prefix("| `--")?.split_once('`')?;
            Some((flag, cells.split('|').nth(1)?.trim()))
        })
        .collect();
    let cli = Cli::command();
    let serve = cli.find_subcommand("serve").expect("it is a command");

    let mut known = BTreeMap::new();
    for arg in serve.get_arguments() {
        let Some(flag) = arg.get_long() else { continue };
        let default = arg.get_default_values().first();
        let default = default.map(|value| value.to_string_lossy().into_owned());
        known.insert(flag, default);
        if matches!(arg.get_help_heading(), Some("Limits" | "Connections")) {
            assert!(
                documented.contains_key(flag),
                "--{flag} is missing in docs/limits.md"
            );
        }
    }
    for (flag, default) in documented {
        let known = known.get(flag);
        let known = known.unwrap_or_else(|| panic!("docs/limits.md lists --{flag}, which is none"));
        // Without a default of its own it has one that depends on others.
        if let Some(known) = known {
            assert_eq!(&as_typed(default), known, "--{flag} in docs/limits.md");
        }
    }
}
