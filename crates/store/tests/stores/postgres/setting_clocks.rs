//! What the database's clock shows, where somebody sets it while servers run.

use std::sync::Arc;

use taskyard_core::query::Query;
use taskyard_core::verbs::expire::{Expire, Expired, Sight};
use tokio_postgres::Client;

use crate::conformance::yard::Yard;
use crate::database::Database;

/// Has the database's functions found after those of its own schema, where there is a clock that can be set.
const CLOCK: &str = "
    create table set_back (by interval not null);
    insert into set_back values ('0');
    create function clock_timestamp() returns timestamptz volatile language sql
        as 'select pg_catalog.clock_timestamp() - by from set_back';
";

async fn with_a_clock_that_can_be_set() -> Option<(Arc<Database>, Client)> {
    let database = Arc::new(Database::migrated().await?);
    let client = database.client().await;
    client.batch_execute(CLOCK).await.unwrap();
    let found = format!(
        "alter database {} set search_path = public, pg_catalog",
        database.name()
    );
    client.batch_execute(&found).await.unwrap();
    Some((database, client))
}

#[tokio::test]
async fn who_was_heard_since_the_clock_was_set_back_is_silent_to_no_server() {
    let Some((database, client)) = with_a_clock_that_can_be_set().await else {
        return;
    };
    let unaware = Yard::by_the_clock_of(&database).await;
    unaware.worker("before").await;
    let set_back = "update set_back set by = '2 minutes'";
    client.batch_execute(set_back).await.unwrap();
    let other = Yard::by_the_clock_of(&database).await.counting_from(1_000);
    let task = other.new_task().await;
    other.claim_one(&other.worker("since").await).await;

    let sight = Sight::clear(unaware.store.now());
    let query = Query::lost(&unaware.policy, sight, 10);
    let runs = unaware.store.read(query).await.unwrap().lost();
    assert_eq!(runs.len(), 1, "by the clock as it was, {task} is lost");
    let expired: Expired = unaware.run(Expire { runs, sight }).await.unwrap();

    assert_eq!(expired.tasks, []);
    assert!(
        unaware.store.now() < sight.at,
        "what takes runs away reads the clock again"
    );
}
