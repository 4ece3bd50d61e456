//! An inbox: a table in a PostgreSQL database of somebody's own, in which tasks stand that were submitted with transactions
//! there. This part knows its rows; what a row means, and what becomes of it, is for others.
//!
//! Rows are picked within a transaction, which holds them, so that several servers take different ones, and let go of with
//! it: what was taken over is deleted, what was refused gets its reason. Whatever breaks off in between leaves them as they
//! were, and they are picked again; the row's id is the task's, by which whoever submits it finds what is there already.
//! Nothing is remembered between two transactions, nor prepared, so that a pooler may stand in between; only what listens
//! needs a session.

mod schema;

use std::future::poll_fn;
use std::time::Duration;

use futures_util::future;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Row};
use uuid::Uuid;

use super::OpenError;
use super::address::Address;
use super::error::one_line;
use super::home::Connection;
use super::sql;

pub use self::schema::{Waiting, apply, remove, text};

/// The schema that this program knows.
const VERSION: i32 = 1;
/// Where the trigger of the table tells of new rows.
const LISTEN: &str = "listen taskyard_inbox";
/// For a round trip, above what the transaction's own settings allow a statement.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// Why nothing can be taken from an inbox for now. Whoever asks again later may find it otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the inbox's database cannot be reached, or does not answer: {0}")]
    Away(String),
    #[error(
        "the database has no inbox; `taskyard db inbox --apply` makes it, or this role may not see it (`grant usage on schema \
         taskyard`)"
    )]
    Missing,
    #[error(
        "the inbox needs a newer version of Taskyard (its schema {found} is open to programs that know schema {needs}, this \
         one knows {VERSION})"
    )]
    TooNew { found: i32, needs: i32 },
    #[error(
        "the inbox is of schema {found}, and this program takes from schema {VERSION}; `taskyard db inbox --apply` brings it \
         up to date"
    )]
    Older { found: i32 },
    #[error(
        "the inbox's database refuses what is to be done there: {0}; docs/inbox.md lists the rights that a server needs"
    )]
    Refused(String),
}

impl Error {
    fn of(error: &tokio_postgres::Error) -> Self {
        match error.code() {
            Some(&SqlState::UNDEFINED_TABLE | &SqlState::INVALID_SCHEMA_NAME) => Self::Missing,
            Some(code) if is_passing(code) => Self::Away(one_line(error)),
            Some(_) => Self::Refused(one_line(error)),
            None => Self::Away(one_line(error)),
        }
    }
}

/// Trouble of the server's, not of the statement's.
fn is_passing(code: &SqlState) -> bool {
    ["08", "25", "40", "53", "55", "57", "58"]
        .iter()
        .any(|class| code.code().starts_with(class))
}

/// What is picked at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// From this number on: [`FIRST`], or one that was heard.
    pub from: i64,
    pub rows_max: usize,
    /// Of a longer input, or longer options, only the length is read.
    pub input_max: usize,
    pub options_max: usize,
    /// Of all together; one row is picked whatever its size.
    pub bytes_max: usize,
}

/// Before every row.
pub const FIRST: i64 = i64::MIN;

/// A row as it stands in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picked {
    pub id: Uuid,
    /// In the order in which rows came, as far as their transactions did not overlap.
    pub seq: i64,
    /// Its first thousand letters.
    pub kind: String,
    pub input: Text,
    pub options: Text,
}

/// A JSON text of which at least the length is known, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    Whole(String),
    TooLong(usize),
}

impl Text {
    fn of(text: Option<String>, len: i32) -> Self {
        let len = usize::try_from(len).unwrap_or_default();
        text.map_or(Self::TooLong(len), Self::Whole)
    }
}

/// How an inbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// For how long the first row that was there has waited; none where none did.
    pub oldest: Option<Duration>,
}

/// How long refused rows are kept, and how many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    pub time: Duration,
    pub rows_max: u32,
}

/// The way to an inbox, and the connection over which rows are taken, while there is one.
pub struct Inbox {
    address: Address,
    session: Option<Session>,
}

struct Session {
    client: Client,
    connection: AbortHandle,
}

