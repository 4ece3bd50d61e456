//! The command line: what can be typed, and what each setting means and defaults to.

mod backoff;
mod client;
#[cfg(test)]
mod documents;
mod filter;
mod inbox;
mod patch;
mod queues;
mod serve;
mod task_name;
mod worker;
mod workers;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

#[cfg(test)]
pub(crate) use self::client::KINDS;
pub(crate) use self::client::{
    AwayArgs, CancelArgs, Connection, ExplainArgs, HealthArgs, ListArgs, ListOperationsArgs,
    LogsArgs, OperationVerb, OperationsArgs, RetryArgs, ShowArgs, StatsArgs, StatsBy, SubmitArgs,
    TokenArgs, WaitArgs, WaitFor, WorkersArgs,
};
pub(crate) use self::filter::BulkArgs;
pub(crate) use self::inbox::{DbInboxArgs, InboxArgs};
pub(crate) use self::patch::PatchArgs;
pub(crate) use self::queues::{
    ListQueuesArgs, OrDefault, QueueArgs, QueueVerb, QueuesArgs, SetQueueArgs,
};
pub(crate) use self::serve::{
    AccessArgs, ConnectionArgs, DatabaseArgs, LimitArgs, ServeArgs, TimeArgs,
};
pub(crate) use self::task_name::TaskName;
pub(crate) use self::worker::{CommandArgs, DeliverArgs, HttpArgs, LogArgs, WorkerArgs};
pub(crate) use self::workers::{ListWorkersArgs, WorkerVerb};
use crate::output::Format;
use crate::settings::FILE_VARIABLE;

/// A durable task system: one program that serves, works and is the command line.
#[derive(Debug, Parser)]
#[command(
    name = "taskyard",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Begin with:\n  taskyard serve                          a server with three workers in it\n  \
                  taskyard submit echo '{\"hello\": 1}' --wait\n  taskyard list\n  \
                  taskyard help submit                    all that a command takes\n\n\
                  Every command takes --output table, json or quiet, and --config FILE; `taskyard --help` lists these and \
                  the others of that sort.\n\n\
                  Settings come from flags, then TASKYARD_… variables, then a TOML file; `taskyard config` shows \
                  each and where it came from.\n\n\
                  Exit codes: 0 done; 1 it did not work, or was refused; 2 the command line, a setting or the input is \
                  wrong; 3 no server answers; of a task that was waited for, 0 completed, 4 failed, 5 timeout, 6 \
                  cancelled, 7 not ended in time."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) general: General,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "General")]
pub(crate) struct General {
    /// How results are printed. Data goes to standard output, everything else to standard error.
    #[arg(
        long,
        global = true,
        env = "TASKYARD_OUTPUT",
        value_enum,
        default_value_t = Format::Table,
        hide_short_help = true
    )]
    pub(crate) output: Format,
    /// A TOML file of settings, named like the flags with underscores. Default: ./taskyard.toml if it is there.
    #[arg(
        id = "config_file",
        long = "config",
        global = true,
        env = FILE_VARIABLE,
        value_name = "FILE",
        hide_short_help = true
    )]
    pub(crate) config_file: Option<PathBuf>,
    /// What goes to the log: error, warn, info, debug or trace, also per module (`info,taskyard_engine=debug`).
    #[arg(
        long,
        global = true,
        env = "TASKYARD_LOG",
        default_value = "info",
        value_name = "LEVELS",
        value_parser = crate::logs::levels,
        hide_short_help = true
    )]
    pub(crate) log: String,
    /// How the log is written. `auto`: for people on a terminal, JSON otherwise.
    #[arg(
        long,
        global = true,
        env = "TASKYARD_LOG_FORMAT",
        value_enum,
        default_value = "auto",
        hide_short_help = true
    )]
    pub(crate) log_format: LogFormat,
}

/// `help COMMAND` as `COMMAND --help`, which says the same. clap's own command of that name would add a page for each of
/// the others to the manual, and a list of them to completions.
pub(crate) fn with_help_as_flag(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if arguments.get(1).is_some_and(|word| word == "help") {
        arguments.remove(1);
        arguments.push("--help".into());
    }
    arguments
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    Auto,
    Human,
    Json,
}

