//! Where settings come from: flags, then the environment, then the older names some of them have there, then a file,
//! then the default. Everything below the environment becomes the default of its flag before the command line is
//! read, so one parser checks every value wherever it stands, and says which flag it is about.

mod blame;
mod file;
mod older;
mod strangers;
pub(crate) mod units;
pub(crate) mod web;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use self::file::File;
pub(crate) use self::strangers::strangers;

/// Names the settings file.
pub(crate) const FILE_VARIABLE: &str = "TASKYARD_CONFIG";

/// What takes one text that has several things in it, with commas between them, and reads that itself.
const SEVERAL_IN_ONE: [&str; 6] = [
    "allow_command",
    "allow_env",
    "allow_http",
    "log",
    "retain",
    "token",
];

/// Whether a variable of this name sets something, or is meant to.
pub(crate) fn is_variable(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with(strangers::PREFIX) || older::is_one(&name)
}

/// Where one value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag,
    /// With the variable's name.
    Environment(String),
    File(PathBuf),
    Default,
}

impl Origin {
    /// For messages, what somebody has to look for; nothing where they typed it, or nobody said anything.
    fn place(&self, id: &str) -> Option<String> {
        match self {
            Self::Environment(name) => Some(format!("the variable {name}")),
            Self::File(path) => Some(format!("{id} in the file {}", path.display())),
            Self::Flag | Self::Default => None,
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment(name) => write!(f, "environment ({name})"),
            Self::File(path) => write!(f, "file ({})", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// The command line as it was read, and what lay beneath it.
pub(crate) struct Layered {
    pub(crate) matches: ArgMatches,
    pub(crate) command: Command,
    /// By the setting's name.
    beneath: BTreeMap<String, Origin>,
}

/// Reads the command line over the file and the older variables. `environment` looks a variable up.
pub(crate) fn layer(
    command: Command,
    arguments: Vec<OsString>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Layered, clap::Error> {
    let command = with_signs(command);
    let named = file_named(&command, &arguments);
    let refuse = |command: &Command, message: String| {
        blame::meant(command, &arguments).error(clap::error::ErrorKind::InvalidValue, message)
    };
    let file = File::find(named).map_err(|message| {
        let is_typed = blame::is_typed(&arguments, "--config");
        let is_set = !is_typed && environment(FILE_VARIABLE).is_some();
        let place = if is_set {
            format!("\n  The value of --config comes from the variable {FILE_VARIABLE}.")
        } else {
            String::new()
        };
        refuse(&command, message + &place)
    })?;
    if let Some(file) = &file {
        let in_files = settings(&command).filter(|argument| argument.get_id() != "config_file");
        let known = names(in_files);
        let lists = names(settings(&command).filter(|argument| takes_several(argument)));
        file.check(&known, &lists)
            .map_err(|message| refuse(&command, message))?;
    }

    let mut beneath = BTreeMap::new();
    let mut defaults: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, values, origin) in file.iter().flat_map(File::values) {
        let values = match SEVERAL_IN_ONE.contains(&name.as_str()) {
            true => vec![values.join(",")],
            false => values,
        };
        beneath.insert(name.clone(), origin);
        defaults.insert(name, values);
    }
    for (name, value, variable) in
        older::found(&environment).map_err(|message| refuse(&command, message))?
    {
        beneath.insert(name.clone(), Origin::Environment(variable));
        defaults.insert(name, vec![value]);
    }

    let mut command = with_defaults(command, &defaults);
    let matches = command
        .try_get_matches_from_mut(&arguments)
        .map_err(|error| blame::with_whole_usage(error, &command, &arguments))
        .map_err(|error| blame::wherever_it_stands(error, &command, &arguments, &beneath))?;
    Ok(Layered {
        matches,
        command,
        beneath,
    })
}

impl Layered {
    /// Every setting of this subcommand: its name, its value as text, and where that came from.
    pub(crate) fn in_force<'a>(
        &'a self,
        command: &'a Command,
        matches: &'a ArgMatches,
    ) -> impl Iterator<Item = (String, String, Origin)> + 'a {
        command.get_arguments().filter_map(move |argument| {
            let id = argument.get_id().as_str();
            argument.get_long()?;
            let raw = matches.try_get_raw(id).ok()?;
            let values: Vec<String> = raw
                .into_iter()
                .flatten()
                .map(|value| value.to_string_lossy().into_owned())
                .collect();
            let origin = self.origin(argument, matches);
            Some((id.to_owned(), values.join(","), origin))
        })
    }
}

impl Layered {
    /// Of a refusal that names flags, where the values of those come from that were not typed; a line for each.
    pub(crate) fn places(&self, said: &str) -> Vec<String> {
        let flags: Vec<&str> = flags_in(said).collect();
        let (mut command, mut matches) = (&self.command, &self.matches);
        let mut places = Vec::new();
        loop {
            let is_named = |argument: &&Arg| {
                let long = argument.get_long();
                argument.get_env().is_some() && long.is_some_and(|long| flags.contains(&long))
            };
            for argument in command.get_arguments().filter(is_named) {
                let id = argument.get_id().as_str();
                let Some(place) = self.origin(argument, matches).place(id) else {
                    continue;
                };
                let flag = argument.get_long().unwrap_or_default();
                let line = format!("The value of --{flag} comes from {place}.");
                if !places.contains(&line) {
                    places.push(line);
                }
            }
            let Some((name, below)) = matches.subcommand() else {
                return places;
            };
            let Some(found) = command.find_subcommand(name) else {
                return places;
            };
            (command, matches) = (found, below);
        }
    }

    fn origin(&self, argument: &Arg, matches: &ArgMatches) -> Origin {
        let id = argument.get_id().as_str();
        match matches.value_source(id) {
            Some(ValueSource::CommandLine) => Origin::Flag,
            Some(ValueSource::EnvVariable) => {
                let name = argument.get_env().unwrap_or_default();
                Origin::Environment(name.to_string_lossy().into_owned())
            }
            _ => self.beneath.get(id).cloned().unwrap_or(Origin::Default),
        }
    }

    /// Which commands take each setting, but for this one, which only shows them; `all` for what every command takes.
    pub(crate) fn takers(&self, but: &str) -> BTreeMap<String, Vec<String>> {
        let mut takers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut note = |command: &Command, name: &str| {
            for argument in own_settings(command) {
                let id = argument.get_id().to_string();
                takers.entry(id).or_default().push(name.to_owned());
            }
        };
        note(&self.command, "all");
        for command in self.command.get_subcommands() {
            let name = command.get_name();
            if name == but {
                continue;
            }
            note(command, name);
            for below in command.get_subcommands() {
                note(below, name);
            }
        }
        for (id, names) in &mut takers {
            names.dedup();
            if own_settings(&self.command).any(|argument| argument.get_id() == id.as_str()) {
                *names = vec!["all".to_owned()];
            }
        }
        takers
    }

    /// The commands but for this one in which the setting has another default than this, with that.
    pub(crate) fn other_defaults(
        &self,
        but: &str,
        id: &str,
        default: &str,
    ) -> BTreeMap<String, String> {
        let commands = self.command.get_subcommands();
        let others = commands.filter(|command| command.get_name() != but);
        let others = others.filter_map(|command| {
            let argument = own_settings(command).find(|argument| argument.get_id() == id)?;
            let its = default_of(argument);
            let is_other = !its.is_empty() && its != default;
            is_other.then(|| (command.get_name().to_owned(), its))
        });
        others.collect()
    }

    /// Every setting of every command as it is where no flag is typed: its name, its value as text, and where that came
    /// from.
    pub(crate) fn beneath_flags(&self) -> impl Iterator<Item = (String, String, Origin)> + '_ {
        settings(&self.command).map(move |argument| {
            let id = argument.get_id().to_string();
            let variable = argument.get_env().unwrap_or_default();
            if let Some(value) = std::env::var_os(variable) {
                let name = variable.to_string_lossy().into_owned();
                let value = value.to_string_lossy().into_owned();
                return (id, value, Origin::Environment(name));
            }
            let origin = self.beneath.get(&id).cloned().unwrap_or(Origin::Default);
            (id, default_of(argument), origin)
        })
    }
}

/// What stands behind two hyphens.
fn flags_in(text: &str) -> impl Iterator<Item = &str> {
    let is_of_flag = |letter: char| letter.is_ascii_lowercase() || letter == '-';
    let behind = text.split("--").skip(1);
    behind.map(move |behind| {
        let end = behind.find(|letter| !is_of_flag(letter));
        &behind[..end.unwrap_or(behind.len())]
    })
}

/// The file that the command line or the environment names, before anything else is judged.
fn file_named(command: &Command, arguments: &[OsString]) -> Option<PathBuf> {
    let matches = command
        .clone()
        .ignore_errors(true)
        .try_get_matches_from(arguments)
        .ok()?;
    matches.try_get_one::<PathBuf>("config_file").ok()?.cloned()
}

/// As a file may use them: every flag's with an underscore for each hyphen, which is the id clap knows it by.
fn names<'a>(settings: impl Iterator<Item = &'a Arg>) -> Vec<String> {
    let mut names: Vec<String> = settings
        .map(|argument| argument.get_id().as_str().to_owned())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn takes_several(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Append)
        || argument.get_value_delimiter().is_some()
        || SEVERAL_IN_ONE.contains(&argument.get_id().as_str())
}

