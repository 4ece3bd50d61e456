//! Which way the statements go. Whatever the statistics say, each row is found through an index, by its key from the
//! first column on: a plan that scans an empty table, or the whole of an index, is kept while the table fills, and a
//! queue empties all the time.
//!
//! Every file of statements is looked at, with the settings of the connections that write and of those that read, so
//! that a new one fails until it goes by key or stands among the exceptions, with its reason.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use serde_json::Value;
use taskyard_core::query::Query;
use taskyard_core::status::Status;
use taskyard_core::store::Store;
use taskyard_store::postgres;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::options;
use crate::database::Database;
use crate::lists;

/// These ask for nothing that could be found in one way or another: they set what holds for a connection, lock, or take all
/// away.
const WITHOUT_PLAN: [&str; 12] = [
    "all_delete",
    "check_lock",
    "hint_listen",
    "hint_settings",
    "lane_lock",
    "log_settings",
    "migration_lock",
    "migration_settings",
    "reader_settings",
    "reset_settings",
    "server_hold",
    "writer_settings",
];

/// What looks at more than it gives.
struct Exception {
    statements: &'static [&'static str],
    /// Where it may do that. [`JOIN`] stands for two that are joined by looking at each of both; none for all of these.
    tables: &'static [&'static str],
    _why: &'static str,
}

const JOIN: &str = "join";

const EXCEPTIONS: [Exception; 18] = [
    Exception {
        statements: &[
            "check_attempts",
            "check_carried",
            "check_carries",
            "check_counters",
            "check_demands",
            "check_ends",
            "check_histograms",
            "check_holders",
            "check_keys",
            "check_lanes",
            "check_late_results",
            "check_leases",
            "check_minutes",
            "check_numbers",
            "check_payloads",
            "check_tasks",
            "check_places",
            "check_profiles",
            "check_queues",
            "check_ready",
            "check_scheduled",
            "check_servers",
            "check_staff",
            "check_workers",
            "log_rows",
            "stats_rows",
        ],
        tables: &[],
        _why: "`db check` and `db stats` look at everything",
    },
    Exception {
        statements: &["target"],
        tables: &["pg_attribute", "pg_class", "pg_constraint", "pg_depend"],
        _why: "the catalog, once at a start",
    },
    Exception {
        statements: &["meta_load", "meta_renew", "meta_touch", "meta_update"],
        tables: &["meta"],
        _why: "it has one row",
    },
    Exception {
        statements: &["meta_reset"],
        tables: &["meta", "worker"],
        _why: "when everything is taken away",
    },
    Exception {
        statements: &["server_lock", "server_up"],
        tables: &["server"],
        _why: "servers are few",
    },
    Exception {
        statements: &["lane_open", "lane_open_among", "lane_waiting"],
        tables: &["counter", "server", "ready", "lease"],
        _why: "at a start, and once some lanes were forgotten; servers are few",
    },
    Exception {
        statements: &["lane_last", "worker_last"],
        tables: &["lane", "meta", "worker"],
        _why: "the first row of an index read backwards, and the one row of `meta`",
    },
    Exception {
        statements: &["scheduled_next"],
        tables: &["scheduled"],
        _why: "the first row of the key's index",
    },
    Exception {
        statements: &["operation_open", "operation_open_count"],
        tables: &["operation"],
        _why: "an index that holds no others than the open ones, which are limited",
    },
    Exception {
        statements: &["queue_list", "queue_lock", "queue_paused"],
        tables: &["queue"],
        _why: "all of which something is set, which are limited; of the paused there is an index that holds no others",
    },
    Exception {
        statements: &[
            "counter_all",
            "counter_most",
            "counter_pending",
            "counter_sum",
        ],
        tables: &["counter", "lane", JOIN],
        _why: "sums over all lanes; each counter and each lane is looked at once",
    },
    Exception {
        statements: &["lease_list", "lease_of_worker", "lease_takeable"],
        tables: &["lease"],
        _why: "an index by worker would cost every claim, and what is under way is little",
    },
    Exception {
        statements: &["lease_held", "lease_lost"],
        tables: &["lease", "worker", "lane", "carry", JOIN],
        _why: "the same; with what belongs to each as the statistics say, for one worker that is looked at, or a sweep",
    },
    Exception {
        statements: &["worker_count", "worker_gone", "worker_live", "worker_staff"],
        tables: &["worker"],
        _why: "all workers are counted, or looked through, by an index that leaves out those that are forgotten",
    },
    Exception {
        statements: &["worker_list", "worker_view"],
        tables: &["worker", "lease", JOIN],
        _why: "pages of workers, with what all of them hold counted once",
    },
    Exception {
        statements: &["queue_since", "queue_tasks", "task_holder"],
        tables: &["server", JOIN],
        _why: "joined is what is found by the key of the one thing that is asked for; servers are few",
    },
    Exception {
        statements: &["log_run_list"],
        tables: &["log_run"],
        _why: "the runs of one task, of which one attempt may be asked for",
    },
    Exception {
        statements: &["log_chunk_delete"],
        tables: &["log_chunk", JOIN],
        _why: "planned anew each time, so no plan for an empty table is kept",
    },
];
const ROWS: i32 = 3000;

