//! What each command does.

pub(crate) mod away;
mod cancel;
mod config;
mod db;
mod hint;
pub(crate) mod list;
mod logs;
mod serve;
mod show;
mod submit;
pub(crate) mod wait;
mod worker;
pub(crate) mod workers;

use std::collections::HashSet;
use std::future::Future;
use std::io;
use std::num::NonZero;
use std::process::ExitCode;

use taskyard_api::client::Client;
use tokio::runtime::Runtime;

use crate::cli::{Cli, Command, Connection};
use crate::failure::Failure;
use crate::settings::Layered;
use crate::{bench, demo};

/// How a command ended that did its work.
pub(crate) type Done = Result<ExitCode, Failure>;

pub(crate) fn run(cli: Cli, layered: &Layered) -> Done {
    let Cli { command, general } = cli;
    let output = general.output;
    match command {
        Command::Serve(args) => {
            crate::logs::start(&general)?;
            block_on(serve::run(&args))
        }
        Command::Worker(args) => {
            crate::logs::start(&general)?;
            block_on(worker::run(*args))
        }
        Command::Submit(args) => block_on(submit::run(*args, output)),
        Command::List(args) => block_on(list::run(&args, output)),
        Command::Show(args) => block_on(show::run(&args, output)),
        Command::Logs(args) => block_on(logs::run(&args, output)),
        Command::Cancel(args) => block_on(cancel::run(&args, output)),
        Command::Wait(args) => block_on(wait::run(&args, output)),
        Command::Workers(args) => block_on(workers::run(&args, output)),
        Command::Config(args) => config::run(&args.serve, layered, output),
        Command::Db(args) => block_on(db::run(&args, output)),
        Command::Bench(args) => bench::run(&args),
        Command::Demo(args) => block_on(demo::run(&args)),
    }
}

fn block_on(work: impl Future<Output = Done>) -> Done {
    let runtime = runtime()?;
    let done = runtime.block_on(work);
    // Whatever is left on blocking threads ends with the process.
    runtime.shutdown_background();
    done
}

/// One core is the database's: its thread keeps it busy, and a thread more than there are cores only takes turns.
pub(crate) fn runtime() -> io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.saturating_sub(1).max(1))
        .enable_all()
        .build()
}

fn client(connection: &Connection) -> Result<Client, Failure> {
    Ok(Client::new(
        &connection.server,
        connection.token.as_deref(),
    )?)
}

/// Refuses a name that is given two values, of which only one could count.
fn once_each(flag: &str, pairs: &[(String, String)]) -> Result<(), Failure> {
    let mut seen = HashSet::new();
    match pairs.iter().find(|(name, _)| !seen.insert(name)) {
        None => Ok(()),
        Some((name, _)) => Err(Failure::usage(format!(
            "{flag} {name}= is given twice; a name has one value"
        ))),
    }
}
