//! The server's settings.

use std::time::Duration;

use clap::Args;
use taskyard_core::policy::HISTORY_MOST;
use taskyard_core::retention::Retention;
use taskyard_server::WorkerIds;

use super::inbox::ServeInboxArgs;
use super::worker::{CommandArgs, DeliverArgs, HttpArgs, LogArgs};
use crate::settings::units::{at_least, bytes, duration, listen, moment, retention, room};

/// More often no worker can be relied on to be heard, on a busy machine or over a network.
const HEARTBEAT_LEAST_MS: u64 = 100;
/// As long as three of these take: what is shorter, no heartbeat keeps.
const KEPT_LEAST_MS: u64 = 3 * HEARTBEAT_LEAST_MS;

#[derive(Debug, Args)]
pub(crate) struct DatabaseArgs {
    /// Where tasks are kept: sqlite:FILE for one server, or postgres://USER:PASSWORD@HOST/NAME for several. HOST may be several
    /// hosts (a:5432,b:5432) that hold the same database: the one that takes writes is found, also when it changes.
    #[arg(
        long,
        env = "TASKYARD_DATABASE",
        default_value = "sqlite:taskyard.db",
        value_name = "URL",
        hide_env_values = true
    )]
    pub(crate) database: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = "SIGTERM, Ctrl-C and, unless it was started with nohup, SIGHUP (its terminal is closed) stop it in order: \
                  its workers have --drain to finish what they run, then commands --command-grace to end, and --deliver to \
                  say what came of it; it serves for --linger at the least. A database that hangs is waited for no longer \
                  than --drain or --linger, and --deliver, and a second more. A second signal ends it at once.\n\n\
                  Example:\n  taskyard serve\n  taskyard serve --listen 127.0.0.1:9000 --database sqlite:/tmp/tasks.db \
                  --internal-workers 8\n  taskyard serve --allow-command wc,grep --internal-workers 2"
)]
pub(crate) struct ServeArgs {
    /// Where to listen. Port 0 takes a free one, which the log names.
    #[arg(
        long,
        env = "TASKYARD_LISTEN",
        default_value = "127.0.0.1:8000",
        value_parser = listen,
        value_name = "ADDRESS"
    )]
    pub(crate) listen: String,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// How long a PostgreSQL server that cannot be reached yet, or takes no writes yet, is waited for at the start.
    #[arg(long, env = "TASKYARD_DATABASE_WAIT", default_value = "30s", value_parser = duration, value_name = "TIME")]
    pub(crate) database_wait: Duration,
    /// How long PostgreSQL may take over what is written at once, or over a question, before its connection is given up. At
    /// least 1s. It is told after 15 s to give up by itself (`statement_timeout`), so less than that cuts it short.
    #[arg(long, env = "TASKYARD_DATABASE_WITHIN", default_value = "20s", value_parser = at_least::<1000>, value_name = "TIME")]
    pub(crate) database_within: Duration,
    /// PostgreSQL, and every --inbox, is behind a pooler that gives each transaction another connection, such as PgBouncer in
    /// transaction mode. What other servers did is then found by looking, at most --poll later, and an inbox's tasks within a
    /// second.
    #[arg(long, env = "TASKYARD_POOLED")]
    pub(crate) pooled: bool,
    /// How many internal workers there are, inside of the server; each runs one task at a time. 0 to 50.
    #[arg(long, env = "TASKYARD_INTERNAL_WORKERS", default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=50))]
    pub(crate) internal_workers: u16,
    /// The kinds that they run. Default: all that this program knows; `command` only with --allow-command, `http`
    /// only with --allow-http.
    #[arg(
        long,
        env = "TASKYARD_INTERNAL_KINDS",
        value_delimiter = ',',
        value_name = "KINDS"
    )]
    pub(crate) internal_kinds: Vec<String>,
    /// For development: serves what nobody may do elsewhere, such as to wipe everything.
    #[arg(long, env = "TASKYARD_DEV")]
    pub(crate) dev: bool,
    /// Serves no dialects: no older families of routes, such as /tasks and /api/schedule.
    #[arg(long, env = "TASKYARD_NO_DIALECTS")]
    pub(crate) no_dialects: bool,
    #[command(flatten)]
    pub(crate) simulate: SimulateArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
    #[command(flatten)]
    pub(crate) command: CommandArgs,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) inboxes: ServeInboxArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) times: TimeArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) connections: ConnectionArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Simulation")]
