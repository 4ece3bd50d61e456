//! What a task may say about the command it wants.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::executor::Failure;
use crate::executors::input::{self, INVALID};

const EXAMPLE: &str = r#"{"argv": ["wc", "-l"], "stdin": "one\ntwo\n"} or {"command": "wc -l"}"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct Input {
    argv: Option<Vec<String>>,
    command: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    stdin: Option<String>,
}

/// A command with at least one word, none of which the kernel would refuse.
#[derive(Debug)]
pub(super) struct Invocation {
    pub(super) argv: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) stdin: Option<String>,
}

pub(super) fn read(raw: &RawValue) -> Result<Invocation, Failure> {
    let Input {
        argv,
        command,
        env,
        stdin,
    } = input::object(raw, EXAMPLE)?;
    let (field, argv) = match (argv, command) {
        (Some(argv), None) => ("argv", argv),
        (None, Some(line)) => ("command", split(&line)?),
        (Some(_), Some(_)) => {
            return Err(invalid(
                "`argv` and `command` are two ways to say the same; send one of them",
            ));
        }
        (None, None) => {
            return Err(invalid(&format!(
                "there is nothing to run; expected {EXAMPLE}"
            )));
        }
    };

    if argv.first().is_none_or(String::is_empty) {
        return Err(invalid(&format!(
            "`{field}` names no program; its first word has to"
        )));
    }
    let words = argv.iter().chain(env.keys()).chain(env.values());
    if words.into_iter().any(|word| word.contains('\0')) {
        return Err(invalid(
            "a NUL character cannot be passed to a program in an argument or a variable",
        ));
    }
    if let Some(name) = env
        .keys()
        .find(|name| name.is_empty() || name.contains('='))
    {
        return Err(invalid(&format!(
            "`{name}` is not a name that a variable in `env` can have"
        )));
    }
    Ok(Invocation { argv, env, stdin })
}

/// Words and quotes as a shell reads them. Pipes, redirections, variables and patterns stay what they are: text.
fn split(line: &str) -> Result<Vec<String>, Failure> {
    shell_words::split(line)
        .map_err(|error| invalid(&format!("`command` cannot be split into words: {error}")))
}

fn invalid(message: &str) -> Failure {
    Failure::lasting(INVALID, message)
}
