//! `taskyard worker`, and the executors that every worker of this program has.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use taskyard_api::worker::NAMES_MAX;
use taskyard_core::labels::{BadLabels, Labels};
use taskyard_worker::executor::Executors;
use taskyard_worker::executors::{self, command, http};
use taskyard_worker::runtime::{Error, Logs, Settings, Summary, Worker, shutdown_signal};

use super::{Done, client, once_each};
use crate::cli::{CommandArgs, DeliverArgs, HttpArgs, LogArgs, WorkerArgs};
use crate::clock;
use crate::failure::Failure;
use crate::open_files;
use crate::randomness::Unguessable;
use crate::signals::Signals;

pub(super) async fn run(args: WorkerArgs) -> Done {
    let executors = executors(&args.command, &args.http, &args.kinds, "--kinds")?;
    let labels = args.labels.concat();
    once_each("--label", &labels)?;
    check_labels(&labels)?;
    if args.queues.len() > NAMES_MAX {
        return Err(Failure::usage(format!(
            "--queues names {} queues; a worker that does not serve all of them names at most {NAMES_MAX}",
            args.queues.len()
        )));
    }
    open_files::raise();
    let client = client(&args.connection)?;
    let name = args.name.unwrap_or_else(made_up_name);
    let settings = Settings {
        name: name.clone(),
        queues: (!args.queues.is_empty()).then_some(args.queues),
        labels: labels.into_iter().collect(),
        concurrency: args.concurrency as usize,
        logs: logs(&args.logs),
        ..ending(args.drain, &args.deliver, &args.command)
    };
    let mut signals = Signals::listen()?;
    let (shutdown, asked) = shutdown_signal();
    tokio::spawn(async move {
        signals.next().await;
        shutdown.request();
        signals.end_at_next();
    });
    tracing::info!(worker = %name, concurrency = settings.concurrency, "starting");
    let worker = Worker {
        settings,
        executors,
        transport: Arc::new(client),
        clock: Arc::new(clock::now),
        random: Box::new(Unguessable::new()),
    };
    let summary = worker.run(asked).await.map_err(|error| match error {
        Error::Refused(refused) => Failure::from(refused).behind("the server refuses this worker"),
        Error::Replaced(_) => Failure::new(error.to_string()),
    })?;
    let Summary {
        completed,
        failed,
        timed_out,
        released,
        dropped,
        refused,
        undelivered,
    } = summary;
    tracing::info!(
        completed,
        failed,
        timed_out,
        released,
        dropped,
        refused,
        undelivered,
        "stopped"
    );
    if undelivered > 0 {
        return Err(Failure::new(format!(
            "results that could not be delivered within --deliver: {undelivered}; their tasks run again"
        )));
    }
    Ok(ExitCode::SUCCESS)
}

/// What the server would refuse, before it is asked.
fn check_labels(labels: &[(String, String)]) -> Result<(), Failure> {
    let pairs = labels.iter().map(|(name, value)| (name, value));
    let Err(bad) = Labels::new(pairs) else {
        return Ok(());
    };
    let why = match &bad {
        BadLabels::Name(_, why) => why.to_string(),
        BadLabels::TooMany
        | BadLabels::Value(_)
        | BadLabels::NotANumber(_)
        | BadLabels::LongNumber(_)
        | BadLabels::NoComparison(_) => bad.to_string(),
    };
    let entry = bad.entry().map(|entry| format!(" {entry}"));
    let entry = entry.unwrap_or_default();
    Err(Failure::usage(format!("--label{entry}: {why}")))
}

/// How a worker of this program comes to its end.
pub(super) fn ending(drain: Duration, deliver: &DeliverArgs, command: &CommandArgs) -> Settings {
    Settings {
        drain_within: drain,
        stop_within: command.command_grace + command::AFTER_GRACE,
        deliver_within: deliver.deliver,
        ..Settings::named("")
    }
}

/// How a worker of this program sends on what its runs print.
pub(super) fn logs(args: &LogArgs) -> Logs {
    Logs {
        buffer_bytes_max: args.log_buffer_max,
        every: args.log_every,
        deliver_within: args.log_deliver,
        ..Logs::default()
    }
}