pub(crate) struct SimulateArgs {
    /// Runs no commands: internal workers take them, and go through their lives in the times below.
    #[arg(long, env = "TASKYARD_SIMULATE", conflicts_with = "allow_command")]
    pub(crate) simulate: bool,
    /// How long after its time a command that was scheduled at /api/schedule is taken.
    #[arg(long, env = "TASKYARD_SIMULATE_PICK", default_value = "1s", value_parser = duration, value_name = "TIME")]
    pub(crate) simulate_pick: Duration,
    /// How long after that it begins.
    #[arg(long, env = "TASKYARD_SIMULATE_START", default_value = "2s", value_parser = duration, value_name = "TIME")]
    pub(crate) simulate_start: Duration,
    /// How long after that it is completed.
    #[arg(long, env = "TASKYARD_SIMULATE_RUN", default_value = "5s", value_parser = duration, value_name = "TIME")]
    pub(crate) simulate_run: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Access")]
pub(crate) struct AccessArgs {
    /// The token that every request must bear; of several, with commas between them, any one. On a loopback address none
    /// is needed.
    #[arg(
        long,
        env = "TASKYARD_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub(crate) token: Option<String>,
    /// Serves everybody who can reach it, on any address. Only for networks that nobody else is on. Over the loopback
    /// address, and with --allow-host over any, requests must still call it by a name of its own.
    #[arg(long, env = "TASKYARD_NO_AUTH", conflicts_with = "token")]
    pub(crate) no_auth: bool,
    /// Further names, besides localhost and the loopback addresses, that the server may be called by (the Host header)
    /// where no token is needed: over the loopback address, and with --no-auth over any once there is one here.
    #[arg(
        long,
        env = "TASKYARD_ALLOW_HOST",
        value_delimiter = ',',
        value_name = "HOSTS"
    )]
    pub(crate) allow_host: Vec<String>,
    /// Web pages that may speak to it (the Origin header), besides its own and http://localhost:5173. Empty: its own alone.
    #[arg(
        long,
        env = "TASKYARD_ALLOW_ORIGIN",
        value_delimiter = ',',
        default_value = "http://localhost:5173",
        value_name = "ORIGINS"
    )]
    pub(crate) allow_origin: Vec<String>,
    /// A regular expression that the names of workers outside must match when they register, such as
    /// ^worker-[A-Za-z0-9]+-[a-z]+$. Default: none; every name is 1-64 of A-Z a-z 0-9 . _ -
    #[arg(
        long,
        env = "TASKYARD_WORKER_ID_PATTERN",
        value_name = "REGEX",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) worker_id_pattern: WorkerIds,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Times")]
