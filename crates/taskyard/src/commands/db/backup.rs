//! `taskyard db backup`, `restore` and `renew`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use taskyard_core::shell::quoted;
use taskyard_store::sqlite::{LogsCopied, Taken};
use taskyard_store::{postgres, sqlite};

use super::{Done, blocking, refused, there};
use crate::cli::{BackupArgs, RenewArgs, RestoreArgs};
use crate::clock;
use crate::database::{Address, whole};
use crate::failure::Failure;
use crate::output::{self, Format, Shown};
use crate::randomness::Unguessable;

/// A file that was written.
#[derive(Serialize)]
struct Written {
    file: PathBuf,
    bytes: u64,
    /// Whether what runs have printed is in it, in a file beside it.
    logs: bool,
}

impl Shown for Written {
    fn table(&self) -> String {
        let bytes = format!("{} bytes", self.bytes);
        output::sheet(&[
            ("backup", self.file.display().into()),
            ("size", bytes.into()),
        ])
    }

    fn ids(&self) -> Vec<String> {
        vec![self.file.display().to_string()]
    }
}

/// A database that was put in place.
#[derive(Serialize)]
struct Restored {
    database: String,
    /// Where what stood there is kept now.
    replaced: Option<PathBuf>,
}

impl Shown for Restored {
    fn table(&self) -> String {
        let mut rows = vec![("database", (&self.database).into())];
        if let Some(replaced) = &self.replaced {
            rows.push(("before", replaced.display().into()));
        }
        output::sheet(&rows)
    }

    fn ids(&self) -> Vec<String> {
        vec![self.database.clone()]
    }
}

pub(super) async fn backup(args: &BackupArgs, format: Format) -> Done {
    let address = Address::parse(&args.database.database)?;
    let Address::Sqlite(database) = &address else {
        return Err(elsewhere(&address, "pg_dump --format=custom --file=FILE"));
    };
    there(database)?;
    let (database, file, force) = (whole(database), whole(&args.file), args.force);
    if let Some(folder) = file.parent().filter(|folder| !folder.is_dir()) {
        let folder = folder.display();
        return Err(Failure::usage(format!(
            "there is no folder {folder} for the backup; make it with `mkdir -p {}`, or name another file",
            quoted(&folder.to_string())
        )));
    }
    let to = file.clone();
    let Taken { bytes, logs } = blocking(move || sqlite::backup(&database, &to, force)).await?;
    tell_of_logs(&logs);
    let logs = logs == LogsCopied::Whole;
    format.print(&Written { file, bytes, logs })?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn restore(args: &RestoreArgs, format: Format) -> Done {
    let address = Address::parse(&args.database.database)?;
    let Address::Sqlite(database) = &address else {
        return Err(elsewhere(
            &address,
            "pg_restore --single-transaction --clean --if-exists --dbname=… FILE",
        ));
    };
    if !args.file.is_file() {
        return Err(Failure::usage(format!(
            "there is no backup at {}; `taskyard db backup FILE` makes one",
            args.file.display()
        )));
    }
    // What is kept stands beside the file itself, not beside a link to it.
    let (database, file) = (sqlite::behind_links(&whole(database)), whole(&args.file));
    let aside = aside(&database);
    let replaced = database.is_file().then(|| aside.clone());
    let logs = blocking(move || sqlite::restore(&file, &database, &aside, &mut Unguessable::new()))
        .await?;
    tell_of_logs(&logs);
    output::note(
        "Leases from before the backup are refused from here on; what was under way runs again.",
    );
    format.print(&Restored {
        database: address.to_string(),
        replaced,
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn renew(args: &RenewArgs, format: Format) -> Done {
    let address = Address::parse(&args.database.database)?;
    match &address {
        Address::Sqlite(database) => {
            there(database)?;
            let database = whole(database);
            blocking(move || sqlite::renew(&database, &mut Unguessable::new())).await?;
        }
        Address::Postgres(url) => postgres::renew(url, &mut Unguessable::new())
            .await
            .map_err(refused)?,
    }
    format.print(&Restored {
        database: address.to_string(),
        replaced: None,
    })?;
    Ok(ExitCode::SUCCESS)
}

fn tell_of_logs(logs: &LogsCopied) {
    match logs {
        LogsCopied::Whole => {}
        LogsCopied::Missing => {
            output::note("There is no file of logs beside it: what runs printed is not there.")
        }
        LogsCopied::Left(why) => output::note(&format!(
            "The tasks are there, but what runs printed is not: {why}"
        )),
    }
}

/// Beside it, with the time in its name.
fn aside(database: &Path) -> PathBuf {
    let now: String = clock::now()
        .to_string()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let mut name = database.as_os_str().to_owned();
    name.push(format!(".replaced-{now}"));
    name.into()
}

/// PostgreSQL's own tools do this better than a copy of rows could.
fn elsewhere(address: &Address, tool: &str) -> Failure {
    Failure::usage(format!(
        "{address} is on PostgreSQL, whose own tools keep and put back its databases: {tool}\n  \
         After pg_restore, and before the first server starts, say `taskyard db renew`, so that leases of before are \
         refused"
    ))
}
