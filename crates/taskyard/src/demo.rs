//! `taskyard demo`: a server, three workers inside of it, one worker outside, and real work from start to end; what
//! goes wrong on the way goes wrong on purpose.

mod fate;
mod files;
mod story;

use std::io::{IsTerminal as _, stdout};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use taskyard_api::client::Client;
use tempfile::TempDir;

use self::story::Story;
use crate::commands::Done;
use crate::failure::Failure;
use crate::output;
use crate::process::{Process, Server};
use crate::signals::{self, Signals};

/// Names the PostgreSQL server that the demo may use.
const POSTGRES: &str = "TASKYARD_TEST_POSTGRES_URL";
/// The worker outside of the server.
const OUTSIDE: &str = "outside";
/// The programs that the demo's tasks run.
const PROGRAMS: &str = "wc,sh,sleep";

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  taskyard demo")]
pub(crate) struct DemoArgs {
    /// sqlite, in a temporary file; or postgres, on the server that TASKYARD_TEST_POSTGRES_URL names.
    #[arg(long, default_value = "sqlite", value_parser = ["sqlite", "postgres"])]
    database: String,
    /// Ends when the story has ended, also on a terminal.
    #[arg(long)]
    no_stay: bool,
}

pub(crate) async fn run(args: &DemoArgs) -> Done {
    let mut signals = Signals::listen()?;
    let directory = TempDir::with_prefix("taskyard-demo-").map_err(Failure::from)?;
    let told = tokio::select! {
        told = tell(args, directory.path()) => Ok(told),
        signal = signals.next() => Err(signal),
    };
    match told {
        Ok(Ok(server)) => {
            if stays(args) {
                signals.next().await;
            }
            server.process.stop().await.context("the server")?;
            Ok(ExitCode::SUCCESS)
        }
        Ok(Err(failure)) => {
            // What the processes said may be all that explains it.
            let kept = directory.keep();
            output::note(&format!("The logs are in {}.", kept.display()));
            Err(failure)
        }
        // What was started went with the story.
        Err(signal) => Ok(signals::exit_code(signal)),
    }
}

/// Whether the server goes on when the story has ended.
fn stays(args: &DemoArgs) -> bool {
    stdout().is_terminal() && !args.no_stay
}

/// Answers the server, when everything has ended as it should.
async fn tell(args: &DemoArgs, directory: &Path) -> Result<Server, Failure> {
    let database = database(args, directory)?;
    let server = start_server(&database, directory).await?;
    say(&format!(
        "Server     {} on {}, three internal workers",
        server.url, args.database
    ))?;
    let worker = start_worker(&server.url, directory)?;
    let url = server.url.parse().context("the server's address")?;
    let client = Client::new(&[url], None)?;

    let story = Story {
        client,
        directory,
        worker,
    };
    let ending = story.tell().await?;
    say(&format!(
        "\nEverything has ended after {:.1} s:\n\n{}\n",
        ending.took.as_secs_f64(),
        fate::table(&ending.fates)
    ))?;
    if let Some(wrong) = ending.fates.iter().find_map(|fate| fate.wrong.as_ref()) {
        return Err(Failure::new(format!("the demo went wrong: {wrong}")));
    }
    if stays(args) {
        say(&format!(
            "\nThe server goes on until you press Ctrl-C. In another terminal:\n  export TASKYARD_URL={}\n  \
             taskyard list\n  taskyard submit echo '\"hello\"' --wait\n  curl -s {}/api/v1/tasks/stats\n",
            server.url, server.url
        ))?;
    }
    say("demo: ok")?;
    Ok(server)
}

fn database(args: &DemoArgs, directory: &Path) -> Result<String, Failure> {
    if args.database == "sqlite" {
        return Ok(format!("sqlite:{}", directory.join("demo.db").display()));
    }
    std::env::var(POSTGRES).map_err(|_| {
        Failure::usage(format!(
            "{POSTGRES} names no server; `make demo DATABASE=postgres` starts one and removes it"
        ))
    })
}

/// With short times, so that a dead worker is found out within moments.
async fn start_server(database: &str, directory: &Path) -> anyhow::Result<Server> {
    let arguments = [
        ["--database", database],
        ["--internal-workers", "3"],
        ["--allow-command", PROGRAMS],
        ["--heartbeat", "300ms"],
        ["--heartbeat-ttl", "1s"],
        ["--lease", "3s"],
        ["--grace", "1s"],
        ["--sweep", "200ms"],
    ];
    Server::start(
        &arguments
            .concat()
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>(),
        &directory.join("server.log"),
    )
    .await
}

fn start_worker(url: &str, directory: &Path) -> anyhow::Result<Process> {
    let arguments = [
        "worker",
        "--server",
        url,
        "--name",
        OUTSIDE,
        "--concurrency",
        "2",
        "--allow-command",
        PROGRAMS,
    ];
    Process::start(&arguments.map(str::to_owned), &directory.join("worker.log"))
}

fn say(text: &str) -> anyhow::Result<()> {
    output::line(text)
}