/// Every kind that this program runs, or those of them that `flag` asks for.
pub(super) fn executors(
    command: &CommandArgs,
    http: &HttpArgs,
    kinds: &[String],
    flag: &str,
) -> Result<Executors, Failure> {
    let settings = executors::Settings {
        command: command_settings(command),
        http: http_settings(http),
    };
    let may_run = settings.command.allow != command::Allow::Nothing;
    for (kind, may, instead) in [
        (
            "command",
            may_run,
            "no program is allowed; --allow-command names some",
        ),
        (
            "http",
            !settings.http.allow.is_nothing(),
            "no host is allowed; --allow-http names some",
        ),
    ] {
        if !may && kinds.iter().any(|wanted| wanted == kind) {
            return Err(Failure::usage(format!(
                "{flag} names kind {kind:?}, but {instead}"
            )));
        }
    }
    if may_run {
        keep_to_itself();
    }
    let all = executors::standard(settings);
    if let Some(unknown) = kinds.iter().find(|kind| all.get(kind).is_none()) {
        let known = all.kinds().collect::<Vec<_>>().join(", ");
        return Err(Failure::usage(format!(
            "{flag} names kind {unknown:?}, which this program does not run; it runs {known}"
        )));
    }
    Ok(if kinds.is_empty() {
        all
    } else {
        all.only(kinds)
    })
}

fn command_settings(args: &CommandArgs) -> command::Settings {
    let settings = command::Settings {
        allow: args.allow_command.clone().unwrap_or_default(),
        allow_env: args.allow_env.clone(),
        grace: args.command_grace,
        ..command::Settings::default()
    };
    for program in settings.allow.missing(&settings.path) {
        let program = program.display();
        tracing::warn!(%program, "--allow-command names a program that is not on this machine");
    }
    settings
}

fn http_settings(args: &HttpArgs) -> http::Settings {
    http::Settings {
        allow: args.allow_http.clone().unwrap_or_default(),
        allow_private: args.allow_http_private,
        request_bytes_max: args.http_request_max,
        response_bytes_max: args.http_response_max,
        headers_bytes_max: args.http_headers_max,
        detail_bytes_max: args.http_detail_max,
        redirects_max: args.http_redirects_max,
        lookups_max: args.http_lookups_max as usize,
    }
}

/// Commands run as the same user as this process, which may have been given passwords in its environment: from here on the
/// kernel shows that, and its memory, to root alone.
fn keep_to_itself() {
    if let Err(error) = nix::sys::prctl::set_dumpable(false) {
        tracing::warn!(%error, "commands can read the environment of this process, with what is secret in it");
    }
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

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn args(flags: &str) -> WorkerArgs {
        let words = ["taskyard", "worker"]
            .into_iter()
            .chain(flags.split_whitespace());
        let cli = Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
        let Command::Worker(args) = cli.command else {
            panic!("it is `worker`");
        };
        *args
    }

    #[test]
    fn without_flags_everything_is_as_the_settings_say() {
        let args = args("");

        let (set, usual) = (http_settings(&args.http), http::Settings::default());
        assert_eq!(format!("{set:?}"), format!("{usual:?}"));
        assert_eq!(logs(&args.logs), Logs::default());
    }

    #[test]
    fn each_flag_sets_what_it_names() {
        let args = args(
            "--allow-http example.com --allow-http-private --http-request-max 1 --http-response-max 2 \
             --http-headers-max 3 --http-detail-max 4 --http-redirects-max 5 --http-lookups-max 6 \
             --log-buffer-max 7 --log-every 8ms --log-deliver 9s",
        );

        let set = http_settings(&args.http);
        assert_eq!(set.allow, "example.com".parse().unwrap());
        assert!(set.allow_private);
        let bytes = [
            set.request_bytes_max,
            set.response_bytes_max,
            set.headers_bytes_max,
            set.detail_bytes_max,
        ];
        assert_eq!(bytes, [1, 2, 3, 4]);
        assert_eq!((set.redirects_max, set.lookups_max), (5, 6));
        let logs = logs(&args.logs);
        assert_eq!(logs.buffer_bytes_max, 7);
        assert_eq!(logs.every, Duration::from_millis(8));
        assert_eq!(logs.deliver_within, Duration::from_secs(9));
    }
}
