//! Who is up: servers that join and leave, and what a clock that was ahead has said of them and of workers.

use std::time::Duration;

use taskyard_core::id::ServerNumber;
use taskyard_core::name::Name;
use taskyard_core::query::Query;
use taskyard_core::verbs::forget::{Forget, Forgotten, expired_before};
use taskyard_core::verbs::join::{Join, Joined};
use taskyard_core::verbs::leave::{Leave, Left};

use super::yard::Yard;

pub(super) async fn servers_take_the_lowest_free_number(yard: Yard) {
    let one: Joined = yard
        .run(Join {
            held: None,
            alone: false,
        })
        .await
        .unwrap();
    yard.pass(Duration::from_secs(1));
    let two: Joined = yard
        .run(Join {
            held: None,
            alone: false,
        })
        .await
        .unwrap();
    assert_eq!(
        (one.server.number, two.server.number),
        (ServerNumber(1), ServerNumber(2))
    );

    yard.pass(yard.policy.server_ttl - Duration::from_secs(1));
    let two: Joined = yard
        .run(Join {
            held: Some(two.server),
            alone: false,
        })
        .await
        .unwrap();
    assert_eq!(two.server.number, ServerNumber(2));
    let three: Joined = yard
        .run(Join {
            held: None,
            alone: false,
        })
        .await
        .unwrap();
    assert_eq!(three.server.number, ServerNumber(1));

    let back: Joined = yard
        .run(Join {
            held: Some(one.server),
            alone: false,
        })
        .await
        .unwrap();
    assert_eq!(back.server.number, ServerNumber(3));
}

pub(super) async fn a_server_that_must_be_alone_takes_the_first_number_at_once(yard: Yard) {
    let _killed: Joined = yard
        .run(Join {
            held: None,
            alone: true,
        })
        .await
        .unwrap();
    yard.pass(Duration::from_secs(1));

    let next: Joined = yard
        .run(Join {
            held: None,
            alone: true,
        })
        .await
        .unwrap();

    assert_eq!(next.server.number, ServerNumber(1));
    assert_eq!(next.server.started_at, yard.now());
}

pub(super) async fn a_server_that_leaves_is_up_no_more_and_its_number_is_free(yard: Yard) {
    let join = Join {
        held: None,
        alone: false,
    };
    let one: Joined = yard.run(join).await.unwrap();
    let two: Joined = yard.run(join).await.unwrap();
    yard.pass(Duration::from_secs(1));

    let leave = Leave { server: one.server };
    let left: Left = yard.run(leave).await.unwrap();
    let next: Joined = yard.run(join).await.unwrap();

    assert!(left.was_up);
    assert_eq!(next.server.number, ServerNumber(1));
    assert_eq!(next.server.started_at, yard.now());
    // It is another one's by now.
    let again: Left = yard.run(leave).await.unwrap();
    assert!(!again.was_up);
    let held = |server| Join {
        held: Some(server),
        alone: false,
    };
    for still in [two.server, next.server] {
        let kept: Joined = yard.run(held(still)).await.unwrap();
        assert_eq!(kept.server.number, still.number);
    }
}

pub(super) async fn a_server_learns_that_a_clock_was_ahead(mut yard: Yard) {
    let (hour, ttl) = (Duration::from_hours(1), yard.policy.server_ttl);
    let join = Join {
        held: None,
        alone: true,
    };
    let right: Joined = yard.run(join).await.unwrap();
    yard.policy.server_ttl = hour + ttl;
    let ahead: Joined = yard.run(join).await.unwrap();
    yard.policy.server_ttl = ttl;

    let after: Joined = yard.run(join).await.unwrap();

    assert_eq!((right.ahead, ahead.ahead), (Duration::ZERO, Duration::ZERO));
    assert_eq!(after.ahead, hour);
    assert_eq!(after.server.expires_at, yard.now() + ttl);
}

pub(super) async fn a_worker_that_was_heard_by_a_clock_ahead_counts_from_now(mut yard: Yard) {
    let (moment, ttl) = (Duration::from_micros(1), yard.policy.heartbeat_ttl);
    // Their clocks were ahead by as much as can be believed, and by a moment more.
    for (name, ahead) in [("believed", Duration::ZERO), ("dead", moment)] {
        yard.policy.heartbeat_ttl = yard.policy.lease_max * 2 + ttl + ahead;
        yard.worker(name).await;
    }
    yard.policy.heartbeat_ttl = ttl;
    let dead = Name::plain("dead").unwrap();

    let found = gone(&yard).await;
    let forget = Forget {
        workers: vec![Name::plain("believed").unwrap(), dead.clone()],
        is_asked_for: false,
    };
    let forgotten: Forgotten = yard.run(forget).await.unwrap();

    assert_eq!(found, [dead]);
    assert_eq!(forgotten, Forgotten { count: 0, ahead: 1 });
    assert_eq!(gone(&yard).await, []);
    yard.pass(ttl - moment);
    assert_eq!(offline(&yard).await, 0, "it may still be heard");
    yard.pass(moment);
    assert_eq!(offline(&yard).await, 1);
}

/// Those that the service finds.
async fn gone(yard: &Yard) -> Vec<Name> {
    let query = Query::Gone {
        expired: expired_before(&yard.policy, yard.now()),
        ahead: yard.policy.worker_believed_until(yard.now()),
        limit: 100,
    };
    yard.store.read(query).await.unwrap().gone()
}

async fn offline(yard: &Yard) -> i64 {
    yard.store
        .read(Query::WorkerCounts(yard.now()))
        .await
        .unwrap()
        .worker_counts()
        .offline
}
