//! The variables that a command gets: a few of ours and the task's own, none of the worker's secrets.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use crate::executor::{Failure, Run};

/// The variable whose value no other run has: it marks the run's processes.
pub(super) const WORKDIR: &str = "TASKYARD_WORKDIR";

/// Passed on from the worker when it has them: how text, numbers and times look.
const INHERITED: [&str; 2] = ["LANG", "TZ"];

/// Names a task may not set, with `*` for any text at an end, and why.
const DENIED: [(&[&str], &str); 3] = [
    (&["TASKYARD_*"], "the worker sets it"),
    (
        &["*TOKEN*", "*SECRET*", "*PASSWORD*", "*KEY*", "AWS_*"],
        "it looks like a secret, and the input of a task is stored and shown",
    ),
    (
        &[
            "PATH",
            "LD_*",
            "GCONV_PATH",
            "GLIBC_TUNABLES",
            "ENV",
            "BASH_ENV",
            "BASH_FUNC_*",
            "BASHOPTS",
            "SHELLOPTS",
            "IFS",
            "PS4",
            "PYTHONPATH",
            "PYTHONHOME",
            "PYTHONSTARTUP",
            "PERL5*",
            "PERLLIB",
            "RUBYOPT",
            "RUBYLIB",
            "NODE_OPTIONS",
            "NODE_PATH",
            "JAVA_TOOL_OPTIONS",
            "_JAVA_OPTIONS",
            "GIT_*",
        ],
        "it decides which code a program runs, and only the operator does that",
    ),
];

/// Refuses a variable that is not the task's to set. To drop it in silence would leave the submitter wondering.
pub(super) fn check(env: &BTreeMap<String, String>) -> Result<(), Failure> {
    for name in env.keys() {
        let upper = name.to_ascii_uppercase();
        for (patterns, reason) in DENIED {
            if patterns.iter().any(|pattern| matches(pattern, &upper)) {
                let message = format!("a task may not set the variable `{name}`: {reason}");
                return Err(Failure::lasting("variable_not_allowed", message));
            }
        }
    }
    Ok(())
}

/// Everything the command will find in its environment.
pub(super) fn build(
    path: &OsStr,
    workdir: &Path,
    run: &Run,
    env: BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let workdir = workdir.to_string_lossy().into_owned();
    let mut all = BTreeMap::from([
        ("PATH".to_owned(), path.to_string_lossy().into_owned()),
        ("HOME".to_owned(), workdir.clone()),
        // So that scratch files go with the work directory.
        ("TMPDIR".to_owned(), workdir.clone()),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
    ]);
    all.extend(
        INHERITED
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))),
    );
    all.extend(env);
    all.extend([
        ("TASKYARD_TASK_ID".to_owned(), run.task.to_string()),
        ("TASKYARD_ATTEMPT".to_owned(), run.attempt.to_string()),
        (WORKDIR.to_owned(), workdir),
    ]);
    all.into_iter().collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(_), Some(_)) => name.contains(pattern.trim_matches('*')),
        (Some(end), None) => name.ends_with(end),
        (None, Some(start)) => name.starts_with(start),
        (None, None) => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_name(name: &str, reason: Option<&str>) {
        let refusal = check(&BTreeMap::from([(name.to_owned(), String::new())])).err();
        let message = refusal.map(|failure| failure.message);
        match reason {
            Some(reason) => assert!(
                message.is_some_and(|message| message.contains(reason)),
                "{name}"
            ),
            None => assert_eq!(message, None, "{name}"),
        }
    }

    #[test]
    fn names_that_a_task_may_set() {
        check_name("GREETING", None);
        check_name("LANG", None);
        check_name("OLD_VALUE", None);
        check_name("MY_PATH", None);
        check_name("TASKYARD_TASK_ID", Some("the worker sets it"));
        check_name("GITHUB_TOKEN", Some("secret"));
        check_name("github_token", Some("secret"));
        check_name("API_KEY_ID", Some("secret"));
        check_name("AWS_REGION", Some("secret"));
        check_name("LD_PRELOAD", Some("which code"));
        check_name("PATH", Some("which code"));
        check_name("BASH_ENV", Some("which code"));
    }
}
