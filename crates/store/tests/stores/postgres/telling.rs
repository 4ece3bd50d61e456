//! What servers on one database tell each other of what they commit.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::poll_fn;
use taskyard_core::hints::{Hints, LANES_MAX, Mark, Ready, Which};
use taskyard_core::id::TaskId;
use taskyard_core::lane::Lane;
use taskyard_core::log::{Append, Limits, Line, Owner, Stream};
use taskyard_core::store::Store;
use taskyard_core::verbs::cancel::{Cancel, Cancelled};
use taskyard_core::verbs::claim::{Claims, Run};
use taskyard_core::verbs::drain::{Drain, Drained};
use taskyard_core::verbs::submit::{NewTask, Submit};
use taskyard_store::postgres::PostgresStore;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_postgres::{AsyncMessage, Client, NoTls};

use super::options;
use super::resetting::join;
use crate::conformance::yard::{Yard, lane};
use crate::database::Database;

/// How long a hint may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of the servers whose tables are in the schema that this is asked in.
const CHANNEL: &str = "'taskyard_' || to_regnamespace(quote_ident(current_schema()))::oid";

/// A server that listens and has joined.
async fn server(database: &Arc<Database>) -> Yard {
    let yard = Yard::over(database, &database.url()).await;
    assert_eq!(heard(&yard).await, Hints::everything(), "it is new to it");
    join(&yard).await;
    yard
}

async fn two_servers() -> Option<(Yard, Yard, Arc<Database>)> {
    let database = Arc::new(Database::migrated().await?);
    let (one, two) = (server(&database).await, server(&database).await);
    Some((one, two.counting_from(1_000_000), database))
}

async fn heard(yard: &Yard) -> Hints {
    let heard = timeout(PATIENCE, yard.store.heard()).await;
    heard.expect("somebody tells something")
}

/// All that is heard, until it is as it should be.
async fn heard_until(yard: &Yard, is_so: impl Fn(&Hints) -> bool) -> Hints {
    let mut all = Hints::default();
    while !is_so(&all) {
        all.join(heard(yard).await);
    }
    all
}

fn of_kind(yard: &Yard, kind: &str) -> NewTask {
    NewTask {
        lane: lane("default", kind, None),
        ..yard.task()
    }
}

fn number(yard: &Yard, kind: &str) -> Option<Lane> {
    yard.store.lanes().number(&lane("default", kind, None))
}

/// With one row in each.
fn lanes<const N: usize>(lanes: [Lane; N]) -> Ready {
    lanes.into_iter().map(|lane| (lane, 1)).collect()
}

fn these<T: Ord, const N: usize>(these: [T; N]) -> Which<T> {
    these.into_iter().collect()
}

#[tokio::test]
async fn what_one_server_makes_ready_another_hears_of_by_lanes_that_it_knows_then() {
    let Some((one, two, _database)) = two_servers().await else {
        return;
    };
    for kind in ["new", "newer"] {
        one.submit(of_kind(&one, kind)).await.unwrap();

        let hints = heard(&two).await;

        let lane = number(&one, kind).expect("it was used");
        assert_eq!(hints.ready, lanes([lane]));
        assert_eq!(number(&two, kind), Some(lane), "nobody else told it");
    }
}

#[tokio::test]
async fn what_is_dealt_in_its_own_commit_is_told_to_nobody() {
    let Some((one, two, _database)) = two_servers().await else {
        return;
    };
    let worker = one.worker("w").await;
    let task = one.task();
    let submit = Submit::of(vec![task]).into();
    let claims = vec![worker];
    let claim = Claims { claims }.into();

    one.batch(vec![submit, claim]).await;
    one.submit(of_kind(&one, "waits")).await.unwrap();

    let waits = number(&one, "waits").unwrap();
    assert_eq!(heard(&two).await.ready, lanes([waits]));
}

#[tokio::test]
async fn ends_cancels_and_drains_are_heard_at_another_server() {
    let Some((one, two, _database)) = two_servers().await else {
        return;
    };
    let worker = two.worker("w").await;
    let (held, waits) = (two.new_task().await, two.new_task().await);
    assert_eq!(two.claim_one(&worker).await.slot.task, held);
    let cancel = async |task: TaskId| one.run::<Cancelled>(Cancel { task }).await.unwrap();

    cancel(waits).await;
    let hints = heard(&two).await;
    assert_eq!(hints.ended, these([Mark::from(waits)]));
    assert!(hints.cancelled.is_empty(), "nobody had it: {hints:?}");

    cancel(held).await;
    let hints = heard(&two).await;
    assert_eq!(hints.ended, these([Mark::from(held)]));
    assert_eq!(hints.cancelled, these([Mark::from(held)]));

    let drain = Drain {
        worker: worker.worker.clone(),
    };
    one.run::<Drained>(drain).await.unwrap();
    assert_eq!(heard(&two).await.told, these([worker.number]));
}

