//! Which variables the operator lets tasks set. What is not allowed is refused.

use std::str::FromStr;

use crate::executor::Failure;
use crate::executors::list::words;

/// What the worker sets itself, and what its own program reads as settings.
const OURS: &str = "TASKYARD_";

/// Parts of names that tell of a secret. The input of a task is stored and shown, so it is no place for one.
const SECRET: [&str; 4] = ["TOKEN", "SECRET", "PASSWORD", "KEY"];

/// What well-known programs take for code to run, for another program, or for options that name one; with `*` for any
/// text at an end. Such a list is never whole, for programs read variables that nobody has heard of: who does not trust
/// those who submit says which variables there are instead.
const KNOWN_BAD: [&str; 41] = [
    "*EDITOR",
    "*FLAGS",
    "*PAGER",
    "*_OPTIONS",
    "*_OPTS",
    "AWS_*",
    "BASH*",
    "BROWSER",
    "CDPATH",
    "CLASSPATH",
    "COR_*",
    "CORECLR_*",
    "DOTNET_*",
    "ENV",
    "EXINIT",
    "GCONV_PATH",
    "GIT_*",
    "GLIBC_TUNABLES",
    "HOME",
    "IFS",
    "JAVA_*",
    "LD_*",
    "LESS*",
    "LUA_*",
    "MAGICK_*",
    "NODE_*",
    "OPENSSL_*",
    "PATH",
    "PERL*",
    "PROMPT_COMMAND",
    "PS4",
    "PYTHON*",
    "RSYNC_*",
    "RUBY*",
    "R_*",
    "SHELL",
    "SHELLOPTS",
    "TMPDIR",
    "VIMINIT",
    "VISUAL",
    "XDG_*",
];

/// What `--allow-env` says: names, and beginnings of names with a `*` after them; among them `usual`, for all but those
/// that are known to be bad, which is the default, and `any`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowEnv(Vec<String>);

impl Default for AllowEnv {
    fn default() -> Self {
        Self(vec!["usual".to_owned()])
    }
}

/// Words with commas between them; an empty text allows nothing.
impl FromStr for AllowEnv {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = words(text)?;
        if let Some(bad) = words.iter().find(|word| !is_pattern(word)) {
            return Err(format!(
                "{bad:?} is no variable's name, nor the beginning of one with a `*` after it"
            ));
        }
        Ok(Self(words.into_iter().map(str::to_owned).collect()))
    }
}

fn is_pattern(word: &str) -> bool {
    let name = word.strip_suffix('*').unwrap_or(word);
    let is_strange =
        |letter: char| letter.is_whitespace() || letter.is_control() || "=*".contains(letter);
    !name.contains(is_strange)
}

impl AllowEnv {
    /// Refuses a variable that is not the task's to set. To drop it in silence would leave the submitter wondering.
    pub(super) fn check(&self, name: &str, worker: &str) -> Result<(), Failure> {
        let upper = name.to_ascii_uppercase();
        let message = if upper.starts_with(OURS) {
            format!("no task may set the variable `{name}`: {OURS}* is for the worker to set")
        } else if self.0.iter().any(|allowed| allowed == name) {
            return Ok(());
        } else if !self.0.iter().any(|allowed| covers(allowed, name)) {
            format!(
                "worker {worker} does not let tasks set the variable `{name}`, which programs may take for code or for \
                 options; its operator can allow it with --allow-env usual,{name}"
            )
        } else if SECRET.iter().any(|part| upper.contains(part)) {
            format!(
                "worker {worker} does not let tasks set the variable `{name}`: it looks like a secret, and the input \
                 of a task is stored and shown; its operator can allow it by its whole name with --allow-env \
                 usual,{name}"
            )
        } else {
            return Ok(());
        };
        Err(Failure::lasting("variable_not_allowed", message))
    }
}

fn covers(allowed: &str, name: &str) -> bool {
    match allowed {
        "any" => true,
        "usual" => {
            let name = name.to_ascii_uppercase();
            !KNOWN_BAD.iter().any(|bad| matches(bad, &name))
        }
        pattern => matches(pattern, name),
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => name.ends_with(end),
        (None, Some(beginning)) => name.starts_with(beginning),
        (None, None) => name == pattern,
    }
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
            check(&allowed, name, Some("--allow-env"));
        }
        for name in ["APP_TOKEN", "APP_db_password", "APP_KEYS"] {
            check(&allowed, name, Some("looks like a secret"));
        }
        for name in ["TASKYARD_TASK_ID", "TASKYARD_URL", "taskyard_x"] {
            check(&allowed, name, Some("for the worker to set"));
        }
    }

    #[test]
    fn by_default_tasks_set_what_no_program_is_known_to_run() {
        let default = AllowEnv::default();

        for name in [
            "GREETING",
            "LANG",
            "TZ",
            "MY_PATH",
            "OLD_VALUE",
            "TASK_NAME",
            "app_mode",
        ] {
            check(&default, name, None);
        }
        for name in ["GITHUB_TOKEN", "github_token", "API_KEY_ID"] {
            check(&default, name, Some("looks like a secret"));
        }
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
            "java_tool_options",
        ] {
            check(&default, name, Some("--allow-env"));
        }
    }

    #[test]
    fn what_no_variable_is_called_is_refused() {
        for text in ["A B", "A=B", "*_X", "A*B", "A,,B", " ", "A\tB"] {
            assert!(text.parse::<AllowEnv>().is_err(), "{text:?}");
        }
        for text in ["any", "usual,HOME", "*", "LC_*, LANG", "http.proxy-1"] {
            assert!(text.parse::<AllowEnv>().is_ok(), "{text:?}");
        }
    }

    #[test]
    fn any_and_nothing() {
        let any: AllowEnv = "any".parse().unwrap();
        check(&any, "GREETING", None);
        check(&any, "LD_PRELOAD", None);
        check(&any, "API_TOKEN", Some("looks like a secret"));
        check(&any, "TASKYARD_URL", Some("for the worker to set"));

        let more: AllowEnv = "usual,HOME".parse().unwrap();
        check(&more, "GREETING", None);
        check(&more, "HOME", None);
        check(&more, "PATH", Some("--allow-env usual,PATH"));

        let nothing: AllowEnv = "".parse().unwrap();
        check(&nothing, "TASK_NAME", Some("--allow-env usual,TASK_NAME"));
    }
}
