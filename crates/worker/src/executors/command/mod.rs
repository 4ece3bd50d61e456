//! `command`: runs a program of the worker's machine, never a shell line.
//!
//! Input `{"argv": ["wc", "-l"]}` or `{"command": "wc -l"}`, which is split into words and nothing else, with `env`
//! and `stdin` if wanted. Only programs that the operator allows are run, with only those variables set that tasks may
//! set, each in a fresh work directory, with an environment of its own and a [guardian](crate::guardian) that leaves
//! none of its processes behind. The output tells exit code, signal, standard output and error; an exit code other than
//! 0 is a failure that carries the same. What it prints goes to the task's log as well, line by line as it comes.

mod allow;
mod capture;
mod environment;
mod finish;
mod guarded;
mod invocation;
mod lines;
mod program;
mod variables;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

pub use self::allow::Allow;
pub use self::capture::Keep;
pub use self::variables::AllowEnv;
pub use crate::guardian::protocol::Limits;

use self::guarded::Guarded;
use self::invocation::Invocation;
use crate::executor::{Context, Executor, Failure, Finish, Run, Stop};
use crate::guardian::protocol::{Report, Spec};
use crate::guardian::{Guardian, KILLING_MAX, workdir};

/// What is left undone of a run when its grace is over: to kill it, for which its guardian takes so long at most, and to
/// read what it printed. A worker that drops it sooner loses what it shows.
pub const AFTER_GRACE: Duration = KILLING_MAX;

/// The same of a run whose time is up. The server's margin bounds all that it has, so it takes away from the grace: this
/// is enough for whatever dies when it is killed, and what hangs in the kernel is given up sooner than elsewhere.
const OVERDUE_AFTER_GRACE: Duration = Duration::from_secs(3);

/// How this worker runs commands.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which programs tasks may run. Nothing, until the operator says so.
    pub allow: Allow,
    /// Which variables tasks may set. Default `usual`.
    pub allow_env: AllowEnv,
    pub limits: Limits,
    /// The time between SIGTERM and SIGKILL when a run is stopped. Default 10 s. A run whose time is up gets no more of
    /// it than its server bears ([`Run::overdue_within`]), less 3 s to show what it printed; one whose lease is lost
    /// gets none.
    pub grace: Duration,
    /// How much of each of standard output and error is kept.
    pub keep: Keep,
    /// Where work directories are made. Default the system's directory for temporary files.
    pub work_root: PathBuf,
    /// Where programs are looked for, and what they get as their `PATH`. Default the worker's own.
    pub path: OsString,
    pub guardian: Guardian,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            allow: Allow::Nothing,
            allow_env: AllowEnv::default(),
            limits: Limits::default(),
            grace: Duration::from_secs(10),
            keep: Keep::default(),
            work_root: std::env::temp_dir(),
            path: std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into()),
            guardian: Guardian::default(),
        }
    }
}

impl Settings {
    fn grace_for(&self, why: Stop, overdue_within: Duration) -> Duration {
        match why {
            Stop::LeaseLost => Duration::ZERO,
            Stop::TimedOut => self
                .grace
                .min(overdue_within.saturating_sub(OVERDUE_AFTER_GRACE)),
            Stop::Cancelled | Stop::ShuttingDown => self.grace,
        }
    }
}

pub struct Command {
    settings: Arc<Settings>,
}

impl Command {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings: Arc::new(settings),
        }
    }
}

#[async_trait::async_trait]
impl Executor for Command {
    fn kind(&self) -> &str {
        "command"
    }

    async fn run(&self, run: Run, context: Context) -> Finish {
        let finish = self.run_guarded(run, &context).await;
        finish.unwrap_or_else(|finish| finish)
    }
}

