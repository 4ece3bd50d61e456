//! What becomes of what an engine knows when another database is found in the place of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use taskyard_core::minute::What;
use taskyard_core::name::Name;
use taskyard_core::query::Query;
use taskyard_core::refused::Refused;
use taskyard_core::store::Store;
use taskyard_engine::error::Error;
use taskyard_engine::services::tally;
use taskyard_store::model::Model;

use super::front::{Front, Fronted};
use super::yard::{Yard, model};

/// Two databases, of which one is there at a time.
struct Either {
    databases: [Arc<Model>; 2],
    is_second: AtomicBool,
}

impl Front for Either {
    fn model(&self) -> &Model {
        &self.databases[usize::from(self.is_second.load(Ordering::SeqCst))]
    }
}

/// An engine, what it stands on, and another one on the database that is to take that one's place.
async fn two_databases() -> (Yard, Arc<Fronted<Either>>, Yard) {
    let second = Arc::new(model());
    // It is another one.
    second.reset().await.unwrap().unwrap();
    let store = Arc::new(Fronted(Either {
        databases: [Arc::new(model()), Arc::clone(&second)],
        is_second: AtomicBool::new(false),
    }));
    (Yard::around(store.clone()), store, Yard::around(second))
}

#[tokio::test(start_paused = true)]
async fn what_happens_in_another_database_is_written_down_for_the_lanes_that_it_has() {
    let (yard, store, other) = two_databases().await;
    for kind in ["one", "two"] {
        yard.submit(kind).await.unwrap();
    }
    tally::run_once(&yard.engine).await.unwrap();
    for kind in ["two", "three"] {
        other.submit(kind).await.unwrap();
    }

    store.is_second.store(true, Ordering::SeqCst);
    yard.submit("one").await.unwrap();

    tally::run_once(&yard.engine).await.unwrap();
    let query = Query::Minutes { from: 0 };
    let found = yard.engine.read(query).await.unwrap().minutes();
    let submitted =
        |minute: &&taskyard_core::minute::Minute| minute.events.count(What::Submitted) > 0;
    let lanes = found.minutes.iter().filter(submitted);
    let kinds = lanes.map(|minute| {
        let named = found
            .lanes
            .iter()
            .find(|(lane, _)| *lane == minute.key.lane);
        named.map(|(_, key)| key.kind.as_str())
    });
    assert_eq!(kinds.collect::<Vec<_>>(), [Some("one")]);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_dealt_to_by_the_number_of_another_worker() {
    let (yard, store, other) = two_databases().await;
    for worker in ["u", "w"] {
        yard.worker(worker, "work").await;
    }
    for worker in ["w", "u"] {
        other.worker(worker, "work").await;
    }
    other.submit("work").await.unwrap();

    store.is_second.store(true, Ordering::SeqCst);
    let refused = yard.claim("w", Duration::ZERO).await;

    assert!(
        matches!(refused, Err(Error::Refused(Refused::NoSuchWorker))),
        "{refused:?}"
    );
    yard.claim_one("w").await;
    let at_work = Query::AtWork {
        worker: Name::plain("w").unwrap(),
        limit: 9,
    };
    let at_work = yard.engine.read(at_work).await.unwrap().at_work().unwrap();
    assert_eq!(at_work.runs.len(), 1);
}
