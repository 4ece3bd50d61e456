//! Variables that look like settings and are none: most likely somebody mistyped one.

use std::ffi::OsString;

use clap::Command;

use super::settings;

/// What else may be set under our prefix: what a command of a task finds there, and what the demo and the tests take.
const OTHERS: [&str; 4] = [
    "TASKYARD_TASK_ID",
    "TASKYARD_ATTEMPT",
    "TASKYARD_WORKDIR",
    "TASKYARD_REQUIRE_POSTGRES",
];
/// Besides, what Kubernetes tells all containers of a service that is called like this program.
const OTHERS_PREFIXES: [&str; 4] = [
    "TASKYARD_TEST_",
    "TASKYARD_SIMULATE_",
    "TASKYARD_SERVICE_",
    "TASKYARD_PORT",
];

/// What all variables begin with.
pub(super) const PREFIX: &str = "TASKYARD_";
/// One letter in so many may differ from a setting's name that was meant, and one in any case.
const LETTERS: usize = 4;

/// A line about each variable of the environment that is called like a setting and is none.
pub(crate) fn strangers(
    command: &Command,
    environment: impl Iterator<Item = OsString>,
) -> Vec<String> {
    let known: Vec<String> = settings(command)
        .filter_map(|argument| Some(argument.get_env()?.to_string_lossy().into_owned()))
        .collect();
    let names = environment.filter_map(|name| name.into_string().ok());
    let is_other = |name: &str| {
        let mut prefixes = OTHERS_PREFIXES.iter();
        OTHERS.contains(&name) || prefixes.any(|prefix| name.starts_with(prefix))
    };
    let mut strange: Vec<String> = names
        .filter(|name| name.starts_with(PREFIX))
        .filter(|name| !known.contains(name) && !is_other(name))
        .collect();
    strange.sort_unstable();
    let said = strange.iter().map(|name| {
        let bare = name.trim_start_matches(PREFIX);
        let known = known.iter().filter_map(|known| known.strip_prefix(PREFIX));
        match nearest(bare, known) {
            Some(near) => format!("the variable {name} is no setting; is {PREFIX}{near} meant?"),
            None => format!("the variable {name} is no setting; `taskyard config` lists them"),
        }
    });
    said.collect()
}

/// The name that was most likely meant, if one is close.
pub(super) fn nearest<'a>(said: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.map(|known| (strsim::damerau_levenshtein(said, known), known));
    let (different, near) = near.min()?;
    let different_max = (said.chars().count() / LETTERS).max(1);
    (different <= different_max).then_some(near)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_mistyped_setting_is_told_with_the_nearest_one() {
        let names = [
            "TASKYARD_LEAS",
            "TASKYARD_LEASE",
            "TASKYARD_TASK_ID",
            "TASKYARD_TEST_POSTGRES_URL",
            "TASKYARD_SERVICE_HOST",
            "TASKYARD_PORT_8000_TCP_ADDR",
            "TASKYARD_COFFEE_MACHINE",
            "TASKYARD_SEEP",
            "TASKYARD_KEEP",
            "PATH",
        ];

        let said = strangers(&Cli::command(), names.into_iter().map(OsString::from));

        assert_eq!(said.len(), 4, "{said:?}");
        assert!(said[0].contains("TASKYARD_COFFEE_MACHINE") && said[0].contains("config"));
        assert!(said[1].contains("TASKYARD_KEEP ") && said[1].contains("config"));
        assert!(said[2].contains("TASKYARD_LEAS ") && said[2].contains("TASKYARD_LEASE "));
        assert!(said[3].contains("TASKYARD_SEEP ") && said[3].contains("TASKYARD_SWEEP "));
    }
}
