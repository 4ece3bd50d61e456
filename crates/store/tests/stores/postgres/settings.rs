//! What the connection that writes asks of its database.

use std::sync::Arc;

use tokio_postgres::Client;

use crate::conformance::yard::Yard;
use crate::database::Database;

const WRITER_SETTINGS: &str = include_str!("../../../sql/postgres/writer_settings.sql");

async fn one<T: for<'a> tokio_postgres::types::FromSql<'a>>(client: &Client, text: &str) -> T {
    client.query_one(text, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn servers_that_wait_for_each_other_are_soon_found_where_the_role_may_say_so() {
    let Some(database) = Database::empty().await else {
        return;
    };
    let client = database.client().await;
    let may = "select has_parameter_privilege('deadlock_timeout', 'set')";
    let may_say_so: bool = one(&client, may).await;

    client.batch_execute(WRITER_SETTINGS).await.unwrap();

    let timeout: String = one(&client, "show deadlock_timeout").await;
    assert_eq!(timeout, if may_say_so { "100ms" } else { "1s" });
}

#[tokio::test]
async fn a_role_that_may_not_say_so_writes_all_the_same() {
    let Some(database) = Database::empty().await else {
        return;
    };
    let client = database.client().await;
    let is_superuser: String = one(&client, "show is_superuser").await;
    if is_superuser == "on" {
        // One of the database's own, so that none has to be made.
        client
            .batch_execute("set role pg_read_all_data")
            .await
            .unwrap();
    }

    client.batch_execute(WRITER_SETTINGS).await.unwrap();

    let timeout: String = one(&client, "show deadlock_timeout").await;
    assert_eq!(timeout, "1s");
    let waits: String = one(&client, "show lock_timeout").await;
    assert_eq!(waits, "5s");
}

#[tokio::test]
async fn what_is_answered_is_on_disk_whatever_the_databases_default_is() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let database = Arc::new(database);
    let client = database.client().await;
    // The connection that writes is asked from inside its own transaction.
    let ask = format!(
        "alter database {} set synchronous_commit = off;
        create table said (word text not null);
        create function say() returns trigger language plpgsql as
            'begin insert into said values (current_setting(''synchronous_commit'')); return new; end';
        create trigger say before insert on task for each row execute function say()",
        database.name()
    );
    client.batch_execute(&ask).await.unwrap();
    let default: String = one(&database.client().await, "show synchronous_commit").await;
    assert_eq!(default, "off");

    Yard::over(&database, &database.url())
        .await
        .new_task()
        .await;

    let said: String = one(&client, "select word from said").await;
    assert_eq!(said, "on");
}
