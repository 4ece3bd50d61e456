//! Reaching a database, taking it or leaving it alone.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::join_all;
use taskyard_core::random::Seeded;
use taskyard_core::store::Store;
use taskyard_store::postgres::{self, OpenError, Options, PostgresStore};
use tokio_postgres::Client;

use super::{options, who_waits};
use crate::conformance::yard::Yard;
use crate::database::{Database, server};

/// What is said where a database may be found later; everything else stays wrong.
const AWAY: [&str; 2] = ["nowhere.invalid", "refused"];

async fn refusal(url: &str) -> OpenError {
    match PostgresStore::connect(url, options()).await {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

async fn tables(client: &Client) -> Vec<String> {
    let list =
        "select relname::text from pg_class where relnamespace = 'public'::regnamespace order by 1";
    let rows = client.query(list, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn servers_that_start_at_once_make_one_database() {
    let Some(database) = Database::empty().await else {
        return;
    };
    let url = database.url();
    let connecting = (0..4).map(|seed| {
        let options = Options {
            clock: None,
            hints: true,
            pooled: false,
            random: Box::new(Seeded::new(seed)),
            within: taskyard_store::postgres::WITHIN,
        };
        PostgresStore::connect(&url, options)
    });

    let stores: Vec<_> = join_all(connecting).await;

    let incarnations: Vec<_> = stores
        .into_iter()
        .map(|store| store.unwrap().incarnation())
        .collect();
    assert!(incarnations.iter().all(|it| *it == incarnations[0]));
    let meta = database
        .client()
        .await
        .query("select schema from meta", &[])
        .await;
    assert_eq!(meta.unwrap().len(), 1);
}

#[tokio::test]
async fn a_first_start_that_is_killed_among_its_migrations_leaves_the_database_empty() {
    let Some(database) = Database::empty().await else {
        return;
    };
    let (url, beside) = (database.url(), database.beside().await);
    let mut client = database.client().await;
    // Under the name of a table of a later migration, which waits for what becomes of it.
    let theirs = client.transaction().await.unwrap();
    let hold = "create sequence log_run";
    theirs.batch_execute(hold).await.unwrap();

    let mut starting = pin!(PostgresStore::connect(&url, options()));
    let start = tokio::select! {
        _ = &mut starting => panic!("it did not wait for {hold:?}"),
        start = who_waits(&beside, database.name(), "log_run") => start,
    };
    let kill = "select pg_terminate_backend($1, 10000)";
    beside.execute(kill, &[&start]).await.unwrap();

    assert!(starting.await.is_err());
    theirs.rollback().await.unwrap();
    assert_eq!(tables(&client).await, [""; 0]);
    let checked = postgres::check(&url).await;
    assert!(
        matches!(checked, Err(OpenError::Empty { .. })),
        "{checked:?}"
    );
    PostgresStore::connect(&url, options()).await.unwrap();
    assert_eq!(postgres::check(&url).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let database = Arc::new(database);
    let yard = Yard::over(&database, &database.url()).await;
    let (incarnation, task) = (yard.store.incarnation(), yard.new_task().await);
    drop(yard);

    let yard = Yard::over(&database, &database.url()).await;

    assert_eq!(yard.store.incarnation(), incarnation);
    let worker = yard.worker("w").await;
    assert_eq!(yard.claim_one(&worker).await.slot.task, task);
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_untouched() {
    for theirs in [
        "create table widget (id int)",
        "create table meta (schema int, owner text)",
        "create view widget as select 1 as one",
    ] {
        let Some(database) = Database::empty().await else {
            return;
        };
        let client = database.client().await;
        client.batch_execute(theirs).await.unwrap();
        let before = tables(&client).await;

        let error = refusal(&database.url()).await;

        let looked = postgres::check(&database.url()).await.map(drop);
        let counted = postgres::stats(&database.url()).await.map(drop);
        for error in [error, looked.unwrap_err(), counted.unwrap_err()] {
            assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
            assert!(error.to_string().contains("Name another"), "{error}");
        }
        assert_eq!(tables(&client).await, before);
    }
}

/// What `pg_restore` leaves that is cut short: it makes the tables by their names, brings in the rows in the same order,
/// and makes the keys, by their names too.
#[tokio::test]
async fn of_an_empty_database_that_no_server_can_work_on_a_check_says_what_a_start_says() {
    let Some(database) = Database::in_latin1().await else {
        return;
    };

    let error = refusal(&database.url()).await;

    assert!(matches!(error, OpenError::Encoding { .. }), "{error}");
    let checked = postgres::check(&database.url()).await.unwrap_err();
    assert_eq!(checked.to_string(), error.to_string());
}

#[tokio::test]
async fn of_a_dump_that_was_put_back_in_part_it_is_told_what_to_do() {
    let tables_behind = |last: &str| {
        format!(
            "do $$ declare name text; begin
              for name in select relname from pg_class
                where relnamespace = 'public'::regnamespace and relkind = 'r' and relname > '{last}' loop
                execute format('drop table %I', name);
              end loop;
            end $$"
        )
    };
    for cut_short in [
        &tables_behind("attempt"),
        &tables_behind("log_run"),
        "delete from meta",
        "alter table meta drop constraint meta_pkey",
    ] {
        let Some(database) = Database::migrated().await else {
            return;
        };
        let client = database.client().await;
        client.batch_execute(cut_short).await.unwrap();
        let before = tables(&client).await;

        let started = refusal(&database.url()).await;

        let checked = postgres::check(&database.url()).await.map(drop);
        let counted = postgres::stats(&database.url()).await.map(drop);
        for error in [started, checked.unwrap_err(), counted.unwrap_err()] {
            let said = error.to_string();
            assert!(
                said.contains("put it back into an empty"),
                "{cut_short}: {said}"
            );
        }
        assert_eq!(tables(&client).await, before);
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_unless_it_is_open_to_this_program() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let client = database.client().await;
    let newer = "update meta set schema = 99, min_compatible = 98";
    client.batch_execute(newer).await.unwrap();

    let error = refusal(&database.url()).await;

    let said = error.to_string();
    assert!(
        said.contains("schema 99") && said.contains("schema 98"),
        "{said}"
    );
    let open = "update meta set min_compatible = 1";
    client.batch_execute(open).await.unwrap();
    PostgresStore::connect(&database.url(), options())
        .await
        .unwrap();
    let schema = client
        .query_one("select schema from meta", &[])
        .await
        .unwrap();
    assert_eq!(schema.get::<_, i32>(0), 99);
}

#[tokio::test]
async fn one_without_room_for_a_connection_may_have_some_later() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let (beside, role) = (database.beside().await, format!("{}_r", database.name()));
    let create = format!("create role {role} login password 'narrow' connection limit 0");
    beside.batch_execute(&create).await.unwrap();
    let mut url: url::Url = database.url().parse().unwrap();
    url.set_username(&role).unwrap();
    url.set_password(Some("narrow")).unwrap();

    let error = refusal(url.as_str()).await;

    let drop = format!("drop role {role}");
    beside.batch_execute(&drop).await.unwrap();
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("53300"), "{error}");
}

#[tokio::test]
async fn a_database_set_to_read_only_is_refused() {
    let Some(database) = Database::empty().await else {
        return;
    };
    let name = database.name();
    let set = format!("alter database {name} set default_transaction_read_only = on");
    database.beside().await.batch_execute(&set).await.unwrap();

    let error = refusal(&database.url()).await;

    assert!(matches!(error, OpenError::ReadOnly { .. }), "{error}");
}

#[tokio::test]
async fn what_is_wrong_is_said_in_a_line_that_does_not_show_the_password() {
    let Some(server) = server() else {
        return;
    };
    let host = server.host_str().unwrap();
    let changed = |change: &dyn Fn(&mut url::Url)| {
        let mut url = server.clone();
        url.set_password(Some("hush%3Fhush")).unwrap();
        change(&mut url);
        url.to_string()
    };
    let mut with_password = server.clone();
    with_password.set_path("no_such_database");
    for (url, expected) in [
        (changed(&|_| ()), "password authentication failed"),
        (
            with_password.to_string(),
            "\"no_such_database\" does not exist",
        ),
        (
            changed(&|url| url.set_host(Some("nowhere.invalid")).unwrap()),
            "nowhere.invalid",
        ),
        (changed(&|url| url.set_port(Some(1)).unwrap()), "refused"),
        (
            changed(&|url| url.set_query(Some("sslmode=perhaps"))),
            "sslmode must be one of",
        ),
        (
            changed(&|url| url.set_query(Some("sslmode=require"))),
            "server does not support TLS",
        ),
        (
            changed(&|url| url.set_query(Some("no_such=1"))),
            "an option no_such",
        ),
        (
            changed(&|url| url.set_query(Some("no_such=1&password=hush"))),
            "address is not understood",
        ),
        (
            changed(&|url| url.set_query(Some("sslmode=verify-full&sslrootcert=/no/such%20file"))),
            "/no/such file",
        ),
    ] {
        let error = refusal(&url).await;

        let is_away = matches!(error, OpenError::Unreachable { .. });
        assert_eq!(is_away, AWAY.contains(&expected), "{error:?}");
        let said = error.to_string();
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains('\n'), "{said}");
        let password = server.password().unwrap_or("hush");
        for said in [said, format!("{error:?}")] {
            assert!(!said.contains("hush") && !said.contains(password), "{said}");
        }
    }
    let refused = refusal(&changed(&|_| ())).await.to_string();
    assert!(refused.contains(host), "{refused}");
}
