//! An inbox, in a database of somebody's own: what a transaction puts in there, what a server picks, and what it leaves.

use std::collections::BTreeSet;
use std::time::Duration;

use taskyard_core::id::TaskId;
use taskyard_store::postgres::inbox::{self, Error, FIRST, Inbox, Keep, Picked, Text, Wanted};
use taskyard_store::postgres::{OpenError, PostgresStore};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_postgres::Client;
use uuid::Uuid;

use super::options;
use crate::database::{Database, connect};

const PATIENCE: Duration = Duration::from_secs(60);

const ALL: Wanted = Wanted {
    from: FIRST,
    rows_max: 1_000,
    input_max: 1 << 20,
    options_max: 1 << 16,
    bytes_max: 8 << 20,
};

/// Somebody's database with an inbox in it.
struct Shop {
    database: Database,
    client: Client,
}

impl Shop {
    async fn open() -> Option<Self> {
        let database = Database::empty().await?;
        inbox::apply(&database.url()).await.unwrap();
        let client = database.client().await;
        Some(Self { database, client })
    }

    fn inbox(&self) -> Inbox {
        Inbox::at(&self.database.url()).unwrap()
    }

    async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    async fn submit(&self, arguments: &str) -> Uuid {
        let submit = format!("select taskyard.submit({arguments})");
        self.client.query_one(&submit, &[]).await.unwrap().get(0)
    }

    async fn count(&self, of: &str) -> i64 {
        let count = format!("select count(*) from taskyard.inbox where {of}");
        self.client.query_one(&count, &[]).await.unwrap().get(0)
    }

    /// What a server that comes now finds, and lets go of.
    async fn picked(&self, wanted: &Wanted) -> Vec<Picked> {
        let mut inbox = self.inbox();
        let rows = inbox.pick(wanted).await.unwrap();
        if !rows.is_empty() {
            inbox.settle(&[], &[]).await.unwrap();
        }
        rows
    }

    async fn rows(&self) -> Vec<Picked> {
        self.picked(&ALL).await
    }

    async fn kinds(&self) -> Vec<String> {
        self.rows().await.into_iter().map(|row| row.kind).collect()
    }
}

fn ids(rows: &[Picked]) -> Vec<Uuid> {
    rows.iter().map(|row| row.id).collect()
}

#[tokio::test]
async fn a_row_is_there_when_its_transaction_commits_and_never_without() {
    let Some(shop) = Shop::open().await else {
        return;
    };

    shop.run("begin; select taskyard.submit('undone')").await;
    assert!(shop.kinds().await.is_empty(), "it is not committed");
    shop.run("rollback").await;
    shop.run(
        "begin;
         select taskyard.submit('first');
         savepoint half;
         select taskyard.submit('taken back');
         rollback to half;
         select taskyard.submit('second');
         commit",
    )
    .await;

    assert_eq!(shop.kinds().await, ["first", "second"]);
}

