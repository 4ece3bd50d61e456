//! Rows of SQLite, as what reads them asks for their columns.

use rusqlite::types::{FromSqlError, Type, ValueRef};
use rusqlite::{Error, Row};
use taskyard_core::json::Json;
use taskyard_core::rows::{Failure, Reported};

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
            let kind = value.data_type();
            match error {
                FromSqlError::InvalidType => {
                    let name = row.as_ref().column_name(place).unwrap_or_default();
                    Error::InvalidColumnType(place, name.to_owned(), kind)
                }
                FromSqlError::OutOfRange(number) => Error::IntegralValueOutOfRange(place, number),
                error => Error::FromSqlConversionFailure(place, kind, Box::new(error)),
            }
        })
    }

    fn is_there<'r>(row: &'r Row<'r>, place: usize) -> Read<bool> {
        Ok(row.get_ref(place)? != ValueRef::Null)
    }

    fn bad(place: usize, bad: BadColumn) -> Error {
        Error::FromSqlConversionFailure(place, Type::Null, Box::new(bad))
    }
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
