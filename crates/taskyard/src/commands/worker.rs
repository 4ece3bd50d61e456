//! `taskyard worker`, and the executors that every worker of this program has.

use std::process::ExitCode;
use std::sync::Arc;

use taskyard_worker::executor::Executors;
use taskyard_worker::executors::{self, command};
use taskyard_worker::runtime::{Settings, Worker, shutdown_signal};

use super::{Done, client};
use crate::cli::{CommandArgs, WorkerArgs};
use crate::clock;
use crate::failure::Failure;
use crate::output;
use crate::randomness::Unguessable;
use crate::signals::Signals;

pub(super) async fn run(args: WorkerArgs) -> Done {
    let client = client(&args.connection)?;
    let name = args.name.unwrap_or_else(made_up_name);
    let settings = Settings {
        queues: (!args.queues.is_empty()).then_some(args.queues),
        labels: args.labels.into_iter().collect(),
        concurrency: args.concurrency as usize,
        drain_within: args.drain,
        ..Settings::named(name.clone())
    };
    let executors = executors(&args.command, &args.kinds)?;
    let mut signals = Signals::listen()?;
    let (shutdown, asked) = shutdown_signal();
    tokio::spawn(async move {
        loop {
            signals.next().await;
            shutdown.request();
        }
    });
    tracing::info!(worker = %name, concurrency = settings.concurrency, "working");
    let worker = Worker {
        settings,
        executors,
        transport: Arc::new(client),
        clock: Arc::new(clock::now),
        random: Box::new(Unguessable::new()),
    };
    let summary = worker
        .run(asked)
        .await
        .map_err(|error| Failure::new(error.to_string()))?;
    tracing::info!(?summary, "stopped");
    Ok(ExitCode::SUCCESS)
}

/// Every kind that this program runs, or those of them that were asked for.
pub(super) fn executors(args: &CommandArgs, kinds: &[String]) -> Result<Executors, Failure> {
    let command = command::Settings {
        allow: args.allow_command.clone(),
        grace: args.command_grace,
        ..command::Settings::default()
    };
    let all = executors::standard(command);
    if let Some(unknown) = kinds.iter().find(|kind| all.get(kind).is_none()) {
        let known = all.kinds().collect::<Vec<_>>().join(", ");
        return Err(Failure::usage(format!(
            "this program runs no tasks of kind {unknown:?}; it runs {known}"
        )));
    }
    if kinds.iter().any(|kind| kind == "command")
        && matches!(args.allow_command, command::Allow::Nothing)
    {
        output::note(
            "No program is allowed, so every task of kind command fails here; --allow-command names some.",
        );
    }
    Ok(if kinds.is_empty() {
        all
    } else {
        all.only(kinds)
    })
}

/// The host's name and something that no other process on it has.
fn made_up_name() -> String {
    use taskyard_core::random::Random as _;
    let host = nix::unistd::gethostname().unwrap_or_default();
    let host: String = host
        .to_string_lossy()
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-'))
        .take(40)
        .collect();
    let random = Unguessable::new().bits();
    let host = if host.is_empty() { "worker" } else { &host };
    format!("{host}-{:08x}", random >> 32)
}
