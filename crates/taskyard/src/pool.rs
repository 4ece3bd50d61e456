//! The workers inside of a server: the same runtime as outside, speaking to the engine without HTTP in between.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use taskyard_api::client::Error;
use taskyard_api::logs::{AppendLogs, AppendedLogs};
use taskyard_api::payload::Payload;
use taskyard_api::report::{Report, Reported};
use taskyard_api::run::{Start, Started};
use taskyard_api::worker::{Claim, Claimed, Heard, Heartbeat, Register, Registered, Run};
use taskyard_core::id::{ServerNumber, TaskId};
use taskyard_core::rows::Server;
use taskyard_server::app::App;
use taskyard_server::logged;
use taskyard_server::v1;
use taskyard_worker::executor::Executors;
use taskyard_worker::runtime::{self, Settings, Summary, Worker, shutdown_signal};
use taskyard_worker::transport::Transport;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::randomness::Unguessable;

/// How many workers a server can have inside; their names leave room for as many.
const SIZE_MAX: i32 = 50;

pub(crate) struct Pool {
    workers: JoinSet<()>,
    leaving: CancellationToken,
}

impl Pool {
    /// So many workers like this one, but one task at a time each. Their names are the same after every start of this
    /// server, so that those of a start before are replaced; where a living worker outside has one, the next is taken.
    /// The server has joined by now.
    pub(crate) fn start(app: &App, size: u16, executors: &Executors, like: &Settings) -> Self {
        let (names, leaving) = (Arc::<Names>::default(), CancellationToken::new());
        let mut workers = JoinSet::new();
        for _ in 0..size {
            let one = One {
                like: like.clone(),
                executors: executors.clone(),
                app: app.clone(),
                joined: app.engine().joined(),
                names: Arc::clone(&names),
                leaving: leaving.clone(),
            };
            // Taken here, so that they are taken in order.
            let place = one.place();
            workers.spawn(one.work(place));
        }
        Self { workers, leaving }
    }

    /// Resolves once all workers have ended, or as soon as one has broken down, which takes a bug.
    pub(crate) async fn ended(&mut self) -> Result<(), JoinError> {
        while let Some(ended) = self.workers.join_next().await {
            ended?;
        }
        Ok(())
    }

    /// Lets the workers finish what they have, and hand back what takes too long.
    pub(crate) fn leave(&self) {
        self.leaving.cancel();
    }

    /// The same, and waits until all are gone.
    pub(crate) async fn stop(mut self) {
        self.leave();
        while self.workers.join_next().await.is_some() {}
    }

    #[cfg(test)]
    pub(crate) fn of(workers: JoinSet<()>) -> Self {
        let leaving = CancellationToken::new();
        Self { workers, leaving }
    }

    /// Resolves when the workers are told to leave.
    #[cfg(test)]
    pub(crate) fn leaving(&self) -> impl Future<Output = ()> + Send + 'static {
        self.leaving.clone().cancelled_owned()
    }
}

/// The numbers of this server's workers: those that they bear, and those that others were found to have.
#[derive(Default)]
struct Names(Mutex<BTreeSet<i32>>);

impl Names {
    /// The lowest that is free of those that a server of this number has.
    fn take(&self, server: ServerNumber) -> Option<i32> {
        let first = (server.0 - 1) * SIZE_MAX + 1;
        let mut taken = self.0.lock();
        let number = (first..first + SIZE_MAX).find(|number| !taken.contains(number))?;
        taken.insert(number);
        Some(number)
    }

    fn give_back(&self, number: i32) {
        self.0.lock().remove(&number);
    }
}

/// What a worker is for now: its number, and what its server had joined as when it got it.
#[derive(Clone, Copy)]
struct Place {
    number: i32,
    server: Server,
}

/// How a server whose worker was replaced comes by its number.
enum Joins {
    /// Another server took the one it had.
    Anew,
    /// It keeps it: another server had it before and did not know that it was lost.
    AsBefore,
    /// It leaves.
    NoMore,
}

/// One worker, whatever its name comes to be.
struct One {
    like: Settings,
    executors: Executors,
    app: App,
    joined: watch::Receiver<Option<Server>>,
    names: Arc<Names>,
    leaving: CancellationToken,
}

impl One {
    /// None if workers outside have all names, which is said.
    fn place(&self) -> Option<Place> {
        let server = *self.joined.borrow();
        let server = server.expect("a server joins before it has workers");
        let number = self.names.take(server.number);
        if number.is_none() {
            tracing::error!(
                "a worker inside of the server has not started: others have all of the names worker-1 to \
                 worker-{SIZE_MAX}, and so on for further servers; give workers outside other names"
            );
        }
        Some(Place {
            number: number?,
            server,
        })
    }

