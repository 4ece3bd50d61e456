//! What a transaction puts in, what a server picks, and what it leaves.

use std::collections::BTreeSet;
use std::time::Duration;

use taskyard_core::id::TaskId;
use taskyard_store::postgres::inbox::{Error, FIRST, Keep, Picked, Text, Wanted};
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;

use super::{ALL, PATIENCE, Shop, ids};

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
