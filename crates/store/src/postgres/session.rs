//! The connection that writes: its statements, and whether a transaction is open on it.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, join_all};
use taskyard_core::id::ServerNumber;
use taskyard_core::lane::{Lane, LaneKey};
use taskyard_core::store::Error;
use taskyard_core::time::Timestamp;
use tokio_postgres::{Client, Row};

use super::address::Address;
use super::error::explain;
use super::fields::{Fields, Read};
use super::pipeline::{Params, ask};
use super::rows::key;
use super::sql::{LANE_LOCK, Statements, WRITER_SETTINGS};
use super::tx::PostgresTx;
use crate::tx::Writer;

pub(super) struct Session {
    pub(super) client: Client,
    pub(super) statements: Statements,
    /// Whose counters this session writes.
    pub(super) server: ServerNumber,
    /// A transaction was begun and not ended, or nobody knows.
    pub(super) open: bool,
}

pub(super) type Answered<'a> = LocalBoxFuture<'a, Result<Vec<Row>, tokio_postgres::Error>>;

impl Session {
    /// Ends with the session; its connection is a task of the runtime that this runs on.
    pub(super) async fn connect(
        address: &Address,
        server: ServerNumber,
    ) -> Result<Self, tokio_postgres::Error> {
        let (client, connection) = address.config.connect(address.tls.clone()).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(%error, "the writing connection to PostgreSQL broke");
            }
        });
        client.batch_execute(WRITER_SETTINGS).await?;
        let statements = Statements::prepare(&client).await?;
        Ok(Self {
            client,
            statements,
            server,
            open: false,
        })
    }

    /// The database's time, and the lanes numbered above `known`, some of which other servers made.
    pub(super) async fn refresh(
        &mut self,
        known: i32,
    ) -> Result<(Timestamp, Vec<(Lane, Arc<LaneKey>)>), Error> {
        let (clock, lanes) = (&self.statements.clock, &self.statements.lane_list);
        let asked = [
            ask(&self.client, clock, Params::default()),
            ask(&self.client, lanes, Params::default().and(known)),
        ];
        let [clock, lanes]: [_; 2] = join_all(asked)
            .await
            .try_into()
            .expect("two were asked, so two answered");
        let clock = clock.map_err(|error| explain(&error))?;
        let row = clock
            .first()
            .ok_or_else(|| Error::Failed("there is no time".to_owned()))?;
        Ok((Fields::of(row).time()?, numbered(lanes)?))
    }

    /// Undoes a transaction that was left open, so that what it holds is free again.
    pub(super) async fn settle(&mut self) -> Result<(), Error> {
        if self.open {
            self.execute("rollback")
                .await
                .map_err(|error| explain(&error))?;
            self.open = false;
        }
        Ok(())
    }

    /// Like [`ask`], for statements that take and answer nothing.
    pub(super) fn execute<'a>(&'a self, text: &'a str) -> Answered<'a> {
        let done = async move { self.client.batch_execute(text).await.map(|()| Vec::new()) };
        done.boxed_local()
    }
}

impl Writer for Session {
    type Tx<'a> = PostgresTx<'a>;

    /// Says nothing to the database yet: "begin" travels with the first statements.
    async fn begin(&mut self) -> Result<PostgresTx<'_>, Error> {
        self.settle().await?;
        Ok(PostgresTx::on(self))
    }

    async fn intern(
        &mut self,
        keys: &[Arc<LaneKey>],
        known: i32,
        max: usize,
    ) -> Result<Vec<(Lane, Arc<LaneKey>)>, Error> {
        self.settle().await?;
        if keys.is_empty() {
            return Ok(self.refresh(known).await?.1);
        }
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        self.open = true;
        let inserts = keys.iter().map(|key| {
            let params = Params::default()
                .and(key.queue.as_str())
                .and(key.kind.as_str());
            let params = params.and(key.demands.to_text()).and(max);
            ask(&self.client, &self.statements.lane_insert, params).boxed_local()
        });
        let asked: Vec<Answered<'_>> = [self.execute("begin"), self.execute(LANE_LOCK)]
            .into_iter()
            .chain(inserts)
            .chain([
                ask(
                    &self.client,
                    &self.statements.lane_list,
                    Params::default().and(known),
                )
                .boxed_local(),
                self.execute("commit"),
            ])
            .collect();
        // Numbering a lane twice is no harm, so a commit whose outcome is unknown is only one to try again.
        let mut answers = all(join_all(asked).await)?;
        self.open = false;
        answers.pop();
        numbered(Ok(answers.pop().unwrap_or_default()))
    }
}

/// The answers, or the first failure: the later ones only follow from it.
pub(super) fn all(answers: Vec<Result<Vec<Row>, tokio_postgres::Error>>) -> Read<Vec<Vec<Row>>> {
    answers
        .into_iter()
        .map(|answer| answer.map_err(|error| explain(&error)))
        .collect()
}

fn numbered(rows: Result<Vec<Row>, tokio_postgres::Error>) -> Read<Vec<(Lane, Arc<LaneKey>)>> {
    let rows = rows.map_err(|error| explain(&error))?;
    rows.iter()
        .map(|row| key::lane(&mut Fields::of(row)))
        .collect()
}
