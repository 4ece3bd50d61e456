//! Of a wrong value clap knows the flag alone. Where the flag was not typed, it is said where the value stands.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

use super::{Origin, settings};

/// The error with the usage of its command as its help has it: clap writes one of what was given, and takes what comes
/// from the environment for that.
pub(super) fn with_whole_usage(
    mut error: Error,
    command: &Command,
    arguments: &[OsString],
) -> Error {
    if error.get(ContextKind::Usage).is_none() {
        return error;
    }
    let usage = meant(command, arguments).render_usage();
    error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
    error
}

/// The command that these arguments name, as far as they name one.
pub(super) fn meant(command: &Command, arguments: &[OsString]) -> Command {
    let mut command = command.clone();
    command.build();
    let mut meant = &command;
    for word in arguments.iter().skip(1).filter_map(|word| word.to_str()) {
        meant = meant.find_subcommand(word).unwrap_or(meant);
    }
    meant.clone()
}

/// The error as it is, or with the variable or the file that the value came from.
pub(super) fn wherever_it_stands(
    error: Error,
    command: &Command,
    arguments: &[OsString],
    beneath: &BTreeMap<String, Origin>,
) -> Error {
    if error.kind() == ErrorKind::InvalidUtf8 {
        return no_text(error, command, arguments);
    }
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let Some(flag) = shown.split([' ', '=']).next().map(str::to_owned) else {
        return error;
    };
    let is_typed = is_typed(arguments, &flag);
    let argument = settings(command).find(|argument| {
        let long = argument.get_long();
        long.is_some() && long == flag.strip_prefix("--")
    });
    let Some(argument) = argument.filter(|_| !is_typed) else {
        return error;
    };
    let id = argument.get_id().as_str();
    let variable = argument.get_env().map(|name| name.to_string_lossy());
    let origin = match variable {
        // clap reads the environment before the defaults.
        Some(name) if std::env::var_os(&*name).is_some() => {
            Some(Origin::Environment(name.into_owned()))
        }
        Some(_) | None => beneath.get(id).cloned(),
    };
    let Some(place) = origin.and_then(|origin| origin.place(id)) else {
        return error;
    };
    let said = error.render().to_string();
    let said = said.split("\n\n").next().unwrap_or_default();
    let said = said.strip_prefix("error: ").unwrap_or(said);
    let message = format!("{said}\n  The value comes from {place}.");
    meant(command, arguments).error(error.kind(), message)
}

pub(super) fn is_typed(arguments: &[OsString], flag: &str) -> bool {
    arguments.iter().any(|argument| {
        let argument = argument.to_string_lossy();
        argument.split('=').next() == Some(flag)
    })
}

/// Of a value that is no text clap says nothing but that there is one; most likely it is a variable's.
fn no_text(error: Error, command: &Command, arguments: &[OsString]) -> Error {
    let mut variables: Vec<_> = settings(command)
        .filter_map(|argument| argument.get_env())
        .filter(|name| std::env::var_os(name).is_some_and(|value| value.to_str().is_none()))
        .map(|name| name.to_string_lossy())
        .collect();
    variables.sort_unstable();
    variables.dedup();
    if variables.is_empty() {
        return error;
    }
    let message = format!("the value of {} is not UTF-8", variables.join(", "));
    meant(command, arguments).error(error.kind(), message)
}
