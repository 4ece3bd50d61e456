//! What is never started, and what the submitter reads instead.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use serde_json::{Value, json};
use taskyard_worker::executor::Finish;
use taskyard_worker::executors::Command;
use taskyard_worker::executors::command::{Allow, Limits, Settings};
use taskyard_worker::guardian::Guardian;

use super::{Workshop, completed, failed, finish};

/// Fails for good, with this code and a message that holds each of these.
async fn check(command: &Command, input: Value, code: &str, said: &[&str]) {
    let failure = failed(command, &input).await;
    assert_eq!(
        (failure.code.as_ref(), failure.retry),
        (code, false),
        "{input}: {}",
        failure.message
    );
    for said in said {
        assert!(
            failure.message.contains(said),
            "{input}: {}",
            failure.message
        );
    }
}

fn script(file: &Path, text: &str) {
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn inputs_of_another_shape() {
    let workshop = Workshop::new();
    let command = Command::new(workshop.settings());

    for (input, said) in [
        (json!(null), "not an object"),
        (json!("echo hi"), "not an object"),
        (json!([["echo"]]), "not an object"),
        (json!({}), "nothing to run"),
        (
            json!({"argv": ["true"], "command": "true"}),
            "send one of them",
        ),
        (json!({"argv": []}), "`argv` names no program"),
        (json!({"argv": [""]}), "`argv` names no program"),
        (json!({"command": "  "}), "`command` names no program"),
        (json!({"command": "echo 'open"}), "missing closing quote"),
        (json!({"argv": "echo"}), "`argv`: invalid type: string"),
        (
            json!({"argv": ["echo", 1]}),
            "`argv[1]`: invalid type: integer",
        ),
        (json!({"argv": ["echo", "a\0b"]}), "NUL"),
        (
            json!({"argv": ["true"], "env": {"A": 1}}),
            "`env.A`: invalid type: integer",
        ),
        (json!({"argv": ["true"], "env": {"A": "a\0b"}}), "NUL"),
        (json!({"argv": ["true"], "env": {"": "x"}}), "not a name"),
        (
            json!({"argv": ["true"], "env": {"A=B": "x"}}),
            "`A=B` is not a name",
        ),
        (
            json!({"argv": ["true"], "stdin": 5}),
            "`stdin`: invalid type: integer",
        ),
        (json!({"argv": ["true"], "cwd": "/"}), "unknown field `cwd`"),
    ] {
        check(&command, input, "invalid_input", &[said]).await;
    }
    assert!(workshop.is_empty());
}

#[tokio::test]
async fn variables_that_are_not_the_tasks_to_set() {
    let workshop = Workshop::new();
    let command = Command::new(workshop.settings());

    for (name, why) in [
        ("TAR_OPTIONS", "--allow-env usual,TAR_OPTIONS"),
        ("TASK_TOKEN", "secret"),
        ("TASKYARD_ATTEMPT", "for the worker to set"),
    ] {
        let input = json!({"argv": ["true"], "env": {name: "x"}});
        check(&command, input, "variable_not_allowed", &[name, why]).await;
    }
}

#[tokio::test]
async fn programs_that_are_not_there() {
    let workshop = Workshop::new();
    let command = Command::new(workshop.settings());

    for (program, said) in [
        (
            "no-such-program-here",
            "no program `no-such-program-here` in the PATH",
        ),
        ("/no/such/program", "/no/such/program is no program"),
        ("/etc", "/etc is no program"),
        ("/etc/passwd", "/etc/passwd is no program"),
        ("./script", "relative path"),
        ("bin/script", "relative path"),
    ] {
        check(
            &command,
            json!({"argv": [program]}),
            "command_not_found",
            &[said],
        )
        .await;
    }
}

#[tokio::test]
async fn a_program_the_kernel_cannot_start() {
    let workshop = Workshop::new();
    let tools = Workshop::new();
    let file = tools.root.path().join("tool");
    script(&file, "#!/no/such/interpreter\n");

    check(
        &Command::new(workshop.settings()),
        json!({"argv": [file]}),
        "not_started",
        &["cannot be started", "tool"],
    )
    .await;

    assert!(workshop.is_empty());
}

#[tokio::test]
async fn what_the_worker_lacks_is_no_failure_of_the_task() {
    let workshop = Workshop::new();
    let root = workshop.root.path();
    let usual = || workshop.settings();
    let no_directory = Settings {
        work_root: root.join("nowhere"),
        ..usual()
    };
    let no_guardian = Settings {
        guardian: Guardian {
            program: root.join("nobody"),
            ..usual().guardian
        },
        ..usual()
    };
    // The guardian itself cannot open what it takes to start a command.
    let no_files = Settings {
        limits: Limits {
            open_files: 4,
            ..Limits::default()
        },
        ..usual()
    };

    for (settings, said) in [
        (no_directory, "nowhere"),
        (no_guardian, "No such file"),
        (no_files, "Too many open files"),
    ] {
        match finish(&Command::new(settings), &json!({"argv": ["true"]})).await {
            Finish::NotBegun { why } => assert!(why.contains(said), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(workshop.is_empty());
}

#[tokio::test]
async fn nothing_is_allowed_until_the_operator_says_so() {
    let workshop = Workshop::new();
    let command = Command::new(Settings {
        allow: Allow::Nothing,
        ..workshop.settings()
    });

    check(
        &command,
        json!({"argv": ["true"]}),
        "command_not_allowed",
        &["worker tester may not run `true`", "--allow-command /"],
    )
    .await;
}

#[test]
fn allowed_programs_that_are_not_there_can_be_told() {
    let tools = Workshop::new();
    let here = tools.root.path();
    script(&here.join("good"), "#!/bin/sh\n");
    let list = format!("good,bad,{0}/good,{0}/bad", here.display());
    let allow: Allow = list.parse().unwrap();

    let missing: Vec<_> = allow.missing(here.as_os_str()).collect();

    assert_eq!(missing, [Path::new("bad"), &here.join("bad")]);
    assert_eq!(Allow::Any.missing(here.as_os_str()).count(), 0);
}

#[tokio::test]
async fn only_listed_programs_run_whatever_path_leads_to_them() {
    let workshop = Workshop::new();
    let tools = Workshop::new();
    let [here, elsewhere] = ["here", "elsewhere"].map(|name| tools.root.path().join(name));
    fs::create_dir(&here).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    script(&here.join("good"), "#!/bin/sh\necho good\n");
    script(&here.join("bad"), "#!/bin/sh\necho bad\n");
    symlink(here.join("good"), elsewhere.join("good")).unwrap();
    script(&elsewhere.join("evil"), "#!/bin/sh\necho evil\n");
    fs::create_dir(elsewhere.join("fake")).unwrap();
    script(&elsewhere.join("fake/good"), "#!/bin/sh\necho fake\n");

    for allowed in ["good".into(), here.join("good"), elsewhere.join("good")] {
        let allow = Allow::Programs(vec!["no-such-program-here".into(), allowed]);
        let command = Command::new(Settings {
            allow,
            path: here.clone().into(),
            ..workshop.settings()
        });

        for program in [
            "good".into(),
            here.join("good"),
            elsewhere.join("good"),
            here.join("../here/good"),
        ] {
            assert_eq!(
                completed(&command, &json!({"argv": [program]})).await["stdout"],
                "good\n"
            );
        }
        for program in [
            "bad".into(),
            here.join("bad"),
            elsewhere.join("evil"),
            elsewhere.join("fake/good"),
        ] {
            let said = ["may not run", "--allow-command", program.to_str().unwrap()];
            check(
                &command,
                json!({"argv": [program]}),
                "command_not_allowed",
                &said,
            )
            .await;
        }
    }
}

#[tokio::test]
async fn one_name_of_a_file_of_many_programs_does_not_allow_its_others() {
    let workshop = Workshop::new();
    let tools = Workshop::new();
    let root = tools.root.path();
    script(&root.join("many"), "#!/bin/sh\nbasename $0\n");
    symlink("many", root.join("list")).unwrap();
    symlink("many", root.join("erase")).unwrap();
    let allow = Allow::Programs(vec![root.join("list")]);
    let command = Command::new(Settings {
        allow,
        ..workshop.settings()
    });

    assert_eq!(
        completed(&command, &json!({"argv": [root.join("list")]})).await["stdout"],
        "list\n"
    );
    for other in ["erase", "many"] {
        check(
            &command,
            json!({"argv": [root.join(other)]}),
            "command_not_allowed",
            &["may not run"],
        )
        .await;
    }
}
