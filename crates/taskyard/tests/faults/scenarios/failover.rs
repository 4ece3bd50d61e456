//! A PostgreSQL whose machine dies, and a standby that is promoted in its place.

use std::time::Duration;

use super::{crowd, rounds_on_postgres, served};
use crate::campaign::Trial;
use crate::postgres::Node;
use crate::proxy::{Proxy, State};
use crate::scenarios::databases::{noticed, works_again};

/// By so many calls a standby is behind that is not waited for.
const BEHIND: u64 = 50;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "of the whole set: make faults"]
async fn f13_a_synchronous_standby_is_promoted() {
    rounds_on_postgres("F13", " sync", async |trial| promoted(trial, true).await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "of the whole set: make faults"]
async fn f13_an_asynchronous_standby_is_promoted() {
    rounds_on_postgres("F13", " async", async |trial| promoted(trial, false).await).await;
}

async fn promoted(mut trial: Trial, is_sync: bool) {
    let primary = Node::new(&trial.path("primary.log"), &[]);
    let replication = Proxy::to(&primary.place()).await;
    let standby = primary
        .standby(&trial.path("standby.log"), replication.address)
        .await;
    if is_sync {
        primary.wait_for_standby().await;
    }
    let places = format!("{},{}", primary.place(), standby.place());
    let url = format!(
        "{}?target_session_attrs=read-write",
        primary.url_at(&places)
    );
    trial.stage.nodes.extend([primary, standby]);
    served(&mut trial, &url, 2).await;
    trial.load(crowd()).await;

    if !is_sync {
        // It falls behind first, so that there is something to lose.
        replication.set(State::Stall);
        trial.goes_on(BEHIND).await;
    }
    let at = trial.breaks();
    trial.stage.nodes[0].crash();
    replication.set(State::Cut);
    noticed(&mut trial, at, &[0, 1]).await;
    trial.goes_on_while_broken().await;
    if !is_sync {
        // What was answered until here may not have come to the standby.
        trial.judge.forgives_until = Some(trial.history.now());
    }
    trial.stage.nodes[1].promote().await;
    let healed = trial.heals();
    let away = Duration::from_micros(healed - at);
    trial.note(format!(
        "promoted {} ms after the primary died",
        away.as_millis()
    ));
    works_again(&mut trial, healed, &[0, 1]).await;
    trial.ends().await;
}
