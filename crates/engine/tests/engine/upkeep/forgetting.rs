//! What is old is forgotten.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use taskyard_core::policy::Policy;
use taskyard_core::refused::Refused;
use taskyard_core::rows::{Digest, IdempotencyKey};
use taskyard_core::verbs::submit::Submit;
use taskyard_engine::error::Error;
use taskyard_engine::services::{STEP_ROWS_MAX, prune};
use taskyard_engine::upkeep::Upkeep;

use super::{Counting, MINUTE, SECOND, keep_up, yard};
use crate::front::Fronted;
use crate::yard::{Yard, model_whose_time_passes};

#[tokio::test(start_paused = true)]
async fn old_idempotency_keys_are_forgotten() {
    let policy = Policy {
        key_life: MINUTE,
        ..Policy::default()
    };
    let yard = Yard::under(policy, Arc::new(model_whose_time_passes()));
    let _services = keep_up(&yard, Upkeep::default()).await;
    submit_once(&yard, 0, "one").await.unwrap();
    let other = submit_once(&yard, 0, "other").await;
    assert!(matches!(other, Err(Error::Refused(Refused::KeyReused))));

    tokio::time::sleep(3 * MINUTE).await;

    submit_once(&yard, 0, "other").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn workers_that_are_gone_for_long_are_forgotten() {
    let policy = Policy {
        worker_life: 3 * MINUTE,
        ..Policy::default()
    };
    let yard = Yard::under(policy, Arc::new(model_whose_time_passes()));
    let _services = keep_up(&yard, Upkeep::default()).await;
    yard.worker("w", "work").await;

    tokio::time::sleep(2 * MINUTE).await;
    assert!(!yard.worker_row("w").await.is_forgotten);
    tokio::time::sleep(3 * MINUTE).await;

    assert!(yard.worker_row("w").await.is_forgotten);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_did_not_call_for_its_life_is_looked_up_again() {
    let policy = Policy {
        worker_life: 3 * MINUTE,
        ..Policy::default()
    };
    let store = Arc::new(Fronted(Counting::default()));
    let yard = Yard::under(policy, store.clone());
    let _services = keep_up(&yard, Upkeep::default()).await;
    yard.worker("w", "work").await;

    for (silent, lookups) in [(2 * MINUTE, 0), (5 * MINUTE, 1), (2 * MINUTE, 1)] {
        tokio::time::sleep(silent).await;
        yard.claim("w", Duration::ZERO).await.unwrap();
        assert_eq!(store.lookups.load(Ordering::SeqCst), lookups);
    }
}

#[tokio::test(start_paused = true)]
async fn all_keys_that_are_old_are_forgotten_at_once_however_many() {
    let yard = yard();
    for key in 0..=STEP_ROWS_MAX {
        submit_once(&yard, key, "one").await.unwrap();
    }
    tokio::time::advance(yard.engine.policy().key_life + SECOND).await;

    let forgotten = prune::run_once(&yard.engine).await.unwrap();

    assert_eq!(forgotten, STEP_ROWS_MAX + 1);
}

async fn submit_once(yard: &Yard, key: usize, body: &str) -> Result<(), Error> {
    let key = IdempotencyKey {
        scope: "anybody".into(),
        key: key.to_string().into(),
    };
    let submit = Submit {
        tasks: vec![yard.task("work")],
        once: Some((key, Digest::of(body.as_bytes()))),
        again: false,
    };
    yard.engine.submit(submit).await.map(|_| ())
}
