//! What a command gets and what is kept of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::IntoRawFd as _;

use serde_json::{Value, json};
use taskyard_worker::executors::Command;
use taskyard_worker::executors::command::{Keep, Limits, Settings};

use super::{Workshop, completed, detail, failed};

/// What the command prints, run with the usual settings.
async fn stdout(input: &Value) -> String {
    let workshop = Workshop::new();
    let output = completed(&Command::new(workshop.settings()), input).await;
    assert!(workshop.is_empty(), "the work directory is still there");
    output["stdout"].as_str().unwrap().to_owned()
}

fn shell(script: &str) -> Value {
    json!({"argv": ["sh", "-c", script]})
}

#[tokio::test]
async fn argv_arrives_word_by_word() {
    let input = json!({"argv": ["printf", "<%s>", "two words", "", "$HOME", "*", "ä"]});

    assert_eq!(stdout(&input).await, "<two words><><$HOME><*><ä>");
}

#[tokio::test]
async fn line_is_split_at_blanks_and_quotes_and_is_no_shell_line() {
    let line = r#"printf '<%s>' one "two words" 'th'"ree" \"four $HOME * ; ls | wc > out"#;

    assert_eq!(
        stdout(&json!({"command": line})).await,
        r#"<one><two words><three><"four><$HOME><*><;><ls><|><wc><>><out>"#
    );
}