fn default_of(argument: &Arg) -> String {
    let values = argument.get_default_values().iter();
    let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
    values.join(",")
}

/// Every argument, of whatever command, that can be set without the command line; some stand in several commands.
fn settings(command: &Command) -> impl Iterator<Item = &Arg> {
    std::iter::once(command)
        .chain(command.get_subcommands())
        .chain(command.get_subcommands().flat_map(Command::get_subcommands))
        .flat_map(own_settings)
}

/// Those of this command alone.
fn own_settings(command: &Command) -> impl Iterator<Item = &Arg> {
    let arguments = command.get_arguments();
    arguments.filter(|argument| argument.get_env().is_some())
}

/// In the command and all below it. An argument of the same name that is no setting is left alone: what the demo and the
/// benchmark call a database is not where tasks are kept.
/// What is below zero is read as a value, so that it is refused by the name of what it was meant for.
fn with_signs(command: Command) -> Command {
    let is_called = |argument: &Arg, names: &[&str]| {
        let called = argument.get_value_names().unwrap_or_default();
        called.iter().any(|name| names.contains(&name.as_str()))
    };
    command
        .mut_args(|argument| {
            if is_called(&argument, &["N", "BYTES"]) {
                argument.allow_negative_numbers(true)
            } else if is_called(&argument, &["TIME", "SHARE"]) {
                argument.allow_hyphen_values(true)
            } else {
                argument
            }
        })
        .mut_subcommands(with_signs)
}

