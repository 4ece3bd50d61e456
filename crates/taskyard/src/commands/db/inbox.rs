//! `taskyard db inbox`.

use std::process::ExitCode;

use serde::Serialize;
use taskyard_store::postgres::inbox;

use super::{Done, refused};
use crate::cli::DbInboxArgs;
use crate::database::without_password;
use crate::failure::Failure;
use crate::inboxes;
use crate::output::{self, Format, Shown};

/// The statements that make one.
#[derive(Serialize)]
struct Statements {
    sql: String,
}

impl Shown for Statements {
    fn table(&self) -> String {
        self.sql.trim_end().to_owned()
    }

    fn ids(&self) -> Vec<String> {
        vec![self.table()]
    }
}

/// Inboxes to which the same was done.
#[derive(Serialize)]
struct Inboxes {
    inboxes: Vec<String>,
    #[serde(skip)]
    what: &'static str,
}

impl Shown for Inboxes {
    fn table(&self) -> String {
        let rows = self.inboxes.iter();
        let rows: Vec<_> = rows.map(|inbox| (self.what, inbox.into())).collect();
        output::sheet(&rows)
    }

    fn ids(&self) -> Vec<String> {
        self.inboxes.clone()
    }
}

pub(super) async fn inbox(args: &DbInboxArgs, format: Format) -> Done {
    let urls = inboxes::addresses(&args.inboxes)?;
    if !args.apply && !args.drop {
        format.print(&Statements { sql: inbox::text() })?;
        return Ok(ExitCode::SUCCESS);
    }
    if urls.is_empty() {
        return Err(Failure::usage(
            "--apply and --drop need --inbox, the database where the inbox is: postgres://USER:PASSWORD@HOST/NAME",
        ));
    }
    for url in &urls {
        let done = if args.apply {
            inbox::apply(url).await.map_err(refused)
        } else {
            take_away(url, args.yes).await
        };
        done?;
    }
    format.print(&Inboxes {
        inboxes: urls.iter().map(|url| without_password(url)).collect(),
        what: if args.apply { "made" } else { "taken away" },
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn take_away(url: &str, whatever_waits: bool) -> Result<(), Failure> {
    match inbox::remove(url, whatever_waits).await {
        Ok(None) => Ok(()),
        Ok(Some(found)) => Err(Failure::new(format!(
            "the inbox at {} holds rows, {} waiting and {} refused; nothing was changed. Let a server take them over, or say \
             --yes: their tasks are never run then",
            without_password(url),
            found.waiting,
            found.refused
        ))),
        Err(error) => Err(refused(error)),
    }
}
