//! Which way the statements go. Whatever the statistics say, each row is found through an index, by its whole key: a
//! plan that scans an empty table is kept while the table fills, and a queue empties all the time.

use std::fs;
use std::path::Path;

use serde_json::Value;
use taskyard_core::query::Query;
use taskyard_core::status::Status;
use taskyard_core::store::Store;
use taskyard_store::postgres;
use tokio_postgres::Client;

use super::options;
use crate::database::Database;
use crate::lists;

/// These look at a whole table, which is small, or rarely asked for: the servers, the lanes in use at a start and once some
/// were forgotten, the leases of a worker, and the workers, which a name that is new has counted. The last worker and the
/// last lane are the first row of an index read backwards. Of the queues that are paused, and the operations that are
/// open, there is an index that holds no others.
const MAY_SCAN: [&str; 12] = [
    "lane_last",
    "lane_open",
    "lane_open_among",
    "lane_waiting",
    "lease_of_worker",
    "operation_open",
    "queue_lock",
    "queue_paused",
    "queue_tasks",
    "server_lock",
    "worker_last",
    "worker_live",
];
/// Of the statements that the writer shares with SQLite.
const COMMON: [&str; 5] = [
    "lane_last",
    "lane_list",
    "lane_open",
    "worker_last",
    "worker_live",
];
/// Of the readers' statements, those that look for one thing.
const READS: [(&str, &str); 21] = [
    ("common", "attempt_list"),
    ("common", "lane_before"),
    ("common", "lane_beyond"),
    ("common", "lane_of_kind"),
    ("common", "lane_of_queue"),
    ("common", "late_result_list"),
    ("common", "ready_before"),
    ("common", "minute_list"),
    ("common", "operation_by_id"),
    ("common", "operation_list"),
    ("common", "operation_open"),
    ("common", "queue_page"),
    ("common", "queue_paused"),
    ("common", "queue_since"),
    ("common", "relic_list"),
    ("common", "ready_since"),
    ("common", "worker_by_name"),
    ("common", "worker_number"),
    ("postgres", "lane_named"),
    ("postgres", "queue_tasks"),
    ("postgres", "task_view"),
];
const ROWS: i32 = 3000;

#[tokio::test]
async fn every_statement_goes_by_key_whatever_the_tables_hold() {
    look_at_all("writer_settings", &written()).await;
}

#[tokio::test]
async fn reads_of_one_thing_go_by_key_whatever_the_tables_hold() {
    let reads = READS.map(|(folder, name)| (name.to_owned(), text(folder, name)));
    look_at_all("reader_settings", &reads).await;
}