    async fn work(mut self, mut place: Option<Place>) {
        while let Some(taken) = place {
            match self.work_at(taken).await {
                Ok(_) => return,
                Err(runtime::Error::Refused(error)) if is_borne_outside(&error) => {
                    tracing::warn!(
                        worker = name(taken.number),
                        "a worker outside has the name of one inside, which takes another"
                    );
                }
                Err(runtime::Error::Replaced(_)) => {
                    tracing::warn!(
                        worker = name(taken.number),
                        "another server has this one's number, or had it, and the name of its worker, which takes \
                         another once it is clear which number this server has"
                    );
                    match self.joins_anew(taken.server).await {
                        Joins::Anew => self.names.give_back(taken.number),
                        // The other one has the name for good.
                        Joins::AsBefore => {}
                        Joins::NoMore => return,
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "a worker inside of the server has stopped");
                    return;
                }
            }
            place = self.place();
        }
    }

    async fn work_at(&self, place: Place) -> Result<Summary, runtime::Error> {
        let (shutdown, asked) = shutdown_signal();
        let mut working = pin!(self.worker(place).run(asked));
        tokio::select! {
            ended = &mut working => return ended,
            () = self.leaving.cancelled() => shutdown.request(),
        }
        working.await
    }

    /// Waits until the server has joined as something else than this, as long as a number is kept for a server that
    /// says nothing: one that lost its own has heard of it by then.
    async fn joins_anew(&mut self, server: Server) -> Joins {
        let is_new = |joined: &Option<Server>| {
            joined.is_some_and(|joined| {
                (joined.number, joined.started_at) != (server.number, server.started_at)
            })
        };
        let ttl = self.app.engine().policy().server_ttl;
        tokio::select! {
            joined = self.joined.wait_for(is_new) => match joined {
                Ok(_) => Joins::Anew,
                Err(_) => Joins::NoMore,
            },
            () = tokio::time::sleep(ttl) => Joins::AsBefore,
            () = self.leaving.cancelled() => Joins::NoMore,
        }
    }

    fn worker(&self, place: Place) -> Worker {
        Worker {
            settings: Settings {
                name: name(place.number),
                concurrency: 1,
                ..self.like.clone()
            },
            executors: self.executors.clone(),
            transport: Arc::new(Inside {
                app: self.app.clone(),
                server: place.server.number,
            }),
            clock: Arc::new(clock::now),
            random: Box::new(Unguessable::new()),
        }
    }
}

fn name(number: i32) -> String {
    format!("worker-{number}")
}

fn is_borne_outside(error: &Error) -> bool {
    matches!(error, Error::Problem(problem) if problem.code == "worker_is_external")
}

/// The way to the engine of the same process.
struct Inside {
    app: App,
    server: ServerNumber,
}

#[async_trait]
impl Transport for Inside {
    async fn register(&self, worker: &Register) -> Result<Registered, Error> {
        let registered = v1::workers::register(&self.app, worker, Some(self.server));
        let registered = logged(&self.app, registered).await;
        registered.map_err(Error::Problem)
    }

    async fn claim(&self, worker_id: &str, claim: &Claim) -> Result<Claimed, Error> {
        let claimed = logged(&self.app, v1::workers::claim(&self.app, worker_id, claim)).await;
        let tasks = claimed.map_err(Error::Problem)?.tasks;
        Ok(Claimed {
            tasks: tasks.into_iter().map(owned).collect(),
        })
    }

    async fn report(&self, worker_id: &str, report: &Report) -> Result<Reported, Error> {
        let reported = v1::workers::report(&self.app, worker_id, report);
        let reported = logged(&self.app, reported).await;
        let Reported { results, tasks } = reported.map_err(Error::Problem)?;
        let tasks = tasks.map(|tasks| tasks.into_iter().map(owned).collect());
        Ok(Reported { results, tasks })
    }

    async fn heartbeat(&self, worker_id: &str, heartbeat: &Heartbeat) -> Result<Heard, Error> {
        let heard = v1::workers::heartbeat(&self.app, worker_id, heartbeat);
        let heard = logged(&self.app, heard).await;
        heard.map_err(Error::Problem)
    }

    async fn start(&self, task: TaskId, start: &Start) -> Result<Started, Error> {
        let started = logged(&self.app, v1::tasks::runs::begin(&self.app, task, start)).await;
        started.map_err(Error::Problem)
    }

    async fn append_logs(&self, task: TaskId, append: &AppendLogs) -> Result<AppendedLogs, Error> {
        let appended = logged(&self.app, v1::tasks::logs::print(&self.app, task, append)).await;
        appended.map_err(Error::Problem)
    }
}

