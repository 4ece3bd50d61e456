//! A server that answers each call when the test says so and what it says, and an executor of that kind.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use taskyard_api::client;
use taskyard_api::logs::{AppendLogs, AppendedLogs};
use taskyard_api::report::{Report, Reported};
use taskyard_api::run::{Start, Started};
use taskyard_api::worker::{Claim, Claimed, Heard, Heartbeat, Limits, Register, Registered, Run};
use taskyard_core::id::TaskId;
use taskyard_core::random::Seeded;
use taskyard_worker::executor::{Context, Executor, Executors, Finish, Stop};
use taskyard_worker::executors::{Echo, Noop};
use taskyard_worker::runtime::{Error, Settings, Shutdown, Summary, Worker, shutdown_signal};
use taskyard_worker::transport::Transport;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Longer than any wait of a worker.
const PATIENCE: Duration = Duration::from_hours(2);

pub(super) use super::answers::{
    NOW, begun, claimed, error, heard, id, lost, noops, problem, raw, registered, taken, task,
    tokens, told, too_large,
};

pub(super) type Answer<T> = oneshot::Sender<Result<T, client::Error>>;

pub(super) enum Call {
    Register(Register, Answer<Registered>),
    Claim(Claim, Answer<Claimed>),
    Report(Report, Answer<Reported>),
    Heartbeat(Heartbeat, Answer<Heard>),
    Start(TaskId, Start, Answer<Started>),
    Logs(AppendLogs, Answer<AppendedLogs>),
}

/// The worker's end of it. A call whose answer is dropped hangs, as on a line that is cut without a word.
pub(super) struct Line(mpsc::UnboundedSender<Call>);

impl Line {
    async fn call<T>(&self, call: impl FnOnce(Answer<T>) -> Call) -> Result<T, client::Error> {
        let (answer, answered) = oneshot::channel();
        let _ = self.0.send(call(answer));
        match answered.await {
            Ok(answer) => answer,
            Err(_) => std::future::pending().await,
        }
    }
}

#[async_trait::async_trait]
impl Transport for Line {
    async fn register(&self, worker: &Register) -> Result<Registered, client::Error> {
        self.call(|answer| Call::Register(worker.clone(), answer))
            .await
    }

    async fn claim(&self, _: &str, claim: &Claim) -> Result<Claimed, client::Error> {
        self.call(|answer| Call::Claim(*claim, answer)).await
    }

    async fn report(&self, _: &str, report: &Report) -> Result<Reported, client::Error> {
        self.call(|answer| Call::Report(report.clone(), answer))
            .await
    }

    async fn heartbeat(&self, _: &str, heartbeat: &Heartbeat) -> Result<Heard, client::Error> {
        self.call(|answer| Call::Heartbeat(heartbeat.clone(), answer))
            .await
    }

    async fn start(&self, task: TaskId, start: &Start) -> Result<Started, client::Error> {
        self.call(|answer| Call::Start(task, start.clone(), answer))
            .await
    }

    async fn append_logs(
        &self,
        _: TaskId,
        append: &AppendLogs,
    ) -> Result<AppendedLogs, client::Error> {
        self.call(|answer| Call::Logs(append.clone(), answer)).await
    }
}

/// Runs of kind `told` do as the test says.
struct Told(mpsc::UnboundedSender<Running>);

/// One of them. Dropped, it waits to be stopped and heeds.
pub(super) struct Running {
    pub(super) run: taskyard_worker::executor::Run,
    pub(super) context: Context,
    end: oneshot::Sender<Finish>,
}

impl Running {
    pub(super) fn end(self, finish: Finish) {
        let _ = self.end.send(finish);
    }

    pub(super) fn complete(self) {
        self.end(Finish::Completed(raw("1")));
    }

    /// Waits until nobody waits for its end any more.
    pub(super) async fn dropped(&mut self) {
        tokio::time::timeout(PATIENCE, self.end.closed())
            .await
            .expect("it goes on");
    }

    /// Why it was told to stop; it has stopped then.
    pub(super) async fn stopped(self) -> Stop {
        let why = tokio::time::timeout(PATIENCE, self.context.stop.stopped())
            .await
            .expect("it was not told to stop");
        self.end(Finish::Stopped { why, detail: None });
        why
    }
}

#[async_trait::async_trait]
impl Executor for Told {
    fn kind(&self) -> &str {
        "told"
    }

