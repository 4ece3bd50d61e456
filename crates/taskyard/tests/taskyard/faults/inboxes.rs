//! Tasks that are submitted with transactions in a database of somebody's own, while servers come, go and die.

use std::time::Duration;

use serde_json::{Value, json};
use taskyard_api::page::TasksQuery;
use taskyard_api::task::Status;
use taskyard_core::id::TaskId;
use taskyard_store::postgres::{inbox, scratch};
use tokio::time::{Instant, timeout};

use crate::shop::{Shop, connect};
use crate::yard::{PATIENCE, Yard, postgres_server, run};

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_runs_when_its_transaction_commits_and_never_without() {
    let Some(shop) = Shop::open("commits").await else {
        return;
    };
    let yard = Yard::new();
    let server = yard.serve(&["--inbox", &shop.url]);

    shop.run("begin").await;
    let undone = shop.submit("'echo'").await;
    shop.run("rollback; begin").await;
    let id = shop
        .submit(r#"'echo', '{"w": 640}', '{"queue": "images", "labels": {"of": "shop"}}'"#)
        .await;
    assert!(server.client.task(id, None).await.is_err(), "not before");
    shop.run("commit").await;

    server.taken(id).await;
    let task = server.ended(id).await;
    assert_eq!((task.status, &*task.queue), (Status::Completed, "images"));
    let output: Value = serde_json::from_str(task.output.unwrap().get()).unwrap();
    assert_eq!(output, json!({"w": 640}));
    assert!(server.client.task(undone, None).await.is_err());
    shop.until("true", 0).await;
    let metrics = http().get(format!("{}/metrics", server.url)).send().await;
    let metrics = metrics.unwrap().text().await.unwrap();
    let address = url::Url::parse(&shop.url).unwrap();
    let place = format!(
        "{}:{}{}",
        address.host_str().unwrap(),
        address.port().unwrap_or(5432),
        address.path()
    );
    let taken = format!("taskyard_inbox_taken_total{{inbox=\"{place}\"}} 1");
    assert!(metrics.contains(&taken), "{metrics}");
    assert_eq!(server.stop().code(), Some(0));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_heard_of_and_what_is_not_heard_is_found() {
    let Some(shop) = Shop::open("hears").await else {
        return;
    };
    let yard = Yard::new();
    let server = yard.serve(&["--inbox", &shop.url]);
    let taken = shop.submit("'echo'").await;
    server.taken(taken).await;

    // By looking once a second alone, each would be found a second after the one before it.
    let begun = Instant::now();
    for _ in 0..10 {
        let id = shop.submit("'echo'").await;
        server.taken(id).await;
    }
    let heard = begun.elapsed();
    shop.run("alter table taskyard.inbox disable trigger inbox_notify")
        .await;
    let unheard = shop.submit("'echo'").await;

    assert!(heard < Duration::from_secs(5), "{heard:?}");
    server.taken(unheard).await;
    assert_eq!(server.stop().code(), Some(0));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_one_transaction_run_in_their_order() {
    let Some(shop) = Shop::open("order").await else {
        return;
    };
    let yard = Yard::new();
    let server = yard.serve(&["--inbox", &shop.url, "--internal-workers", "0"]);
    server.register_for_all("w").await;

    shop.run("insert into taskyard.inbox (kind, input) select 'count', to_jsonb(n) from generate_series(1, 1200) as n")
        .await;
    shop.until("true", 0).await;

    let claim = json!({"limit": 1000, "begin": true});
    let mut inputs = Vec::new();
    while inputs.len() < 1200 {
        let url = format!("{}/api/v1/workers/w/claim", server.url);
        let claimed = http().post(url).json(&claim).send().await;
        let claimed: Value = claimed.unwrap().json().await.unwrap();
        let tasks = claimed["tasks"].as_array().unwrap();
        assert!(!tasks.is_empty(), "{} of 1200", inputs.len());
        inputs.extend(tasks.iter().map(|task| task["input"].as_i64().unwrap()));
    }
    assert!(inputs.is_sorted(), "{inputs:?}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_row_keeps_its_error_until_it_is_mended_and_holds_nobody_up() {
    let Some(shop) = Shop::open("mends").await else {
        return;
    };
    let yard = Yard::new();
    let server = yard.serve(&["--inbox", &shop.url, "--input-max", "1000000"]);

    let bad = shop.submit(r#"'echo', '1', '{"prioritty": 7}'"#).await;
    let large = shop.submit("'echo', to_jsonb(repeat('x', 999999))").await;
    let fits = shop.submit("'echo', to_jsonb(repeat('x', 999998))").await;

    assert_eq!(
        server.ended(server.taken(fits).await.id).await.status,
        Status::Completed
    );
    shop.until("error is not null", 2).await;
    let errors = "select error ->> 'code', error ->> 'message', failed_at is not null from taskyard.inbox where id = $1";
    let error = async |id: TaskId| {
        let row = shop
            .client
            .query_one(errors, &[&id.as_uuid()])
            .await
            .unwrap();
        assert!(row.get::<_, bool>(2));
        (row.get::<_, String>(0), row.get::<_, String>(1))
    };
    let (code, message) = error(bad).await;
    assert_eq!(code, "unknown_field");
    assert!(message.starts_with("/options/prioritty: "), "{message}");
    let large = error(large).await;
    assert_eq!(
        (&*large.0, &*large.1),
        (
            "too_large",
            "/input: holds 1000001 bytes, at most 1000000 are taken"
        )
    );
    server.process.log_with("rows of an inbox were refused");

    shop.run("update taskyard.inbox set options = '{\"priority\": 7}', error = null where kind = 'echo' and options <> '{}'")
        .await;

    assert_eq!(server.taken(bad).await.priority, 7);
    shop.until("true", 1).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_rows_are_kept_for_as_long_and_as_many_as_is_set() {
    let Some(shop) = Shop::open("keeps").await else {
        return;
    };
    let yard = Yard::new();
    shop.run(
        "insert into taskyard.inbox (kind, error, failed_at)
         select 'a', '{}', now() - days * interval '1 day' from generate_series(1, 9) as days",
    )
    .await;

    let server = yard.serve(&["--inbox", &shop.url, "--inbox-keep", "6d"]);
    shop.until("true", 5).await;
    assert_eq!(server.stop().code(), Some(0));
    let server = yard.serve(&["--inbox", &shop.url, "--inbox-refused-max", "2"]);
    shop.until("true", 2).await;

    assert_eq!(
        shop.count("failed_at > now() - interval '60 hours'").await,
        2
    );
    server
        .process
        .log_with("refused rows of an inbox were taken away");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_between_the_submit_and_the_deletion_leaves_one_task() {
    let Some(shop) = Shop::open("dies").await else {
        return;
    };
    let yard = Yard::new();
    let server = yard.serve(&["--inbox", &shop.url]);
    shop.run(
        "create function hold() returns trigger language plpgsql as
         $$ begin perform pg_advisory_xact_lock(1); return old; end $$;
         create trigger hold before delete on taskyard.inbox for each row execute function hold();
         select pg_advisory_lock(1)",
    )
    .await;

    let id = shop.submit("'echo'").await;
    let ended = server.ended(server.taken(id).await.id).await;
    assert_eq!(shop.count("true").await, 1, "its deletion is held");
    server.process.kill();
    let end = "select count(*) from pg_stat_activity, pg_terminate_backend(pid)
        where datname = current_database() and pid <> pg_backend_pid()";
    shop.client.query_one(end, &[]).await.unwrap();
    shop.run("drop trigger hold on taskyard.inbox").await;
    assert_eq!(
        shop.count("error is null").await,
        1,
        "it is there as it was"
    );

    let server = yard.serve(&["--inbox", &shop.url]);

    shop.until("true", 0).await;
    assert_eq!(server.tasks().await, 1);
    let task = server.client.task(id, None).await.unwrap();
    assert_eq!((task.status, task.attempts), (Status::Completed, 1));
    assert_eq!(task.ended_at, ended.ended_at);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_of_which_one_keeps_dying_take_each_row_once() {
    let (Some(shop), Some(yard)) = (Shop::open("two").await, Yard::on_postgres().await) else {
        return;
    };
    let steady = yard.serve(&["--inbox", &shop.url, "--internal-workers", "0"]);
    let dying = format!("{}?application_name=dying", shop.url);
    let flags = ["--inbox", &dying, "--internal-workers", "0"];
    let writer = connect(&shop.url).await;
    let writing = tokio::spawn(async move {
        for transaction in 0..60 {
            let end = if transaction % 3 == 2 {
                "rollback"
            } else {
                "commit"
            };
            let rows = format!(
                "begin; select taskyard.submit('a') from generate_series(1, 50);
                 savepoint s; select taskyard.submit('undone'); rollback to s; {end}"
            );
            writer.batch_execute(&rows).await.unwrap();
        }
    });

    for _ in 0..4 {
        let dies = yard.serve(&flags);
        // As soon as it holds something, or there is nothing any more.
        let busy = async {
            let holds = "select count(*) from pg_stat_activity
                where application_name = 'dying' and state = 'idle in transaction'";
            while shop
                .client
                .query_one(holds, &[])
                .await
                .unwrap()
                .get::<_, i64>(0)
                == 0
            {
                if writing.is_finished() {
                    return;
                }
            }
        };
        timeout(PATIENCE, busy).await.unwrap();
        dies.process.kill();
    }
    writing.await.unwrap();
    shop.until("true", 0).await;

    assert_eq!(steady.tasks().await, 40 * 50);
    let undone = TasksQuery {
        kind: Some("undone".to_owned()),
        ..TasksQuery::default()
    };
    let undone = steady.client.list(&undone).await.unwrap();
    assert!(undone.items.is_empty());
    yard.is_well();
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_inbox_is_away_serves_and_takes_over_once_it_is_back() {
    let Some(shop) = Shop::open("away").await else {
        return;
    };
    let beside = connect(&shop.server).await;
    let name = url::Url::parse(&shop.url).unwrap().path()[1..].to_owned();
    let allow = async |is_open: bool| {
        let allow = format!("alter database {name} allow_connections {is_open}");
        beside.batch_execute(&allow).await.unwrap();
    };
    allow(false).await;
    let yard = Yard::new();
    let server = yard.serve(&["--inbox", &shop.url]);

    let words = "nothing can be taken over from an inbox";
    server.process.log_with(words);
    assert!(server.client.health().await.unwrap().ok);
    let task = server.submit("echo", json!(1)).await;
    assert_eq!(server.ended(task).await.status, Status::Completed);
    allow(true).await;
    let id = shop.submit("'echo'").await;
    server.taken(id).await;
    server.process.log_with("from the inbox again");

    allow(false).await;
    let end = "select count(*) from pg_stat_activity, pg_terminate_backend(pid)
        where datname = $1 and application_name = 'taskyard'";
    beside.query_one(end, &[&name]).await.unwrap();
    let later = shop.submit("'echo'").await;
    allow(true).await;
    server.taken(later).await;

    let log = server.process.log();
    assert!(log.matches(words).count() <= 2, "once an outage: {log}");
    assert!(!log.contains(&shop.url), "{log}");
    assert_eq!(server.stop().code(), Some(0));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_may_be_in_the_servers_own_database() {
    let Some(yard) = Yard::on_postgres().await else {
        return;
    };
    inbox::apply(&yard.database()).await.unwrap();
    let shop = connect(&yard.database()).await;
    let server = yard.serve(&["--inbox", &yard.database()]);

    let id: uuid::Uuid = shop
        .query_one("select taskyard.submit('echo')", &[])
        .await
        .unwrap()
        .get(0);

    let id = id.try_into().unwrap();
    server.taken(id).await;
    assert_eq!(server.ended(id).await.status, Status::Completed);
    assert_eq!(server.stop().code(), Some(0));
    yard.is_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_is_made_and_taken_away_by_hand() {
    let Some(server) = postgres_server() else {
        return;
    };
    let yard = Yard::new();
    let name = format!("taskyard_shop_{}_hand", std::process::id());
    let url = scratch::create(&server, &name).await.unwrap();
    let here = yard.directory.path();
    let db_inbox = |flags: &[&str]| run(here, &[&["db", "inbox"], flags].concat(), &[]);

    let printed = db_inbox(&[]);
    assert_eq!(printed.stdout.trim_end(), inbox::text().trim_end());
    let nowhere = db_inbox(&["--apply"]);
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.stderr.contains("--inbox"), "{}", nowhere.stderr);
    for _ in 0..2 {
        let made = db_inbox(&["--apply", "--inbox", &url]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        assert!(made.stdout.contains("***"), "{}", made.stdout);
    }
    connect(&url)
        .await
        .batch_execute("select taskyard.submit('a')")
        .await
        .unwrap();
    let kept = db_inbox(&["--drop", "--inbox", &url]);
    assert_eq!(kept.code, 1);
    assert!(kept.stderr.contains("1 waiting"), "{}", kept.stderr);
    let gone = run(
        here,
        &["db", "inbox", "--drop", "--yes"],
        &[("TASKYARD_INBOX", &url)],
    );
    assert_eq!(gone.code, 0, "{}", gone.stderr);
    let nothing = db_inbox(&["--drop", "--inbox", &url]);
    assert_eq!(nothing.code, 1);
    assert!(nothing.stderr.contains("no inbox"), "{}", nothing.stderr);
    scratch::remove(&url).await.unwrap();
}
