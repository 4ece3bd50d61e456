//! What the workers inside of a server run, and what becomes of commands that are scheduled there.

use taskyard_core::policy::COMMAND;
use taskyard_server::settings::{Commands, NotInside};
use taskyard_worker::executor::Executors;
use taskyard_worker::executors::{self, Simulated, standard};

use crate::cli::ServeArgs;
use crate::commands::worker;
use crate::failure::Failure;

/// Why a command of the taskmaster dialect fails where none may be run.
const REFUSED: &str = "this server runs no commands: start it with --allow-command and the programs that it may run (or \
                       any), or with --simulate, which runs nothing; if workers outside of it run commands, start it \
                       with --internal-workers 0";

pub(super) fn commands(args: &ServeArgs) -> Commands {
    if args.simulate.simulate {
        return Commands::Simulated {
            picked_after: args.simulate.simulate_pick,
        };
    }
    Commands::Run
}

/// Why those of the taskmaster dialect fail, if they do: without workers inside, others are there to run them. For the
/// server's life, however many workers it has later: one that is brought in for other tasks ends nobody's commands.
pub(super) fn commands_refused(args: &ServeArgs) -> Option<&'static str> {
    let is_for_others = args.internal_workers == 0;
    let runs = is_for_others || args.simulate.simulate || args.command.allow_command.is_some();
    (!runs).then_some(REFUSED)
}

pub(super) fn executors(args: &ServeArgs) -> Result<Executors, Failure> {
    let kinds = &args.internal_kinds;
    let is_simulated = args.simulate.simulate && (kinds.is_empty() || is_among(kinds));
    let others: Vec<String> = kinds
        .iter()
        .filter(|kind| !is_simulated || *kind != COMMAND)
        .cloned()
        .collect();
    let executors = if others.is_empty() && !kinds.is_empty() {
        Executors::default()
    } else {
        worker::executors(&args.command, &args.http, &others, "--internal-kinds")?
    };
    Ok(if is_simulated {
        executors.with(Simulated {
            kind: COMMAND,
            begins_after: args.simulate.simulate_start,
            takes: args.simulate.simulate_run,
        })
    } else {
        executors
    })
}

/// What workers inside would run as well if more was said.
pub(super) fn not_inside(args: &ServeArgs) -> NotInside {
    let may_run = args.simulate.simulate || args.command.allow_command.is_some();
    let may_ask = args.http.allow_http.is_some();
    let gated = [
        (COMMAND, "--allow-command PROGRAM", may_run),
        ("http", "--allow-http HOST", may_ask),
    ];
    let kinds = &args.internal_kinds;
    let known = gated.iter().map(|(kind, ..)| (*kind).to_owned());
    NotInside {
        left_out: known
            .chain(built_in())
            .filter(|kind| !kinds.is_empty() && !kinds.contains(kind))
            .collect(),
        not_allowed: gated
            .iter()
            .filter(|(.., may)| !may)
            .map(|(kind, flag, _)| (*kind, *flag))
            .collect(),
    }
}

/// What `taskyard worker` runs with no flags.
pub(super) fn built_in() -> Vec<String> {
    let standard = standard(executors::Settings::default());
    standard.kinds().map(str::to_owned).collect()
}

fn is_among(kinds: &[String]) -> bool {
    kinds.iter().any(|kind| kind == COMMAND)
}

#[cfg(test)]
mod tests {
    use super::built_in;
    use crate::cli::KINDS;

    #[test]
    fn the_help_names_every_kind_that_the_program_runs() {
        let named = KINDS.split(';').next().unwrap();
        let named = named.replace(" and ", ", ").replace(": ", ", ");
        let mut named: Vec<&str> = named.split(", ").skip(1).collect();
        named.sort_unstable();

        // These two are run by nobody without flags.
        let known = [built_in(), vec!["command".to_owned(), "http".to_owned()]];
        let mut known = known.concat();
        known.sort_unstable();
        assert_eq!(named, known);
    }
}
