//! What is said of runs that were taken away, and of the workers that had them.

use std::time::Duration;

use taskyard_core::id::ServerNumber;
use taskyard_core::verbs::expire::{Expire, Expired, Sight};

use super::yard::Yard;

pub(super) async fn a_run_inside_is_lost_with_its_server_though_its_heir_has_the_name(yard: Yard) {
    let id = yard.new_task().await;
    let worker = yard.internal_worker("worker-1", ServerNumber(1)).await;
    yard.claim_one(&worker).await;
    yard.pass(Duration::from_secs(1));
    let sight = Sight {
        grace: true,
        alone_since: Some(yard.now()),
        ..Sight::clear(yard.now())
    };
    yard.pass(Duration::from_secs(1));
    let why = async || {
        let (ended, _) = yard.attempts(id).await;
        let error = ended.last().and_then(|attempt| attempt.error.clone());
        error.map(|error| error.message.to_string())
    };

    let heir = yard.internal_worker("worker-1", ServerNumber(1)).await;
    assert_eq!(yard.sweep_with(sight).await, [id]);
    assert_eq!(why().await.as_deref(), Some("its server has ended"));

    // A later one of this server's own took it from a living process.
    yard.claim_one(&heir).await;
    yard.internal_worker("worker-1", ServerNumber(1)).await;
    assert_eq!(yard.sweep_with(sight).await, [id]);
    let replaced = "another process took this worker's name";
    assert_eq!(why().await.as_deref(), Some(replaced));
}

pub(super) async fn a_sweep_tells_whom_it_gave_up_for_their_silence(yard: Yard) {
    yard.new_task().await;
    yard.new_task().await;
    let silent = yard.worker("silent").await;
    let runs = yard.claim(&silent, 2).await;
    let until = yard.now() + yard.policy.heartbeat_ttl;
    yard.pass(yard.policy.heartbeat_ttl);
    let lost = runs.iter().map(|run| run.slot.run(run.fence));
    let name = silent.worker;
    let expire = Expire {
        runs: lost.map(|run| (run, Some(name.clone()))).collect(),
        sight: Sight::clear(yard.now()),
    };

    let expired: Expired = yard.run(expire).await.unwrap();

    assert_eq!(expired.silent, [(name, until)]);
}