impl Command {
    /// As an error what ended the run before its command began.
    async fn run_guarded(&self, run: Run, context: &Context) -> Result<Finish, Finish> {
        let (task, overdue_within) = (run.task, run.overdue_within);
        let settings = Arc::clone(&self.settings);
        // Looking for the program asks the disk.
        let prepared = blocking(move || prepare(&settings, &run)).await?;
        let spec = prepared?;
        if let Some(why) = context.stop.reason() {
            return Ok(Finish::Stopped { why, detail: None });
        }

        let (program, workdir) = (spec.argv[0].clone(), spec.workdir.clone());
        let guarded = Guarded::start(&self.settings.guardian, spec)
            .await
            .map_err(|error| finish::not_begun(&error))?;
        // In a task of its own, so that nothing is left of the command also where nobody waits for it any more.
        let abandoned = CancellationToken::new();
        let _abandons = abandoned.clone().drop_guard();
        let settings = Arc::clone(&self.settings);
        let (reports, stop) = (Arc::clone(&context.reports), context.stop.clone());
        let seen_through = tokio::spawn(async move {
            let grace = |why| settings.grace_for(why, overdue_within);
            let outcome = guarded
                .finish(settings.keep, &reports, &stop, &abandoned, grace)
                .await;
            if let Some(Report::Ended(ended)) = &outcome.report
                && ended.survivors > 0
            {
                tracing::warn!(task.id = %task, survivors = ended.survivors, "a command left processes that do not die");
            }
            // A guardian has done so already, unless it was killed or its limits kept it from that.
            let _ = blocking(move || workdir::remove(&workdir)).await;
            outcome
        });
        let outcome = seen_through.await.map_err(|error| panicked(&error))?;
        Ok(finish::finish(&program, outcome))
    }
}

/// Everything that can be refused before a process is started.
fn prepare(settings: &Settings, run: &Run) -> Result<Spec, Finish> {
    let (program, Invocation { argv, env, stdin }) = find(settings, run).map_err(Finish::Failed)?;
    let workdir = name_workdir(settings, run).map_err(|error| finish::not_begun(&error))?;

    Ok(Spec {
        worker: std::process::id(),
        program,
        env: environment::build(&settings.path, &workdir, run, env),
        argv,
        workdir,
        stdin,
        limits: settings.limits,
    })
}

/// What the task wants to run, if it may.
fn find(settings: &Settings, run: &Run) -> Result<(PathBuf, Invocation), Failure> {
    let invocation = invocation::read(&run.input)?;
    let word = &invocation.argv[0];
    let program = program::find(word, &settings.path)?;
    settings
        .allow
        .check(word, &program, &settings.path, &run.worker)?;
    for name in invocation.env.keys() {
        settings.allow_env.check(name, &run.worker)?;
    }
    Ok((program, invocation))
}

/// A directory that is not there yet: the same attempt may be begun again, by others too.
fn name_workdir(settings: &Settings, run: &Run) -> io::Result<PathBuf> {
    let root = std::path::absolute(&settings.work_root)?;
    let own: u64 = rand::random();
    Ok(root.join(format!("taskyard-{}-{}-{own:016x}", run.task, run.attempt)))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Finish> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| panicked(&error))
}

/// As such a run fails elsewhere. To hand it back would do no good: another worker may meet the same.
fn panicked(error: &JoinError) -> Finish {
    Finish::Failed(Failure::passing(
        "panic",
        format!("the executor panicked: {error}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grace_depends_on_what_would_come_too_late() {
        let settings = Settings {
            grace: Duration::from_secs(60),
            ..Settings::default()
        };

        let seconds = |why, within| {
            let within = Duration::from_secs(within);
            settings.grace_for(why, within).as_secs()
        };

        assert_eq!(seconds(Stop::Cancelled, 8), 60);
        assert_eq!(seconds(Stop::ShuttingDown, 8), 60);
        assert_eq!(seconds(Stop::TimedOut, 8), 5);
        assert_eq!(seconds(Stop::TimedOut, 2), 0);
        assert_eq!(seconds(Stop::TimedOut, 600), 60);
        assert_eq!(seconds(Stop::LeaseLost, 8), 0);
    }
}