impl Command {
    /// Whether it goes on until it is told to stop.
    pub(crate) fn stays(&self) -> bool {
        matches!(self, Self::Serve(_) | Self::Worker(_))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs a server, with workers in it.
    Serve(Box<ServeArgs>),
    /// Runs a worker that takes its tasks from a server.
    Worker(Box<WorkerArgs>),
    /// Submits a task.
    Submit(Box<SubmitArgs>),
    /// Lists tasks, newest first.
    List(ListArgs),
    /// Shows one task with its runs.
    Show(ShowArgs),
    /// Says why a task is not running, or is, and what would help.
    Explain(ExplainArgs),
    /// Prints what a task's runs printed.
    Logs(LogsArgs),
    /// Cancels tasks, wherever they stand.
    Cancel(CancelArgs),
    /// Changes when a task that waits is run, or its priority.
    Patch(PatchArgs),
    /// Runs ended tasks again, each as a new one.
    Retry(RetryArgs),
    /// Waits for tasks to end; the exit code is the outcome.
    Wait(WaitArgs),
    /// Lists operations (cancels and retries by filter), and stops them.
    Operations(OperationsArgs),
    /// Lists queues; shows, pauses and resumes them, and sets what their tasks take.
    Queues(QueuesArgs),
    /// Shows how many tasks there are, how fast they come and go, and how long they take.
    Stats(StatsArgs),
    /// Lists workers; drains, kills and deletes them, and scales the internal ones of a server.
    Workers(WorkersArgs),
    /// Asks whether a server takes requests, and whether a worker is heard; for health checks.
    Health(HealthArgs),
    /// Prints the settings in force and where each came from.
    Config(Box<ConfigArgs>),
    /// Looks after the database.
    Db(DbArgs),
    /// Measures this machine, this build and a database.
    Bench(Box<crate::bench::BenchArgs>),
    /// Shows real work from start to end, on a server of its own.
    Demo(crate::demo::DemoArgs),
    /// Prints what has a shell complete this program's commands and flags.
    Completions(CompletionsArgs),
    /// Prints a manual page, or writes all of them to a directory.
    Man(ManArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Put it where the shell looks: for bash ~/.local/share/bash-completion/completions/taskyard, for zsh \
                  _taskyard in a directory of $fpath, for fish ~/.config/fish/completions/taskyard.fish.\n\n\
                  Example:\n  taskyard completions bash >taskyard.bash"
)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  taskyard man serve >taskyard-serve.1\n  taskyard man --directory man1"
)]
pub(crate) struct ManArgs {
    /// The command that the page is about, such as `db backup`. Default: the program as a whole.
    #[arg(value_name = "COMMAND", conflicts_with = "directory")]
    pub(crate) command: Vec<String>,
    /// Writes the pages of all commands here.
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) directory: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "COMMANDS says which take it. What a server would refuse is refused; settings of other commands are shown \
                  as they stand.\n\n\
                  Example:\n  taskyard config --listen 127.0.0.1:9000\n  TASKYARD_LEASE=2m taskyard config --output json"
)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  taskyard db migrate\n  taskyard db check --database sqlite:taskyard.db"
)]
pub(crate) struct DbArgs {
    #[command(subcommand)]
    pub(crate) verb: DbVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DbVerb {
    /// Makes the tables, or brings older ones up to date; a server does the same when it starts.
    #[command(after_help = "Example:\n  taskyard db migrate --database sqlite:taskyard.db")]
    Migrate(DatabaseArgs),
    /// Looks for damage and for rows that contradict each other, also beside a server.
    #[command(
        after_help = "Exit code 1 where it finds something; 0 also for a database that is empty, as a first start leaves it that was killed \
                      at once.\n\nExample:\n  taskyard db check"
    )]
    Check(DatabaseArgs),
    /// Prints the schema's version, and how many rows and bytes there are, also beside a server.
    #[command(after_help = "Example:\n  taskyard db stats --output json")]
    Stats(DatabaseArgs),
    /// Copies an SQLite database to a file, also while a server works on it.
    Backup(BackupArgs),
    /// Puts a backup in an SQLite database's place, while no server has it open.
    Restore(RestoreArgs),
    /// Has a database that was put back by other means give its leases anew: those of before are refused.
    Renew(RenewArgs),
    /// Takes everything out of a database that no server works on.
    Reset(ResetArgs),
    /// Prints the SQL that makes an inbox in a PostgreSQL database of yours, makes it, or takes it away.
    Inbox(DbInboxArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "It holds everything that was acknowledged before it began, is looked through, and takes its name only \
                  when it is whole. PostgreSQL has tools of its own for this: pg_dump.\n\n\
                  Example:\n  taskyard db backup tasks-monday.db\n  \
                  taskyard db backup --force tasks-latest.db --database sqlite:taskyard.db"
)]
pub(crate) struct BackupArgs {
    /// The file to write.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Replaces the file if there is one.
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Workers' leases of before are refused, and their tasks run again. What stood there is kept beside it, \
                  under a name with the time in it.\n\n\
                  Example:\n  taskyard db restore tasks-monday.db --database sqlite:restored.db"
)]
pub(crate) struct RestoreArgs {
    /// A backup that `taskyard db backup` has written.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "To be said after pg_restore, or after a file was put back by a snapshot, before the first server \
                  starts: without it, a worker from before could end a run that is not its own.\n\n\
                  Example:\n  taskyard db renew --database sqlite:restored.db"
)]
pub(crate) struct RenewArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Tasks, operations, workers, queues' settings, keys, rates and logs are gone for good, all of them or none. \
                  What stays are the tables, and which combinations of queue, kind and requires there were. Leases, \
                  cursors and workers' registrations of before are refused. A server that was started with --dev does \
                  the same while it runs: POST /api/v1/ops/reset.\n\n\
                  Example:\n  taskyard db reset --yes --database sqlite:restored.db"
)]
pub(crate) struct ResetArgs {
    /// Does not ask whether it is meant. Wanted where there is no terminal to ask on.
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}