impl Drop for Session {
    fn drop(&mut self) {
        // Also where it hangs: what it held is let go of by the database once it notices.
        self.connection.abort();
    }
}

impl Inbox {
    /// Nothing is connected to yet.
    pub fn at(url: &str) -> Result<Self, OpenError> {
        Ok(Self {
            address: Address::parse(url)?,
            session: None,
        })
    }

    /// `host:port/database`.
    pub fn name(&self) -> String {
        self.address.to_string()
    }

    /// Looks whether rows can be taken, and how long the first one has waited.
    pub async fn look(&mut self) -> Result<Sight, Error> {
        let session = self.connected().await?;
        let found = answered(session.client.query_typed(sql::INBOX_LOOK, &[])).await?;
        let row = found.first().ok_or(Error::Missing)?;
        check(&found_of(row)?)?;
        let oldest: Option<i64> = column(row, 2)?;
        self.session = Some(session);
        let micros = |micros: i64| Duration::from_micros(micros.unsigned_abs());
        Ok(Sight {
            oldest: oldest.map(micros),
        })
    }

    /// Picks rows, and holds them until [`Inbox::settle`], or the end of the connection. Where there are none nothing is held.
    pub async fn pick(&mut self, wanted: &Wanted) -> Result<Vec<Picked>, Error> {
        let session = self.connected().await?;
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let length = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
        let (rows_max, bytes_max) = (number(wanted.rows_max), number(wanted.bytes_max));
        let (input_max, options_max) = (length(wanted.input_max), length(wanted.options_max));
        let params: [(&(dyn ToSql + Sync), Type); 5] = [
            (&rows_max, Type::INT8),
            (&wanted.from, Type::INT8),
            (&input_max, Type::INT4),
            (&options_max, Type::INT4),
            (&bytes_max, Type::INT8),
        ];
        // One round trip: each is sent when it is first polled, in this order.
        let begun = session.client.batch_execute(sql::INBOX_BEGIN);
        let rows = session.client.query_typed(sql::INBOX_PICK, &params);
        let rows = answered(async {
            let (begun, rows) = future::join(begun, rows).await;
            begun.and(rows)
        });
        let rows = rows.await?;
        let rows = rows.iter().map(picked).collect::<Result<Vec<_>, _>>()?;
        if rows.is_empty() {
            answered(session.client.batch_execute("commit")).await?;
        }
        self.session = Some(session);
        Ok(rows)
    }

    /// Ends what [`Inbox::pick`] began: deletes the rows that were taken over, and notes of others why they were refused, in
    /// a JSON text each. What is named in neither stays as it is. Where this fails nobody knows whether it was done, and
    /// rows that are still there are picked again.
    pub async fn settle(
        &mut self,
        taken: &[Uuid],
        refused: &[(Uuid, String)],
    ) -> Result<(), Error> {
        let Some(session) = self.session.take() else {
            return Err(Error::Away("the connection is gone".to_owned()));
        };
        let client = &session.client;
        let (ids, reasons): (Vec<Uuid>, Vec<&str>) = refused
            .iter()
            .map(|(id, reason)| (*id, reason.as_str()))
            .unzip();
        let params: [(&(dyn ToSql + Sync), Type); 2] =
            [(&ids, Type::UUID_ARRAY), (&reasons, Type::TEXT_ARRAY)];
        let deleted = async {
            if taken.is_empty() {
                return Ok(Vec::new());
            }
            let params: [(&(dyn ToSql + Sync), Type); 1] = [(&taken, Type::UUID_ARRAY)];
            client.query_typed(sql::INBOX_DELETE, &params).await
        };
        let noted = async {
            if refused.is_empty() {
                return Ok(Vec::new());
            }
            client.query_typed(sql::INBOX_REFUSE, &params).await
        };
        // A commit of what failed undoes it.
        let committed = client.batch_execute("commit");
        answered(async {
            let (deleted, noted, committed) = future::join3(deleted, noted, committed).await;
            deleted.and(noted).and(committed)
        })
        .await?;
        self.session = Some(session);
        Ok(())
    }

