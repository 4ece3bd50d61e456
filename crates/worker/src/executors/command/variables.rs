//! Which variables the operator lets tasks set.
//!
//! Programs read variables that nobody has heard of as options, and some of those name other programs to run, so that
//! a list of the bad ones is never whole. What is not allowed is refused.

use std::convert::Infallible;
use std::str::FromStr;

use crate::executor::Failure;

/// What the worker sets itself, and what its own program reads as settings.
const OURS: &str = "TASKYARD_";

/// Parts of names that tell of a secret. The input of a task is stored and shown, so it is no place for one.
const SECRET: [&str; 4] = ["TOKEN", "SECRET", "PASSWORD", "KEY"];

/// What `--allow-env` says: names, and beginnings of names with a `*` after them. Default `TASK_*`, which the usual
/// programs do not read (the build tool `task` does).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowEnv(Vec<String>);

impl Default for AllowEnv {
    fn default() -> Self {
        Self(vec!["TASK_*".to_owned()])
    }
}

/// `any`, or names with commas between them; no words allow nothing.
impl FromStr for AllowEnv {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let words = text.split(',').map(str::trim);
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let words = if words == ["any"] { vec!["*"] } else { words };
        Ok(Self(words.into_iter().map(str::to_owned).collect()))
    }
}

impl AllowEnv {
    /// Refuses a variable that is not the task's to set. To drop it in silence would leave the submitter wondering.
    pub(super) fn check(&self, name: &str, worker: &str) -> Result<(), Failure> {
        let upper = name.to_ascii_uppercase();
        let message = if upper.starts_with(OURS) {
            format!("no task may set the variable `{name}`: {OURS}* is for the worker to set")
        } else if self.0.iter().any(|allowed| allowed == name) {
            return Ok(());
        } else if !self.0.iter().any(|allowed| begins(name, allowed)) {
            format!(
                "worker {worker} does not let tasks set the variable `{name}`; its operator can allow it with \
                 --allow-env {name}"
            )
        } else if SECRET.iter().any(|part| upper.contains(part)) {
            format!(
                "worker {worker} does not let tasks set the variable `{name}`: it looks like a secret, and the input \
                 of a task is stored and shown; its operator can allow it by its whole name with --allow-env {name}"
            )
        } else {
            return Ok(());
        };
        Err(Failure::lasting("variable_not_allowed", message))
    }
}

fn begins(name: &str, pattern: &str) -> bool {
    pattern
        .strip_suffix('*')
        .is_some_and(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(allowed: &AllowEnv, name: &str, said: Option<&str>) {
        let refusal = allowed.check(name, "w").err();
        let message = refusal.map(|failure| failure.message);
        match said {
            Some(said) => assert!(
                message
                    .as_ref()
                    .is_some_and(|message| message.contains(said)),
                "{name}: {message:?}"
            ),
            None => assert_eq!(message, None, "{name}"),
        }
    }

    #[test]
    fn names_are_allowed_whole_or_by_their_beginning() {
        let allowed: AllowEnv = "LANG, APP_*,API_KEY".parse().unwrap();

        for name in ["LANG", "APP_", "APP_MODE", "API_KEY"] {
            check(&allowed, name, None);
        }
        for name in ["LANGUAGE", "lang", "APP", "MY_APP_MODE", "TASK_NAME", "any"] {
            check(&allowed, name, Some(&format!("--allow-env {name}")));
        }
        for name in ["APP_TOKEN", "APP_db_password", "APP_KEYS"] {
            check(&allowed, name, Some("looks like a secret"));
        }
        for name in ["TASKYARD_TASK_ID", "TASKYARD_URL", "taskyard_x"] {
            check(&allowed, name, Some("for the worker to set"));
        }
    }

    #[test]
    fn nothing_of_a_program_is_allowed_by_default() {
        let default = AllowEnv::default();

        check(&default, "TASK_NAME", None);
        for name in [
            "TAR_OPTIONS",
            "JDK_JAVA_OPTIONS",
            "DOTNET_STARTUP_HOOKS",
            "MAKEFLAGS",
            "LUA_INIT",
            "OPENSSL_CONF",
            "RSYNC_RSH",
            "LESSOPEN",
            "PAGER",
            "EDITOR",
            "CLASSPATH",
            "PYTHONBREAKPOINT",
            "R_PROFILE_USER",
            "VIMINIT",
            "MAGICK_CONFIGURE_PATH",
            "HOME",
            "XDG_CONFIG_HOME",
            "PATH",
            "LD_PRELOAD",
            "LANG",
            "TASK",
            "GREETING",
        ] {
            check(&default, name, Some("--allow-env"));
        }
    }

    #[test]
    fn any_and_nothing() {
        let any: AllowEnv = "any".parse().unwrap();
        check(&any, "GREETING", None);
        check(&any, "LD_PRELOAD", None);
        check(&any, "API_TOKEN", Some("looks like a secret"));
        check(&any, "TASKYARD_URL", Some("for the worker to set"));

        let nothing: AllowEnv = " , ".parse().unwrap();
        check(&nothing, "TASK_NAME", Some("--allow-env TASK_NAME"));
    }
}