    async fn run(&self, run: taskyard_worker::executor::Run, context: Context) -> Finish {
        let (end, ended) = oneshot::channel();
        let stop = context.stop.clone();
        let _ = self.0.send(Running { run, context, end });
        match ended.await {
            Ok(finish) => finish,
            Err(_) => Finish::Stopped {
                why: stop.stopped().await,
                detail: None,
            },
        }
    }
}

/// The test's end of it.
pub(super) struct Post {
    calls: mpsc::UnboundedReceiver<Call>,
    backlog: VecDeque<Call>,
    runs: mpsc::UnboundedReceiver<Running>,
    pub(super) stop: Shutdown,
    worker: JoinHandle<Result<Summary, Error>>,
    /// Heartbeats and starts are answered with nothing to say, until a test wants to do that itself.
    pub(super) answers_heartbeats: bool,
    pub(super) started: Vec<TaskId>,
}

impl Post {
    /// A worker of so many slots that has not been answered yet.
    pub(super) fn unregistered(concurrency: usize) -> Self {
        Self::with(Settings {
            concurrency,
            ..Settings::named("w")
        })
    }

    pub(super) fn with(settings: Settings) -> Self {
        Self::start(settings, Executors::default())
    }

    /// A worker of one slot that has this executor as well.
    pub(super) fn with_executor(executor: impl Executor + 'static) -> Self {
        Self::start(Settings::named("w"), Executors::default().with(executor))
    }

    fn start(settings: Settings, executors: Executors) -> Self {
        let (line, calls) = mpsc::unbounded_channel();
        let (told, runs) = mpsc::unbounded_channel();
        let (stop, signal) = shutdown_signal();
        let worker = Worker {
            settings,
            executors: executors.with(Noop).with(Echo("echo")).with(Told(told)),
            transport: Arc::new(Line(line)),
            clock: Arc::new(|| NOW),
            random: Box::new(Seeded::new(3)),
        };
        Self {
            calls,
            backlog: VecDeque::new(),
            runs,
            stop,
            worker: tokio::spawn(worker.run(signal)),
            answers_heartbeats: true,
            started: Vec::new(),
        }
    }

    /// A worker of so many slots that knows that it is registered.
    pub(super) async fn registered(concurrency: usize) -> Self {
        let mut post = Self::unregistered(concurrency);
        post.register(1).await;
        post
    }

    /// A worker of so many slots whose server takes no more than this.
    pub(super) async fn limited(concurrency: usize, limits: Limits) -> Self {
        let mut post = Self::unregistered(concurrency);
        post.told(Registered {
            limits,
            ..registered(1)
        })
        .await;
        post
    }

    pub(super) async fn register(&mut self, epoch: u32) -> Register {
        self.told(registered(epoch)).await
    }

    /// Answers the next registration.
    pub(super) async fn told(&mut self, registered: Registered) -> Register {
        loop {
            if let Call::Register(register, answer) = self.next().await {
                let _ = answer.send(Ok(registered));
                return register;
            }
        }
    }

    /// The next call that no earlier question has passed over.
    pub(super) async fn next(&mut self) -> Call {
        loop {
            let call = tokio::time::timeout(PATIENCE, self.calls.recv())
                .await
                .expect("no call came")
                .expect("the worker is gone");
            match call {
                Call::Heartbeat(_, answer) if self.answers_heartbeats => {
                    let _ = answer.send(Ok(heard()));
                }
                Call::Start(task, start, answer) if self.answers_heartbeats => {
                    self.started.push(task);
                    let _ = answer.send(Ok(begun(task, &start)));
                }
                call => return call,
            }
        }
    }

    /// Answers every report and claim as a server that is away, until the worker ends.
    pub(super) async fn stay_away(&mut self) {
        while let Some(call) = self.calls.recv().await {
            match call {
                Call::Claim(_, answer) => drop(answer.send(Err(lost()))),
                Call::Report(_, answer) => drop(answer.send(Err(lost()))),
                Call::Heartbeat(_, answer) => drop(answer.send(Err(lost()))),
                Call::Register(_, answer) => drop(answer.send(Err(lost()))),
                Call::Start(_, _, answer) => drop(answer.send(Err(lost()))),
                Call::Logs(_, answer) => drop(answer.send(Err(lost()))),
            }
        }
    }

    async fn find<T>(&mut self, wanted: impl Fn(Call) -> Result<T, Call>) -> T {
        for _ in 0..self.backlog.len() {
            match wanted(self.backlog.pop_front().unwrap()) {
                Ok(found) => return found,
                Err(other) => self.backlog.push_back(other),
            }
        }
        loop {
            let call = self.next().await;
            match wanted(call) {
                Ok(found) => return found,
                Err(other) => self.backlog.push_back(other),
            }
        }
    }

