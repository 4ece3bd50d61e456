//! Those who answer questions: a connection that reads, and a snapshot of the database on one.

use deadpool_postgres::{Client, Transaction};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, IsolationLevel, Row, RowStream};

use super::error::explain;
use super::fields::Read;
use super::params::Param;
use super::pooled::Opening;
use super::question;

pub(super) trait Asked: Sync {
    fn rows(
        &self,
        statement: &str,
        params: &[&dyn Param],
    ) -> impl Future<Output = Result<Vec<Row>, Error>> + Send;
}

/// A connection. Each question is one of its own.
pub(super) struct Reader<'a> {
    client: &'a mut Client,
    /// What its transactions begin with, where nothing holds for longer.
    opening: Option<&'a Opening>,
}

/// Begun, and not ended.
pub(super) struct Snapshot<'a> {
    tx: Transaction<'a>,
    is_pooled: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn of(client: &'a mut Client, opening: Option<&'a Opening>) -> Self {
        Self { client, opening }
    }

    pub(super) async fn snapshot(&mut self) -> Read<Snapshot<'_>> {
        let tx = self
            .client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start();
        let tx = tx.await.map_err(|error| explain(&error))?;
        if let Some(opening) = self.opening {
            let set = tx.batch_execute(opening.settings()).await;
            set.map_err(|error| explain(&error))?;
        }
        let is_pooled = self.opening.is_some();
        Ok(Snapshot { tx, is_pooled })
    }
}

impl Asked for Reader<'_> {
    async fn rows(&self, statement: &str, params: &[&dyn Param]) -> Result<Vec<Row>, Error> {
        if let Some(opening) = self.opening {
            let begin = opening.begin();
            return question::within(self.client, begin, statement, params).await;
        }
        let statement = self.client.prepare_cached(statement).await?;
        self.client
            .query(&statement, &question::plain(params))
            .await
    }
}

impl Snapshot<'_> {
    /// From here on what fails can be taken back alone.
    pub(super) async fn point(&mut self) -> Read<Snapshot<'_>> {
        let tx = self.tx.transaction().await;
        Ok(Snapshot {
            tx: tx.map_err(|error| explain(&error))?,
            is_pooled: self.is_pooled,
        })
    }

    pub(super) async fn commit(self) -> Read<()> {
        self.tx.commit().await.map_err(|error| explain(&error))
    }

    pub(super) async fn rollback(self) -> Read<()> {
        self.tx.rollback().await.map_err(|error| explain(&error))
    }

    /// For a statement that is not asked again: nothing is kept of it.
    pub(super) async fn once(
        &self,
        statement: &str,
        params: &[&dyn Param],
    ) -> Result<Vec<Row>, Error> {
        question::once(self.tx.client(), statement, params).await
    }

    /// The rows as they come.
    pub(super) async fn streamed(
        &self,
        statement: &str,
        params: &[&dyn Param],
    ) -> Result<RowStream, Error> {
        if self.is_pooled {
            return question::streamed(self.tx.client(), statement, params).await;
        }
        let statement = self.tx.prepare_cached(statement).await?;
        let params: Vec<&(dyn ToSql + Sync)> = question::plain(params);
        self.tx.query_raw(&statement, params).await
    }
}

impl Asked for Snapshot<'_> {
    async fn rows(&self, statement: &str, params: &[&dyn Param]) -> Result<Vec<Row>, Error> {
        if self.is_pooled {
            return self.once(statement, params).await;
        }
        let statement = self.tx.prepare_cached(statement).await?;
        self.tx.query(&statement, &question::plain(params)).await
    }
}
