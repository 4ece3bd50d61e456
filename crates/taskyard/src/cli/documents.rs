//! Prints the command line as `docs/cli.md` and the settings as `docs/configuration.md`, and compares them, so that the
//! manual cannot lie. `UPDATE=1 cargo test -p taskyard --bin taskyard documents` writes the files anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, ArgAction, Command, CommandFactory as _};

use super::Cli;

const EXAMPLE: &str = "Example:\n";

#[track_caller]
fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "docs/{name} is not what the command line says; UPDATE=1 cargo test -p taskyard --bin taskyard documents"
    );
}

/// The command and all below it, with their whole names.
fn all(command: &Command) -> Vec<(String, &Command)> {
    let name = command.get_name().to_owned();
    let mut found = vec![(name.clone(), command)];
    for below in command.get_subcommands() {
        let below = all(below).into_iter();
        found.extend(below.map(|(below, command)| (format!("{name} {below}"), command)));
    }
    found
}

fn help_of(argument: &Arg) -> String {
    let help = argument.get_long_help().or(argument.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let help = help.replace('\n', " ").replace('|', "\\|");
    if help.ends_with('.') {
        help
    } else {
        help + "."
    }
}

/// As it is typed, with what it takes.
fn flag_of(argument: &Arg) -> String {
    let value = argument.get_value_names().and_then(<[_]>::first);
    let value = value.map(ToString::to_string);
    match argument.get_long() {
        Some(long) if argument.get_action().takes_values() => {
            format!("--{long} {}", value.unwrap_or_default())
        }
        Some(long) => format!("--{long}"),
        None => value.unwrap_or_default(),
    }
}

fn default_of(argument: &Arg) -> String {
    if matches!(argument.get_action(), ArgAction::SetTrue) {
        return String::new();
    }
    let values = argument.get_default_values().iter();
    let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
    values.join(",")
}

fn is_own(argument: &Arg) -> bool {
    argument.get_env().is_none() && !["help", "version"].contains(&argument.get_id().as_str())
}

/// What is said behind the flags, and the examples.
fn after_help(command: &Command) -> (String, Vec<String>) {
    let after = command.get_after_help().map(ToString::to_string);
    let after = after.unwrap_or_default();
    let (said, examples) = after.split_once(EXAMPLE).unwrap_or((&after, ""));
    let examples = examples.lines().map(|line| line.trim().to_owned());
    (said.trim().to_owned(), examples.collect())
}

fn command_line() -> String {
    let command = Cli::command();
    let mut page = "# The command line\n\nPrinted from the program by a test, which also runs the examples. Data goes to \
                    standard output, everything else to standard error; `--output json` is for programs, to which a \
                    refusal is a document as well, `{\"problem\": …}` with what the server said, or with `title`, `code` \
                    and `detail` where no server did: `usage` for what is wrong with the command line or the input, \
                    `unreachable` where no server answers, and `failed` for the rest. Settings may also come from \
                    the environment and from a file: [`configuration.md`](configuration.md).\n"
        .to_owned();
    for (name, command) in all(&command) {
        let about = command.get_about().map(ToString::to_string);
        let _ = write!(page, "\n## `{name}`\n\n{}.\n", about.unwrap_or_default());
        let (said, examples) = after_help(command);
        if name == "taskyard" {
            let _ = write!(page, "\n```text\n{said}\n```\n");
            page += &contents(command);
            continue;
        }
        if !said.is_empty() {
            let _ = write!(page, "\n{said}\n");
        }
        let _ = write!(page, "\n```sh\n{}\n```\n", examples.join("\n"));
        let own: Vec<&Arg> = command.get_arguments().filter(|one| is_own(one)).collect();
        if !own.is_empty() {
            page += "\n| argument | default | meaning |\n|---|---|---|\n";
        }
        for argument in own {
            let default = default_of(argument);
            let default = if default.is_empty() {
                default
            } else {
                format!("`{default}`")
            };
            let _ = writeln!(
                page,
                "| `{}` | {default} | {} |",
                flag_of(argument),
                help_of(argument)
            );
        }
        let settings = command.get_arguments().filter(|one| !is_own(one));
        let settings: Vec<String> = settings
            .filter_map(|one| Some(format!("`--{}`", one.get_long()?)))
            .collect();
        if name == "taskyard config" {
            page += "\nSettings: those of [`taskyard serve`](#taskyard-serve).\n";
        } else if !settings.is_empty() {
            let _ = write!(page, "\nSettings: {}.\n", settings.join(", "));
        }
    }
    page
}

/// The commands, each leading to its part of the page.
fn contents(command: &Command) -> String {
    let mut table = "\n| command | does |\n|---|---|\n".to_owned();
    for command in command.get_subcommands() {
        let (name, about) = (command.get_name(), command.get_about());
        let about = about.map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(table, "| [`{name}`](#taskyard-{name}) | {about} |");
    }
    table
}

#[test]
fn config_takes_the_settings_of_serve() {
    let command = Cli::command();
    let settings = |name| {
        let found = command.find_subcommand(name);
        let found = found.expect("there is such a command").get_arguments();
        let settings = found.filter(|one| !is_own(one));
        settings.map(Arg::get_id).collect::<Vec<_>>()
    };

    assert_eq!(settings("config"), settings("serve"));
}

fn configuration() -> String {
    let command = Cli::command();
    // What has another default for another command means something else there.
    let mut found: BTreeMap<(String, String), (&Arg, Vec<String>)> = BTreeMap::new();
    for (name, command) in all(&command) {
        let settings = command
            .get_arguments()
            .filter(|one| one.get_env().is_some());
        for argument in settings {
            let id = argument.get_id().to_string();
            let as_there = (id, default_of(argument));
            let (_, commands) = found.entry(as_there).or_insert((argument, Vec::new()));
            let of = name.strip_prefix("taskyard ").unwrap_or("all");
            commands.push(format!("`{of}`"));
        }
    }
    let mut page = "# Settings\n\nPrinted from the program by a test. A setting comes from the flag; without it from the \
                    variable of the environment; without that from the older name that some have there \
                    ([`dialects.md`](dialects.md)); without that from the file, a TOML file named by `--config` or \
                    `./taskyard.toml`; and else it has its default. `taskyard config` prints what is in force, and where \
                    each value came from. What is wrong is refused at the start, by its name and with what would be \
                    right, wherever it stands; so is a variable that begins with `TASKYARD_` and is none of these, by \
                    `serve` and `worker`, while other commands tell of it and go on.\n\nTimes are written `1500ms`, \
                    `30s`, `5m`, `2h`; sizes `100000`, `64KiB`, `16MiB`; in the file, lists are `[\"a\", \"b\"]`, and \
                    `a,b` elsewhere.\n\n| flag | variable | in the file | default | commands | meaning |\n\
                    |---|---|---|---|---|---|\n"
        .to_owned();
    for ((id, default), (argument, commands)) in found {
        let default = if default.is_empty() {
            default
        } else {
            format!("`{default}`")
        };
        let variable = argument.get_env().unwrap_or_default().to_string_lossy();
        // What names the file cannot stand in it.
        let key = if id == "config_file" {
            String::new()
        } else {
            format!("`{id}`")
        };
        let _ = writeln!(
            page,
            "| `{}` | `{variable}` | {key} | {default} | {} | {} |",
            flag_of(argument),
            commands.join(", "),
            help_of(argument)
        );
    }
    page
}

#[test]
fn the_documents_are_what_the_command_line_says() {
    compare("cli.md", &command_line());
    compare("configuration.md", &configuration());
}

#[test]
fn every_command_has_an_example_that_it_understands() {
    for (name, command) in all(&Cli::command()) {
        if name == "taskyard" {
            continue;
        }
        let (_, examples) = after_help(command);
        assert!(!examples.is_empty(), "`{name} --help` has no example");
        for example in examples {
            let (_, line) = example
                .split_once("taskyard ")
                .unwrap_or_else(|| panic!("{example} is of another program"));
            let line = line.split(" >").next().unwrap();
            let words = shell_words::split(line).unwrap();
            let words = std::iter::once("taskyard".to_owned()).chain(words);
            let read = Cli::command().try_get_matches_from(words);
            assert!(read.is_ok(), "{example}: {}", read.unwrap_err());
            assert!(
                format!("taskyard {line} ").starts_with(&format!("{name} ")),
                "{example} of {name}"
            );
        }
    }
}
