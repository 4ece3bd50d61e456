//! Several stores as one: each batch runs on all of them with the same time and the same randomness, and they must
//! agree, on every reply and every row.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use parking_lot::Mutex;
use rusqlite::types::Value;
use taskyard_core::command::Command;
use taskyard_core::id::TaskId;
use taskyard_core::lane::{Lane, Lanes};
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, List, Query};
use taskyard_core::random::{Random, Seeded};
use taskyard_core::rows::{Idempotency, Ready, Server};
use taskyard_core::store::{Error, Ran, Store};
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::claim::Claims;
use taskyard_store::Clock;
use taskyard_store::model::Model;
use taskyard_store::postgres::{self, PostgresStore};
use taskyard_store::sqlite::{self, SqliteStore};
use tempfile::TempDir;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::database::Database;

/// Every row of every table, as text; `meta` is left out, for no two databases are the same one.
type Tables = BTreeMap<String, Vec<String>>;

pub(crate) struct Together {
    model: Model,
    sqlite: SqliteStore,
    postgres: Option<(PostgresStore, Client, Database)>,
    folder: TempDir,
}

impl Together {
    pub(crate) fn without_postgres(clock: &Clock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shared = Shared::default();
        let options = sqlite::Options {
            clock: Arc::clone(clock),
            random: Box::new(shared.clone()),
            listens_on: None,
            last_words: || {},
        };
        let sqlite = SqliteStore::open(&file(&folder), options).unwrap();
        shared.begin();
        Self {
            model: Model::new(SEED, Arc::clone(clock)),
            sqlite,
            postgres: None,
            folder,
        }
    }

    pub(crate) async fn with_postgres(clock: &Clock) -> Option<Self> {
        let database = Database::migrated().await?;
        let shared = Shared::default();
        let options = postgres::Options {
            clock: Some(Arc::clone(clock)),
            hints: true,
            pooled: false,
            random: Box::new(shared.clone()),
            within: taskyard_store::postgres::WITHIN,
        };
        let store = database.store(options).await;
        shared.begin();
        let client = database.client().await;
        Some(Self {
            postgres: Some((store, client, database)),
            ..Self::without_postgres(clock)
        })
    }

    fn stores(&self) -> impl Iterator<Item = &dyn Store> {
        let postgres = self.postgres.iter().map(|(store, ..)| store as &dyn Store);
        [&self.model as &dyn Store, &self.sqlite]
            .into_iter()
            .chain(postgres)
    }

    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    pub(crate) fn file(&self) -> PathBuf {
        file(&self.folder)
    }

    pub(crate) fn client(&self) -> Option<&Client> {
        self.postgres.as_ref().map(|(_, client, _)| client)
    }

    /// What `db check` finds in any of them.
    pub(crate) async fn findings(&self) -> Vec<String> {
        let mut found = sqlite::check(&self.file()).unwrap();
        if let Some((.., database)) = &self.postgres {
            found.extend(postgres::check(&database.url()).await.unwrap());
        }
        found
    }

    async fn compare_rows(&self) {
        let sqlite = sqlite_tables(&file(&self.folder));
        let ready = self.model.ready().iter().map(ready_text).collect();
        let keys = self.model.keys().iter().map(key_text).collect();
        let servers = self.model.servers().iter().map(server_text).collect();
        for (table, rows) in [("ready", ready), ("idempotency", keys), ("server", servers)] {
            assert_same(&(table, &sorted(rows)), &(table, &sqlite[table]));
        }
        self.compare_what_is_seen().await;
        if let Some((_, client, _)) = &self.postgres {
            let postgres = postgres_tables(client).await;
            for (table, rows) in &sqlite {
                assert_same(&(table, rows), &(table, &postgres[table]));
            }
        }
    }

