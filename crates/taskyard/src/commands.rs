//! What each command does.

pub(crate) mod away;
pub(crate) mod bulk;
mod cancel;
mod config;
mod db;
mod explain;
pub(crate) mod list;
mod logs;
mod manual;
pub(crate) mod queues;
mod retry;
mod serve;
mod show;
pub(crate) mod stats;
mod submit;
pub(crate) mod wait;
mod worker;
pub(crate) mod workers;

use std::collections::HashSet;
use std::future::Future;
use std::io;
use std::num::NonZero;
use std::process::ExitCode;

use taskyard_api::client::{Client, Error};
use taskyard_core::id::TaskId;
use tokio::runtime::Runtime;

use crate::cli::{Cli, Command, Connection};
use crate::failure::Failure;
use crate::settings::Layered;
use crate::{bench, demo, output};

/// How a command ended that did its work.
pub(crate) type Done = Result<ExitCode, Failure>;

pub(crate) fn run(cli: Cli, layered: &Layered) -> Done {
    let Cli { command, general } = cli;
    let format = general.output;
    match command {
        Command::Serve(args) => {
            crate::logs::start(&general)?;
            block_on(serve::run(&args))
        }
        Command::Worker(args) => {
            crate::logs::start(&general)?;
            block_on(worker::run(*args))
        }
        Command::Submit(args) => block_on(submit::run(*args, format)),
        Command::List(args) => block_on(list::run(&args, format)),
        Command::Show(args) => block_on(show::run(&args, format)),
        Command::Explain(args) => block_on(explain::run(&args, format)),
        Command::Logs(args) => block_on(logs::run(&args, format)),
        Command::Cancel(args) => block_on(cancel::run(&args, format)),
        Command::Retry(args) => block_on(retry::run(&args, format)),
        Command::Wait(args) => block_on(wait::run(&args, format)),
        Command::Operations(args) => block_on(bulk::look(&args, format)),
        Command::Queues(args) => block_on(queues::run(&args, format)),
        Command::Stats(args) => block_on(stats::run(&args, format)),
        Command::Workers(args) => block_on(workers::run(&args, format)),
        Command::Config(args) => config::run(&args.serve, layered, format),
        Command::Db(args) => block_on(db::run(&args, format)),
        Command::Bench(args) => bench::run(&args),
        Command::Demo(args) => block_on(demo::run(&args)),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
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

/// Does the same to each of these tasks; what could not be done is said, and done to the others all the same.
async fn to_each<T>(
    tasks: &[TaskId],
    act: impl AsyncFn(TaskId) -> Result<T, Error>,
) -> (Vec<T>, Option<Failure>) {
    let (mut done, mut failure) = (Vec::new(), None);
    for task in tasks {
        match act(*task).await {
            Ok(answer) => done.push(answer),
            Err(error) => {
                let refused: Failure = error.into();
                if tasks.len() > 1 {
                    output::note(&format!("taskyard: {task}: {}", refused.message));
                }
                failure = Some(refused);
            }
        }
    }
    (done, failure)
}

/// How a command ends that did its work on so many tasks, and may have failed on some.
fn ending(tasks: usize, failure: Option<Failure>) -> Done {
    match failure {
        None => Ok(ExitCode::SUCCESS),
        Some(failure) if tasks > 1 => Ok(ExitCode::from(failure.code)),
        Some(failure) => Err(failure),
    }
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
