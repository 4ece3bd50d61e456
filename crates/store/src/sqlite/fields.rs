//! The columns of a row, read one after the other in the order in which a statement names them.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Row;
use rusqlite::types::{FromSql, Type};
use taskyard_core::id::{Fence, OperationId, SlotKey, SlotNumber, TaskId};
use taskyard_core::json::Json;
use taskyard_core::name::Name;
use taskyard_core::order::{OrderKey, Priority};
use taskyard_core::rows::{Digest, Failure, Reported};
use taskyard_core::slot::Counts;
use taskyard_core::time::Timestamp;
use uuid::Uuid;

use crate::columns::{self, BadColumn};

pub(super) type Read<T> = rusqlite::Result<T>;

pub(super) struct Fields<'r> {
    row: &'r Row<'r>,
    next: usize,
}

impl<'r> Fields<'r> {
    pub(super) fn of(row: &'r Row<'r>) -> Self {
        Self { row, next: 0 }
    }

    pub(super) fn take<T: FromSql>(&mut self) -> Read<T> {
        let value = self.row.get(self.next)?;
        self.next += 1;
        Ok(value)
    }

    /// Reads with `read` if its first column is there; else goes on behind its `width` columns.
    pub(super) fn maybe<T>(
        &mut self,
        width: usize,
        read: impl FnOnce(&mut Self) -> Read<T>,
    ) -> Read<Option<T>> {
        if self.row.get_ref(self.next)? == rusqlite::types::ValueRef::Null {
            self.next += width;
            return Ok(None);
        }
        let behind = self.next + width;
        let value = read(self)?;
        assert_eq!(self.next, behind, "an optional row reads all its columns");
        Ok(Some(value))
    }

    /// A value that is written in a form of its own.
    pub(super) fn decode<S: FromSql, T>(
        &mut self,
        decode: impl FnOnce(S) -> Result<T, BadColumn>,
    ) -> Read<T> {
        let stored = self.take()?;
        decode(stored).map_err(|bad| {
            rusqlite::Error::FromSqlConversionFailure(self.next - 1, Type::Null, Box::new(bad))
        })
    }

    pub(super) fn task(&mut self) -> Read<TaskId> {
        self.decode(|bytes: [u8; 16]| task(bytes))
    }

    pub(super) fn task_or_none(&mut self) -> Read<Option<TaskId>> {
        self.decode(|bytes: Option<[u8; 16]>| bytes.map(task).transpose())
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
        self.decode(|value: i64| {
            Priority::new(value).map_err(|_| BadColumn::new("priority", value))
        })
    }

    pub(super) fn order_key(&mut self) -> Read<OrderKey> {
        self.take().map(OrderKey)
    }

    pub(super) fn name(&mut self) -> Read<Name> {
        self.take::<Arc<str>>().map(Name::stored)
    }

    pub(super) fn name_or_none(&mut self) -> Read<Option<Name>> {
        Ok(self.take::<Option<Arc<str>>>()?.map(Name::stored))
    }

    pub(super) fn json(&mut self) -> Read<Json> {
        self.take::<Arc<str>>().map(Json::stored)
    }

    pub(super) fn json_or_none(&mut self) -> Read<Option<Json>> {
        Ok(self.take::<Option<Arc<str>>>()?.map(Json::stored))
    }

    pub(super) fn digest_or_none(&mut self) -> Read<Option<Digest>> {
        Ok(self.take::<Option<[u8; 16]>>()?.map(Digest))
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
        let (code, message): (Option<Arc<str>>, Option<Arc<str>>) = (self.take()?, self.take()?);
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

/// What [`Fields::failure`] reads.
pub(super) fn failure_columns(
    error: Option<&Failure>,
) -> (Option<&str>, Option<&str>, Option<&str>) {
    (
        error.map(|error| &*error.code),
        error.map(|error| &*error.message),
        error.and_then(|error| error.detail.as_ref().map(Json::as_str)),
    )
}

/// What [`Fields::reported`] reads.
pub(super) fn reported_columns(reported: Option<&Reported>) -> (Option<i32>, Option<&[u8]>) {
    (
        reported.map(|reported| reported.fence.0),
        reported.map(|reported| reported.digest.0.as_slice()),
    )
}

pub(super) fn task(bytes: [u8; 16]) -> Result<TaskId, BadColumn> {
    TaskId::try_from(Uuid::from_bytes(bytes)).map_err(|_| BadColumn::new("a task's id", "this"))
}
