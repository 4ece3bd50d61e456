//! Making an inbox in somebody's database, and taking it away.

use tokio_postgres::Client;

use super::super::OpenError;
use super::super::address::Address;
use super::super::sql;
use super::{Error, VERSION, answered, column, connect, found_of};

/// In their order; each may be run where it was run before.
const MIGRATIONS: [&str; 1] = [include_str!("../../../migrations/inbox/0001_tables.sql")];

/// What stands in an inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// To be taken over.
    pub waiting: u64,
    pub refused: u64,
}

impl Waiting {
    pub fn is_empty(&self) -> bool {
        self.waiting == 0 && self.refused == 0
    }
}

/// The statements that make an inbox, or bring an older one up to date; for `psql`, or for whatever migrates the database.
pub fn text() -> String {
    MIGRATIONS.join("\n")
}

/// Runs them. An inbox of a newer program stays as it is.
pub async fn apply(url: &str) -> Result<(), OpenError> {
    let (client, address) = connected(url).await?;
    let applied = apply_over(&client).await;
    applied.map_err(|error| unusable(&address, &error))
}

async fn apply_over(client: &Client) -> Result<(), Error> {
    match answered(client.query_typed(sql::INBOX_LOOK, &[])).await {
        Ok(found) => {
            let (found, needs) = found_of(found.first().ok_or(Error::Missing)?)?;
            if found > VERSION {
                return Err(Error::TooNew { found, needs });
            }
        }
        Err(Error::Missing) => {}
        Err(error) => return Err(error),
    }
    answered(client.batch_execute(&text())).await
}

/// Takes an inbox away: all of it or nothing. With `whatever_waits` also one in which rows stand, whose tasks are then never
/// run; else these are answered, and nothing is done.
pub async fn remove(url: &str, whatever_waits: bool) -> Result<Option<Waiting>, OpenError> {
    let (client, address) = connected(url).await?;
    let removed = remove_from(&client, whatever_waits).await;
    removed.map_err(|error| unusable(&address, &error))
}

async fn remove_from(client: &Client, whatever_waits: bool) -> Result<Option<Waiting>, Error> {
    answered(client.batch_execute("begin")).await?;
    if !whatever_waits {
        // Whoever submits meanwhile waits, and finds no inbox.
        answered(client.batch_execute(sql::INBOX_LOCK)).await?;
        let found = answered(client.query_typed(sql::INBOX_COUNT, &[])).await?;
        let row = found.first().ok_or(Error::Missing)?;
        let (waiting, refused): (i64, i64) = (column(row, 0)?, column(row, 1)?);
        let found = Waiting {
            waiting: waiting.unsigned_abs(),
            refused: refused.unsigned_abs(),
        };
        if !found.is_empty() {
            return Ok(Some(found));
        }
    }
    answered(client.batch_execute(sql::INBOX_DROP)).await?;
    answered(client.batch_execute("commit")).await?;
    Ok(None)
}

async fn connected(url: &str) -> Result<(Client, Address), OpenError> {
    let address = Address::parse(url)?;
    let connected = connect(&address).await;
    let (client, connection) = connected.map_err(|error| unusable(&address, &error))?;
    // Ends with the client; the statements' answers tell how they went.
    tokio::spawn(async move { drop(connection.await) });
    Ok((client, address))
}

fn unusable(address: &Address, error: &Error) -> OpenError {
    OpenError::Inbox {
        server: address.to_string(),
        reason: error.to_string(),
    }
}
