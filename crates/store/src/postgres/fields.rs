//! The columns of a row, read one after the other in the order in which a statement names them.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use taskyard_core::id::{Fence, OperationId, SlotKey, SlotNumber, TaskId};
use taskyard_core::json::Json;
use taskyard_core::name::Name;
use taskyard_core::order::{OrderKey, Priority};
use taskyard_core::rows::{Digest, Failure, Reported};
use taskyard_core::slot::Counts;
use taskyard_core::store::Error;
use taskyard_core::time::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};
use uuid::Uuid;

use super::error::explain;
use crate::columns::{self, BadColumn};

pub(super) type Read<T> = Result<T, Error>;

pub(super) struct Fields<'r> {
    row: &'r Row,
    next: usize,
}

impl<'r> Fields<'r> {
    pub(super) fn of(row: &'r Row) -> Self {
        Self { row, next: 0 }
    }

    pub(super) fn take<T: FromSql<'r>>(&mut self) -> Read<T> {
        let value = self
            .row
            .try_get(self.next)
            .map_err(|error| explain(&error))?;
        self.next += 1;
        Ok(value)
    }

    /// Reads with `read` if its first column is there; else goes on behind its `width` columns.
    pub(super) fn maybe<T>(
        &mut self,
        width: usize,
        read: impl FnOnce(&mut Self) -> Read<T>,
    ) -> Read<Option<T>> {
        let behind = self.next + width;
        let Present(present) = self.take()?;
        if !present {
            self.next = behind;
            return Ok(None);
        }
        self.next = behind - width;
        let value = read(self)?;
        assert_eq!(self.next, behind, "an optional row reads all its columns");
        Ok(Some(value))
    }

    /// A value that is written in a form of its own.
    pub(super) fn decode<S: FromSql<'r>, T>(
        &mut self,
        decode: impl FnOnce(S) -> Result<T, BadColumn>,
    ) -> Read<T> {
        decode(self.take()?).map_err(|bad| Error::Failed(bad.to_string()))
    }

    pub(super) fn task(&mut self) -> Read<TaskId> {
        self.decode(|id: Uuid| task(id))
    }

    pub(super) fn task_or_none(&mut self) -> Read<Option<TaskId>> {
        self.decode(|id: Option<Uuid>| id.map(task).transpose())
    }

    pub(super) fn operation(&mut self) -> Read<OperationId> {
        self.task().map(OperationId::from)
    }

    pub(super) fn slot(&mut self) -> Read<SlotKey> {
        Ok(SlotKey {
            task: self.task()?,
            slot: SlotNumber(self.take()?),
        })
    }

    pub(super) fn time(&mut self) -> Read<Timestamp> {
        self.take().map(Timestamp::from_micros)
    }

    pub(super) fn time_or_none(&mut self) -> Read<Option<Timestamp>> {
        Ok(self.take::<Option<i64>>()?.map(Timestamp::from_micros))
    }

    pub(super) fn duration(&mut self) -> Read<Duration> {
        self.decode(columns::duration)
    }

    pub(super) fn duration_or_none(&mut self) -> Read<Option<Duration>> {
        self.decode(|micros: Option<i64>| micros.map(columns::duration).transpose())
    }

    pub(super) fn priority(&mut self) -> Read<Priority> {
        self.decode(|value: i16| {
            Priority::new(i64::from(value)).map_err(|_| BadColumn::new("priority", value))
        })
    }

    pub(super) fn order_key(&mut self) -> Read<OrderKey> {
        self.take().map(OrderKey)
    }

    pub(super) fn text(&mut self) -> Read<Arc<str>> {
        self.take::<&str>().map(Arc::from)
    }

    pub(super) fn text_or_none(&mut self) -> Read<Option<Arc<str>>> {
        Ok(self.take::<Option<&str>>()?.map(Arc::from))
    }

    pub(super) fn name(&mut self) -> Read<Name> {
        self.text().map(Name::stored)
    }

    pub(super) fn name_or_none(&mut self) -> Read<Option<Name>> {
        Ok(self.text_or_none()?.map(Name::stored))
    }

    pub(super) fn json(&mut self) -> Read<Json> {
        self.text().map(Json::stored)
    }

    pub(super) fn json_or_none(&mut self) -> Read<Option<Json>> {
        Ok(self.text_or_none()?.map(Json::stored))
    }

    pub(super) fn digest(&mut self) -> Read<Digest> {
        self.decode(digest)
    }

    pub(super) fn digest_or_none(&mut self) -> Read<Option<Digest>> {
        self.decode(|bytes: Option<&[u8]>| bytes.map(digest).transpose())
    }

    pub(super) fn counts(&mut self) -> Read<Counts> {
        Ok(Counts {
            attempts: self.take()?,
            failures: self.take()?,
            losses: self.take()?,
            lost_in_a_row: self.take()?,
        })
    }

    pub(super) fn failure(&mut self) -> Read<Option<Failure>> {
        let (code, message) = (self.text_or_none()?, self.text_or_none()?);
        let detail = self.json_or_none()?;
        Ok(code.zip(message).map(|(code, message)| Failure {
            code,
            message,
            detail,
        }))
    }

    pub(super) fn reported(&mut self) -> Read<Option<Reported>> {
        let fence: Option<i32> = self.take()?;
        let digest = self.digest_or_none()?;
        Ok(fence.zip(digest).map(|(fence, digest)| Reported {
            fence: Fence(fence),
            digest,
        }))
    }
}

/// Whether a column holds anything, whatever its type.
struct Present(bool);

impl FromSql<'_> for Present {
    fn from_sql(_: &Type, _: &[u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(true))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(false))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

pub(super) fn task(id: Uuid) -> Result<TaskId, BadColumn> {
    TaskId::try_from(id).map_err(|_| BadColumn::new("a task's id", id))
}

fn digest(bytes: &[u8]) -> Result<Digest, BadColumn> {
    let bytes = bytes
        .try_into()
        .map_err(|_| BadColumn::new("a digest", "this"))?;
    Ok(Digest(bytes))
}

/// What people and programs outside say may hold the one character that PostgreSQL's texts cannot.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}
