//! Rows of SQLite, as what reads them asks for their columns.

use rusqlite::types::{FromSqlError, Type, ValueRef};
use rusqlite::{Error, Row};
use taskyard_core::json::Json;
use taskyard_core::rows::{Failure, Reported};

use super::error::why_unreadable;
use crate::columns::BadColumn;
use crate::fields::{self, Database, Value};

pub(super) type Read<T> = rusqlite::Result<T>;
pub(super) type Fields<'r> = fields::Fields<'r, Sqlite>;

pub(super) enum Sqlite {}

impl Database for Sqlite {
    type Row<'r> = Row<'r>;
    type Error = Error;

    fn value<'r, T: Value<'r>>(row: &'r Row<'r>, place: usize) -> Read<T> {
        let value = row.get_ref(place)?;
        T::of_sqlite(value).map_err(|error| {
            let (kind, column) = (value.data_type(), name_of(row, place));
            let is_not = match error {
                FromSqlError::InvalidType => format!("of type {kind}"),
                FromSqlError::OutOfRange(number) => number.to_string(),
                error => format!("this: {error}"),
            };
            let bad = BadColumn::new("a value", is_not).within(column);
            Error::FromSqlConversionFailure(place, kind, Box::new(bad))
        })
    }

    fn is_there<'r>(row: &'r Row<'r>, place: usize) -> Read<bool> {
        Ok(row.get_ref(place)? != ValueRef::Null)
    }

    fn why(error: &Error) -> String {
        why_unreadable(error)
    }

    fn bad(row: &Row<'_>, place: usize, bad: BadColumn) -> Error {
        let bad = bad.within(name_of(row, place));
        Error::FromSqlConversionFailure(place, Type::Null, Box::new(bad))
    }
}

fn name_of<'r>(row: &'r Row<'_>, place: usize) -> Option<&'r str> {
    row.as_ref().column_name(place).ok()
}

/// What [`fields::Fields::failure`] reads.
pub(super) fn failure_columns(
    error: Option<&Failure>,
) -> (Option<&str>, Option<&str>, Option<&str>) {
    (
        error.map(|error| &*error.code),
        error.map(|error| &*error.message),
        error.and_then(|error| error.detail.as_ref().map(Json::as_str)),
    )
}

/// What [`fields::Fields::reported`] reads.
pub(super) fn reported_columns(reported: Option<&Reported>) -> (Option<i32>, Option<&[u8]>) {
    (
        reported.map(|reported| reported.fence.0),
        reported.map(|reported| reported.digest.0.as_slice()),
    )
}