    /// Takes refused rows away that were kept for long enough, or are more than are kept; so many at once. Answers how many
    /// these were.
    pub async fn forget(&mut self, keep: Keep, rows_max: usize) -> Result<usize, Error> {
        let session = self.connected().await?;
        let micros = i64::try_from(keep.time.as_micros()).unwrap_or(i64::MAX);
        let (newest, rows_max) = (
            i64::from(keep.rows_max),
            i64::try_from(rows_max).unwrap_or(i64::MAX),
        );
        let params: [(&(dyn ToSql + Sync), Type); 3] = [
            (&micros, Type::INT8),
            (&newest, Type::INT8),
            (&rows_max, Type::INT8),
        ];
        let gone = answered(session.client.query_typed(sql::INBOX_FORGET, &params)).await?;
        self.session = Some(session);
        Ok(gone.len())
    }

    /// Tells of each commit with new rows as it happens, by the number of the first of them; and once of everything, when it
    /// begins to listen. Over a connection of its own, with whose end it ends.
    pub async fn listen(&self, mut heard: impl FnMut(i64)) -> Error {
        let (client, mut connection) = match connect(&self.address).await {
            Ok(connected) => connected,
            Err(error) => return error,
        };
        let mut listening = std::pin::pin!(answered(client.batch_execute(LISTEN)));
        let mut listens = false;
        loop {
            // The connection lives by being polled, also for the answer to the statement.
            let message = poll_fn(|context| connection.poll_message(context));
            let message = tokio::select! {
                biased;
                listening = &mut listening, if !listens => {
                    if let Err(error) = listening {
                        return error;
                    }
                    listens = true;
                    heard(FIRST);
                    continue;
                }
                message = message => message,
            };
            match message {
                Some(Ok(AsyncMessage::Notification(told))) => {
                    heard(told.payload().parse().unwrap_or(FIRST));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Error::Away(one_line(&error)),
                None => return Error::Away("the connection was closed".to_owned()),
            }
        }
    }

    /// Its connection, which whoever takes it out puts back when all went well: what failed, or was given up, may have left
    /// a transaction open.
    async fn connected(&mut self) -> Result<Session, Error> {
        match self.session.take() {
            Some(session) if !session.client.is_closed() => Ok(session),
            _ => Session::connect(&self.address).await,
        }
    }
}

impl Session {
    async fn connect(address: &Address) -> Result<Self, Error> {
        let (client, connection) = connect(address).await?;
        // Whoever uses it learns by its answers that it broke.
        let connection = tokio::spawn(async move { drop(connection.await) });
        let session = Self {
            client,
            connection: connection.abort_handle(),
        };
        // Whatever this connection was used for last, it is of an inbox that this program knows.
        let found = answered(session.client.query_typed(sql::INBOX_LOOK, &[])).await?;
        check(&found_of(found.first().ok_or(Error::Missing)?)?)?;
        Ok(session)
    }
}

async fn connect(address: &Address) -> Result<(Client, Connection), Error> {
    let connected = address.connect().await;
    connected.map_err(|not| Error::Away(not.reason))
}

/// Its version, and the oldest program that can take from it.
fn found_of(row: &Row) -> Result<(i32, i32), Error> {
    Ok((column(row, 0)?, column(row, 1)?))
}

fn check(&(found, needs): &(i32, i32)) -> Result<(), Error> {
    if needs > VERSION {
        return Err(Error::TooNew { found, needs });
    }
    if found < VERSION {
        return Err(Error::Older { found });
    }
    Ok(())
}

fn picked(row: &Row) -> Result<Picked, Error> {
    Ok(Picked {
        id: column(row, 0)?,
        seq: column(row, 1)?,
        kind: column(row, 2)?,
        input: Text::of(column(row, 4)?, column(row, 3)?),
        options: Text::of(column(row, 6)?, column(row, 5)?),
    })
}

fn column<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, Error> {
    row.try_get(at).map_err(|error| Error::of(&error))
}

async fn answered<T>(
    asked: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Error> {
    match timeout(ANSWER_MAX, asked).await {
        Ok(answer) => answer.map_err(|error| Error::of(&error)),
        Err(_) => Err(Error::Away(format!(
            "it did not answer within {} s",
            ANSWER_MAX.as_secs()
        ))),
    }
}
