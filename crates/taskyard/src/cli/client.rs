//! What the commands that speak to a server take.

use std::time::Duration;

use super::backoff::BackoffArgs;
use super::filter::{BulkArgs, FilterArgs};
use super::task_name::TaskName;
use super::workers::{ListWorkersArgs, WorkerVerb};
use crate::commands::{list, operations, stats, workers};
use crate::failure::Failure;
use crate::output::{self, Column};
use crate::settings::units::{at_least, demand, duration, limit, pair, url, whole, worker};
use crate::settings::web;
use clap::{Args, Subcommand, ValueEnum};
use taskyard_api::logs::Stream;
use taskyard_api::time::Time;
use taskyard_core::id::{OperationId, TaskId};

/// What becomes of a table where there is no room, for the help of its command.
pub(super) fn narrow(columns: &[Column]) -> String {
    format!(
        "Where a terminal is narrow, the last columns are cut, and these are left out in this order: {}. Piped output \
         and --output json have all.\n\n",
        output::leaving(columns)
    )
}

/// How a server is reached.
#[derive(Clone, Debug, Args)]
pub(crate) struct Connection {
    /// The server's address. Of several, with commas between or each behind a flag of its own, the next one is asked when
    /// one is away, does not answer, or stops; all of them stand on one database.
    #[arg(
        long,
        env = "TASKYARD_URL",
        value_delimiter = ',',
        value_parser = url,
        default_value = "http://127.0.0.1:8000",
        value_name = "URLS"
    )]
    pub(crate) server: Vec<reqwest::Url>,
    /// How long a server may take to answer, beyond what it is asked to wait, before it counts as away.
    #[arg(
        long,
        env = "TASKYARD_SERVER_ANSWER",
        default_value = "30s",
        value_parser = at_least::<100>,
        value_name = "TIME"
    )]
    pub(crate) server_answer: Duration,
    #[command(flatten)]
    pub(crate) token: TokenArgs,
}

/// What opens a server.
#[derive(Clone, Debug, Args)]
pub(crate) struct TokenArgs {
    /// The token that the server asks for; of several, with commas between them, the first is sent.
    #[arg(
        long,
        env = "TASKYARD_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
}

impl TokenArgs {
    /// As a server's, which takes each of several: the newest stands first.
    pub(crate) fn sent(&self) -> Result<Option<&str>, Failure> {
        let tokens = web::token(self.token.as_deref())?;
        Ok(tokens.map(|tokens| tokens.split_once(',').map_or(tokens, |(first, _)| first)))
    }
}

/// How long a server that is away is borne with.
#[derive(Debug, Args)]
pub(crate) struct AwayArgs {
    /// How long a server that is away, as when it restarts, is waited for; the tasks go on without this command.
    /// Where the first connection cannot be made, nothing is waited for: most likely there is no server.
    #[arg(
        long,
        env = "TASKYARD_SERVER_WAIT",
        default_value = "60s",
        value_parser = duration,
        value_name = "TIME"
    )]
    pub(crate) server_wait: Duration,
}

/// What can be submitted without a worker of one's own.
pub(crate) const KINDS: &str = "Kinds that this program runs: noop, echo, simple, sleep, problem, command and http; \
                                docs/executors.md tells what each takes. Workers of your own may run any others.";

/// What a command that waits says by its exit code.
const EXIT_CODES: &str = "Exit codes: 0 completed, 4 failed, 5 timeout, 6 cancelled, 7 not ended in time; of several \
                          tasks the highest. 1 refused, 2 wrong usage or input, 3 no server answers.";