pub(crate) struct TimeArgs {
    /// How often workers are asked to send a heartbeat. At least 100ms. Default: 10s, or a third of --heartbeat-ttl or of
    /// --lease where that is less.
    #[arg(long, env = "TASKYARD_HEARTBEAT", value_parser = at_least::<HEARTBEAT_LEAST_MS>, value_name = "TIME")]
    pub(crate) heartbeat: Option<Duration>,
    /// A worker that gives no sign of life for so long is offline and its leases are lost. At least 300ms, and twice the
    /// heartbeat.
    #[arg(long, env = "TASKYARD_HEARTBEAT_TTL", default_value = "30s", value_parser = at_least::<KEPT_LEAST_MS>, value_name = "TIME")]
    pub(crate) heartbeat_ttl: Duration,
    /// How long a lease lasts without being renewed. At least 300ms, and three heartbeats; at most 1h, so that servers of
    /// one database, whatever this is on each, know a lease that was given by a clock that was far ahead.
    #[arg(long, env = "TASKYARD_LEASE", default_value = "75s", value_parser = at_least::<KEPT_LEAST_MS>, value_name = "TIME")]
    pub(crate) lease: Duration,
    /// A worker that gives no sign of life for so long is forgotten: it is listed no more. At least the heartbeat's TTL.
    #[arg(long, env = "TASKYARD_WORKER_LIFE", default_value = "24h", value_parser = moment, value_name = "TIME")]
    pub(crate) worker_life: Duration,
    /// How long an Idempotency-Key is known, and how old the id of a task may be that its submitter made. At least 1m.
    #[arg(long, env = "TASKYARD_KEY_LIFE", default_value = "24h", value_parser = moment, value_name = "TIME")]
    pub(crate) key_life: Duration,
    /// How long tasks are kept once they have ended, such as 30d, or completed=7d,failed=30d: those that are not named
    /// (completed, failed, timeout, cancelled) are kept for good. Queues may say otherwise. Whatever it says, a task stays
    /// for --key-life once it has ended. Default: all are kept for good.
    #[arg(long, env = "TASKYARD_RETAIN", value_parser = retention, value_name = "TIMES")]
    pub(crate) retain: Option<Retention>,
    /// How long an operation is known after it has ended. At least 1m.
    #[arg(long, env = "TASKYARD_OPERATION_LIFE", default_value = "24h", value_parser = moment, value_name = "TIME")]
    pub(crate) operation_life: Duration,
    /// How far the clock of a submitter who makes ids may be ahead of the server's.
    #[arg(long, env = "TASKYARD_CLOCK_SKEW", default_value = "5m", value_parser = duration, value_name = "TIME")]
    pub(crate) clock_skew: Duration,
    /// How often the server looks for workers that are gone and for runs that take too long.
    #[arg(long, env = "TASKYARD_SWEEP", default_value = "1s", value_parser = moment, value_name = "TIME")]
    pub(crate) sweep: Duration,
    /// How often the server looks for what other servers on its database have done that nobody told it of. Mostly they do
    /// tell, and it knows at once.
    #[arg(long, env = "TASKYARD_POLL", default_value = "1s", value_parser = moment, value_name = "TIME")]
    pub(crate) poll: Duration,
    /// For so long after a start, a clock set forward, or a time in which the server heard nothing, nobody's silence
    /// counts.
    #[arg(long, env = "TASKYARD_GRACE", default_value = "30s", value_parser = duration, value_name = "TIME")]
    pub(crate) grace: Duration,
    /// How long one run may take unless its task says otherwise.
    #[arg(long, env = "TASKYARD_TIMEOUT", default_value = "30m", value_parser = moment, value_name = "TIME")]
    pub(crate) timeout: Duration,
    /// How long a worker has to end an overdue run by itself before it is taken away.
    #[arg(long, env = "TASKYARD_TIMEOUT_MARGIN", default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub(crate) timeout_margin: Duration,
    /// How much waiting is worth one level of priority.
    #[arg(long, env = "TASKYARD_PRIORITY_LEVEL", default_value = "10m", value_parser = moment, value_name = "TIME")]
    pub(crate) priority_level: Duration,
    /// How long a stopping server lets its own workers go on before it ends their tasks and hands them back. A second
    /// signal ends it at once.
    #[arg(long, env = "TASKYARD_DRAIN", default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub(crate) drain: Duration,
    /// How long a stopping server, at the least, goes on serving once /ready says that it stops, so that a load balancer
    /// sees it and sends requests elsewhere. A few times what that waits between two looks.
    #[arg(long, env = "TASKYARD_LINGER", default_value = "0s", value_parser = duration, value_name = "TIME")]
    pub(crate) linger: Duration,
    #[command(flatten)]
    pub(crate) deliver: DeliverArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// How many failed or timed out runs end a task that does not say. A task of kind `command` ends with the first.
    #[arg(long, env = "TASKYARD_MAX_ATTEMPTS", default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub(crate) max_attempts: i32,
    /// How many runs lost with their workers end a task that does not say.
    #[arg(long, env = "TASKYARD_MAX_LOSSES", default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub(crate) max_losses: i32,
    /// The longest input of a task.
    #[arg(long, env = "TASKYARD_INPUT_MAX", default_value = "1MiB", value_parser = room, value_name = "BYTES")]
    pub(crate) input_max: usize,
    /// The longest output of a task.
    #[arg(long, env = "TASKYARD_OUTPUT_MAX", default_value = "8MiB", value_parser = room, value_name = "BYTES")]
    pub(crate) output_max: usize,
    /// The longest checkpoint of a run.
    #[arg(long, env = "TASKYARD_CHECKPOINT_MAX", default_value = "64KiB", value_parser = bytes, value_name = "BYTES")]
    pub(crate) checkpoint_max: usize,
    /// Of how many runs of one task that did not end it is kept how they ended, and of each the result that was refused
    /// last. Lowered, it takes nothing away from tasks that have more.
    #[arg(long, env = "TASKYARD_HISTORY_MAX", default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=i64::from(HISTORY_MOST)))]
    pub(crate) history_max: i32,
    /// How much of the log of one attempt is kept, each line with 16 bytes more than it has; what comes after that is not.
    #[arg(long, env = "TASKYARD_LOG_MAX", default_value = "4MiB", value_parser = bytes, value_name = "BYTES")]
    pub(crate) log_max: usize,
    /// The longest line of a log; what is longer is cut. Up to 1MiB.
    #[arg(long, env = "TASKYARD_LOG_LINE_MAX", default_value = "16KiB", value_parser = room, value_name = "BYTES")]
    pub(crate) log_line_max: usize,
    /// How many logs may be followed at once; each takes a connection for as long as it is.
    #[arg(long, env = "TASKYARD_FOLLOWS_MAX", default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) follows_max: u32,
    /// The longest detail of an error that the list of a task's attempts shows; longer ones are left out there. Up to
    /// 1MiB, and less where --history-max is more than 100.
    #[arg(long, env = "TASKYARD_ATTEMPT_DETAIL_MAX", default_value = "64KiB", value_parser = bytes, value_name = "BYTES")]
    pub(crate) attempt_detail_max: usize,
    /// How many tasks one page of a list looks at for what its filter lets through, and of how many combinations of
    /// queue, kind and requires one page of queues is put together; a page that found little has a cursor to go on with.
    #[arg(long, env = "TASKYARD_LIST_LOOK_AT_MAX", default_value_t = 2_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) list_look_at_max: u32,
    /// Behind how many of the newest tasks a dialect's list may begin (`offset`); each of them is looked at.
    #[arg(long, env = "TASKYARD_OFFSET_MAX", default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) offset_max: u32,
    /// How many pages of lists, lists of attempts, and counts of tasks are read at once; others wait for their turn. Fewer than the
    /// database has readers, 2 for SQLite and 4 for PostgreSQL, so that single tasks and probes do not stand behind
    /// them. Default: half of these.
    #[arg(long, env = "TASKYARD_LISTS_MAX", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3))]
    pub(crate) lists_max: Option<u32>,
    /// How deep inputs and outputs may nest. At least 4, as deep as everything around them.
    #[arg(long, env = "TASKYARD_DEPTH_MAX", default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u16).range(4..=512))]
    pub(crate) depth_max: u16,
    /// The longest body of a batch or a report. At least 8KiB.
    #[arg(long, env = "TASKYARD_BODY_MAX", default_value = "16MiB", value_parser = room, value_name = "BYTES")]
    pub(crate) body_max: usize,
    /// How many bytes of bodies the server holds at once; what is beyond is refused for the moment (503). An eighth is
    /// for bodies of up to 64 KiB alone. At least twice the longest body.
    #[arg(long, env = "TASKYARD_BODIES_MAX", default_value = "256MiB", value_parser = room, value_name = "BYTES")]
    pub(crate) bodies_max: usize,
    /// How many bytes of answers the server holds at once that were not sent yet, those of up to 64 KiB aside; what is
    /// beyond is refused for the moment (503). One is given whatever its size.
    #[arg(long, env = "TASKYARD_ANSWERS_MAX", default_value = "256MiB", value_parser = room, value_name = "BYTES")]
    pub(crate) answers_max: usize,
    /// How many tasks one batch may hold.
    #[arg(long, env = "TASKYARD_BATCH_MAX", default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) batch_max: u32,
    /// How many tasks one claim gets, whatever it asks for.
    #[arg(long, env = "TASKYARD_CLAIM_MAX", default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) claim_max: u32,
    /// How many bytes of inputs one claim gets; one task is given whatever its size.
    #[arg(long, env = "TASKYARD_CLAIM_BYTES_MAX", default_value = "8MiB", value_parser = room, value_name = "BYTES")]
    pub(crate) claim_bytes_max: usize,
    /// How many tasks one stream of lines may hold.
    #[arg(long, env = "TASKYARD_STREAM_MAX", default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub(crate) stream_max: u32,
    /// How many commands may wait for the database before callers are told to come back later, at least 16. An eighth of
    /// it is not for submits.
    #[arg(long, env = "TASKYARD_QUEUE_MAX", default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(16..=1_000_000))]
    pub(crate) queue_max: u32,
    /// About how many bytes of memory these may hold. An eighth of it is not for submits either. At least twice the longest
    /// body.
    #[arg(long, env = "TASKYARD_QUEUE_BYTES_MAX", default_value = "256MiB", value_parser = room, value_name = "BYTES")]
    pub(crate) queue_bytes_max: usize,
    /// How many combinations of queue, kind and requires unfinished tasks may be in.
    #[arg(long, env = "TASKYARD_LANES_MAX", default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) lanes_max: u32,
    /// How many kinds, and how many queues, /metrics tells apart; the others are counted together, as `other`.
    #[arg(long, env = "TASKYARD_METRICS_VALUES_MAX", default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) metrics_values_max: u32,
    /// How long /metrics, and the page at /ui/, wait for what only the database knows, before they answer without it.
    #[arg(long, env = "TASKYARD_METRICS_WITHIN", default_value = "2s", value_parser = moment, value_name = "TIME")]
    pub(crate) metrics_within: Duration,
    /// How many combinations of queue, kind and requires a server tells apart in each minute for rates and quantiles, and
    /// how many queues, and kinds, `tasks/stats` tells apart; the others are added up, as `other`.
    #[arg(long, env = "TASKYARD_STATS_LANES_MAX", default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) stats_lanes_max: u32,
    /// How many queues may be paused or have defaults of their own; others need no room.
    #[arg(long, env = "TASKYARD_QUEUES_MAX", default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) queues_max: u32,
    /// How many operations (`taskyard cancel` and `retry` by filter) may be under way at once.
    #[arg(long, env = "TASKYARD_OPERATIONS_MAX", default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) operations_max: u32,
    /// Up to how many tasks the dry run of an operation counts.
    #[arg(long, env = "TASKYARD_MATCHING_MAX", default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) matching_max: u32,
    /// How many wrong tokens may come from one address within a minute before it is told to come back later; the right one
    /// lets in all the same.
    #[arg(long, env = "TASKYARD_WRONG_TOKENS_MAX", default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) wrong_tokens_max: u32,
    /// How many workers may be known and not forgotten; internal ones do not count.
    #[arg(long, env = "TASKYARD_WORKERS_MAX", default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) workers_max: u32,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Connections")]
pub(crate) struct ConnectionArgs {
    /// How many connections may be open. For more of them those make room that wait for a request, the longest waiting
    /// first.
    #[arg(long, env = "TASKYARD_CONNECTIONS_MAX", default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) connections_max: u32,
    /// How many connections may be open beside those: new ones that wait for a place, or are told that there is none,
    /// and probes, which are answered while all others are busy.
    #[arg(long, env = "TASKYARD_CONNECTIONS_SPARE", default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) connections_spare: u32,
    /// How long a new connection may wait for its place while all others are being served, before it is refused for the
    /// moment (503).
    #[arg(long, env = "TASKYARD_PLACE_WITHIN", default_value = "1s", value_parser = moment, value_name = "TIME")]
    pub(crate) place_within: Duration,
    /// The longest head of a request. At least 8KiB.
    #[arg(long, env = "TASKYARD_HEAD_MAX", default_value = "100000", value_parser = room, value_name = "BYTES")]
    pub(crate) head_max: usize,
    /// How long a request's head may take to come in, and how long a new connection may say nothing.
    #[arg(long, env = "TASKYARD_HEAD_WITHIN", default_value = "10s", value_parser = moment, value_name = "TIME")]
    pub(crate) head_within: Duration,
    /// How long a connection may stand idle between requests. Well above the heartbeat, so that workers keep theirs.
    #[arg(long, env = "TASKYARD_IDLE_WITHIN", default_value = "75s", value_parser = moment, value_name = "TIME")]
    pub(crate) idle_within: Duration,
    /// How long a request's body may stand still.
    #[arg(long, env = "TASKYARD_BODY_PAUSE", default_value = "30s", value_parser = moment, value_name = "TIME")]
    pub(crate) body_pause: Duration,
    /// How long a whole body may take to come in, or as much of a stream of lines as is stored at once.
    #[arg(long, env = "TASKYARD_BODY_WITHIN", default_value = "5m", value_parser = moment, value_name = "TIME")]
    pub(crate) body_within: Duration,
    /// How long an answer may wait for its reader to take more of it.
    #[arg(long, env = "TASKYARD_WRITE_PAUSE", default_value = "30s", value_parser = moment, value_name = "TIME")]
    pub(crate) write_pause: Duration,
    /// How long its reader may take for a whole answer.
    #[arg(long, env = "TASKYARD_ANSWER_WITHIN", default_value = "5m", value_parser = moment, value_name = "TIME")]
    pub(crate) answer_within: Duration,
}
