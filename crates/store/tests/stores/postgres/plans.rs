//! Which way the statements go. Whatever the statistics say, each row is found through an index, by its whole key: a
//! plan that scans an empty table is kept while the table fills, and a queue empties all the time.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tokio_postgres::Client;

use crate::database::Database;

/// These look at a whole table, which is small, or rarely asked for: the servers, the lanes' count, and the leases of a
/// worker. The last worker is the first row of an index read backwards.
const MAY_SCAN: [&str; 4] = [
    "lane_insert",
    "lease_of_worker",
    "server_lock",
    "worker_last",
];
/// Of the statements that the writer shares with SQLite.
const COMMON: [&str; 3] = ["lane_insert", "lane_list", "worker_last"];
const ROWS: i32 = 3000;

#[tokio::test]
async fn every_statement_goes_by_key_whatever_the_tables_hold() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let client = database.client().await;
    let writer_settings = text("postgres", "writer_settings");
    client.batch_execute(&writer_settings).await.unwrap();

    let mut bad = check(&client, "tables that were never looked at").await;
    client.batch_execute("vacuum analyze").await.unwrap();
    bad.extend(check(&client, "empty, vacuumed tables").await);
    fill(&client).await;
    bad.extend(check(&client, "tables that filled since").await);
    client.batch_execute("vacuum analyze").await.unwrap();
    bad.extend(check(&client, "full tables").await);
    empty(&client).await;
    bad.extend(check(&client, "tables that were emptied").await);
    client.batch_execute("vacuum analyze").await.unwrap();
    bad.extend(check(&client, "emptied, vacuumed tables").await);

    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

async fn check(client: &Client, tables: &str) -> Vec<String> {
    let mut bad = Vec::new();
    for (name, text) in statements() {
        let plan = plan(client, &text).await;
        for complaint in complaints(&name, &plan) {
            bad.push(format!("{name} on {tables}: {complaint}"));
        }
    }
    bad
}

/// All that the writer prepares, by name.
fn statements() -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = COMMON
        .map(|name| (name.to_owned(), text("common", name)))
        .into();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/postgres");
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // Commands, and questions about the server, have no plan worth a look.
        let commands = [
            "_settings",
            "_lock_all",
            "migration_lock",
            "lane_lock",
            "target",
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

fn complaints(name: &str, plan: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut nodes = vec![&plan[0]["Plan"]];
    while let Some(node) = nodes.pop() {
        let kind = node["Node Type"].as_str().unwrap();
        let table = node["Relation Name"].as_str().unwrap_or_default();
        let is_scan = match kind {
            "Seq Scan" | "Bitmap Heap Scan" | "Hash Join" | "Merge Join" => true,
            // A condition that the index does not answer, or none at all, is a scan as well.
            "Index Scan" | "Index Only Scan" => {
                node["Index Cond"].is_null() || !node["Filter"].is_null()
            }
            "Nested Loop" => !node["Join Filter"].is_null(),
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
            "insert into outcome select {ids}, 1, 5 + n % 2, n, null, n, 1, 0, 0, 0, 0, 1, null, null, null, null, null, null
             from generate_series(1, {ROWS}) as n"
        ),
        format!("insert into attempt select {ids}, 0, 1, 1, 1, n, null, n, 1, null, null, null from generate_series(1, {ROWS}) as n"),
        format!("insert into late_result select {ids}, 0, 1, n, 1, null, null, null, null from generate_series(1, {ROWS}) as n"),
        format!("insert into idempotency select 'a', n::text, '', '', n from generate_series(1, {ROWS}) as n"),
        format!("insert into worker select 'w' || n, n, 1, null, null, null, '{{}}', 1, n, n, null, null from generate_series(1, {ROWS}) as n"),
        format!("insert into counter select n, 1, 1, n from generate_series(1, {ROWS}) as n"),
        format!("insert into lane select n, 'q', 'k' || n, '' from generate_series(1, {ROWS}) as n"),
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
