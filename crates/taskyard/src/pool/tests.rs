//! Workers inside of servers that share a store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use taskyard_core::json::Json;
use taskyard_core::lane::LaneKey;
use taskyard_core::name::Name;
use taskyard_core::policy::Policy;
use taskyard_core::query::Query;
use taskyard_core::random::Seeded;
use taskyard_core::status::Status;
use taskyard_core::store::Store;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::submit::{NewTask, Submit};
use taskyard_engine::engine::Engine;
use taskyard_server::settings;
use taskyard_store::model::Model;
use taskyard_worker::executors::{Echo, Sleep};

use taskyard_api::worker::Register;
use taskyard_core::id::{ServerNumber, TaskId};
use taskyard_server::v1;
use tokio_util::sync::CancellationToken;

use super::*;

/// Noon of some day.
const NOON: i64 = 1_790_000_000_000_000;

/// The only one, on a store of its own, at which it stays noon.
async fn server_at_noon() -> App {
    let clock = || Timestamp::from_micros(NOON);
    let store: Arc<dyn Store> = Arc::new(Model::new(1, Arc::new(clock)));
    let app = server_on(&store);
    app.engine().join(None, true).await.unwrap();
    app
}

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
    let pool = Pool::new(2, &executors, &Settings::named(""));
    pool.begin(app);
    pool
}

/// Waits until these workers, by name and epoch, are all that are known.
async fn known(app: &App, expected: &[(&str, i32)]) {
    let all = Query::Workers {
        after: None,
        limit: 100,
    };
    let known = async {
        loop {
            let workers = app.engine().read(all.clone()).await.unwrap().workers();
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

async fn submit(app: &App, kind: &str, input: &str) -> TaskId {
    let task = NewTask::new(
        app.engine().new_task(),
        LaneKey::of(Name::path("default").unwrap(), Name::path(kind).unwrap()),
        Json::stored(input),
    );
    let submit = Submit::of(vec![task]);
    app.engine().submit(submit).await.unwrap().ids[0]
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cancelled_ends_before_its_workers_next_heartbeat() {
    let app = server_at_noon().await;
    let executors = Executors::default().with(Echo("echo")).with(Sleep);
    let pool = Pool::new(1, &executors, &Settings::named(""));
    pool.begin(&app);
    let long = submit(&app, "sleep", r#"{"ms": 3600000}"#).await;
    let second = Duration::from_secs(1);
    // Its first heartbeat has gone, and the next is far.
    tokio::time::sleep(Policy::default().heartbeat + second).await;
    let view = app.engine().task(long, Duration::ZERO).await.unwrap();
    assert_eq!(view.status(), Status::Running);

    app.engine().cancel(long).await.unwrap();
    let next = submit(&app, "echo", "1").await;

    let view = app.engine().task(next, second).await.unwrap();
    assert_eq!(view.status(), Status::Completed);
    pool.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_damaged_fails_and_the_worker_goes_on() {
    let app = server_at_noon().await;
    let (first, bad) = (
        submit(&app, "echo", "1").await,
        submit(&app, "echo", "{").await,
    );
    let last = submit(&app, "echo", "2").await;
    let executors = Executors::default().with(Echo("echo"));
    // The first is claimed alone, the others with reports.
    let pool = Pool::new(1, &executors, &Settings::named(""));
    pool.begin(&app);

    let minute = Duration::from_mins(1);
    for (task, expected) in [
        (first, Status::Completed),
        (bad, Status::Failed),
        (last, Status::Completed),
    ] {
        let view = app.engine().task(task, minute).await.unwrap();
        assert_eq!(view.status(), expected);
    }
    pool.stop().await;
}