#[tokio::test]
async fn pages_go_by_index_and_sort_nothing_whatever_the_tables_hold() {
    let pages = lists::shapes().into_iter().filter_map(|shape| {
        let text = postgres::list_statement(&shape.filter, &shape.known, shape.oldest_first)?;
        Some((shape.name(), text))
    });
    look_at_all("reader_settings", &pages.collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn tasks_are_counted_over_many_lanes_within_the_time_of_a_read() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let fill = "insert into lane select n, 'q', 'k' || n, '' from generate_series(1, 60000) as n;
        insert into counter (server, lane, completed) select 1, n, 2 from generate_series(1, 60000) as n";
    database.client().await.batch_execute(fill).await.unwrap();
    let store = database.store(options()).await;

    let counted = store.read(Query::Counts).await;

    let counted = counted.unwrap().counts();
    assert_eq!(counted.len(), 60_000);
    assert!(
        counted
            .iter()
            .all(|lane| lane.tasks[Status::Completed] == 2)
    );
    let summed = store.read(Query::Sums { names: 50 }).await;
    let sums = summed.unwrap().sums();
    assert_eq!(sums.all[Status::Completed], 120_000);
    assert_eq!((sums.by_queue.len(), sums.by_kind.len()), (1, 50));
}

type Named = (String, String);

async fn look_at_all(settings: &str, statements: &[Named]) {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let client = database.client().await;
    client
        .batch_execute(&text("postgres", settings))
        .await
        .unwrap();
    let client = &client;

    let mut bad = look(client, statements, "tables that were never looked at").await;
    client.batch_execute("vacuum analyze").await.unwrap();
    bad.extend(look(client, statements, "empty, vacuumed tables").await);
    fill(client).await;
    bad.extend(look(client, statements, "tables that filled since").await);
    client.batch_execute("vacuum analyze").await.unwrap();
    bad.extend(look(client, statements, "full tables").await);
    empty(client).await;
    bad.extend(look(client, statements, "tables that were emptied").await);
    client.batch_execute("vacuum analyze").await.unwrap();
    bad.extend(look(client, statements, "emptied, vacuumed tables").await);

    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

async fn look(client: &Client, statements: &[Named], tables: &str) -> Vec<String> {
    let mut bad = Vec::new();
    for (name, text) in statements {
        let plan = plan(client, text).await;
        for complaint in complaints(name, &plan) {
            bad.push(format!("{name} on {tables}: {complaint}"));
        }
    }
    bad
}

/// All that the writer prepares, by name.
fn written() -> Vec<Named> {
    let mut found: Vec<Named> = COMMON
        .map(|name| (name.to_owned(), text("common", name)))
        .into();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/postgres");
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // Commands, questions about the server, and what the readers ask.
        let commands = [
            "_settings",
            "migration_lock",
            "lane_lock",
            "server_hold",
            "all_delete",
            "target",
            "stats_bytes",
            "task_view",
        ];
        if !commands.iter().any(|end| name.ends_with(end)) {
            let text = text("postgres", &name);
            found.push((name, text));
        }
    }
    found.sort();
    found
}

fn text(folder: &str, name: &str) -> String {
    let path = format!("{}/sql/{folder}/{name}.sql", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(path).unwrap()
}

/// As the server would run it, with parameters it does not know yet.
async fn plan(client: &Client, text: &str) -> Value {
    client
        .batch_execute(&format!("prepare it as {text}"))
        .await
        .unwrap();
    let count = "select cardinality(parameter_types) from pg_prepared_statements where name = 'it'";
    let count: i32 = client.query_one(count, &[]).await.unwrap().get(0);
    let nulls = vec!["null"; usize::try_from(count).unwrap()].join(", ");
    let params = if count == 0 {
        String::new()
    } else {
        format!("({nulls})")
    };
    let explain = format!("explain (format json) execute it{params}");
    let rows = client.simple_query(&explain).await.unwrap();
    let plan = rows.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let plan = serde_json::from_str(plan.unwrap()).unwrap();
    client.batch_execute("deallocate it").await.unwrap();
    plan
}

/// These begin with the key of one task, and join what is found by the same key.
fn is_read(name: &str) -> bool {
    READS.iter().any(|(_, read)| *read == name)
}

fn complaints(name: &str, plan: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut nodes = vec![&plan[0]["Plan"]];
    while let Some(node) = nodes.pop() {
        let kind = node["Node Type"].as_str().unwrap();
        let table = node["Relation Name"].as_str().unwrap_or_default();
        // A condition that the index does not answer, or none at all, is a scan as well.
        let is_scan = match kind {
            // What cannot be read in order is small then, and is read and sorted whole.
            _ if lists::is_small(name) && (table == "ready" || table == "scheduled") => false,
            "Sort" | "Incremental Sort" if lists::is_page(name) => !lists::is_small(name),
            "Seq Scan" | "Hash Join" | "Merge Join" => true,
            "Index Scan" | "Index Only Scan" => {
                let filter = node["Filter"].as_str().unwrap_or_default();
                // A task has few slots, and all are behind its one key.
                let is_of_slot = filter == "(slot = ANY ($2))";
                node["Index Cond"].is_null() || !(filter.is_empty() || is_of_slot)
            }
            "Bitmap Index Scan" => node["Index Cond"].is_null(),
            // Joined with what was found by a constant: then the index was not asked for the whole key.
            "Nested Loop" => !node["Join Filter"].is_null() && !is_read(name),
            _ => false,
        };
        if is_scan && !MAY_SCAN.contains(&name) {
            found.push(format!(
                "{kind} {table} {} {} {}",
                node["Index Cond"], node["Filter"], node["Join Filter"]
            ));
        }
        nodes.extend(node["Plans"].as_array().into_iter().flatten());
    }
    found
}

/// Rows that hang together as far as the statements care.
async fn fill(client: &Client) {
    let ids = "overlay(md5(n::text) placing '7' from 13 for 1)::uuid";
    for insert in [
        format!(
            "insert into task select {ids}, n % 7 + 1, n, 0, n, n, 5, 5, n, n, 2, n, 0, '{{}}', null, 2, '{{}}'
             from generate_series(1, {ROWS}) as n"
        ),
        format!("insert into ready select n % 7 + 1, n, {ids}, 0, false from generate_series(1, {ROWS}) as n"),
        format!("insert into scheduled select n, {ids}, 0, 1, n, 1, false from generate_series(1, {ROWS}) as n"),
        format!(
            "insert into lease select {ids}, 0, 1, n, n % 50, 1, 0, 1, false, n, null, n, null, null, null, null
             from generate_series(1, {ROWS}) as n"
        ),
        format!(
            "insert into carry select {ids}, 0, n, n, 1, 0, 0, 0, 0, null, null, null, null, null, null, null, null
             from generate_series(1, {ROWS}) as n"
        ),
        format!(
            "insert into outcome select {ids}, 1, 5 + n % 2, n, null, n, 1, 0, 0, 0, 0, 1, null, null, null, null, null,
               case when n % 2 = 0 then 'null' end
             from generate_series(1, {ROWS}) as n"
        ),
        format!("insert into attempt select {ids}, 0, 1, 1, 1, n, n, n, 1, null, null, null from generate_series(1, {ROWS}) as n"),
        format!("insert into late_result select {ids}, 0, 1, n, 1, null, null, null, null from generate_series(1, {ROWS}) as n"),
        format!("insert into idempotency select 'a', n::text, '', '', n from generate_series(1, {ROWS}) as n"),
        format!("insert into worker select 'w' || n, n, 1, null, null, null, '{{}}', 1, n, n, null, null from generate_series(1, {ROWS}) as n"),
        format!("insert into counter (server, lane, scheduled) select n, 1, n from generate_series(1, {ROWS}) as n"),
        format!(
            "insert into minute select 1, n % 60, n, 1, 1, 1, 0, 0, 0, 0, '', '' from generate_series(1, {ROWS}) as n"
        ),
        format!("insert into lane select n, 'q', 'k' || n, '' from generate_series(1, {ROWS}) as n"),
        format!("insert into queue select 'q' || n, n % 100 = 0 from generate_series(1, {ROWS}) as n"),
        format!(
            "insert into operation select {ids}, 1, '', null, 0, 0, n, case when n % 10 > 0 then n end, false
             from generate_series(1, {ROWS}) as n"
        ),
    ] {
        client.batch_execute(&insert).await.unwrap();
    }
}

async fn empty(client: &Client) {
    let tables = "select string_agg('delete from ' || relname, '; ') from pg_class
        where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> 'meta'";
    let delete: String = client.query_one(tables, &[]).await.unwrap().get(0);
    client.batch_execute(&delete).await.unwrap();
}
