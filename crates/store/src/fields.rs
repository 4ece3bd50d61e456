//! The columns of a row, read one after the other in the order in which a statement names them: of either database, so
//! that what a row is made of is said once.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::{FromSqlResult, ValueRef};
use taskyard_core::id::{Fence, OperationId, SlotKey, SlotNumber, TaskId};
use taskyard_core::json::Json;
use taskyard_core::labels::Labels;
use taskyard_core::name::Name;
use taskyard_core::order::{OrderKey, Priority};
use taskyard_core::rows::{Digest, Failure, Reported};
use taskyard_core::slot::Counts;
use taskyard_core::time::Timestamp;
use tokio_postgres::types::{FromSql, Type};
use uuid::Uuid;

use crate::columns::{self, BadColumn};

/// Where rows come from.
pub(crate) trait Database {
    type Row<'r>: 'r;
    type Error;

    fn value<'r, T: Value<'r>>(row: &'r Self::Row<'r>, place: usize) -> Result<T, Self::Error>;

    /// Whether a column holds anything, whatever its type.
    fn is_there<'r>(row: &'r Self::Row<'r>, place: usize) -> Result<bool, Self::Error>;

    /// In words, of what cannot be read.
    fn why(error: &Self::Error) -> String;

    /// What stands in this column cannot be what was written.
    fn bad<'r>(row: &'r Self::Row<'r>, place: usize, bad: BadColumn) -> Self::Error;
}

pub(crate) type Read<D, T> = Result<T, <D as Database>::Error>;

/// What both databases have columns of. A text or bytes that are borrowed stay where the row has them.
pub(crate) trait Value<'r>: FromSql<'r> {
    fn of_sqlite(value: ValueRef<'r>) -> FromSqlResult<Self>;
}

macro_rules! values {
    ($($owned:ty),*) => {
        $(impl Value<'_> for $owned {
            fn of_sqlite(value: ValueRef<'_>) -> FromSqlResult<Self> {
                rusqlite::types::FromSql::column_result(value)
            }
        })*
    };
}

values!(bool, i16, i32, i64, f64, String);

impl Value<'_> for Uuid {
    fn of_sqlite(value: ValueRef<'_>) -> FromSqlResult<Self> {
        rusqlite::types::FromSql::column_result(value).map(Self::from_bytes)
    }
}

impl<'r> Value<'r> for &'r str {
    fn of_sqlite(value: ValueRef<'r>) -> FromSqlResult<Self> {
        value.as_str()
    }
}

impl<'r> Value<'r> for &'r [u8] {
    fn of_sqlite(value: ValueRef<'r>) -> FromSqlResult<Self> {
        value.as_blob()
    }
}

impl<'r, T: Value<'r>> Value<'r> for Option<T> {
    fn of_sqlite(value: ValueRef<'r>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Null => Ok(None),
            value => T::of_sqlite(value).map(Some),
        }
    }
}

/// The text of a payload; none where something stands there that is no text at all. PostgreSQL makes sure of that itself.
pub(crate) struct Payload<'r>(pub(crate) Option<&'r str>);

impl<'r> FromSql<'r> for Payload<'r> {
    fn from_sql(of: &Type, bytes: &'r [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        <&str>::from_sql(of, bytes).map(|text| Self(Some(text)))
    }

    fn accepts(of: &Type) -> bool {
        <&str as FromSql<'_>>::accepts(of)
    }
}

impl<'r> Value<'r> for Payload<'r> {
    fn of_sqlite(value: ValueRef<'r>) -> FromSqlResult<Self> {
        Ok(Self(value.as_str().ok()))
    }
}

/// A key as well as it can be said, whatever stands there: for who looks for damage, and has to name it.
pub(crate) struct Shown {
    pub(crate) text: String,
    /// Whether it can be read as what it is, the id of a task for one.
    pub(crate) is_sound: bool,
}