#[tokio::test]
async fn every_statement_goes_by_key_whatever_the_tables_hold() {
    look_at_statements("writer_settings").await;
}

#[tokio::test]
async fn every_statement_goes_by_key_on_the_readers_connections_too() {
    look_at_statements("reader_settings").await;
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

/// Else a statement that has come to have a plan would never be looked at.
#[tokio::test]
async fn what_has_no_plan_is_there_and_cannot_be_prepared() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let client = database.client().await;
    let statements = statements();
    for name in WITHOUT_PLAN {
        let found = statements.iter().find(|(found, _)| found == name);
        let (_, text) = found.unwrap_or_else(|| panic!("there is no {name} any more"));
        let prepared = client.batch_execute(&format!("prepare it as {text}")).await;
        let error = prepared
            .err()
            .unwrap_or_else(|| panic!("{name} has a plan"));
        assert_eq!(
            error.code(),
            Some(&SqlState::SYNTAX_ERROR),
            "{name}: {error}"
        );
    }
}

type Named = (String, String);
/// The first column of each index, by the index's name.
type Leads = HashMap<String, String>;

async fn look_at_statements(settings: &str) {
    let mut statements = statements();
    statements.retain(|(name, _)| !WITHOUT_PLAN.contains(&&**name));
    let Some(excused) = look_at_all(settings, &statements).await else {
        return;
    };
    let statements = EXCEPTIONS.iter().flat_map(|exception| exception.statements);
    let needless: Vec<_> = statements
        .filter(|name| !excused.contains(**name))
        .collect();
    assert!(
        needless.is_empty(),
        "{needless:?} are no exceptions, or no statements, any more"
    );
}

/// Those that were excused; `None` where there is no server.
async fn look_at_all(settings: &str, statements: &[Named]) -> Option<BTreeSet<String>> {
    let database = Database::migrated().await?;
    let client = database.client().await;
    client
        .batch_execute(&text("postgres", settings))
        .await
        .unwrap();
    let client = &client;
    // Of another connection: it waits for what is being vacuumed already, longer than those settings let it.
    let keeper = &database.client().await;

    let mut excused = BTreeSet::new();
    let mut bad = look(
        client,
        statements,
        "tables that were never looked at",
        &mut excused,
    )
    .await;
    keeper.batch_execute("vacuum analyze").await.unwrap();
    bad.extend(look(client, statements, "empty, vacuumed tables", &mut excused).await);
    fill(keeper).await;
    bad.extend(look(client, statements, "tables that filled since", &mut excused).await);
    keeper.batch_execute("vacuum analyze").await.unwrap();
    bad.extend(look(client, statements, "full tables", &mut excused).await);
    empty(keeper).await;
    bad.extend(look(client, statements, "tables that were emptied", &mut excused).await);
    keeper.batch_execute("vacuum analyze").await.unwrap();
    bad.extend(look(client, statements, "emptied, vacuumed tables", &mut excused).await);

    assert!(bad.is_empty(), "{}", bad.join("\n"));
    Some(excused)
}