/// A run with payloads of its own, as executors take them.
fn owned(run: Run<Payload>) -> Run {
    let raw = |payload: Payload| {
        let text = payload.0.as_str().to_owned();
        RawValue::from_string(text).expect("it was checked when it came in")
    };
    Run {
        id: run.id,
        kind: run.kind,
        queue: run.queue,
        input: raw(run.input),
        attempt: run.attempt,
        lease_token: run.lease_token,
        lease_expires_at: run.lease_expires_at,
        timeout_ms: run.timeout_ms,
        exclusive: run.exclusive,
        checkpoint: run.checkpoint.map(raw),
        cancel: run.cancel,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::Duration;

    use taskyard_core::policy::Policy;
    use taskyard_core::query::{Answer, Query};
    use taskyard_core::random::Seeded;
    use taskyard_core::store::Store;
    use taskyard_core::time::Timestamp;
    use taskyard_engine::engine::Engine;
    use taskyard_server::settings;
    use taskyard_store::model::Model;
    use taskyard_worker::executors::Echo;

    use super::*;

    /// Noon of some day.
    const NOON: i64 = 1_790_000_000_000_000;

    fn server_on(store: &Arc<dyn Store>) -> App {
        let stop = CancellationToken::new();
        let engine = Engine::start(
            Arc::clone(store),
            Policy::default(),
            Box::new(Seeded::new(2)),
            stop.clone(),
        );
        App::new(engine, settings::Settings::default(), stop)
    }

    fn pool_of_two(app: &App) -> Pool {
        let executors = Executors::default().with(Echo("echo"));
        Pool::start(app, 2, &executors, &Settings::named(""))
    }

    /// Waits until these workers, by name and epoch, are all that are known.
    async fn known(app: &App, expected: &[(&str, i32)]) {
        let all = Query::Workers {
            after: None,
            limit: 100,
        };
        let known = async {
            loop {
                let Ok(Answer::Workers(workers)) = app.engine().read(all.clone()).await else {
                    panic!("no workers were answered")
                };
                let workers: Vec<(&str, i32)> = workers
                    .iter()
                    .map(|view| (view.worker.name.as_str(), view.worker.epoch.0))
                    .collect();
                if workers == expected {
                    return;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_hours(1), known)
            .await
            .expect("other workers are known");
    }

    #[tokio::test(start_paused = true)]
    async fn workers_whose_server_lost_its_number_take_names_of_its_next() {
        let clock = Arc::new(AtomicI64::new(NOON));
        let read = Arc::clone(&clock);
        let now = move || Timestamp::from_micros(read.load(Ordering::SeqCst));
        let store: Arc<dyn Store> = Arc::new(Model::new(1, Arc::new(now)));
        let (paused, other) = (server_on(&store), server_on(&store));
        let held = paused.engine().join(None, false).await.unwrap();
        let pool = pool_of_two(&paused);
        known(&paused, &[("worker-1", 1), ("worker-2", 1)]).await;

        let ttl = i64::try_from(Policy::default().server_ttl.as_micros()).unwrap();
        clock.fetch_add(ttl, Ordering::SeqCst);
        let taken = other.engine().join(None, false).await.unwrap();
        assert_eq!(taken.number, held.number);
        let others = pool_of_two(&other);
        known(&other, &[("worker-1", 2), ("worker-2", 2)]).await;
        // Both have heard of it by then, and wait.
        tokio::time::sleep(Policy::default().heartbeat * 2).await;
        let joined = paused.engine().join(Some(held), false).await.unwrap();

        assert_eq!(joined.number, ServerNumber(2));
        let all = [
            ("worker-1", 2),
            ("worker-2", 2),
            ("worker-51", 1),
            ("worker-52", 1),
        ];
        known(&paused, &all).await;
        others.stop().await;
        pool.stop().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_whose_name_a_server_took_that_had_its_number_before_takes_the_next() {
        let clock = Arc::new(AtomicI64::new(NOON));
        let read = Arc::clone(&clock);
        let now = move || Timestamp::from_micros(read.load(Ordering::SeqCst));
        let store: Arc<dyn Store> = Arc::new(Model::new(1, Arc::new(now)));
        let (before, app) = (server_on(&store), server_on(&store));
        let held = before.engine().join(None, false).await.unwrap();
        let ttl = Policy::default().server_ttl;
        clock.fetch_add(i64::try_from(ttl.as_micros()).unwrap(), Ordering::SeqCst);
        assert_eq!(
            app.engine().join(None, false).await.unwrap().number,
            held.number
        );
        let pool = pool_of_two(&app);
        known(&app, &[("worker-1", 1), ("worker-2", 1)]).await;

        // Of a worker that has tried it since before its server lost the number.
        let late = Register {
            worker_id: "worker-1".to_owned(),
            kinds: vec!["echo".to_owned()],
            queues: None,
            labels: BTreeMap::new(),
            capacity: None,
        };
        v1::workers::register(&before, &late, Some(held.number))
            .await
            .unwrap();

        let all = [("worker-1", 2), ("worker-2", 1), ("worker-3", 1)];
        known(&app, &all).await;
        pool.stop().await;
    }

    #[test]
    fn a_name_is_borne_once_and_those_of_a_server_are_its_own() {
        let names = Names::default();
        let first = ServerNumber(1);
        let mut taken: Vec<_> = (0..3).map(|_| names.take(first)).collect();
        names.give_back(2);
        taken.extend([names.take(first), names.take(first)]);

        assert_eq!(taken, [1, 2, 3, 2, 4].map(Some));
        assert_eq!(names.take(ServerNumber(3)), Some(101));
        let left = std::iter::from_fn(|| names.take(first)).count();
        assert_eq!(left, 46);
    }
}