    /// The model shows its other tables by what is answered from them, each whole: `task`, `scheduled`, `lease`, `carry`
    /// and `outcome` by the list, the rest by name.
    async fn compare_what_is_seen(&self) {
        let list = List {
            limit: ALL,
            payload: true,
            ..List::default()
        };
        let workers = Query::Workers {
            after: None,
            limit: ALL,
        };
        let listed = self.seen(Query::Tasks(list)).await.tasks();
        assert!(listed.next.is_none(), "one page has all tasks");
        let tasks = listed.items.iter();
        let attempts = tasks.map(|view| Query::Attempts {
            task: view.task.id,
            detail_max: usize::MAX,
        });
        for query in [workers, Query::Counts].into_iter().chain(attempts) {
            self.seen(query).await;
        }
    }

    /// What the model and SQLite both answer.
    async fn seen(&self, query: Query) -> Answer {
        let sqlite = self.sqlite.read(query.clone()).await.unwrap();
        let model = self.model.read(query).await.unwrap();
        assert_same(&model, &sqlite);
        model
    }
}

/// No test makes as many.
const ALL: usize = 1000;
const SEED: u64 = 1;

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("taskyard.db")
}

/// Answers are the same if they read the same.
fn assert_same(one: &impl Debug, other: &impl Debug) {
    if format!("{one:?}") != format!("{other:?}") {
        let (one, other) = (format!("{one:#?}"), format!("{other:#?}"));
        let differs = one
            .lines()
            .zip(other.lines())
            .filter(|(one, other)| one != other);
        let differs: Vec<_> = differs.take(20).collect();
        panic!("two stores differ: {differs:#?}\nin {one}\n\nand {other}");
    }
}

/// Workers that are not alike and look at the same lanes share one pick; which lanes they look at depends on what a store
/// remembers of its lanes, which may be more than there is.
fn have_unlike_workers(command: &Command) -> bool {
    let Command::Claims(Claims { claims }) = command else {
        return false;
    };
    let mut profiles = claims.iter().map(|claim| &claim.profile);
    let first = profiles.next();
    profiles.any(|profile| Some(profile) != first)
}

#[async_trait]
impl Store for Together {
    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, Error> {
        if batch.iter().any(have_unlike_workers) {
            self.unsure(None);
        }
        let mut first: Option<Ran> = None;
        for store in self.stores() {
            let mut ran = store.run(batch.clone(), policy).await?;
            // Hints, in no order.
            ran.topics.sort_by_cached_key(|topic| format!("{topic:?}"));
            // Each has words of its own for it.
            for answer in &mut ran.replies {
                if let Err(Error::Failed(reason)) = answer {
                    reason.clear();
                }
            }
            match &first {
                None => first = Some(ran),
                Some(first) => assert_same(first, &ran),
            }
        }
        self.compare_rows().await;
        Ok(first.expect("there is a model"))
    }

    async fn read(&self, query: Query) -> Result<Answer, Error> {
        let query = match query {
            // The model always answers with payloads.
            Query::Tasks(list) => Query::Tasks(List {
                payload: true,
                ..list
            }),
            other => other,
        };
        let mut first: Option<Answer> = None;
        for store in self.stores() {
            let answer = store.read(query.clone()).await?;
            match &first {
                None => first = Some(answer),
                Some(first) => assert_same(first, &answer),
            }
        }
        Ok(first.expect("there is a model"))
    }

    fn now(&self) -> Timestamp {
        self.model.now()
    }

    fn incarnation(&self) -> [u8; 16] {
        self.model.incarnation()
    }

    fn lanes(&self) -> Arc<Lanes> {
        self.model.lanes()
    }

    fn unsure(&self, lane: Option<Lane>) {
        self.stores().for_each(|store| store.unsure(lane));
    }
}

/// Randomness that is set back once a store is open: some make their database's incarnation of it, some do not.
#[derive(Clone)]
struct Shared(Arc<Mutex<Seeded>>);

impl Default for Shared {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Seeded::new(0))))
    }
}

impl Shared {
    fn begin(&self) {
        *self.0.lock() = Seeded::new(SEED);
    }
}

impl Random for Shared {
    fn bits(&mut self) -> u64 {
        self.0.lock().bits()
    }
}

fn ready_text(row: &Ready) -> String {
    columns_text([
        ("has_carry", i64::from(row.has_carry).into()),
        ("lane", row.lane.0.into()),
        ("order_key", row.order_key.0.into()),
        ("slot", row.slot.slot.0.into()),
        ("task", row.slot.task.as_bytes().to_vec().into()),
    ])
}

