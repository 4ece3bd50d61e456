//! Counters are changed where they stand, which this server remembers, and by their keys where that is not so any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use taskyard_core::id::ServerNumber;
use taskyard_core::query::Query;
use taskyard_core::status::Status;

use crate::conformance::yard::Yard;
use crate::database::Database;

async fn yard() -> Option<(Yard, Arc<Database>)> {
    let database = Arc::new(Database::migrated().await?);
    Some((Yard::over(&database, &database.url()).await, database))
}

async fn counts(yard: &Yard) -> BTreeMap<Status, i64> {
    let counted = yard.store.read(Query::Counts).await.unwrap().counts();
    let by_status = counted.iter().flat_map(|counted| counted.tasks.iter());
    by_status.collect()
}

#[tokio::test]
async fn a_counter_that_stands_elsewhere_by_now_is_found_by_its_key() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    let client = database.client().await;
    let mut tasks = 0;
    for change in [
        // Its place has nothing that lives, another counter, or is none of the table's any more.
        "update counter set lane = lane",
        "update counter set lane = lane; vacuum counter; insert into counter (server, lane)
            select number, lane from generate_series(101, 300) as number, (select max(lane) as lane from counter) as one",
        "insert into lane (number, queue, kind, demands) select n, 'q', 'k' || n, '' from generate_series(1001, 1200) as n;
            update counter set lane = lane; vacuum counter; insert into counter (server, lane)
            select (select min(server) from counter), lane from generate_series(1001, 1200) as lane",
        "vacuum full counter",
        "delete from counter where server > 100; vacuum full counter",
    ] {
        for _ in 0..3 {
            yard.new_task().await;
            tasks += 1;
        }
        for statement in change.split(';') {
            client.execute(statement, &[]).await.unwrap();
        }

        yard.new_task().await;
        tasks += 1;

        let expected = BTreeMap::from([(Status::Pending, tasks)]);
        assert_eq!(counts(&yard).await, expected, "{change}");
    }
}

#[tokio::test]
async fn a_server_that_counts_under_another_number_has_other_counters() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    for number in [7, 8, 7] {
        yard.store.count_as(ServerNumber(number));
        yard.new_task().await;
        yard.new_task().await;
    }

    let counted = "select server, pending from counter order by server";
    let rows = database.client().await.query(counted, &[]).await.unwrap();
    let counted: Vec<(i32, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(counted, [(7, 4), (8, 2)]);
}

/// More changes than are made by the place alone, each of which leaves a dead row behind.
#[tokio::test]
async fn counts_are_right_while_an_old_snapshot_keeps_every_dead_counter() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    yard.new_task().await;
    let mut onlooker = database.client().await;
    let snapshot = onlooker.build_transaction().read_only(true);
    let isolation = tokio_postgres::IsolationLevel::RepeatableRead;
    let snapshot = snapshot.isolation_level(isolation).start().await.unwrap();
    let pending = "select sum(pending)::bigint from counter";
    let seen: i64 = snapshot.query_one(pending, &[]).await.unwrap().get(0);
    let worker = yard.worker("w").await;

    for _ in 0..100 {
        yard.new_task().await;
        let run = yard.claim_one(&worker).await;
        yard.complete(&run).await.unwrap();
    }

    let expected = [(Status::Pending, 1), (Status::Completed, 100)];
    assert_eq!(counts(&yard).await, BTreeMap::from(expected));
    let still: i64 = snapshot.query_one(pending, &[]).await.unwrap().get(0);
    assert_eq!((seen, still), (1, 1));
}