impl Shown {
    fn id(uuid: Uuid) -> Self {
        Self {
            text: uuid.to_string(),
            is_sound: task(uuid).is_ok(),
        }
    }

    fn sound(text: impl ToString) -> Self {
        Self {
            text: text.to_string(),
            is_sound: true,
        }
    }

    fn damaged(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_sound: false,
        }
    }
}

impl FromSql<'_> for Shown {
    fn from_sql(of: &Type, bytes: &[u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        match *of {
            Type::UUID => Uuid::from_sql(of, bytes).map(Self::id),
            Type::INT4 => i32::from_sql(of, bytes).map(Self::sound),
            _ => <&str>::from_sql(of, bytes).map(Self::sound),
        }
    }

    fn accepts(of: &Type) -> bool {
        [Type::UUID, Type::INT4, Type::TEXT].contains(of)
    }
}

impl Value<'_> for Shown {
    fn of_sqlite(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(match value {
            ValueRef::Null => Self::damaged("null"),
            ValueRef::Real(number) => Self::damaged(number.to_string()),
            ValueRef::Integer(number) => match i32::try_from(number) {
                Ok(number) => Self::sound(number),
                Err(_) => Self::damaged(number.to_string()),
            },
            ValueRef::Text(text) => match std::str::from_utf8(text) {
                Ok(text) => Self::sound(text),
                Err(_) => Self::damaged(hexadecimal(text)),
            },
            ValueRef::Blob(bytes) => {
                Uuid::from_slice(bytes).map_or_else(|_| Self::damaged(hexadecimal(bytes)), Self::id)
            }
        })
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let bytes = bytes.iter().map(|byte| format!("{byte:02x}"));
    format!("x'{}'", bytes.collect::<String>())
}

pub(crate) struct Fields<'r, D: Database> {
    row: &'r D::Row<'r>,
    next: usize,
}

/// Both read the same row, each from where it is.
impl<D: Database> Clone for Fields<'_, D> {
    fn clone(&self) -> Self {
        Self {
            row: self.row,
            next: self.next,
        }
    }
}

impl<'r, D: Database> Fields<'r, D> {
    pub(crate) fn of(row: &'r D::Row<'r>) -> Self {
        Self { row, next: 0 }
    }

