//! `taskyard completions` and `taskyard man`: the command line, described to shells and as manual pages.

use std::fs;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use super::Done;
use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::failure::Failure;
use crate::output;

pub(super) fn completions(args: &CompletionsArgs) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "taskyard", &mut script);
    output::line(String::from_utf8_lossy(&script).trim_end())?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn man(args: &ManArgs) -> Done {
    let mut command = Cli::command();
    command.build();
    if let Some(directory) = &args.directory {
        fs::create_dir_all(directory)
            .with_context(|| format!("{} cannot be made", directory.display()))?;
        for (name, page) in pages(&command)? {
            let path = directory.join(format!("{name}.1"));
            fs::write(&path, page)
                .with_context(|| format!("{} cannot be written", path.display()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut wanted = &command;
    for word in &args.command {
        wanted = wanted.find_subcommand(word).ok_or_else(|| {
            Failure::usage(format!(
                "there is no command {:?}; `taskyard --help` lists them",
                args.command.join(" ")
            ))
        })?;
    }
    output::line(String::from_utf8_lossy(&page(wanted)?).trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// Of the command and of all below it, by their names.
fn pages(command: &Command) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let mut all = vec![(name.to_owned(), page(command)?)];
    for below in command.get_subcommands() {
        all.extend(pages(below)?);
    }
    Ok(all)
}

fn page(command: &Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone())
        .source(concat!("taskyard ", env!("CARGO_PKG_VERSION")))
        .manual("Taskyard")
        .render(&mut page)?;
    Ok(page)
}
