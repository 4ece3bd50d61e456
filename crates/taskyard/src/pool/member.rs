//! One worker of the pool, whatever its name comes to be.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use taskyard_api::client::Error;
use taskyard_core::name::Name;
use taskyard_core::query::{Answer, Query};
use taskyard_core::rows::Server;
use taskyard_engine::pool::COUNT_MAX;
use taskyard_server::app::App;
use taskyard_worker::executor::Executors;
use taskyard_worker::runtime::{self, Settings, Summary, Worker, shutdown_signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::inside::Inside;
use super::names::Names;
use crate::clock;
use crate::randomness::Unguessable;

/// How a worker of the pool came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// It finished what it held and left, or was killed: somebody wanted that.
    Wanted,
    /// It was refused, or there is no name for it, which was said.
    Refused,
}

/// What a worker is for now: its number, and what its server had joined as when it got it.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) number: i32,
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

/// What its pool has a worker do.
#[derive(Clone, Default)]
pub(super) struct Orders {
    /// With all others: finish what it has, and hand back what takes too long.
    pub(super) leave: CancellationToken,
    /// Finish what it has, however long that takes.
    pub(super) drain: CancellationToken,
    /// End it.
    pub(super) kill: CancellationToken,
}

pub(super) struct Member {
    pub(super) like: Settings,
    pub(super) executors: Executors,
    pub(super) app: App,
    pub(super) joined: watch::Receiver<Option<Server>>,
    pub(super) names: Arc<Names>,
    pub(super) orders: Orders,
    /// The number in its name.
    pub(super) bears: Arc<AtomicI32>,
}

impl Member {
    /// None if all names are borne, by workers outside or by some that still leave.
    pub(super) fn place(&self) -> Option<Place> {
        let server = *self.joined.borrow();
        let server = server.expect("a server joins before it has workers");
        let number = self.names.take(server.number)?;
        self.bears.store(number, Ordering::Release);
        Some(Place { number, server })
    }

    /// The same, of one that had another name before.
    fn another_place(&self) -> Option<Place> {
        let place = self.place();
        if place.is_none() {
            say_no_names();
        }
        place
    }

    pub(super) async fn work(mut self, first: Place) -> End {
        let mut place = Some(first);
        while let Some(taken) = place {
            match self.work_at(taken).await {
                Ok(_) => return self.ends(taken, End::Wanted),
                Err(runtime::Error::Refused(error)) if is_borne_outside(&error) => {
                    tracing::warn!(
                        worker = name(taken.number),
                        "a worker outside has the name of an internal one, which takes another"
                    );
                }
                Err(runtime::Error::Replaced(_)) if self.was_killed(taken).await => {
                    tracing::warn!(worker = name(taken.number), "killed");
                    return self.ends(taken, End::Wanted);
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
                        Joins::NoMore => return End::Wanted,
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "an internal worker has stopped");
                    return self.ends(taken, End::Refused);
                }
            }
            place = self.another_place();
        }
        End::Refused
    }

    fn ends(&self, place: Place, end: End) -> End {
        self.names.give_back(place.number);
        end
    }

    async fn work_at(&self, place: Place) -> Result<Summary, runtime::Error> {
        let (shutdown, asked) = shutdown_signal();
        let mut working = pin!(self.worker(place).run(asked));
        let Orders { leave, drain, kill } = &self.orders;
        let engine = self.app.engine();
        let (mut cancelled, mut recovered) = (engine.cancelled(), engine.recovered());
        let (mut drains, mut leaves, mut is_killed) = (false, false, false);
        loop {
            tokio::select! {
                ended = &mut working => return ended,
                Ok(()) = cancelled.changed() => shutdown.ask(),
                Ok(()) = recovered.changed() => shutdown.try_again(),
                () = kill.cancelled(), if !is_killed => {
                    is_killed = true;
                    shutdown.kill();
                }
                () = drain.cancelled(), if !drains => {
                    drains = true;
                    shutdown.drain();
                }
                () = leave.cancelled(), if !leaves => {
                    leaves = true;
                    shutdown.request();
                }
            }
        }
    }

    /// By its pool, or by somebody at another server, which the row tells.
    async fn was_killed(&self, place: Place) -> bool {
        if self.orders.kill.is_cancelled() {
            return true;
        }
        let worker = Name::plain(&name(place.number)).expect("it is one");
        let found = self.app.engine().read(Query::Worker(worker)).await;
        let row = found.ok().and_then(Answer::worker);
        row.is_some_and(|row| row.is_killed && row.server == Some(place.server.number))
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
            () = self.orders.leave.cancelled() => Joins::NoMore,
            () = self.orders.drain.cancelled() => Joins::NoMore,
            () = self.orders.kill.cancelled() => Joins::NoMore,
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

pub(super) fn say_no_names() {
    tracing::error!(
        "an internal worker has not started: others have all of the names worker-1 to worker-{COUNT_MAX}, and \
         so on for further servers; give workers outside other names"
    );
}

pub(super) fn name(number: i32) -> String {
    format!("worker-{number}")
}

fn is_borne_outside(error: &Error) -> bool {
    matches!(error, Error::Problem(problem) if problem.code == "worker_is_external")
}