async fn look(
    client: &Client,
    statements: &[Named],
    tables: &str,
    excused: &mut BTreeSet<String>,
) -> Vec<String> {
    let leads = leads(client).await;
    let mut bad = Vec::new();
    for (name, text) in statements {
        let plan = plan(client, text).await;
        for (place, complaint) in complaints(name, &plan, &leads) {
            if is_excused(name, &place) {
                excused.insert(name.clone());
            } else {
                bad.push(format!("{name} on {tables}: {complaint}"));
            }
        }
    }
    bad
}

/// Of another database, whose tables have tests of their own.
const OF_INBOXES: &str = "inbox_";

/// All that there are, by name.
fn statements() -> Vec<Named> {
    let mut found = Vec::new();
    for folder in ["common", "postgres"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("sql")
            .join(folder);
        for file in fs::read_dir(path).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if name.starts_with(OF_INBOXES) {
                continue;
            }
            let text = text(folder, &name);
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

async fn leads(client: &Client) -> Leads {
    let all =
        "select indexrelid::regclass::text, pg_get_indexdef(indexrelid, 1, true) from pg_index";
    let rows = client.query(all, &[]).await.unwrap();
    let leads = rows.iter().map(|row| (row.get(0), row.get(1)));
    leads.collect()
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

fn is_excused(name: &str, place: &str) -> bool {
    EXCEPTIONS.iter().any(|exception| {
        let Exception {
            statements, tables, ..
        } = exception;
        statements.contains(&name) && (tables.is_empty() || tables.contains(&place))
    })
}

/// Where it looks at more than it gives, and how.
fn complaints(name: &str, plan: &Value, leads: &Leads) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut nodes = vec![(&plan[0]["Plan"], "")];
    while let Some((node, above)) = nodes.pop() {
        let kind = node["Node Type"].as_str().unwrap();
        // Of what a bitmap is for, the node above tells.
        let table = node["Relation Name"].as_str().unwrap_or(above);
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
                !is_led(node, leads) || !(filter.is_empty() || is_of_slot)
            }
            "Bitmap Index Scan" => !is_led(node, leads),
            // Joined with what was found by a constant: then the index was not asked for the whole key.
            "Nested Loop" => !node["Join Filter"].is_null(),
            _ => false,
        };
        let place = if kind == "Nested Loop" { JOIN } else { table };
        if is_scan {
            let complaint = format!(
                "{kind} {table} {} {} {} {}",
                node["Index Name"], node["Index Cond"], node["Filter"], node["Join Filter"]
            );
            found.push((place.to_owned(), complaint));
        }
        let below = node["Plans"].as_array().into_iter().flatten();
        nodes.extend(below.map(|node| (node, table)));
    }
    found
}

/// Whether its condition is on the first column of its index, alone or in front of others. If it is on later ones only,
/// the whole index is read.
fn is_led(node: &Value, leads: &Leads) -> bool {
    let condition = node["Index Cond"].as_str().unwrap_or_default();
    let first = &leads[node["Index Name"].as_str().unwrap()];
    condition.split(" AND ").any(|part| {
        let part = part.trim_start_matches('(');
        let columns = part.strip_prefix("ROW(").unwrap_or(part);
        let rest = columns.strip_prefix(first.as_str());
        rest.is_some_and(|rest| rest.starts_with([' ', ',']))
    })
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
        format!("insert into unique_key select 'q', 'k' || n, {ids} from generate_series(1, {ROWS}) as n"),
        format!(
            "insert into log_run (task, slot, fence, claimed_at, attempt, next_seq, bytes, is_full)
             select {ids}, 0, 1, n, 1, 1, 1, false from generate_series(1, {ROWS}) as n"
        ),
        format!("insert into log_chunk select n, 1, '[]' from generate_series(1, {ROWS}) as n"),
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