#[derive(Debug, Args)]
#[command(
    after_help = format!("{KINDS}\n\nExit codes: 0 submitted, 1 refused, 2 wrong usage or input, 3 no server answers; with \
                  --wait 0 completed, 4 failed, 5 timeout, 6 cancelled, of several tasks the highest.\n\n\
                  Example:\n  taskyard submit echo '{{\"hello\": \"world\"}}' --wait\n  taskyard submit sleep '{{\"ms\": 2000}}' \
                  --in 10s --priority 5\n  taskyard submit command --wait -- wc -l /etc/hosts\n  seq 3 | taskyard submit echo --each-line - --wait\n  \
                  ls $PWD/* | taskyard submit command --each-line - -- wc -w {{}}")
)]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// What sort of work it is; a worker that runs this kind takes it.
    pub(crate) kind: String,
    /// The input, as JSON; `-` reads it from standard input, `@FILE` from a file. Default: null.
    #[arg(allow_negative_numbers = true)]
    pub(crate) input: Option<String>,
    /// Program and arguments, after `--`: the input of a task of kind `command`. It begins in an empty directory of its
    /// worker, so name files by absolute paths. With --each-line the line stands where `{}` does in them, or behind
    /// them where it does not.
    #[arg(last = true, value_name = "ARGV", conflicts_with = "input")]
    pub(crate) argv: Vec<String>,
    /// One task for each line of this file (`-`: standard input), the line being its input, or an argument of the
    /// program after `--`. Blank lines are passed over.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["input", "id"])]
    pub(crate) each_line: Option<String>,
    /// The input, or each line with --each-line, is text, and no JSON: a JSON string of it is submitted.
    #[arg(long, conflicts_with = "argv")]
    pub(crate) text: bool,
    /// The queue that it waits in. Default: default.
    #[arg(long, value_name = "NAME")]
    pub(crate) queue: Option<String>,
    /// High runs first; one level is worth ten minutes of waiting. -100 to 100.
    #[arg(long, value_name = "N", value_parser = whole)]
    pub(crate) priority: Option<i64>,
    /// Not before this time, such as 2026-12-24T18:00:00Z.
    #[arg(long, value_name = "TIME", conflicts_with = "delay")]
    pub(crate) at: Option<Time>,
    /// Not before so much time has passed, such as 90s.
    #[arg(long = "in", id = "delay", value_parser = duration, value_name = "TIME")]
    pub(crate) delay: Option<Duration>,
    /// How many failed or timed out runs end it. Default: as many as the server's --max-attempts says, 5 unless set; of
    /// kind `command` 1, so that a command that fails is not run again unless this says so.
    #[arg(long, value_name = "N", value_parser = whole)]
    pub(crate) max_attempts: Option<i64>,
    /// How long it waits after its first failure before it runs again, such as 5s, and at most --backoff-max. Without any of
    /// these four it is as was set of its queue; with one, the others have their own defaults. Default: 1s.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(crate) backoff: Option<Duration>,
    #[command(flatten)]
    pub(crate) backoff_more: BackoffArgs,
    /// How many runs lost with their workers end it. Default: as many as the server's --max-losses says, 5 unless set.
    #[arg(long, value_name = "N", value_parser = whole)]
    pub(crate) max_losses: Option<i64>,
    /// How long one run may take.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(crate) timeout: Option<Duration>,
    /// A label, for people and filters. May be given several times.
    #[arg(long = "label", value_parser = pair, value_name = "NAME=VALUE")]
    pub(crate) labels: Vec<(String, String)>,
    /// A label that its worker must have, such as gpu=a100 or 'memory_gb=>=16'. May be given several times.
    #[arg(long = "require", value_parser = demand, value_name = "NAME=VALUE")]
    pub(crate) requires: Vec<(String, String)>,
    /// Never two runs of it at once: a worker that is gone holds it until its lease has ended.
    #[arg(long)]
    pub(crate) exclusive: bool,
    /// While another task of the queue with this key has not ended, that one is answered and none is made, which is
    /// told on standard error.
    #[arg(long, value_name = "KEY", conflicts_with = "each_line")]
    pub(crate) unique_key: Option<String>,
    /// Its id, made by you (a UUIDv7 of the last 24 hours, at most 5 minutes ahead of the server's clock, unless it is
    /// set otherwise): submitted
    /// again with the same content, it is the same task. Default: made by this command, which so submits it once even if
    /// the answer is lost on the way.
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<TaskId>,
    /// A key that makes the same submission count once, for a day unless the server is set otherwise. With --each-line, if
    /// it breaks off on the way, the same command with the same key goes on where it was. Default there: a random one,
    /// which is told.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Waits for its end, prints its output, and exits with its outcome. What it prints meanwhile (`taskyard logs`) goes to
    /// standard error, unless with --output quiet. With --each-line it waits for all, prints what `taskyard wait` does of
    /// each, and exits with the worst outcome.
    #[arg(long)]
    pub(crate) wait: bool,
    #[command(flatten)]
    pub(crate) away: AwayArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = format!("RESULT is the beginning of what a task came to: its output, of a command the first line that it \
                  printed, or its error. Before that it is when the task is due, how far it is, or why its latest run failed. \
                  TOOK is how long its last run took.\n\n{}Example:\n  taskyard list --status failed,timeout --kind resize\n  taskyard list --limit 5 \
                  --output json\n  taskyard list --search 'resize blue' --created-after 2h", narrow(&list::COLUMNS))
)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Oldest first.
    #[arg(long)]
    pub(crate) oldest_first: bool,
    /// How many at most.
    #[arg(
        long,
        default_value_t = 20,
        value_name = "N",
        value_parser = limit
    )]
    pub(crate) limit: u32,
    /// Goes on behind the page whose cursor this is.
    #[arg(long, value_name = "CURSOR")]
    pub(crate) cursor: Option<String>,
    /// Goes on: draws the table again each second, until it is told to stop with Ctrl-C. Where there is no terminal, or
    /// with another --output, each task that is new or has changed is a line.
    #[arg(long, conflicts_with = "cursor")]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) away: AwayArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "What has to change first stands first.\n\n\
                  Example:\n  taskyard explain 01890a5d-ac96-774b-bcce-b302099a8057")]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Its id, as `taskyard list` shows it, or the beginning of it.
    #[arg(value_name = "TASK")]
    pub(crate) task: TaskName,
}

