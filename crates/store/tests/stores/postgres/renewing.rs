//! What `db renew` does to a database that PostgreSQL's own tools put back.

use taskyard_core::random::Seeded;
use taskyard_core::store::Store;
use taskyard_store::postgres::{self, OpenError};

use super::options;
use crate::database::Database;

#[tokio::test]
async fn a_database_is_renewed_once_no_server_says_that_it_is_up() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let store = database.store(options()).await;
    let before = store.incarnation();
    let client = database.client().await;
    let up_for = async |seconds: i64| {
        let row = format!(
            "delete from server; insert into server (number, started_at, expires_at)
             select 1, 0, (extract(epoch from clock_timestamp()) * 1000000)::bigint + {seconds} * 1000000"
        );
        client.batch_execute(&row).await.unwrap();
    };
    let renew = async || postgres::renew(&database.url(), &mut Seeded::new(9)).await;

    up_for(30).await;
    let refused = renew().await;
    let kept = database.store(options()).await.incarnation();
    up_for(-1).await;
    renew().await.unwrap();
    let after = database.store(options()).await.incarnation();

    let Err(OpenError::InUse {
        servers, seconds, ..
    }) = refused
    else {
        panic!("{refused:?}")
    };
    assert_eq!(servers, 1);
    assert!((1..=31).contains(&seconds), "{seconds}");
    assert_eq!(kept, before);
    assert_ne!(after, before);
}