    pub(crate) fn take<T: Value<'r>>(&mut self) -> Read<D, T> {
        let (row, place) = self.pass();
        D::value(row, place)
    }

    /// The row and the place of its next column, for whoever reads that in another way.
    pub(crate) fn pass(&mut self) -> (&'r D::Row<'r>, usize) {
        self.next += 1;
        (self.row, self.next - 1)
    }

    /// Reads with `read` if its first column is there; else goes on behind its `width` columns.
    pub(crate) fn maybe<T>(
        &mut self,
        width: usize,
        read: impl FnOnce(&mut Self) -> Read<D, T>,
    ) -> Read<D, Option<T>> {
        let behind = self.next + width;
        if !D::is_there(self.row, self.next)? {
            self.next = behind;
            return Ok(None);
        }
        let value = read(self)?;
        assert_eq!(self.next, behind, "an optional row reads all its columns");
        Ok(Some(value))
    }

    /// A value that is written in a form of its own.
    pub(crate) fn decode<S: Value<'r>, T>(
        &mut self,
        decode: impl FnOnce(S) -> Result<T, BadColumn>,
    ) -> Read<D, T> {
        let (row, place) = (self.row, self.next);
        decode(self.take()?).map_err(|bad| D::bad(row, place, bad))
    }

    pub(crate) fn task(&mut self) -> Read<D, TaskId> {
        self.decode(task)
    }

    pub(crate) fn task_or_none(&mut self) -> Read<D, Option<TaskId>> {
        self.decode(|id: Option<Uuid>| id.map(task).transpose())
    }

    pub(crate) fn operation(&mut self) -> Read<D, OperationId> {
        self.task().map(OperationId::from)
    }

    pub(crate) fn slot(&mut self) -> Read<D, SlotKey> {
        Ok(SlotKey {
            task: self.task()?,
            slot: SlotNumber(self.take()?),
        })
    }

    pub(crate) fn time(&mut self) -> Read<D, Timestamp> {
        self.take().map(Timestamp::from_micros)
    }

    pub(crate) fn time_or_none(&mut self) -> Read<D, Option<Timestamp>> {
        Ok(self.take::<Option<i64>>()?.map(Timestamp::from_micros))
    }

    pub(crate) fn duration(&mut self) -> Read<D, Duration> {
        self.decode(columns::duration)
    }

    pub(crate) fn priority(&mut self) -> Read<D, Priority> {
        self.decode(|value: i16| {
            Priority::new(i64::from(value)).map_err(|_| BadColumn::new("priority", value))
        })
    }

    pub(crate) fn order_key(&mut self) -> Read<D, OrderKey> {
        self.take().map(OrderKey)
    }

    pub(crate) fn text(&mut self) -> Read<D, Arc<str>> {
        self.take::<&str>().map(Arc::from)
    }

    pub(crate) fn text_or_none(&mut self) -> Read<D, Option<Arc<str>>> {
        Ok(self.take::<Option<&str>>()?.map(Arc::from))
    }

    pub(crate) fn name(&mut self) -> Read<D, Name> {
        self.text().map(Name::stored)
    }

    pub(crate) fn name_or_none(&mut self) -> Read<D, Option<Name>> {
        Ok(self.text_or_none()?.map(Name::stored))
    }

    /// Whatever stands there; what is no JSON is whoever's to find who writes it out. So none of it keeps the rest of its
    /// row from being read.
    pub(crate) fn json(&mut self) -> Read<D, Json> {
        Ok(self.json_or_none()?.unwrap_or_else(Json::unreadable))
    }

    pub(crate) fn json_or_none(&mut self) -> Read<D, Option<Json>> {
        let payload: Option<Payload<'r>> = self.take()?;
        Ok(payload.map(|Payload(text)| text.map_or_else(Json::unreadable, Json::stored)))
    }

    /// None where what stands there is none.
    pub(crate) fn labels(&mut self) -> Read<D, Option<Labels>> {
        let Payload(text) = self.take()?;
        Ok(text.and_then(|text| Labels::from_text(text).ok()))
    }

    pub(crate) fn digest(&mut self) -> Read<D, Digest> {
        self.decode(digest)
    }

    pub(crate) fn digest_or_none(&mut self) -> Read<D, Option<Digest>> {
        self.decode(|bytes: Option<&[u8]>| bytes.map(digest).transpose())
    }

    pub(crate) fn counts(&mut self) -> Read<D, Counts> {
        Ok(Counts {
            attempts: self.take()?,
            failures: self.take()?,
            losses: self.take()?,
            lost_in_a_row: self.take()?,
        })
    }

    pub(crate) fn failure(&mut self) -> Read<D, Option<Failure>> {
        let (code, message) = (self.text_or_none()?, self.text_or_none()?);
        let detail = self.json_or_none()?;
        Ok(code.zip(message).map(|(code, message)| Failure {
            code,
            message,
            detail,
        }))
    }

    pub(crate) fn reported(&mut self) -> Read<D, Option<Reported>> {
        let fence: Option<i32> = self.take()?;
        let digest = self.digest_or_none()?;
        Ok(fence.zip(digest).map(|(fence, digest)| Reported {
            fence: Fence(fence),
            digest,
        }))
    }
}

pub(crate) fn task(id: Uuid) -> Result<TaskId, BadColumn> {
    TaskId::try_from(id).map_err(|_| BadColumn::new("a task's id", id))
}

fn digest(bytes: &[u8]) -> Result<Digest, BadColumn> {
    let bytes = bytes
        .try_into()
        .map_err(|_| BadColumn::new("a digest", "this"))?;
    Ok(Digest(bytes))
}
