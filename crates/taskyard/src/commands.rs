//! What each command does.

pub(crate) mod away;
pub(crate) mod bulk;
mod cancel;
mod config;
mod db;
mod explain;
mod health;
pub(crate) mod list;
mod logs;
mod manual;
mod named;
pub(crate) mod operations;
mod patch;
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
use taskyard_api::problem::Problem;
use taskyard_core::id::TaskId;
use taskyard_core::time::Timestamp;
use tokio::runtime::Runtime;

use crate::cli::{Cli, Command, Connection};
use crate::failure::{About, Failure, next_step};
use crate::output::Format;
use crate::settings::Layered;
use crate::{bench, clock, demo, output};

/// How a command ended that did its work.
pub(crate) type Done = Result<ExitCode, Failure>;

pub(crate) fn run(cli: Cli, layered: &Layered) -> Done {
    let format = cli.general.output;
    let done = act(cli, layered).map_err(|failure| failure.placed(layered));
    if let Err(failure) = &done
        && format == Format::Json
    {
        failure.tell_programs()?;
    }
    done
}

fn act(cli: Cli, layered: &Layered) -> Done {
    let Cli { command, general } = cli;
    let format = general.output;
    match command {
        Command::Serve(args) => {
            crate::logs::start(&general)?;
            let plan = serve::Plan::make(&args)?;
            finish(runtime(plan.cores())?, serve::run(&args, plan))
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
        Command::Patch(args) => block_on(patch::run(&args, format)),
        Command::Retry(args) => block_on(retry::run(&args, format)),
        Command::Wait(args) => block_on(wait::run(&args, format)),
        Command::Operations(args) => block_on(operations::run(&args, format)),
        Command::Queues(args) => block_on(queues::run(&args, format)),
        Command::Stats(args) => block_on(stats::run(&args, format)),
        Command::Workers(args) => block_on(workers::run(&args, format)),
        Command::Health(args) => block_on(health::run(&args, format)),
        Command::Config(args) => config::run(&args.serve, layered, format),
        Command::Db(args) => {
            // What opening a database has to say it says in the log.
            crate::logs::start(&general)?;
            block_on(db::run(&args, format))
        }
        Command::Bench(args) => bench::run(&args),
        Command::Demo(args) => block_on(demo::run(&args)),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
    }
}

fn block_on(work: impl Future<Output = Done>) -> Done {
    finish(runtime(Cores::BesideDatabase)?, work)
}

fn finish(runtime: Runtime, work: impl Future<Output = Done>) -> Done {
    let done = runtime.block_on(work);
    // Whatever is left on blocking threads ends with the process.
    runtime.shutdown_background();
    done
}

/// Which cores a runtime has a thread for.
#[derive(Clone, Copy)]
pub(crate) enum Cores {
    All,
    /// One is the database's, which keeps it busy: by a thread of this process, or as another process on this machine. A
    /// thread more than there are cores only takes turns.
    BesideDatabase,
}

pub(crate) fn runtime(of: Cores) -> io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let of_database = match of {
        Cores::All => 0,
        Cores::BesideDatabase => 1,
    };
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.saturating_sub(of_database).max(1))
        .enable_all()
        .build()
}

fn client(connection: &Connection) -> Result<Client, Failure> {
    let client = Client::new(&connection.server, connection.token.sent()?)?;
    Ok(client.answered_within(connection.server_answer))
}

/// The server's time, as its last answer has told it: what it says of times is measured by its clock, not by this
/// machine's.
fn now(client: &Client) -> Timestamp {
    client.server_time().map_or_else(clock::now, |time| time.0)
}

/// What became of the same thing done to each of several tasks.
struct Each<T> {
    done: Vec<T>,
    refused: Vec<NotDone>,
    failure: Option<Failure>,
}

/// Why it was not done to one of them.
#[derive(serde::Serialize)]
struct NotDone {
    task_id: TaskId,
    /// What the server said.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Box<Problem>>,
    /// Why it said nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl NotDone {
    fn of(task_id: TaskId, error: &Error) -> Self {
        let (problem, error) = match error {
            Error::Problem(problem) => (Some(problem.clone()), None),
            other => (None, Some(other.to_string())),
        };
        Self {
            task_id,
            problem,
            error,
        }
    }
}

/// For programs: what was done, and then what was not, each in the form of its own.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum DoneOrNot<'a, T> {
    Done(&'a T),
    Not(&'a NotDone),
}

impl<T: serde::Serialize> serde::Serialize for Each<T> {
    fn serialize<S: serde::Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        let done = self.done.iter().map(DoneOrNot::Done);
        let refused = self.refused.iter().map(DoneOrNot::Not);
        writer.collect_seq(done.chain(refused))
    }
}

/// Does the same to each of these tasks; what could not be done is said, and done to the others all the same.
async fn to_each<T>(tasks: &[TaskId], act: impl AsyncFn(TaskId) -> Result<T, Error>) -> Each<T> {
    let mut each = Each {
        done: Vec::new(),
        refused: Vec::new(),
        failure: None,
    };
    // One example of what helps is enough.
    let mut helped = HashSet::new();
    for task in tasks {
        match act(*task).await {
            Ok(answer) => each.done.push(answer),
            Err(error) => {
                each.refused.push(NotDone::of(*task, &error));
                let about = About::Task(*task);
                let is_new = helped.insert(error.code().map(str::to_owned));
                let step = next_step(&error, about).filter(|_| is_new);
                let failure = Failure::without_step(error).and(step.as_deref());
                if tasks.len() > 1 {
                    output::note(&format!("taskyard: {task}: {}", failure.message));
                }
                each.failure = Some(failure.told());
            }
        }
    }
    each
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