    pub(super) async fn claim(&mut self) -> (Claim, Answer<Claimed>) {
        self.find(|call| match call {
            Call::Claim(claim, answer) => Ok((claim, answer)),
            other => Err(other),
        })
        .await
    }

    pub(super) async fn report(&mut self) -> (Report, Answer<Reported>) {
        self.find(|call| match call {
            Call::Report(report, answer) => Ok((report, answer)),
            other => Err(other),
        })
        .await
    }

    pub(super) async fn heartbeat(&mut self) -> (Heartbeat, Answer<Heard>) {
        self.find(|call| match call {
            Call::Heartbeat(heartbeat, answer) => Ok((heartbeat, answer)),
            other => Err(other),
        })
        .await
    }

    pub(super) async fn logs(&mut self) -> (AppendLogs, Answer<AppendedLogs>) {
        self.find(|call| match call {
            Call::Logs(append, answer) => Ok((append, answer)),
            other => Err(other),
        })
        .await
    }

    /// Leaves a heartbeat for the next who asks for one.
    pub(super) fn put_back(&mut self, (heartbeat, answer): (Heartbeat, Answer<Heard>)) {
        self.backlog.push_front(Call::Heartbeat(heartbeat, answer));
    }

    /// The next one that names so many runs; those that name others are answered with nothing to say.
    pub(super) async fn heartbeat_of(&mut self, runs: usize) -> (Heartbeat, Answer<Heard>) {
        loop {
            let (heartbeat, answer) = self.heartbeat().await;
            if heartbeat.held.len() == runs {
                return (heartbeat, answer);
            }
            let _ = answer.send(Ok(heard()));
        }
    }

    pub(super) async fn start_call(&mut self) -> (TaskId, Start, Answer<Started>) {
        self.find(|call| match call {
            Call::Start(task, start, answer) => Ok((task, start, answer)),
            other => Err(other),
        })
        .await
    }

    /// Lets the worker do all it can do now, and says whether it has reported.
    pub(super) async fn has_report(&mut self) -> bool {
        self.is_quiet().await;
        while let Ok(call) = self.calls.try_recv() {
            self.backlog.push_back(call);
        }
        let mut backlog = self.backlog.iter();
        backlog.any(|call| matches!(call, Call::Report(..)))
    }

    /// Lets the worker do all it can do now, and says whether it has handed in lines.
    pub(super) async fn has_logs(&mut self) -> bool {
        self.is_quiet().await;
        let mut backlog = self.backlog.iter();
        backlog.any(|call| matches!(call, Call::Logs(..)))
    }

    /// Answers the next claim with these tasks.
    pub(super) async fn give(&mut self, tasks: Vec<Run>) {
        let (claim, answer) = self.claim().await;
        assert!(tasks.len() <= claim.limit as usize);
        let _ = answer.send(Ok(claimed(tasks)));
    }

    /// Answers the next report by taking all that it holds, with no tasks.
    pub(super) async fn take(&mut self) -> Report {
        let (report, answer) = self.report().await;
        let _ = answer.send(Ok(taken(&report, Vec::new())));
        report
    }

    pub(super) async fn running(&mut self) -> Running {
        tokio::time::timeout(PATIENCE, self.runs.recv())
            .await
            .expect("no run began")
            .expect("the worker is gone")
    }

    /// Whether no run has begun that nobody has asked for.
    pub(super) fn no_more_runs(&mut self) -> bool {
        self.runs.try_recv().is_err()
    }

    /// Lets the worker do all it can do now, and says whether it called.
    pub(super) async fn is_quiet(&mut self) -> bool {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        match self.calls.try_recv() {
            Ok(call) => {
                self.backlog.push_back(call);
                false
            }
            Err(_) => self.backlog.is_empty(),
        }
    }

    pub(super) fn abandon(&self) {
        self.worker.abort();
    }

    /// Its last word is heard, as every other heartbeat, unless a test wants to hear it.
    pub(super) async fn ended(mut self) -> Result<Summary, Error> {
        let ends = async {
            loop {
                tokio::select! {
                    ended = &mut self.worker => return ended.unwrap(),
                    Some(call) = self.calls.recv() => match call {
                        Call::Heartbeat(heartbeat, answer) if heartbeat.leaves => {
                            let _ = answer.send(Ok(heard()));
                        }
                        other => self.backlog.push_back(other),
                    },
                }
            }
        };
        let ended = tokio::time::timeout(PATIENCE, ends).await;
        ended.expect("the worker does not end")
    }
}