async fn print(yard: &Yard, run: &Run) {
    let append = Append {
        owner: Owner {
            run: run.slot.run(run.fence),
            attempt: run.attempt,
            claimed_at: yard.now(),
        },
        first: None,
        lines: vec![Line {
            at: yard.now(),
            stream: Stream::Stdout,
            text: "a line".to_owned(),
        }],
        limits: Limits {
            bytes_max: 1_000,
            line_bytes_max: 100,
        },
    };
    yard.store.logs().append(append).await.unwrap();
}

#[tokio::test]
async fn lines_of_a_log_are_heard_of_at_another_server() {
    let Some((one, two, _database)) = two_servers().await else {
        return;
    };
    let worker = two.worker("w").await;
    two.new_task().await;
    let run = two.claim_one(&worker).await;

    print(&one, &run).await;

    let printed = these([Mark::from(run.slot.task)]);
    assert_eq!(heard(&two).await.printed, printed);
}

#[tokio::test]
async fn more_lanes_than_can_be_named_are_any() {
    let Some((one, two, _database)) = two_servers().await else {
        return;
    };
    let tasks = (0..=LANES_MAX).map(|n| of_kind(&one, &format!("kind-{n}")));

    one.submit_all(tasks.collect()).await.unwrap();

    assert_eq!(heard(&two).await.ready, Ready::Anywhere);
}

#[tokio::test]
async fn nobody_hears_what_it_said_itself() {
    let Some((one, two, _database)) = two_servers().await else {
        return;
    };
    two.submit(of_kind(&two, "said")).await.unwrap();
    let said = number(&two, "said").unwrap();
    assert_eq!(heard(&one).await.ready, lanes([said]));

    one.submit(of_kind(&one, "answered")).await.unwrap();

    let answered = number(&one, "answered").unwrap();
    assert_eq!(heard(&two).await.ready, lanes([answered]));
}

#[tokio::test]
async fn a_busy_server_sends_no_more_than_one_message_in_five_milliseconds() {
    let Some((one, two, _database)) = two_servers().await else {
        return;
    };
    let started = Instant::now();
    for n in 0..100 {
        one.submit(of_kind(&one, &format!("kind-{}", n % 30)))
            .await
            .unwrap();
    }
    let mut rows = Vec::new();
    for n in 0..30 {
        let lane = number(&one, &format!("kind-{n}")).unwrap();
        rows.push((lane, if n < 10 { 4 } else { 3 }));
    }
    let all: Ready = rows.into_iter().collect();

    heard_until(&two, |hints| hints.ready == all).await;

    // Its hello, and one at once.
    let most = started.elapsed().as_millis() / 5 + 2;
    let sent = one.store.exchanged().sent;
    assert!(u128::from(sent) <= most, "{sent} messages, not {most}");
}

/// The connections that hear and speak, by what they did last.
const EARS: &str = "from pg_stat_activity
    where datname = $1 and (query like '-- hint%' or query like '-- How many servers but%')";

#[tokio::test]
async fn who_was_cut_off_hears_again_and_then_that_it_may_have_missed_anything() {
    let Some((one, two, database)) = two_servers().await else {
        return;
    };
    one.submit(of_kind(&one, "before")).await.unwrap();
    heard(&two).await;
    let beside = database.beside().await;

    let cut = format!("select pg_terminate_backend(pid, 10000) {EARS}");
    let cut = beside.query(&cut, &[&database.name()]).await.unwrap();
    assert_eq!(cut.len(), 2);

    for yard in [&one, &two] {
        assert_eq!(heard(yard).await, Hints::everything());
        assert!(yard.store.exchanged().hears);
    }
    one.submit(of_kind(&one, "after")).await.unwrap();
    let after = number(&one, "after").unwrap();
    let hints = heard_until(&two, |hints| hints.ready.has(after)).await;
    assert!(!hints.is_vague());
}

type Said = mpsc::UnboundedReceiver<String>;

