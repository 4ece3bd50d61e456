//! `taskyard db`: migrate, check, stats; backup, restore and renew in a file of their own, and so are reset and inbox.

mod backup;
mod inbox;
mod reset;

use std::path::Path;
use std::process::ExitCode;

use serde::{Serialize, Serializer};
use taskyard_store::stats::Stats;
use taskyard_store::{postgres, sqlite};

use super::Done;
use crate::cli::{DatabaseArgs, DbArgs, DbVerb};
use crate::database::{self, Address, Manner};
use crate::failure::Failure;
use crate::output::{self, Column, Format, Shown};
use crate::randomness::Unguessable;

/// How large a database is, by table.
#[derive(Serialize)]
struct Sizes {
    schema: i32,
    min_compatible: i32,
    incarnation: String,
    bytes: u64,
    #[serde(serialize_with = "by_table")]
    rows: Vec<(String, i64)>,
}

fn by_table<S: Serializer>(rows: &[(String, i64)], writer: S) -> Result<S::Ok, S::Error> {
    writer.collect_map(rows.iter().map(|(table, rows)| (table, rows)))
}

impl Shown for Sizes {
    fn table(&self) -> String {
        let sheet = output::sheet(&[
            (
                "schema",
                format!(
                    "{} (programs from {} on can use it)",
                    self.schema, self.min_compatible
                )
                .into(),
            ),
            ("incarnation", (&self.incarnation).into()),
            ("size", format!("{} bytes", self.bytes).into()),
        ]);
        let rows = self
            .rows
            .iter()
            .map(|(table, rows)| vec![table.clone(), rows.to_string()]);
        let columns = [Column::new("table"), Column::new("rows")];
        format!("{sheet}\n\n{}", output::table(&columns, rows.collect()))
    }

    fn ids(&self) -> Vec<String> {
        vec![self.incarnation.clone()]
    }
}

impl From<Stats> for Sizes {
    fn from(stats: Stats) -> Self {
        Self {
            schema: stats.schema,
            min_compatible: stats.min_compatible,
            incarnation: stats
                .incarnation
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            bytes: stats.bytes,
            rows: stats.tables,
        }
    }
}

/// What is wrong with a database.
#[derive(Serialize)]
#[serde(transparent)]
struct Faults(Vec<String>);

impl Shown for Faults {
    fn table(&self) -> String {
        if self.0.is_empty() {
            "nothing is wrong".to_owned()
        } else {
            self.0.join("\n")
        }
    }

    fn ids(&self) -> Vec<String> {
        self.0.clone()
    }
}

pub(super) async fn run(args: &DbArgs, format: Format) -> Done {
    match &args.verb {
        DbVerb::Migrate(database) => migrate(database, format).await,
        DbVerb::Check(database) => check(database, format).await,
        DbVerb::Stats(database) => stats(database, format).await,
        DbVerb::Backup(args) => backup::backup(args, format).await,
        DbVerb::Restore(args) => backup::restore(args, format).await,
        DbVerb::Renew(args) => backup::renew(args, format).await,
        DbVerb::Reset(args) => reset::reset(args, format).await,
        DbVerb::Inbox(args) => inbox::inbox(args, format).await,
    }
}

async fn migrate(args: &DatabaseArgs, format: Format) -> Done {
    let address = Address::parse(&args.database)?;
    match &address {
        Address::Sqlite(_) => drop(database::open(&address, Manner::default(), None).await?),
        // Without a server's connections, which a pooler that stands in between might not be for.
        Address::Postgres(url) => {
            let migrated = postgres::migrate(url, &mut Unguessable::new()).await;
            migrated.map_err(|error| Failure::new(error.to_string()))?;
        }
    }
    stats(args, format).await
}

async fn check(args: &DatabaseArgs, format: Format) -> Done {
    let found = match Address::parse(&args.database)? {
        Address::Sqlite(path) => {
            there(&path)?;
            let look = move || match sqlite::check(&path) {
                Err(empty @ sqlite::OpenError::Empty(_)) => Ok(nothing_in(&empty)),
                checked => checked,
            };
            blocking(look).await?
        }
        Address::Postgres(url) => match postgres::check(&url).await {
            Err(empty @ postgres::OpenError::Empty { .. }) => nothing_in(&empty),
            checked => checked.map_err(refused)?,
        },
    };
    let is_well = found.is_empty();
    format.print(&Faults(found))?;
    Ok(if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A database in which nothing is has nothing wrong in it.
fn nothing_in(empty: &impl std::fmt::Display) -> Vec<String> {
    output::note(&empty.to_string());
    Vec::new()
}

async fn stats(args: &DatabaseArgs, format: Format) -> Done {
    let stats = match Address::parse(&args.database)? {
        Address::Sqlite(path) => {
            there(&path)?;
            blocking(move || sqlite::stats(&path)).await?
        }
        Address::Postgres(url) => postgres::stats(&url).await.map_err(refused)?,
    };
    format.print(&Sizes::from(stats))?;
    Ok(ExitCode::SUCCESS)
}

/// Looking must not make one.
fn there(path: &Path) -> Result<(), Failure> {
    // What is told of one whose restore was cut short says more.
    if path.is_file() || sqlite::is_cut_short(path) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "there is no database at {}; name it with --database, or make it with `taskyard db migrate`",
        path.display()
    )))
}

async fn blocking<T: Send + 'static, E: std::fmt::Display + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::new(error.to_string()))?
        .map_err(refused)
}

fn refused(error: impl std::fmt::Display) -> Failure {
    Failure::new(error.to_string())
}
