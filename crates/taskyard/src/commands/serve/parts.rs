//! The parts of a running server: which of them breaks down, and how they are ended in order.

use std::time::Duration;

use taskyard_engine::engine::Engine;
use taskyard_engine::upkeep::Services;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::inboxes::Takers;
use crate::pool::Pool;

const ENGINE: &str = "the engine";
const HTTP_SERVER: &str = "the HTTP server";
const WORKER: &str = "an internal worker";
const TAKER: &str = "what takes tasks over from an inbox";

/// What goes on until the server stops.
pub(super) struct Parts {
    pub(super) engine: Engine,
    pub(super) services: Services,
    pub(super) serving: JoinSet<()>,
    pub(super) takers: Takers,
    pub(super) pool: Pool,
}

impl Parts {
    /// Resolves when one of them ends, with what it was: a server that looks well and does part of its work is worse
    /// than one that is started again.
    pub(super) async fn first_to_end(&mut self) -> &'static str {
        tokio::select! {
            // The services end with the engine, and the workers need both.
            biased;
            part = first_but_workers(&self.engine, &mut self.services, &mut self.serving, &mut self.takers) => part,
            Err(_) = self.pool.ended() => WORKER,
        }
    }

    /// Ends all of them in order, whatever breaks down meanwhile; `broken` if one did before. Requests are served for as
    /// long as `linger` says, and while workers go on. Answers with the first that broke down, which is said.
    pub(super) async fn end(
        self,
        mut broken: Option<&'static str>,
        linger: Duration,
        stop: &CancellationToken,
    ) -> Option<&'static str> {
        let Self {
            engine,
            mut services,
            mut serving,
            mut takers,
            mut pool,
        } = self;
        match broken {
            None => tracing::info!(
                "stopping once everything accepted is done; a second signal ends it at once"
            ),
            Some(part) => say_broken(part),
        }
        pool.leave();
        if broken.is_none() {
            broken = tokio::select! {
                biased;
                part = first_but_workers(&engine, &mut services, &mut serving, &mut takers) => Some(part),
                (ended, ()) = async { tokio::join!(pool.ended(), sleep(linger)) } => ended.err().map(|_| WORKER),
            };
            broken.inspect(|part| say_broken(part));
        }
        tokio::select! {
            biased;
            // Nobody takes what the workers say: their runs are given out again once their leases have run out.
            () = engine.ended() => {}
            () = pool.stop() => {}
        }
        let mut note = |part| {
            if broken.is_none() {
                broken = Some(part);
                say_broken(part);
            }
        };
        // Before the engine, which they need; they have a time of their own.
        engine.finish();
        while let Some(served) = next_served(&engine, &mut serving).await {
            if served.is_err() {
                note(HTTP_SERVER);
            }
        }
        while let Some(taken) = next_taken(&engine, &mut takers).await {
            if taken.is_err() {
                note(TAKER);
            }
        }
        stop.cancel();
        while let Some(ended) = services.next_ended().await {
            if ended.broke_down {
                note(ended.service);
            }
        }
        while let Some(served) = serving.join_next().await {
            if served.is_err() {
                note(HTTP_SERVER);
            }
        }
        engine.ended().await;
        if engine.has_broken_down() {
            note(ENGINE);
        }
        broken
    }
}

/// None once all requests have been served, or where the engine has ended, with which none is.
async fn next_served(engine: &Engine, serving: &mut JoinSet<()>) -> Option<Result<(), JoinError>> {
    tokio::select! {
        biased;
        () = engine.ended() => None,
        served = serving.join_next() => served,
    }
}

/// None once all have let go of what they had picked, or where the engine has ended.
async fn next_taken(engine: &Engine, takers: &mut Takers) -> Option<Result<(), JoinError>> {
    tokio::select! {
        biased;
        () = engine.ended() => None,
        taken = takers.next_ended() => taken,
    }
}

async fn first_but_workers(
    engine: &Engine,
    services: &mut Services,
    serving: &mut JoinSet<()>,
    takers: &mut Takers,
) -> &'static str {
    tokio::select! {
        // First, for the services end with it.
        biased;
        () = engine.ended() => ENGINE,
        Some(ended) = services.next_ended() => ended.service,
        // In order they end as soon as the server leaves.
        Some(Err(_)) = takers.next_ended() => TAKER,
        _ = serving.join_next() => HTTP_SERVER,
    }
}