#[tokio::test]
async fn a_row_says_what_was_submitted_and_its_id_was_answered() {
    let Some(shop) = Shop::open().await else {
        return;
    };

    let plain = shop.submit("'resize'").await;
    let full = shop
        .submit(r#"'resize', '{"w": 640}', '{"queue": "images"}'"#)
        .await;
    let nothing = shop.submit("'resize', null, null").await;
    let named = shop
        .submit("kind => 'resize', options => '{\"priority\": 1}'")
        .await;

    let rows = shop.rows().await;
    assert_eq!(ids(&rows), [plain, full, nothing, named]);
    let whole = |text: &str| Text::Whole(text.to_owned());
    let said: Vec<_> = rows
        .into_iter()
        .map(|row| (row.input, row.options))
        .collect();
    let expected = [
        (whole("{}"), whole("{}")),
        (whole(r#"{"w": 640}"#), whole(r#"{"queue": "images"}"#)),
        (whole("null"), whole("{}")),
        (whole("{}"), whole(r#"{"priority": 1}"#)),
    ];
    assert_eq!(said, expected);
}

#[tokio::test]
async fn what_cannot_be_a_row_fails_in_the_transaction_that_wants_it() {
    let Some(shop) = Shop::open().await else {
        return;
    };

    for bad in ["null", "'a', '{'", "'a', '\"\\u0000\"'"] {
        let submit = format!("select taskyard.submit({bad})");
        assert!(shop.client.batch_execute(&submit).await.is_err(), "{bad}");
    }

    assert!(shop.rows().await.is_empty());
}

#[tokio::test]
async fn ids_are_of_their_time_and_stand_in_the_order_in_which_they_were_made() {
    let Some(shop) = Shop::open().await else {
        return;
    };

    let made = "insert into taskyard.inbox (kind) select 'a' from generate_series(1, 1000)";
    shop.run(made).await;
    let now: f64 = shop
        .client
        .query_one("select extract(epoch from clock_timestamp())::float8", &[])
        .await
        .unwrap()
        .get(0);

    let rows = shop.rows().await;
    let made: Vec<TaskId> = rows
        .iter()
        .map(|row| row.id.try_into().expect("a UUIDv7"))
        .collect();
    assert!(made.is_sorted(), "{made:?}");
    for id in made {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a time of today in milliseconds"
        )]
        let seconds = id.made_at().as_micros() as f64 / 1e6;
        assert!((now - 60.0..now + 0.1).contains(&seconds), "{id}");
    }
}

#[tokio::test]
async fn what_one_server_holds_another_one_passes_over() {
    let Some(shop) = Shop::open().await else {
        return;
    };
    for kind in ["a", "b", "c", "d"] {
        shop.submit(&format!("'{kind}'")).await;
    }
    let (mut first, mut second) = (shop.inbox(), shop.inbox());
    let two = Wanted { rows_max: 2, ..ALL };

    let firsts = first.pick(&two).await.unwrap();
    let seconds = second.pick(&ALL).await.unwrap();
    first.settle(&ids(&firsts), &[]).await.unwrap();
    // It dies with what it held.
    drop(second);

    let kinds = |rows: &[Picked]| rows.iter().map(|row| row.kind.clone()).collect::<Vec<_>>();
    assert_eq!(kinds(&firsts), ["a", "b"]);
    assert_eq!(kinds(&seconds), ["c", "d"]);
    let left = async { while shop.rows().await != seconds {} };
    timeout(PATIENCE, left).await.expect("they are let go of");
}

#[tokio::test]
async fn a_refused_row_stays_with_its_error_and_is_tried_again_once_that_is_cleared() {
    let Some(shop) = Shop::open().await else {
        return;
    };
    let (bad, good) = (shop.submit("'bad'").await, shop.submit("'good'").await);
    let mut inbox = shop.inbox();
    inbox.pick(&ALL).await.unwrap();

    let why = r#"{"code": "invalid", "message": "it is 'bad'"}"#;
    let refused = [(bad, why.to_owned())];
    inbox.settle(&[good], &refused).await.unwrap();

    assert!(shop.rows().await.is_empty());
    let kept = "select error ->> 'code', failed_at > created_at from taskyard.inbox";
    let kept = shop.client.query_one(kept, &[]).await.unwrap();
    assert_eq!((kept.get(0), kept.get(1)), ("invalid", true));
    shop.run("update taskyard.inbox set error = null").await;
    assert_eq!(shop.kinds().await, ["bad"]);
}

#[tokio::test]
async fn what_is_named_in_neither_list_stays_as_it_is() {
    let Some(shop) = Shop::open().await else {
        return;
    };
    let (taken, _) = (shop.submit("'taken'").await, shop.submit("'later'").await);
    let mut inbox = shop.inbox();
    inbox.pick(&ALL).await.unwrap();

    inbox.settle(&[taken], &[]).await.unwrap();

    assert_eq!(shop.kinds().await, ["later"]);
    assert_eq!(inbox.pick(&ALL).await.unwrap().len(), 1);
}

#[tokio::test]
async fn of_what_is_too_long_only_the_length_is_read_and_of_much_a_part() {
    let Some(shop) = Shop::open().await else {
        return;
    };
    shop.submit("'long', to_jsonb(repeat('x', 998)), to_jsonb(repeat('x', 99))")
        .await;
    for _ in 0..3 {
        shop.submit("'a', to_jsonb(repeat('x', 98))").await;
    }
    let mut wanted = Wanted {
        input_max: 999,
        options_max: 100,
        bytes_max: 10,
        ..ALL
    };

    let one = shop.picked(&wanted).await;
    wanted.bytes_max = 999 + 100 + 2 * 102;
    let three = shop.picked(&wanted).await;

    assert_eq!(one.len(), 1, "one is picked whatever its size");
    assert_eq!(one[0].input, Text::TooLong(1000));
    assert_eq!(one[0].options, Text::TooLong(101));
    assert_eq!(three.len(), 3);
    assert!(matches!(&three[1].input, Text::Whole(text) if text.len() == 100));
}

#[tokio::test]
async fn a_server_that_looks_from_a_number_on_sees_nothing_before_it() {
    let Some(shop) = Shop::open().await else {
        return;
    };
    shop.submit("'a'").await;
    shop.submit("'b'").await;
    let second = shop.rows().await[1].seq;

    let rows = shop
        .inbox()
        .pick(&Wanted {
            from: second,
            ..ALL
        })
        .await;

    assert_eq!(rows.unwrap()[0].kind, "b");
}

#[tokio::test]
async fn commits_are_heard_by_the_number_of_their_first_row_and_nothing_else_is() {
    let Some(shop) = Shop::open().await else {
        return;
    };
    let ear = shop.inbox();
    let (tell, mut heard) = mpsc::unbounded_channel();
    let listening = tokio::spawn(async move { ear.listen(|from| tell.send(from).unwrap()).await });
    let mut next = async || timeout(PATIENCE, heard.recv()).await.unwrap().unwrap();
    assert_eq!(next().await, FIRST, "it listens");

    shop.run("begin; select taskyard.submit('undone'); rollback")
        .await;
    shop.run("insert into taskyard.inbox (kind) select 'nobody' where false")
        .await;
    shop.run("insert into taskyard.inbox (kind) select 'a' from generate_series(1, 3)")
        .await;
    let first = shop.rows().await[0].seq;
    assert_eq!(next().await, first);

    let end = "select pg_terminate_backend(pid) from pg_stat_activity where query = 'listen taskyard_inbox'";
    shop.run(end).await;
    let error = timeout(PATIENCE, listening).await.unwrap().unwrap();
    assert!(matches!(error, Error::Away(_)), "{error:?}");
}

#[tokio::test]
async fn a_look_tells_how_long_the_first_row_has_waited() {
    let Some(shop) = Shop::open().await else {
        return;
    };
    let mut inbox = shop.inbox();
    assert_eq!(inbox.look().await.unwrap().oldest, None);

    shop.submit("'a'").await;
    shop.run("update taskyard.inbox set created_at = created_at - interval '90 s'")
        .await;

    let oldest = inbox.look().await.unwrap().oldest.unwrap();
    assert!((90..150).contains(&oldest.as_secs()), "{oldest:?}");
}

#[tokio::test]
async fn refused_rows_go_when_they_are_old_or_too_many_and_no_others() {
    let Some(shop) = Shop::open().await else {
        return;
    };
    shop.run(
        r#"insert into taskyard.inbox (kind, error, failed_at)
           select age::text, '{}', clock_timestamp() - age * interval '1 day' from generate_series(1, 8) as age;
           select taskyard.submit('waits');
           update taskyard.inbox set created_at = created_at - interval '1 year'"#,
    )
    .await;
    let mut inbox = shop.inbox();
    let keep = |days: u64, rows_max| Keep {
        time: Duration::from_hours(24 * days),
        rows_max,
    };
    let left = async || {
        let left = "select string_agg(kind, ' ' order by failed_at desc) from taskyard.inbox where error is not null";
        let left = shop.client.query_one(left, &[]).await.unwrap();
        left.get::<_, Option<String>>(0).unwrap_or_default()
    };

    assert_eq!(inbox.forget(keep(30, 100), 500).await.unwrap(), 0);
    assert_eq!(inbox.forget(keep(6, 100), 1).await.unwrap(), 1, "at once");
    assert_eq!(left().await, "1 2 3 4 5 6 7");
    assert_eq!(inbox.forget(keep(6, 100), 500).await.unwrap(), 2);
    assert_eq!(inbox.forget(keep(30, 3), 500).await.unwrap(), 2);
    assert_eq!(left().await, "1 2 3");
    assert_eq!(inbox.forget(keep(30, 0), 500).await.unwrap(), 3);
    assert_eq!(shop.kinds().await, ["waits"]);
}

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

#[tokio::test]
async fn a_pick_reads_no_refused_rows_and_nothing_that_was_not_heard_of() {
    let Some(shop) = Shop::open().await else {
        return;
    };
    shop.run(
        "insert into taskyard.inbox (kind, error, failed_at)
         select 'bad', '{}', now() from generate_series(1, 5000)",
    )
    .await;
    shop.submit("'waits'").await;
    shop.submit("'waits'").await;
    let read = async || {
        shop.run("select pg_stat_force_next_flush()").await;
        let read =
            "select idx_tup_read from pg_stat_user_indexes where indexrelname = 'inbox_waiting'";
        let read: i64 = shop
            .database
            .client()
            .await
            .query_one(read, &[])
            .await
            .unwrap()
            .get(0);
        let scans = "select seq_scan from pg_stat_user_tables where relname = 'inbox'";
        let scans: i64 = shop
            .database
            .client()
            .await
            .query_one(scans, &[])
            .await
            .unwrap()
            .get(0);
        (read, scans)
    };
    let (_, scans_before) = read().await;

    let rows: BTreeSet<Uuid> = ids(&shop.rows().await).into_iter().collect();

    assert_eq!(rows.len(), 2);
    let flushed = async {
        loop {
            let (read, scans) = read().await;
            if read > 0 {
                return (read, scans);
            }
        }
    };
    let (read, scans) = timeout(PATIENCE, flushed).await.unwrap();
    // The two, looked at by the first look of a connection and by the pick.
    assert!(read <= 4, "{read} were read");
    assert_eq!(scans, scans_before, "no scan of the table");
}