/// A connection that hears what is said on a channel of its own database.
async fn listen(url: &str, channel: &str) -> (Client, Said) {
    let (client, mut connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let (sender, said) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(said) = message {
                let _ = sender.send(said.payload().to_owned());
            }
        }
    });
    let listen = format!("do $$ begin execute format('listen %I', {channel}); end $$");
    client.batch_execute(&listen).await.unwrap();
    (client, said)
}

async fn next(said: &mut Said) -> String {
    let next = timeout(PATIENCE, said.recv()).await;
    next.expect("somebody says something")
        .expect("the connection stands")
}

#[tokio::test]
async fn a_server_that_is_alone_says_nothing_until_another_says_hello() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let database = Arc::new(database);
    let (_client, mut said) = listen(&database.url(), CHANNEL).await;
    let beside = database.beside().await;
    let one = server(&database).await;
    assert!(next(&mut said).await.ends_with(" hello"));
    one.submit(of_kind(&one, "alone")).await.unwrap();
    // Until it has looked for others.
    let looked = format!("select {EARS} and query like '-- How many servers but%'");
    while beside
        .query(&looked, &[&database.name()])
        .await
        .unwrap()
        .is_empty()
    {}

    let two = server(&database).await.counting_from(1_000_000);
    assert!(next(&mut said).await.ends_with(" hello"));
    while one.store.exchanged().heard == 0 {
        tokio::task::yield_now().await;
    }
    one.submit(of_kind(&one, "beside")).await.unwrap();

    let beside = number(&one, "beside").unwrap();
    assert!(
        next(&mut said)
            .await
            .ends_with(&format!(" ready={}", beside.0))
    );
    assert_eq!(heard(&two).await.ready, lanes([beside]));
    assert_eq!(
        one.store.exchanged().sent,
        2,
        "its hello, and what was heard"
    );
}

#[tokio::test]
async fn what_is_said_of_another_database_is_ignored() {
    let Some((one, two, database)) = two_servers().await else {
        return;
    };
    one.submit(of_kind(&one, "there")).await.unwrap();
    heard(&two).await;
    let client = database.client().await;
    let say = async |text: &str| {
        let say = format!("select pg_notify({CHANNEL}, {text})");
        client.batch_execute(&say).await.unwrap();
    };

    // As of before it was emptied or put back; and what nobody understands.
    say("gen_random_uuid() || ' ready=1'").await;
    say("'nonsense'").await;
    say("(select incarnation from meta) || ' ready=77,2147483647 news=1'").await;
    say("(select incarnation from meta) || ' hello ready=1,77 ended=0a0b'").await;

    let mut hints = Hints::default();
    while hints.ended.is_empty() {
        hints.join(heard(&two).await);
    }
    let lane = number(&one, "there").unwrap();
    assert_eq!(lane, Lane(1));
    assert_eq!(hints.ready, lanes([lane]), "the others are no lanes");
    assert_eq!(hints.ended, these([Mark(0x0a0b)]));
}

#[tokio::test]
async fn servers_in_different_schemas_of_a_database_do_not_disturb_each_other() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let database = Arc::new(database);
    let client = database.client().await;
    client.batch_execute("create schema other").await.unwrap();
    let url = format!("{}?options=-c%20search_path%3Dother", database.url());
    let (_one, mut here) = listen(&database.url(), CHANNEL).await;
    let (_two, mut there) = listen(&url, CHANNEL).await;

    let other = Yard::over(&database, &url).await;
    heard(&other).await;
    join(&other).await;
    assert!(next(&mut there).await.ends_with(" hello"));
    let _own = server(&database).await;

    let incarnation = "select incarnation::text from meta";
    let incarnation: String = client.query_one(incarnation, &[]).await.unwrap().get(0);
    assert_eq!(next(&mut here).await, format!("{incarnation} hello"));
    assert_eq!(other.store.exchanged().heard, 0);
}

#[tokio::test]
async fn without_hints_nobody_speaks_and_nobody_listens() {
    let Some((one, _two, database)) = two_servers().await else {
        return;
    };
    let mut options = options();
    options.hints = false;
    let url = database.url();
    let deaf = PostgresStore::connect(&url, options).await.unwrap();

    one.submit(of_kind(&one, "work")).await.unwrap();

    assert!(deaf.heard().now_or_never().is_none());
    let beside = database.beside().await;
    let ears = format!("select {EARS}");
    let ears = beside.query(&ears, &[&database.name()]).await.unwrap();
    assert_eq!(ears.len(), 2, "those of the two others");
    assert_eq!(deaf.exchanged(), Default::default());
}