fn say_broken(part: &str) {
    tracing::error!(part, "a part of the server broke down: stopping the others");
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::Arc;

    use async_trait::async_trait;
    use taskyard_core::command::Command;
    use taskyard_core::lane::{Lane, Lanes};
    use taskyard_core::policy::Policy;
    use taskyard_core::query::{Answer, Query};
    use taskyard_core::store::{self, Ran, Store};
    use taskyard_core::time::Timestamp;
    use taskyard_engine::upkeep::Upkeep;
    use taskyard_store::model::Model;
    use tokio::sync::{Notify, oneshot};

    use super::*;
    use crate::randomness::Unguessable;

    /// A server whose HTTP part, which is told when to end, and one worker are these.
    async fn parts<S: Future<Output = ()> + Send + 'static>(
        stop: &CancellationToken,
        serving: impl FnOnce(CancellationToken) -> S,
        worker: impl Future<Output = ()> + Send + 'static,
    ) -> Parts {
        parts_on(Arc::new(model()), stop, serving, worker).await
    }

    async fn parts_on<S: Future<Output = ()> + Send + 'static>(
        store: Arc<dyn Store>,
        stop: &CancellationToken,
        serving: impl FnOnce(CancellationToken) -> S,
        worker: impl Future<Output = ()> + Send + 'static,
    ) -> Parts {
        let random = Box::new(Unguessable::new());
        let engine = Engine::start(store, Policy::default(), random, stop.clone());
        let server = engine.join(None, true).await.unwrap();
        let services = Upkeep::default().start(&engine, server);
        let serving = serving(engine.finishing().clone());
        Parts {
            engine,
            services,
            serving: JoinSet::from_iter([serving]),
            takers: Takers::default(),
            pool: Pool::of(worker),
        }
    }

    fn model() -> Model {
        Model::new(1, Arc::new(crate::clock::now))
    }

    /// A store that is busy until the server stops, and breaks down then: with the sweep's question, or with the first
    /// batch but for the one by which the server joins.
    struct Buggy {
        model: Model,
        breaks_the_sweep: bool,
        is_busy: Arc<Notify>,
        stop: CancellationToken,
    }

    impl Buggy {
        async fn break_down(&self) -> ! {
            self.is_busy.notify_one();
            self.stop.cancelled().await;
            panic!("a bug")
        }
    }

    #[async_trait]
    impl Store for Buggy {
        async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, store::Error> {
            let joins = |command: &Command| matches!(command, Command::Join(_));
            if !self.breaks_the_sweep && !batch.iter().any(joins) {
                self.break_down().await;
            }
            self.model.run(batch, policy).await
        }

        async fn read(&self, query: Query) -> Result<Answer, store::Error> {
            if self.breaks_the_sweep && matches!(query, Query::Lost { .. }) {
                self.break_down().await;
            }
            self.model.read(query).await
        }

        fn now(&self) -> Timestamp {
            self.model.now()
        }

        fn incarnation(&self) -> [u8; 16] {
            self.model.incarnation()
        }

        fn lanes(&self) -> Arc<Lanes> {
            self.model.lanes()
        }

        fn unsure(&self, lane: Option<Lane>) {
            self.model.unsure(lane);
        }
    }

    /// As the HTTP server does that has nobody to serve.
    fn in_order(told: CancellationToken) -> impl Future<Output = ()> {
        told.cancelled_owned()
    }

    async fn breaks_down() {
        panic!("a bug")
    }

    #[tokio::test]
    async fn whatever_ends_before_the_stop_is_named() {
        let stop = CancellationToken::new();
        let mut http = parts(&stop, |_| breaks_down(), pending()).await;
        assert_eq!(http.first_to_end().await, HTTP_SERVER);

        let mut worker = parts(&stop, |_| pending(), breaks_down()).await;
        assert_eq!(worker.first_to_end().await, WORKER);

        let mut engine = parts(&stop, |_| pending(), pending()).await;
        stop.cancel();
        engine.engine.ended().await;
        assert_eq!(engine.first_to_end().await, ENGINE);
    }

    #[tokio::test]
    async fn what_takes_from_an_inbox_is_named_when_it_breaks_down_alone() {
        let stop = CancellationToken::new();
        let mut broken = parts(&stop, in_order, pending()).await;
        broken.takers = Takers::of(breaks_down());
        assert_eq!(broken.first_to_end().await, TAKER);

        let mut late = parts(&stop, in_order, ready(())).await;
        late.takers = Takers::of(breaks_down());
        assert_eq!(late.end(None, Duration::ZERO, &stop).await, Some(TAKER));

        let stop = CancellationToken::new();
        let mut well = parts(&stop, in_order, ready(())).await;
        well.takers = Takers::of(ready(()));
        assert_eq!(well.end(None, Duration::ZERO, &stop).await, None);
    }

    #[tokio::test]
    async fn an_engine_that_is_found_ended_at_the_stop_is_told_and_no_worker_waited_for() {
        let (ends, stop) = (CancellationToken::new(), CancellationToken::new());
        let parts = parts(&ends, in_order, pending()).await;
        ends.cancel();
        parts.engine.ended().await;

        assert_eq!(parts.end(None, Duration::ZERO, &stop).await, Some(ENGINE));
    }

    #[tokio::test]
    async fn a_worker_that_breaks_down_while_it_finishes_is_told() {
        let stop = CancellationToken::new();
        let until_left = CancellationToken::new();
        let left = until_left.clone();
        let worker = async move {
            left.cancelled().await;
            panic!("a bug")
        };
        let parts = parts(&stop, in_order, worker).await;
        let leaving = parts.pool.leaving();
        tokio::spawn(async move {
            leaving.await;
            until_left.cancel();
        });

        assert_eq!(parts.end(None, Duration::ZERO, &stop).await, Some(WORKER));
    }

    #[tokio::test]
    async fn an_http_server_that_breaks_down_at_the_stop_is_told_when_all_has_ended() {
        let stop = CancellationToken::new();
        let serving = async |told: CancellationToken| {
            told.cancelled().await;
            panic!("a bug")
        };
        let parts = parts(&stop, serving, ready(())).await;
        let engine = parts.engine.clone();

        assert_eq!(
            parts.end(None, Duration::ZERO, &stop).await,
            Some(HTTP_SERVER)
        );
        assert!(engine.has_ended());
    }

    #[tokio::test]
    async fn an_engine_or_a_service_that_breaks_down_after_the_stop_is_told() {
        for (breaks_the_sweep, told) in [(true, "the sweep"), (false, ENGINE)] {
            let stop = CancellationToken::new();
            let is_busy = Arc::new(Notify::new());
            let store = Buggy {
                model: model(),
                breaks_the_sweep,
                is_busy: Arc::clone(&is_busy),
                stop: stop.clone(),
            };
            let worker = async move { is_busy.notified().await };
            let parts = parts_on(Arc::new(store), &stop, in_order, worker).await;

            assert_eq!(parts.end(None, Duration::ZERO, &stop).await, Some(told));
        }
    }

    #[tokio::test]
    async fn what_broke_down_first_is_what_is_told() {
        let stop = CancellationToken::new();
        let parts = parts(&stop, |_| breaks_down(), breaks_down()).await;

        assert_eq!(
            parts.end(Some("the sweep"), Duration::ZERO, &stop).await,
            Some("the sweep")
        );
    }

    #[tokio::test]
    async fn a_stop_in_order_tells_of_nothing() {
        let stop = CancellationToken::new();
        let parts = parts(&stop, in_order, ready(())).await;

        assert_eq!(parts.end(None, Duration::ZERO, &stop).await, None);
    }

    #[tokio::test]
    async fn the_engine_takes_commands_until_the_last_request_was_served() {
        let stop = CancellationToken::new();
        let (last, asked) = oneshot::channel();
        let serving = |told: CancellationToken| async move {
            told.cancelled().await;
            let engine: Engine = asked.await.unwrap();
            engine.join(None, true).await.unwrap();
        };
        let parts = parts(&stop, serving, ready(())).await;
        assert!(last.send(parts.engine.clone()).is_ok());

        assert_eq!(parts.end(None, Duration::ZERO, &stop).await, None);
    }
}
