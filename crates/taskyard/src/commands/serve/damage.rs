//! A damaged database: met while the server starts, it ends the start; met while it runs, `/ready` tells of it, and the
//! stop does with its exit code.

use taskyard_core::query::{List, Query};
use taskyard_core::status::Status;
use taskyard_core::store::{self, Store};
use taskyard_core::verbs::expire::Sight;
use taskyard_engine::engine::Engine;
use taskyard_engine::error::Error;
use taskyard_engine::services::{forget, prune};

/// Of each sort of row.
const ROWS: usize = 1;

/// Reads the beginning of all that a server reads, for itself and for others, before anybody is served: where a table
/// begins, most of what damages it shows. The whole file is looked through after an unclean stop, beside the service.
///
/// # Errors
/// Damage. Whatever else is wrong may pass, and who asks then is told.
pub(super) async fn look(engine: &Engine) -> Result<(), Error> {
    let (policy, store) = (engine.policy(), engine.store());
    let now = store.now();
    let mut questions = vec![
        Query::lost(policy, Sight::clear(now), ROWS),
        forget::look_for_gone(policy, now),
        Query::NextDue { skip: 0 },
        Query::WorkerCounts(now),
        Query::Workers {
            after: None,
            limit: ROWS,
        },
        Query::Sums { names: ROWS },
    ];
    for status in Status::ALL {
        questions.push(Query::Tasks(newest(vec![status])));
    }
    for question in questions {
        answered(engine.read(question).await)?;
    }
    let all = newest(Vec::new());
    if let Some(found) = answered(engine.read(Query::Tasks(all.clone())).await)? {
        for view in found.tasks().items {
            let attempts = Query::Attempts {
                task: view.task.id,
                detail_max: 0,
            };
            let mut alike = all.clone();
            alike.filter.kind = Some(view.lane.kind.clone());
            for question in [attempts, Query::Tasks(alike)] {
                answered(engine.read(question).await)?;
            }
        }
    }
    // What no question is about.
    answered(prune::run_once(engine).await)?;
    Ok(())
}

/// What was found damaged by now, in the start or since.
pub(super) async fn found(store: &dyn Store) -> Option<Error> {
    let pong = store.read(Query::Ping).await.map_err(Error::from);
    answered(pong).err()
}

fn newest(statuses: Vec<Status>) -> List {
    let mut list = List {
        limit: ROWS,
        look_at_max: ROWS,
        ..List::default()
    };
    list.filter.statuses = statuses;
    list
}

/// The answer; none where something is wrong that is no damage.
fn answered<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Err(damaged @ Error::Store(store::Error::Damaged(_))) => Err(damaged),
        answer => Ok(answer.ok()),
    }
}
