//! The connection that writes: its statements, and whether a transaction is open on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;
use taskyard_core::id::ServerNumber;
use taskyard_core::lane::{Lane, LaneKey, Lanes};
use taskyard_core::queue::Queue;
use taskyard_core::store::Error;
use taskyard_core::time::Timestamp;
use tokio::task::AbortHandle;
use tokio_postgres::{Client, Row};

use super::address::Address;
use super::counters::CountersAt;
use super::error::{explain, one_line};
use super::fields::{Fields, Read};
use super::open::Meta;
use super::params::Params;
use super::pooled::Opening;
use super::question::{Question, once};
use super::rows::key as keys;
use super::sql::{META_LOAD, Statements, WRITER_SETTINGS};
use super::trip::Trip;
use super::tx::PostgresTx;
use super::writes::Form;
use crate::rows::{key, queue};
use crate::tx::Writer;

/// How many joined statements are kept; batches come with a few dozen combinations of writes, of one row and of more.
const JOINED_MAX: usize = 200;

pub(super) struct Session {
    pub(super) client: Client,
    pub(super) statements: Statements,
    /// Prepared when they are first used.
    joined: Mutex<HashMap<Form, Question>>,
    /// What every transaction begins with, where nothing that is set holds for longer.
    opening: Option<Opening>,
    /// Whose counters this session writes.
    pub(super) server: ServerNumber,
    /// Where counters stand that this session wrote last; nobody else writes those of this server. Forgotten when a commit
    /// fails: the next one looks for them by their keys.
    pub(super) counters_at: Mutex<CountersAt>,
    /// A transaction was begun and not ended, or nobody knows.
    pub(super) open: AtomicBool,
    connection: AbortHandle,
}

