//! A statement, as a connection asks it: prepared there once, or told whole each time. A pooler that gives every
//! transaction another connection knows nothing of what was prepared on the one before.

use std::sync::Arc;

use futures_util::future;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row, RowStream, Statement};

use super::params::Param;

#[derive(Clone)]
pub(super) enum Question {
    Prepared(Statement),
    Told(Arc<str>),
}

impl Question {
    pub(super) async fn of(client: &Client, text: &str, is_pooled: bool) -> Result<Self, Error> {
        Ok(if is_pooled {
            Self::Told(told(text).into())
        } else {
            Self::Prepared(client.prepare(text).await?)
        })
    }

    /// One round trip.
    pub(super) async fn ask(
        &self,
        client: &Client,
        params: &[&dyn Param],
    ) -> Result<Vec<Row>, Error> {
        match self {
            Self::Prepared(statement) => client.query(statement, &plain(params)).await,
            Self::Told(text) => once(client, text, params).await,
        }
    }
}

/// Asks without a statement that stays prepared; one round trip.
pub(super) async fn once(
    client: &Client,
    text: &str,
    params: &[&dyn Param],
) -> Result<Vec<Row>, Error> {
    client.query_typed(text, &typed(params)).await
}

/// The same for rows that come one by one.
pub(super) async fn streamed(
    client: &Client,
    text: &str,
    params: &[&dyn Param],
) -> Result<RowStream, Error> {
    client.query_typed_raw(text, typed(params)).await
}

/// Asks in a transaction of its own that begins with this, and ends with it; one round trip.
pub(super) async fn within(
    client: &Client,
    opening: &str,
    text: &str,
    params: &[&dyn Param],
) -> Result<Vec<Row>, Error> {
    // Each is sent when it is first polled, and that is done in their order. A commit of what failed undoes it.
    let (begun, rows, ended) = future::join3(
        client.batch_execute(opening),
        once(client, text, params),
        client.batch_execute("commit"),
    )
    .await;
    begun?;
    let rows = rows?;
    ended?;
    Ok(rows)
}

pub(super) fn plain<'a>(params: &[&'a dyn Param]) -> Vec<&'a (dyn ToSql + Sync)> {
    params.iter().map(|param| param.value()).collect()
}

fn typed<'a>(params: &[&'a dyn Param]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    let typed = params.iter().map(|param| (param.value(), param.kind()));
    typed.collect()
}

/// What goes over the wire each time: without the lines that are for whoever reads the statement.
pub(super) fn told(text: &str) -> String {
    let said = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"));
    said.collect::<Vec<_>>().join("\n")
}
