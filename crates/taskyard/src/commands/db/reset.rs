//! `taskyard db reset`.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde::Serialize;
use taskyard_store::{postgres, sqlite};

use super::{Done, blocking, refused, there};
use crate::cli::ResetArgs;
use crate::database::{Address, whole};
use crate::failure::Failure;
use crate::output::{self, Format, Shown};
use crate::randomness::Unguessable;

/// A database that was emptied.
#[derive(Serialize)]
struct Emptied {
    database: String,
}

impl Shown for Emptied {
    fn table(&self) -> String {
        output::sheet(&[("emptied", (&self.database).into())])
    }

    fn ids(&self) -> Vec<String> {
        vec![self.database.clone()]
    }
}

pub(super) async fn reset(args: &ResetArgs, format: Format) -> Done {
    let address = Address::parse(&args.database.database)?;
    if let Address::Sqlite(database) = &address {
        there(database)?;
    }
    if !args.yes && !is_meant(&address)? {
        return Err(Failure::new("nothing was changed"));
    }
    match &address {
        Address::Sqlite(database) => {
            let database = whole(database);
            blocking(move || sqlite::reset(&database, &mut Unguessable::new())).await?;
        }
        Address::Postgres(url) => postgres::reset(url, &mut Unguessable::new())
            .await
            .map_err(refused)?,
    }
    format.print(&Emptied {
        database: address.to_string(),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn is_meant(address: &Address) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::usage(format!(
            "this takes everything out of {address}, for good; say --yes if that is meant"
        )));
    }
    let ask = || {
        let mut said = String::new();
        let question = format!("Take everything out of {address}, for good? Type yes: ");
        write!(io::stderr(), "{}", output::safe(&question))?;
        io::stderr().flush()?;
        io::stdin().lock().read_line(&mut said)?;
        io::Result::Ok(said.trim() == "yes")
    };
    ask().map_err(|error| Failure::new(format!("there was no answer: {error}")))
}