fn with_defaults(command: Command, defaults: &BTreeMap<String, Vec<String>>) -> Command {
    command
        .mut_args(|argument| match defaults.get(argument.get_id().as_str()) {
            Some(values) if argument.get_env().is_some() => argument.default_values(values.clone()),
            Some(_) | None => argument,
        })
        .mut_subcommands(|command| with_defaults(command, defaults))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn what_is_below_zero_is_refused_by_the_name_of_its_setting() {
        for (words, named) in [
            ("serve --internal-workers -1", "--internal-workers <N>"),
            ("serve --body-max -1", "--body-max <BYTES>"),
            ("serve --grace -1s", "--grace <TIME>"),
            (
                "worker --server http://a --concurrency -4",
                "--concurrency <N>",
            ),
            ("list --limit -1", "--limit <N>"),
            ("workers scale -1", "<N>"),
        ] {
            let arguments = format!("taskyard {words}");
            let arguments = arguments.split(' ').map(OsString::from).collect();

            let refused = layer(Cli::command(), arguments, |_| None).map(|_| ());

            let said = refused.unwrap_err().to_string();
            let wanted = format!("'{named}'");
            assert!(
                said.contains("invalid value") && said.contains(&wanted),
                "{words}: {said}"
            );
        }
    }

    #[test]
    fn what_takes_several_with_commas_between_takes_a_list() {
        let command = Cli::command();

        for argument in settings(&command) {
            let help = argument.get_long_help().or(argument.get_help());
            let help = help.map(ToString::to_string).unwrap_or_default();
            let has_commas = help.replace('\n', " ").contains("with commas between");
            assert!(!has_commas || takes_several(argument), "{argument}");
        }
        for name in SEVERAL_IN_ONE {
            let is_one = settings(&command).any(|argument| argument.get_id() == name);
            assert!(is_one, "{name}");
        }
    }

    #[test]
    fn a_setting_concerns_no_argument_that_is_only_called_like_it() {
        let url = "postgres://localhost/tasks";
        let environment = |name: &str| (name == "DATABASE_URL").then(|| OsString::from(url));
        let database = |command: &str| {
            let arguments = ["taskyard", command].map(OsString::from).to_vec();
            let layered = layer(Cli::command(), arguments, environment);
            let layered = layered.unwrap_or_else(|error| panic!("{error}"));
            let (_, matches) = layered.matches.subcommand().unwrap();
            matches.get_one::<String>("database").cloned()
        };

        assert_eq!(database("serve").as_deref(), Some(url));
        for command in ["demo", "bench"] {
            assert_ne!(database(command).as_deref(), Some(url), "{command}");
        }
    }
}
