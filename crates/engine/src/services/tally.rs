//! Writes down what happened since the last time: for the rates, and what came of workers' runs.

use hashbrown::HashMap;
use taskyard_core::id::WorkerNumber;
use taskyard_core::name::Name;
use taskyard_core::query::Query;
use taskyard_core::store;
use taskyard_core::verbs::tally::{Tallied, Tally, Worked};

use super::STEP_ROWS_MAX;
use crate::engine::Engine;
use crate::error::Error;

/// Answers how many rows it wrote: none where nothing happened. What could not be written is kept for the next time, unless
/// the database takes all else.
pub async fn run_once(engine: &Engine) -> Result<usize, Error> {
    let _turn = engine.turn_to_tally().await;
    Ok(minutes(engine).await? + workers(engine).await?)
}

async fn minutes(engine: &Engine) -> Result<usize, Error> {
    let lanes_max = engine.policy().stats_lanes_max;
    let mut left = engine.gathered().lock().take(lanes_max);
    let mut count = 0;
    while !left.is_empty() {
        let rest = left.split_off(left.len().min(STEP_ROWS_MAX));
        let minutes = std::mem::replace(&mut left, rest);
        let tally = Tally {
            minutes: minutes.clone(),
            ..Tally::default()
        };
        match engine.call_of_ours::<Tallied>(tally).await {
            Ok(tallied) => count += tallied.rows,
            Err(error) => {
                if was_not_tried(&error) {
                    left.extend(minutes);
                }
                engine.gathered().lock().put_back(left);
                return Err(error);
            }
        }
    }
    Ok(count)
}

async fn workers(engine: &Engine) -> Result<usize, Error> {
    let mut left = engine.gathered().lock().take_workers();
    let mut count = 0;
    while !left.is_empty() {
        let rest = left.split_off(left.len().min(STEP_ROWS_MAX));
        let step = std::mem::replace(&mut left, rest);
        count += step.len();
        if let Err(error) = add(engine, &step).await {
            if was_not_tried(&error) {
                left.extend(step);
            }
            let mut gathered = engine.gathered().lock();
            left.into_iter()
                .for_each(|(worker, worked)| gathered.put_back_worker(worker, worked));
            return Err(error);
        }
    }
    Ok(count)
}

async fn add(engine: &Engine, step: &[(WorkerNumber, Worked)]) -> Result<(), Error> {
    let mut names: HashMap<WorkerNumber, Name> = HashMap::new();
    let mut unknown = Vec::new();
    for (number, _) in step {
        match engine.name_of(*number) {
            Some(name) => _ = names.insert(*number, name),
            // Its run was taken away here, and it speaks to another server.
            None => unknown.push(*number),
        }
    }
    if !unknown.is_empty() {
        names.extend(engine.read(Query::Named(unknown)).await?.named());
    }
    let named =
        |(number, worked): &(WorkerNumber, Worked)| Some((names.get(number)?.clone(), *worked));
    let tally = Tally {
        workers: step.iter().filter_map(named).collect(),
        ..Tally::default()
    };
    engine.call_of_ours::<Tallied>(tally).await?;
    Ok(())
}

/// What the database refused, or may have taken, is not sent again.
fn was_not_tried(error: &Error) -> bool {
    let was_tried = matches!(
        error,
        Error::Store(
            store::Error::Failed(_) | store::Error::Unreadable(_) | store::Error::Unknown(_)
        )
    );
    !was_tried
}