impl Session {
    /// Ends with the session; its connection is a task of the runtime that this runs on.
    pub(super) async fn connect(address: &Address, server: ServerNumber) -> Result<Self, Error> {
        let connected = address.connect().await;
        let (client, connection) = connected.map_err(|not| Error::Unavailable(not.into()))?;
        let connection = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(error = one_line(&error), "the connection that writes broke");
            }
        });
        let connection = connection.abort_handle();
        let opening = address.opening(WRITER_SETTINGS);
        if opening.is_none() {
            let set = client.batch_execute(WRITER_SETTINGS).await;
            set.map_err(|error| explain(&error))?;
        }
        // Before anything is prepared, which may be for tables that are no more.
        let meta = once(&client, META_LOAD, &[]).await;
        let meta = meta.map_err(|error| explain(&error))?;
        Meta::only(&meta)?.check_open()?;
        let statements = Statements::prepare(&client, opening.is_some()).await;
        Ok(Self {
            client,
            statements: statements.map_err(|error| explain(&error))?,
            joined: Mutex::default(),
            opening,
            server,
            counters_at: Mutex::default(),
            open: AtomicBool::new(false),
            connection,
        })
    }

    /// From here on this session writes the counters of this server.
    pub(super) fn count_as(&mut self, server: ServerNumber) {
        if std::mem::replace(&mut self.server, server) != server {
            *self.counters_at.get_mut() = CountersAt::default();
        }
    }

    /// One statement for all of these writes.
    pub(super) async fn joined(&self, form: Form) -> Result<Question, tokio_postgres::Error> {
        if let Some(statement) = self.joined.lock().get(&form) {
            return Ok(statement.clone());
        }
        let statement = Question::of(&self.client, &form.text(), self.is_pooled()).await?;
        let mut kept = self.joined.lock();
        if kept.len() >= JOINED_MAX {
            kept.clear();
        }
        kept.insert(form, statement.clone());
        Ok(statement)
    }

    /// `listed`: the highest number of the lanes that are known.
    pub(super) async fn refresh(&self, listed: Lane) -> Read<Refreshed> {
        let all = &self.statements;
        let mut trip = Trip::on(self);
        trip.ask(&all.clock, Params::default());
        trip.ask(&all.meta_load, Params::default());
        trip.ask(&all.lane_list, Params::default().and(listed.0));
        trip.ask(&all.queue_list, Params::default());
        let [time, meta, lanes, queues] = answers(trip).await?;
        let time = time.first();
        let time = time.ok_or_else(|| Error::Failed("there is no time".to_owned()))?;
        let meta = Meta::only(&meta)?;
        meta.check_open()?;
        let queues = queues.iter().map(|row| queue::queue(&mut Fields::of(row)));
        Ok(Refreshed {
            now: Fields::of(time).time()?,
            incarnation: meta.incarnation.into_bytes(),
            lanes: numbered(&lanes)?,
            queues: queues.collect::<Read<_>>()?,
        })
    }

    /// The highest lane number given out, and then the lanes that have something open.
    pub(super) async fn open_lanes(&self) -> Read<(Lane, Numbered)> {
        let all = &self.statements;
        let mut trip = Trip::on(self);
        trip.ask(&all.lane_last, Params::default());
        trip.ask(&all.lane_open, Params::default());
        let [last, open] = answers(trip).await?;
        let last = lane_numbers(&last)?.first().copied();
        let open = self.named(&lane_numbers(&open)?).await?;
        Ok((last.unwrap_or(Lane(0)), open))
    }

    /// The lanes that have something ready or leased and are not among the known.
    pub(super) async fn waiting_besides(&self, known: &Lanes) -> Read<Numbered> {
        let mut trip = Trip::on(self);
        trip.ask(&self.statements.lane_waiting, Params::default());
        let [waiting] = answers(trip).await?;
        let mut unknown = lane_numbers(&waiting)?;
        unknown.retain(|lane| known.key(*lane).is_none());
        self.named(&unknown).await
    }

    async fn named(&self, lanes: &[Lane]) -> Read<Numbered> {
        if lanes.is_empty() {
            return Ok(Vec::new());
        }
        let mut trip = Trip::on(self);
        trip.ask(&self.statements.lane_named, keys::lane_numbers(lanes));
        let [named] = answers(trip).await?;
        numbered(&named)
    }

    /// Nothing holds from one transaction to the next.
    pub(super) fn is_pooled(&self) -> bool {
        self.opening.is_some()
    }

    pub(super) fn opening(&self) -> &str {
        self.opening.as_ref().map_or("begin", Opening::begin)
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Undoes a transaction that was left open, so that what it holds is free again.
    pub(super) async fn settle(&self) -> Result<(), Error> {
        if self.is_open() {
            let done = self.client.batch_execute("rollback").await;
            done.map_err(|error| explain(&error))?;
            self.open.store(false, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Drop for Session {
    /// Even if the server owes answers: nobody waits for them any more, and what was begun is to be undone.
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Writer for Session {
    type Tx<'a> = PostgresTx<'a>;

    /// Says nothing to the database yet: "begin" travels with the first statements.
    async fn begin(&mut self) -> Result<PostgresTx<'_>, Error> {
        self.settle().await?;
        Ok(PostgresTx::on(self))
    }

    async fn open_among(&mut self, lanes: &[Lane]) -> Result<Vec<Lane>, Error> {
        self.settle().await?;
        let mut trip = Trip::on(self);
        let among = &self.statements.lane_open_among;
        trip.ask(among, keys::lane_numbers(lanes));
        let [open] = answers(trip).await?;
        lane_numbers(&open)
    }
}

async fn answers<const N: usize>(trip: Trip<'_>) -> Read<[Vec<Row>; N]> {
    let answers = all(trip.send().await)?;
    let is_other = |_| Error::Failed("questions had other answers".to_owned());
    answers.try_into().map_err(is_other)
}

/// The answers, or the first failure: the later ones only follow from it.
pub(super) fn all(answers: Vec<Result<Vec<Row>, tokio_postgres::Error>>) -> Read<Vec<Vec<Row>>> {
    answers
        .into_iter()
        .map(|answer| answer.map_err(|error| explain(&error)))
        .collect()
}

/// What other servers may have changed.
pub(super) struct Refreshed {
    /// The database's time.
    pub(super) now: Timestamp,
    pub(super) incarnation: [u8; 16],
    /// Those numbered above the ones that were known.
    pub(super) lanes: Numbered,
    /// Of which something was set.
    pub(super) queues: Vec<Queue>,
}

/// Lanes by their numbers.
pub(super) type Numbered = Vec<(Lane, Arc<LaneKey>)>;

fn lane_numbers(rows: &[Row]) -> Read<Vec<Lane>> {
    rows.iter()
        .map(|row| Fields::of(row).take().map(Lane))
        .collect()
}

fn numbered(rows: &[Row]) -> Read<Numbered> {
    rows.iter()
        .map(|row| key::lane(&mut Fields::of(row)))
        .collect()
}