fn key_text(row: &Idempotency) -> String {
    let tasks = row.made.iter().flat_map(TaskId::as_bytes);
    columns_text([
        ("created_at", row.created_at.as_micros().into()),
        ("digest", row.digest.0.to_vec().into()),
        ("key", row.key.key.to_string().into()),
        ("scope", row.key.scope.to_string().into()),
        ("tasks", tasks.copied().collect::<Vec<u8>>().into()),
    ])
}

fn server_text(row: &Server) -> String {
    columns_text([
        ("expires_at", row.expires_at.as_micros().into()),
        ("number", row.number.0.into()),
        ("started_at", row.started_at.as_micros().into()),
    ])
}

fn columns_text<const N: usize>(columns: [(&str, Value); N]) -> String {
    let columns = columns.map(|(name, value)| (name.to_owned(), value));
    row_text(&BTreeMap::from(columns))
}

fn row_text(columns: &BTreeMap<String, Value>) -> String {
    format!("{columns:?}")
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

fn sqlite_tables(path: &Path) -> Tables {
    let database = rusqlite::Connection::open(path).unwrap();
    let list = "select name from sqlite_schema where type = 'table' and name not like 'sqlite%'";
    let names: Vec<String> = database
        .prepare(list)
        .and_then(|mut list| list.query_map([], |row| row.get(0))?.collect())
        .unwrap();
    let rows = |table: &String| {
        let mut select = database.prepare(&format!("select * from {table}")).unwrap();
        let columns: Vec<String> = select.column_names().map(str::to_owned).collect();
        let read = |row: &rusqlite::Row<'_>| {
            let values = columns.iter().enumerate();
            let values = values.map(|(index, name)| Ok((name.clone(), row.get(index)?)));
            values.collect::<rusqlite::Result<BTreeMap<_, _>>>()
        };
        let rows = select.query_map([], read).unwrap();
        sorted(rows.map(|row| row_text(&row.unwrap())).collect())
    };
    let names = names.into_iter().filter(|name| name != "meta");
    names.map(|name| (name.clone(), rows(&name))).collect()
}

async fn postgres_tables(client: &Client) -> Tables {
    let list = "select relname::text from pg_class
        where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> 'meta'";
    let names = client.query(list, &[]).await.unwrap();
    let tables = names.iter().map(|name| async move {
        let name: String = name.get(0);
        let rows = client.query(&format!("select * from {name}"), &[]).await;
        let rows = rows.unwrap();
        let rows = rows.iter().map(|row| row_text(&postgres_row(row)));
        (name, sorted(rows.collect()))
    });
    join_all(tables).await.into_iter().collect()
}

/// In the types that SQLite has.
fn postgres_row(row: &Row) -> BTreeMap<String, Value> {
    let value = |index: usize, kind: &Type| match *kind {
        Type::BOOL => row
            .get::<_, Option<bool>>(index)
            .map(|value| Value::Integer(value.into())),
        Type::INT2 => row
            .get::<_, Option<i16>>(index)
            .map(|value| Value::Integer(value.into())),
        Type::INT4 => row
            .get::<_, Option<i32>>(index)
            .map(|value| Value::Integer(value.into())),
        Type::INT8 => row.get::<_, Option<i64>>(index).map(Value::Integer),
        Type::FLOAT8 => row.get::<_, Option<f64>>(index).map(Value::Real),
        Type::TEXT => row.get::<_, Option<String>>(index).map(Value::Text),
        Type::BYTEA => row.get::<_, Option<Vec<u8>>>(index).map(Value::Blob),
        Type::UUID => {
            let id = row.get::<_, Option<Uuid>>(index);
            id.map(|id| Value::Blob(id.into_bytes().into()))
        }
        ref other => panic!("no column is of type {other}"),
    };
    let columns = row.columns().iter().enumerate();
    let columns = columns.map(|(index, column)| {
        let value = value(index, column.type_()).unwrap_or(Value::Null);
        (column.name().to_owned(), value)
    });
    columns.collect()
}
