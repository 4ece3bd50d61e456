//! What is wrong with a database, and how much it holds. Looks only; a server may work on it meanwhile, for each
//! question is answered from one snapshot.

use std::pin::pin;

use futures_util::StreamExt;
use taskyard_core::store::{Cause, Error};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::address::Address;
use super::error::explain;
use super::fields::{Fields, Postgres, Read};
use super::open::{self, Meta, OpenError};
use super::{question, sql};
use crate::fields::Database as _;
use crate::findings::{self, Judged};
use crate::rows::operation::operation;
use crate::stats::Stats;

/// What is not as it must be, a line each; nothing if all is well.
pub async fn check(url: &str) -> Result<Vec<String>, OpenError> {
    let address = Address::parse(url)?;
    let (client, _) = whole(&address).await?;
    found(&client)
        .await
        .map_err(|error| failed(&address, &error))
}

pub async fn stats(url: &str) -> Result<Stats, OpenError> {
    let address = Address::parse(url)?;
    let (client, meta) = whole(&address).await?;
    let counted = count(&client).await;
    let (bytes, tables) = counted.map_err(|error| failed(&address, &error))?;
    Ok(Stats {
        schema: meta.schema,
        min_compatible: meta.min_compatible,
        incarnation: meta.incarnation.into_bytes(),
        bytes,
        tables,
    })
}

/// One that can be looked through: of today, and not held against those who read.
async fn whole(address: &Address) -> Result<(Client, Meta), OpenError> {
    let (client, meta) = open::look(address).await?;
    meta.is_of_today(address)?;
    let held = client.batch_execute(sql::CHECK_LOCK).await;
    held.map_err(|error| failed(address, &explain(&error)))?;
    Ok((client, meta))
}

fn failed(address: &Address, error: &Error) -> OpenError {
    let server = address.to_string();
    match error {
        Error::Unavailable(away) if away.cause == Cause::Held => OpenError::Held { server },
        _ => OpenError::Unusable {
            server,
            reason: error.to_string(),
        },
    }
}

async fn found(client: &Client) -> Read<Vec<String>> {
    let mut lines = ask(client, findings::PLACES, findings::place).await?;
    lines.extend(ask(client, findings::COUNTERS, findings::counter).await?);
    for (statement, what) in findings::OF_TASKS {
        let line = |fields: &mut Fields<'_>| Ok(format!("task {} {what}", findings::key(fields)?));
        lines.extend(ask(client, statement, line).await?);
    }
    lines.extend(ask(client, findings::MINUTES, findings::minute).await?);
    lines.extend(operations(client).await?);
    for judged in findings::judged() {
        lines.extend(damaged(client, judged).await?);
    }
    Ok(lines)
}

/// All of them are looked at: they go soon after their end.
async fn operations(client: &Client) -> Read<Vec<String>> {
    let all = question::once(client, sql::OPERATION_LIST, &[&Uuid::max(), &i64::MAX]).await;
    let mut lines = Vec::new();
    for row in &all.map_err(|error| explain(&error))? {
        let id = findings::key(&mut Fields::of(row))?;
        let read = operation(&mut Fields::of(row)).map_err(|error| Postgres::why(&error));
        lines.extend(findings::operation(&id, read));
    }
    lines.truncate(findings::OPERATIONS_MAX);
    Ok(lines)
}

/// Looks through all JSON of one sort, a row at a time.
async fn damaged(client: &Client, (statement, judge): Judged<Postgres>) -> Read<Vec<String>> {
    let rows = question::streamed(client, statement, &[]).await;
    let mut rows = pin!(rows.map_err(|error| explain(&error))?);
    let mut found = Vec::new();
    while found.len() < findings::DAMAGED_MAX
        && let Some(row) = rows.next().await
    {
        let row = row.map_err(|error| explain(&error))?;
        found.extend(judge(&mut Fields::of(&row))?);
    }
    Ok(found)
}

async fn ask(
    client: &Client,
    statement: &str,
    line: impl Fn(&mut Fields<'_>) -> Read<String>,
) -> Read<Vec<String>> {
    let rows = question::once(client, statement, &[&findings::FINDINGS_MAX]).await;
    let rows: Vec<Row> = rows.map_err(|error| explain(&error))?;
    rows.iter().map(|row| line(&mut Fields::of(row))).collect()
}

async fn count(client: &Client) -> Read<(u64, Vec<(String, i64)>)> {
    let bytes = client.query_typed_one(sql::STATS_BYTES, &[]).await;
    let bytes: i64 = Fields::of(&bytes.map_err(|error| explain(&error))?).take()?;
    let rows = question::once(client, sql::STATS_ROWS, &[]).await;
    let mut rows = rows.map_err(|error| explain(&error))?;
    let logs = question::once(client, sql::LOG_ROWS, &[]).await;
    rows.extend(logs.map_err(|error| explain(&error))?);
    let counted = rows.iter().map(|row| {
        let mut fields = Fields::of(row);
        Ok((fields.take()?, fields.take()?))
    });
    let mut tables: Vec<(String, i64)> = counted.collect::<Read<_>>()?;
    tables.sort_unstable();
    Ok((bytes.unsigned_abs(), tables))
}