#[derive(Debug, Args)]
#[command(
    after_help = "RUN counts every time the task was given to a worker, ATTEMPT the runs that began; REFUSED AT lists \
                  results that came too late and changed nothing.\n\n\
                  Example:\n  taskyard show 01890a5d-ac96-774b-bcce-b302099a8057"
)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Its id, as `taskyard list` shows it, or the beginning of it.
    #[arg(value_name = "TASK")]
    pub(crate) task: TaskName,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Lines go to standard output. Their colours are left out, and what else would steer a terminal is shown and \
                  not obeyed, also in a pipe or a file, which may come to be shown on one; --raw gives lines as they were \
                  printed. On a terminal, those of standard error and of the worker are marked. With --output json each \
                  line is a document, as the server answers it, with such letters spelled out.\n\n\
                  Exit codes: 0 printed, however the task ends; 1 refused, 2 wrong usage, 3 no server answers.\n\n\
                  Example:\n  taskyard logs 01890a5d-ac96-774b-bcce-b302099a8057 --follow\n  \
                  taskyard logs 01890a5d-ac96-774b-bcce-b302099a8057 --attempt 2 --stream stderr"
)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Its id, as `taskyard list` shows it, or the beginning of it.
    #[arg(value_name = "TASK")]
    pub(crate) task: TaskName,
    /// Goes on as the log grows, until the task has ended.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only of this attempt; `taskyard show` lists them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2_147_483_646))]
    pub(crate) attempt: Option<u32>,
    /// Only of this stream.
    #[arg(long, value_enum, value_name = "STREAM")]
    pub(crate) stream: Option<LogStream>,
    /// Prints the lines byte for byte, colours and all. Only where you trust what the task printed: on a terminal they
    /// steer it.
    #[arg(long)]
    pub(crate) raw: bool,
    #[command(flatten)]
    pub(crate) away: AwayArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogStream {
    Stdout,
    Stderr,
    /// What the worker, or the server, says about the run.
    Worker,
}

impl From<LogStream> for Stream {
    fn from(stream: LogStream) -> Self {
        match stream {
            LogStream::Stdout => Self::Stdout,
            LogStream::Stderr => Self::Stderr,
            LogStream::Worker => Self::Worker,
        }
    }
}

/// What a command prints for programs that does the same to several tasks.
const EACH_AS_JSON: &str = "With ids and --output json it prints an array: first what was done, with each task where it stands \
                            now, then {\"task_id\", \"problem\"} of each that was refused.";

/// What a command says by its exit code that does the same to many tasks.
const BULK_EXIT_CODES: &str = "Exit codes: 0 done, though some tasks may have been skipped; 1 refused, 2 wrong usage, 3 no \
                               server answers, 6 somebody has stopped it.";

#[derive(Debug, Args)]
#[command(
    after_help = format!("With flags that say which tasks, every one of those is cancelled that has not ended and was there \
                          before; the server does that piece by piece, and this command waits for the end.\n\n\
                          {EACH_AS_JSON}\n\n{BULK_EXIT_CODES}\n\nExample:\n  taskyard cancel 01890a5d-ac96-774b-bcce-b302099a8057\n  \
                          taskyard cancel --kind resize --status pending --dry-run")
)]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Their ids, as `taskyard list` shows them, or the beginnings of them; those that have ended are told of, and the
    /// others cancelled.
    #[arg(value_name = "TASK")]
    pub(crate) tasks: Vec<TaskName>,
    #[command(flatten)]
    pub(crate) bulk: BulkArgs,
    #[command(flatten)]
    pub(crate) away: AwayArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = format!("Each runs again as a new task with the same input and settings, whose id is printed; the first \
                          one stays as it is. With flags that say which tasks, every one of those runs again that had \
                          ended before; the server does that piece by piece, and this command waits until all are \
                          made.\n\n{EACH_AS_JSON}\n\n{BULK_EXIT_CODES}\n\nExample:\n  taskyard retry \
                          01890a5d-ac96-774b-bcce-b302099a8057\n  taskyard retry --status failed,timeout --kind resize \
                          --created-after 1d --dry-run")
)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Their ids, as `taskyard list` shows them, or the beginnings of them; those that have not ended are told of, and
    /// the others run again.
    #[arg(value_name = "TASK")]
    pub(crate) tasks: Vec<TaskName>,
    #[command(flatten)]
    pub(crate) bulk: BulkArgs,
    #[command(flatten)]
    pub(crate) away: AwayArgs,
}

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = format!("FILTER is which tasks it is about, in the words of the flags.\n\n{}Example:\n  taskyard operations",
                         narrow(&operations::COLUMNS))
)]
pub(crate) struct OperationsArgs {
    #[command(flatten)]
    pub(crate) list: ListOperationsArgs,
    #[command(subcommand)]
    pub(crate) verb: Option<OperationVerb>,
}