#[tokio::test]
async fn output_tells_all_there_is_to_know() {
    let workshop = Workshop::new();

    let output = completed(
        &Command::new(workshop.settings()),
        &shell("printf out; printf error >&2"),
    )
    .await;

    assert_eq!(output["exit_code"], 0);
    assert_eq!(output["signal"], json!(null));
    assert_eq!(
        (&output["stdout"], &output["stdout_bytes"]),
        (&json!("out"), &json!(3))
    );
    assert_eq!(
        (&output["stderr"], &output["stderr_bytes"]),
        (&json!("error"), &json!(5))
    );
    assert_eq!(output["truncated"], false);
    assert!(output["cpu_ms"].is_u64());
    assert!(output["rss_bytes_max"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn exit_code_other_than_0_fails_and_shows_the_output() {
    let workshop = Workshop::new();

    let failure = failed(
        &Command::new(workshop.settings()),
        &shell("echo so far; echo 'no such luck' >&2; exit 3"),
    )
    .await;

    assert_eq!((failure.code.as_ref(), failure.retry), ("exit_code", true));
    assert_eq!(failure.message, "`sh` exited with code 3: no such luck");
    let detail = detail(&failure);
    assert_eq!(detail["exit_code"], 3);
    assert_eq!(detail["stdout"], "so far\n");
    assert_eq!(detail["stderr"], "no such luck\n");
}

#[tokio::test]
async fn death_by_signal_fails_and_names_the_signal() {
    for (script, name) in [
        ("kill -SEGV $$", "SIGSEGV"),
        ("kill -KILL $$", "SIGKILL"),
        ("kill -40 $$", "signal 40"),
    ] {
        let workshop = Workshop::new();

        let failure = failed(&Command::new(workshop.settings()), &shell(script)).await;

        assert_eq!(failure.code, "killed");
        assert!(failure.message.contains(name), "{}", failure.message);
        assert_eq!(detail(&failure)["exit_code"], json!(null));
        assert_eq!(detail(&failure)["signal"], name);
    }
}

#[tokio::test]
async fn stdin_is_the_given_text_or_empty() {
    assert_eq!(stdout(&json!({"argv": ["wc", "-c"]})).await.trim(), "0");

    let text = "ä line\n".repeat(100_000);
    let expected = text.len().to_string();
    assert_eq!(
        stdout(&json!({"argv": ["wc", "-c"], "stdin": text}))
            .await
            .trim(),
        expected
    );
}

#[tokio::test]
async fn environment_holds_ours_and_the_tasks_and_nothing_else() {
    let workshop = Workshop::new();
    let input =
        json!({"argv": ["env", "-0"], "env": {"GREETING": "hello\nyou", "LANG": "sv_SE.UTF-8"}});

    let output = completed(&Command::new(workshop.settings()), &input).await;

    let printed = output["stdout"].as_str().unwrap();
    let env: BTreeMap<&str, &str> = printed
        .split('\u{FFFD}')
        .filter_map(|variable| variable.split_once('='))
        // Passed on only where the worker has it.
        .filter(|(name, _)| *name != "TZ")
        .collect();

    let names: Vec<&str> = env.keys().copied().collect();
    assert_eq!(
        names,
        [
            "GREETING",
            "HOME",
            "LANG",
            "PATH",
            "TASKYARD_ATTEMPT",
            "TASKYARD_TASK_ID",
            "TASKYARD_WORKDIR",
            "TMPDIR"
        ]
    );
    assert_eq!(env["GREETING"], "hello\nyou");
    assert_eq!(env["LANG"], "sv_SE.UTF-8");
    assert_eq!(env["TASKYARD_ATTEMPT"], "3");
    assert_eq!(
        env["TASKYARD_TASK_ID"],
        super::run_of(&json!(null)).task.to_string()
    );
    assert_eq!(env["HOME"], env["TASKYARD_WORKDIR"]);
    assert_eq!(env["TMPDIR"], env["TASKYARD_WORKDIR"]);
}

#[tokio::test]
async fn guardian_has_no_environment_to_be_read() {
    assert_eq!(
        stdout(&shell("wc -c </proc/$PPID/environ")).await.trim(),
        "0"
    );
}

#[tokio::test]
async fn work_directory_is_fresh_private_and_removed() {
    let script = "ls -A; stat -c %a .; pwd; touch file; mkdir -p sub/dir; chmod 500 sub; umask";
    let workshop = Workshop::new();
    let root = workshop.root.path().canonicalize().unwrap();

    let output = completed(&Command::new(workshop.settings()), &shell(script)).await;

    let lines: Vec<&str> = output["stdout"].as_str().unwrap().lines().collect();
    assert_eq!((lines[0], lines[2]), ("700", "0077"));
    assert!(lines[1].starts_with(root.to_str().unwrap()), "{lines:?}");
    assert!(workshop.is_empty());
}

#[tokio::test]
async fn limits_hold_for_the_command() {
    let workshop = Workshop::new();
    let limits = Limits {
        open_files: 77,
        file_bytes: 4096,
        core_bytes: 0,
    };
    let command = Command::new(Settings {
        limits,
        ..workshop.settings()
    });

    let output = completed(
        &command,
        &shell("ulimit -n; ulimit -c; grep NoNewPrivs /proc/self/status"),
    )
    .await;
    assert_eq!(output["stdout"], "77\n0\nNoNewPrivs:\t1\n");

    let failure = failed(
        &command,
        &json!({"argv": ["dd", "if=/dev/zero", "of=big", "bs=8192", "count=2"]}),
    )
    .await;
    assert_eq!(detail(&failure)["signal"], "SIGXFSZ");
}

#[tokio::test]
async fn command_leads_its_own_group_in_another_session_with_no_signal_blocked() {
    // The group and the session of the reading process itself, which is the command.
    let printed =
        stdout(&json!({"argv": ["cut", "-d", " ", "-f", "1,5,6", "/proc/self/stat"]})).await;
    let ids: Vec<i32> = printed
        .split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect();
    let [pid, group, session] = ids[..] else {
        panic!("{printed}")
    };
    assert_eq!(pid, group);
    assert_ne!(session, nix::unistd::getsid(None).unwrap().as_raw());

    let blocked = stdout(&json!({"argv": ["grep", "SigBlk", "/proc/self/status"]})).await;
    assert_eq!(blocked, "SigBlk:\t0000000000000000\n");
}

#[tokio::test]
async fn descriptors_that_leaked_into_the_worker_do_not_reach_the_command() {
    // A duplicate is not closed on exec, unlike everything that Rust opens.
    let leaked = nix::unistd::dup(File::open("/etc/hostname").unwrap())
        .unwrap()
        .into_raw_fd();

    let listed = stdout(&shell("ls -l /proc/$$/fd")).await;

    nix::unistd::close(leaked).unwrap();
    assert!(!listed.contains("hostname"), "{listed}");
    let open = listed.lines().filter(|line| line.contains(" -> ")).count();
    assert_eq!(open, 3, "{listed}");
}

#[tokio::test]
async fn output_beyond_the_limit_is_read_counted_and_cut_in_the_middle() {
    let workshop = Workshop::new();
    let script =
        "printf first; head -c 3000000 /dev/zero | tr '\\0' x; printf last; printf small >&2";

    let output = completed(&Command::new(workshop.settings()), &shell(script)).await;

    assert_eq!(output["stdout_bytes"], 3_000_009);
    assert_eq!(output["truncated"], true);
    assert_eq!(output["stderr"], "small");
    let text = output["stdout"].as_str().unwrap();
    assert!(text.starts_with("firstxxx") && text.ends_with("xxxlast"));
    assert!(text.contains("\n[… 2475721 bytes left out …]\n"));
    assert_eq!(
        text.matches('x').count(),
        2 * 256 * 1024 - "firstlast".len()
    );
}

#[tokio::test]
async fn limit_of_the_output_is_a_setting() {
    let workshop = Workshop::new();
    let keep = Keep {
        head_bytes: 2,
        tail_bytes: 3,
    };

    let output = completed(
        &Command::new(Settings {
            keep,
            ..workshop.settings()
        }),
        &shell("printf 0123456789"),
    )
    .await;

    assert_eq!(output["stdout"], "01\n[… 5 bytes left out …]\n789");
}

#[tokio::test]
async fn bytes_that_no_database_holds_as_text_are_replaced() {
    assert_eq!(
        stdout(&json!({"argv": ["printf", r"a\0b\377c"]})).await,
        "a\u{FFFD}b\u{FFFD}c"
    );
}

#[tokio::test]
async fn a_command_may_close_its_output_long_before_it_ends() {
    let workshop = Workshop::new();

    let failure = failed(
        &Command::new(workshop.settings()),
        &shell("exec >&- 2>&-; sleep 0.1; exit 4"),
    )
    .await;

    assert_eq!(detail(&failure)["exit_code"], 4);
}
