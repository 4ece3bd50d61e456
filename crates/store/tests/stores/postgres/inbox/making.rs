//! Making one and taking it away, the rights that it takes, and what stands beside it.

use std::time::Duration;

use taskyard_store::postgres::inbox::{self, Error, Inbox, Keep};
use taskyard_store::postgres::{OpenError, PostgresStore};

use super::super::options;
use super::{ALL, Shop, ids};
use crate::database::{Database, connect};

#[tokio::test]
async fn whoever_submits_needs_to_read_nothing_and_a_server_no_more_than_the_page_says() {
    let Some(shop) = Shop::open().await else {
        return;
    };
    let name = shop.database.name();
    shop.run(&format!(
        "create role {name}_app login password 'app';
         create role {name}_yard login password 'yard';
         grant usage on schema taskyard to {name}_app, {name}_yard;
         grant insert on taskyard.inbox to {name}_app;
         grant select on taskyard.inbox_schema to {name}_yard;
         grant select, update, delete on taskyard.inbox to {name}_yard"
    ))
    .await;
    let url = |role: &str| {
        let mut url = url::Url::parse(&shop.database.url()).unwrap();
        url.set_username(&format!("{name}_{role}")).unwrap();
        url.set_password(Some(role)).unwrap();
        url.to_string()
    };

    let app = connect(&url("app")).await;
    app.batch_execute(
        "select taskyard.submit('a'); insert into taskyard.inbox (kind) values ('b')",
    )
    .await
    .unwrap();
    let reads = app.batch_execute("select * from taskyard.inbox").await;
    let mut yard = Inbox::at(&url("yard")).unwrap();
    let picked = yard.pick(&ALL).await.unwrap();
    let settled = yard
        .settle(&ids(&picked[..1]), &[(picked[1].id, "{}".to_owned())])
        .await;
    let keep = Keep {
        time: Duration::from_hours(1),
        rows_max: 0,
    };
    let forgot = yard.forget(keep, 10).await;
    let without = Inbox::at(&url("app")).unwrap().look().await.unwrap_err();

    assert!(reads.is_err());
    assert_eq!(settled, Ok(()));
    assert_eq!(forgot, Ok(1));
    assert!(
        matches!(&without, Error::Refused(why) if why.contains("inbox")),
        "{without:?}"
    );
    drop((app, yard));
    shop.run(&format!(
        "drop owned by {name}_app, {name}_yard; drop role {name}_app; drop role {name}_yard"
    ))
    .await;
}

#[tokio::test]
async fn an_inbox_that_is_missing_older_or_newer_is_told() {
    let Some(database) = Database::empty().await else {
        return;
    };
    let client = database.client().await;
    let run = async |sql: &str| client.batch_execute(sql).await.unwrap();
    let look = async || Inbox::at(&database.url()).unwrap().look().await;

    assert_eq!(look().await, Err(Error::Missing));
    inbox::apply(&database.url()).await.unwrap();
    let mut open = Inbox::at(&database.url()).unwrap();
    assert!(open.look().await.is_ok());
    // A newer one that older programs can take from.
    run("update taskyard.inbox_schema set version = 7").await;
    assert!(look().await.is_ok());
    let error = inbox::apply(&database.url()).await.unwrap_err();
    assert!(error.to_string().contains("newer version"), "{error}");
    run("update taskyard.inbox_schema set min_compatible = 6").await;
    let newer = Error::TooNew { found: 7, needs: 6 };
    assert_eq!(look().await, Err(newer.clone()));
    assert_eq!(
        open.look().await,
        Err(newer),
        "also where it was open before"
    );
    run("update taskyard.inbox_schema set version = 0, min_compatible = 0").await;
    assert_eq!(look().await, Err(Error::Older { found: 0 }));
    run("drop table taskyard.inbox_schema").await;
    assert_eq!(look().await, Err(Error::Missing));
}

#[tokio::test]
async fn an_inbox_may_be_made_again_and_is_taken_away_only_when_it_is_empty_or_that_is_meant() {
    let Some(shop) = Shop::open().await else {
        return;
    };
    let url = shop.database.url();
    shop.submit("'waits'").await;

    inbox::apply(&url).await.unwrap();
    assert_eq!(shop.kinds().await, ["waits"]);
    let found = inbox::remove(&url, false).await.unwrap().unwrap();
    assert_eq!((found.waiting, found.refused), (1, 0));
    assert_eq!(shop.count("true").await, 1);
    shop.run("create table taskyard.theirs (n int)").await;
    assert_eq!(inbox::remove(&url, true).await.unwrap(), None);

    let left = "select string_agg(relname, ' ') from pg_class where relnamespace = 'taskyard'::regnamespace";
    let left = shop.client.query_one(left, &[]).await.unwrap();
    assert_eq!(left.get::<_, &str>(0), "theirs");
    shop.run("drop table taskyard.theirs").await;
    inbox::apply(&url).await.unwrap();
    assert_eq!(inbox::remove(&url, false).await.unwrap(), None);
    let schema = "select from pg_namespace where nspname = 'taskyard'";
    assert!(shop.client.query_opt(schema, &[]).await.unwrap().is_none());
}

#[tokio::test]
async fn an_inbox_beside_the_servers_own_tables_is_no_other_programs() {
    let Some(shop) = Shop::open().await else {
        return;
    };
    // As for a role by the name of taskyard, which looks in that schema first.
    let name = shop.database.name();
    shop.run(&format!(
        "alter database {name} set search_path to taskyard, public"
    ))
    .await;

    let opened = PostgresStore::connect(&shop.database.url(), options()).await;
    assert!(opened.is_ok(), "{:?}", opened.err());
}

#[tokio::test]
async fn another_programs_table_beside_an_inbox_is_another_programs() {
    let Some(shop) = Shop::open().await else {
        return;
    };
    let name = shop.database.name();
    shop.run(&format!(
        "alter database {name} set search_path to taskyard, public; create table taskyard.theirs (n int)"
    ))
    .await;

    let opened = PostgresStore::connect(&shop.database.url(), options()).await;

    assert!(matches!(opened, Err(OpenError::Foreign { .. })));
}