#[derive(Debug, Args)]
pub(crate) struct ListOperationsArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// How many at most.
    #[arg(
        long,
        default_value_t = 20,
        value_name = "N",
        value_parser = limit
    )]
    pub(crate) limit: u32,
    /// Goes on behind the page whose cursor this is.
    #[arg(long, value_name = "CURSOR")]
    pub(crate) cursor: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OperationVerb {
    /// Lists them, as `taskyard operations` alone does.
    #[command(after_help = "Example:\n  taskyard operations list --limit 5")]
    List(ListOperationsArgs),
    /// Shows one: which tasks it is about, and how far it is.
    #[command(
        after_help = "Example:\n  taskyard operations show 01890a5d-ac96-774b-bcce-b302099a8057"
    )]
    Show(OperationArgs),
    /// Stops one where it is; what it did stays.
    #[command(
        after_help = "Example:\n  taskyard operations cancel 01890a5d-ac96-774b-bcce-b302099a8057"
    )]
    Cancel(OperationArgs),
}

#[derive(Debug, Args)]
pub(crate) struct OperationArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Its id, as `taskyard operations` shows it.
    #[arg(value_name = "OPERATION")]
    pub(crate) operation: OperationId,
}

#[derive(Debug, Args)]
#[command(
    after_help = format!("{EXIT_CODES}\n\nExample:\n  taskyard wait 01890a5d-ac96-774b-bcce-b302099a8057 --for 5m\n  \
                          echo 01890a5d-ac96-774b-bcce-b302099a8057 | taskyard wait -")
)]
pub(crate) struct WaitArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Their ids, as `taskyard submit` printed them, or the beginnings of them; `-` reads ids from standard input, one
    /// a line, as `--output quiet` prints them.
    #[arg(value_name = "TASK", required = true, value_parser = wait_for)]
    pub(crate) tasks: Vec<WaitFor>,
    /// How long at most. Default: until they have ended.
    #[arg(long = "for", id = "within", value_parser = duration, value_name = "TIME")]
    pub(crate) within: Option<Duration>,
    #[command(flatten)]
    pub(crate) away: AwayArgs,
}

/// A task that is waited for.
#[derive(Clone, Debug)]
pub(crate) enum WaitFor {
    Task(TaskName),
    /// Those that standard input names.
    Input,
}

fn wait_for(text: &str) -> Result<WaitFor, String> {
    match text {
        "-" => Ok(WaitFor::Input),
        id => id.parse().map(WaitFor::Task),
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = format!(
        "Rates are per second, and up to a second late. {}Example:\n  taskyard stats\n  taskyard stats --by kind \
         --minutes 60\n  taskyard stats --output json",
        narrow(&stats::COLUMNS)
    )
)]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Of each queue, or of each kind, in place of all tasks together.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) by: Option<StatsBy>,
    /// Of how many minutes.
    #[arg(long, value_name = "N", default_value_t = 15, requires = "by", value_parser = window)]
    pub(crate) minutes: u32,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0 where all is well; 1 where the server takes no requests, as while it starts or stops, or does \
                  not hear the worker; 3 where no server answers. Of several servers one is enough.\n\n\
                  Example:\n  taskyard health"
)]
pub(crate) struct HealthArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Also whether this worker is heard.
    #[arg(long, value_name = "NAME", value_parser = worker)]
    pub(crate) worker: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum StatsBy {
    Queue,
    Kind,
}

fn window(text: &str) -> Result<u32, String> {
    match text {
        "1" => Ok(1),
        "15" => Ok(15),
        "60" => Ok(60),
        _ => Err("it is 1, 15 or 60".to_owned()),
    }
}

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = format!("HELD is how many tasks a worker has, and how many it can have at once; HEARD how long ago it gave \
                          a sign of life. One that has ended in order shows as idle until the server's \
                          --heartbeat-ttl is over.\n\n{}Example:\n  taskyard workers\n  taskyard workers --all\n  \
                          taskyard workers drain worker-3", narrow(&workers::COLUMNS))
)]
pub(crate) struct WorkersArgs {
    #[command(flatten)]
    pub(crate) list: ListWorkersArgs,
    #[command(subcommand)]
    pub(crate) verb: Option<WorkerVerb>,
}
