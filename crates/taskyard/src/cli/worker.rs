//! A worker's settings.

use std::time::Duration;

use clap::Args;
use taskyard_worker::executors::command::{Allow, AllowEnv};
use taskyard_worker::executors::http;

use super::client::{Connection, KINDS};
use crate::settings::units::{bytes, duration, labels, queue, room, worker};

#[derive(Debug, Args)]
#[command(
    after_help = format!("{KINDS}\n\nExample:\n  taskyard worker --server http://127.0.0.1:8000 --concurrency 4\n  \
                          taskyard worker --kinds command --allow-command /usr/bin/convert --label disk=ssd")
)]
pub(crate) struct WorkerArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Its name; another process under the same name takes its place. Default: made from the host's name and random.
    #[arg(long, env = "TASKYARD_WORKER_NAME", value_parser = worker, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// How many tasks it runs at once.
    #[arg(long, env = "TASKYARD_CONCURRENCY", default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) concurrency: u32,
    /// The kinds that it runs. Default: all that this program knows; `command` only with --allow-command, `http` only
    /// with --allow-http.
    #[arg(
        long,
        env = "TASKYARD_KINDS",
        value_delimiter = ',',
        value_name = "KINDS"
    )]
    pub(crate) kinds: Vec<String>,
    /// The queues that it serves. Default: all.
    #[arg(
        long,
        env = "TASKYARD_QUEUES",
        value_delimiter = ',',
        value_parser = queue,
        value_name = "QUEUES"
    )]
    pub(crate) queues: Vec<String>,
    /// What tasks can require, such as gpu=a100. May be given several times, or with commas between; a comma in a value
    /// stands behind a backslash.
    #[arg(long = "label", id = "label", env = "TASKYARD_LABELS", value_parser = labels, value_name = "NAME=VALUE")]
    pub(crate) labels: Vec<Vec<(String, String)>>,
    /// How long it lets its tasks go on when it is told to stop, before it ends them and hands them back. A second signal
    /// ends it at once. One that `taskyard workers drain` has leave finishes them, however long they take.
    #[arg(long, env = "TASKYARD_DRAIN", default_value = "30s", value_parser = duration, value_name = "TIME")]
    pub(crate) drain: Duration,
    #[command(flatten)]
    pub(crate) deliver: DeliverArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
    #[command(flatten)]
    pub(crate) command: CommandArgs,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DeliverArgs {
    /// How long a worker that is told to stop, once its tasks have ended, tries to deliver what came of them. What it
    /// cannot deliver runs again, and `taskyard worker` ends with code 1.
    #[arg(long, env = "TASKYARD_DELIVER", default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub(crate) deliver: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Logs of tasks")]
pub(crate) struct LogArgs {
    /// How much of what one run prints is kept until it is sent to the server, about 100 bytes for each line beside its
    /// text. Lines that find no room are counted and left out.
    #[arg(long, env = "TASKYARD_LOG_BUFFER_MAX", default_value = "1MiB", value_parser = bytes, value_name = "BYTES")]
    pub(crate) log_buffer_max: usize,
    /// The time between two batches of lines, unless one is full sooner. The first line after a pause goes at once.
    #[arg(long, env = "TASKYARD_LOG_EVERY", default_value = "200ms", value_parser = duration, value_name = "TIME")]
    pub(crate) log_every: Duration,
    /// How long a run that has ended, and its result, may wait for its last lines to be sent; what is not sent by then is
    /// lost. One whose time is up has 1s at most, unless the server's --timeout-margin is set otherwise.
    #[arg(long, env = "TASKYARD_LOG_DELIVER", default_value = "2s", value_parser = duration, value_name = "TIME")]
    pub(crate) log_deliver: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Tasks of kind command")]
pub(crate) struct CommandArgs {
    /// Which programs tasks of kind `command` may run: whole paths, or names to be found in PATH, with commas between, or
    /// `any`. Default: none, and no such task is taken. One that asks for another program fails for good, so give the same list to all workers of a
    /// queue.
    #[arg(long, env = "TASKYARD_ALLOW_COMMAND", value_name = "PROGRAMS")]
    pub(crate) allow_command: Option<Allow>,
    /// Which variables such tasks may set, with commas between: names, beginnings of names with a `*` after them,
    /// `usual` (all but those that well-known programs take for code or options, such as PATH, LD_PRELOAD,
    /// PYTHONSTARTUP and TAR_OPTIONS), or `any`. Where you do not trust those who submit, name them: no list of the bad
    /// ones is whole.
    #[arg(
        long,
        env = "TASKYARD_ALLOW_ENV",
        value_name = "NAMES",
        default_value = "usual"
    )]
    pub(crate) allow_env: AllowEnv,
    /// How long a command has to end after SIGTERM before it is killed. One whose time is up has as much of it
    /// as its server's --timeout-margin leaves, which is 5s by default; one whose lease is lost has none.
    #[arg(long, env = "TASKYARD_COMMAND_GRACE", default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub(crate) command_grace: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Tasks of kind http")]
pub(crate) struct HttpArgs {
    /// Which hosts tasks of kind `http` may ask, with commas between: names (api.example.com), all names below one
    /// (*.example.com), addresses (203.0.113.7, ::1), each with a port or without (api.example.com:8443, [::1]:8080), or
    /// `any`. Default: none, and no such task is taken. Names are asked at public addresses only; an address that is
    /// listed, and `localhost`, may be private.
    #[arg(long, env = "TASKYARD_ALLOW_HTTP", value_name = "HOSTS")]
    pub(crate) allow_http: Option<http::Allow>,
    /// Lets names, and `any`, stand for addresses of this machine and of private networks too (loopback, link-local,
    /// unique-local, carriers' NAT). Not for metadata services of clouds: their very address has to be listed.
    #[arg(long, env = "TASKYARD_ALLOW_HTTP_PRIVATE")]
    pub(crate) allow_http_private: bool,
    /// The longest body that such a task sends.
    #[arg(long, env = "TASKYARD_HTTP_REQUEST_MAX", default_value = "1MiB", value_parser = bytes, value_name = "BYTES")]
    pub(crate) http_request_max: usize,
    /// The longest body that it receives; a longer one fails the task. As output it has to fit into the server's
    /// --output-max.
    #[arg(long, env = "TASKYARD_HTTP_RESPONSE_MAX", default_value = "4MiB", value_parser = room, value_name = "BYTES")]
    pub(crate) http_response_max: usize,
    /// The most bytes of headers, of a request and of an answer. Of an answer's, one header for each 64 bytes is read, and
    /// never more than about 400 KiB of them.
    #[arg(long, env = "TASKYARD_HTTP_HEADERS_MAX", default_value = "64KiB", value_parser = room, value_name = "BYTES")]
    pub(crate) http_headers_max: usize,
    /// How much of the body of a failed request the task's error shows.
    #[arg(long, env = "TASKYARD_HTTP_DETAIL_MAX", default_value = "16KiB", value_parser = bytes, value_name = "BYTES")]
    pub(crate) http_detail_max: usize,
    /// How many redirects are followed, each to hosts that are allowed. With 0 the redirect itself is the output.
    #[arg(long, env = "TASKYARD_HTTP_REDIRECTS_MAX", default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=50))]
    pub(crate) http_redirects_max: u32,
    /// How many names are looked up at a time; each takes a thread until the system answers.
    #[arg(long, env = "TASKYARD_HTTP_LOOKUPS_MAX", default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) http_lookups_max: u32,
}
