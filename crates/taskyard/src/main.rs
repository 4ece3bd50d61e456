//! The `taskyard` binary: server, worker and command line in one.

mod bench;
mod cli;
mod clock;
mod commands;
mod database;
mod demo;
mod failure;
mod inboxes;
mod logs;
mod open_files;
mod output;
mod pool;
mod process;
mod randomness;
mod settings;
mod signals;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};
use taskyard_worker::guardian;

use self::cli::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A command's guardian is this same program; it must be alone in its process.
    if let Some(code) = guardian::take_over() {
        return code;
    }
    let _last_lines = logs::Finish;
    // Fails only where a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Some(arguments) = process::bound_to_parent(std::env::args_os().collect()) else {
        return ExitCode::FAILURE;
    };
    let arguments = cli::with_help_as_flag(arguments);
    let format = failure::format_asked(&arguments);
    let layered = settings::layer(Cli::command(), arguments, |name| std::env::var_os(name));
    let layered = match layered {
        Ok(layered) => layered,
        Err(error) => return failure::unread(&error, format),
    };
    let cli = match Cli::from_arg_matches(&layered.matches) {
        Ok(cli) => cli,
        Err(error) => return failure::unread(&error, format),
    };
    let names = std::env::vars_os().map(|(name, _)| name);
    let strangers = settings::strangers(&layered.command, names);
    // What runs for long would go on for long with another value than was meant.
    if cli.command.stays() && !strangers.is_empty() {
        return failure::Failure::usage(strangers.join("\n")).exit();
    }
    for stranger in strangers {
        output::note(&format!("taskyard: {stranger}"));
    }
    match commands::run(cli, &layered) {
        Ok(code) => code,
        Err(failure) => failure.exit(),
    }
}
