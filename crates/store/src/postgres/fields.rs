//! Rows of PostgreSQL, as what reads them asks for their columns.

use std::borrow::Cow;

use taskyard_core::store::Error;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Column, Row};

use super::error::one_line;
use super::tid::Tid;
use crate::columns::BadColumn;
use crate::fields::{self, Database, Value};

pub(super) type Read<T> = Result<T, Error>;
pub(super) type Fields<'r> = fields::Fields<'r, Postgres>;

pub(super) enum Postgres {}

impl Database for Postgres {
    type Row<'r> = Row;
    type Error = Error;

    fn value<'r, T: Value<'r>>(row: &'r Row, place: usize) -> Read<T> {
        row.try_get(place).map_err(|error| unreadable(&error))
    }

    fn is_there(row: &Row, place: usize) -> Read<bool> {
        let there = row.try_get(place).map_err(|error| unreadable(&error));
        there.map(|Present(is_there)| is_there)
    }

    fn why(error: &Error) -> String {
        match error {
            Error::Unreadable(why) => why.clone(),
            error => error.to_string(),
        }
    }

    fn bad(row: &Row, place: usize, bad: BadColumn) -> Error {
        let column = row.columns().get(place);
        let bad = bad.within(column.map(Column::name));
        Error::Unreadable(bad.to_string())
    }
}

fn unreadable(error: &tokio_postgres::Error) -> Error {
    Error::Unreadable(one_line(error))
}

/// Where the row stands, which it says of itself.
pub(super) fn spot(fields: &mut Fields<'_>) -> Read<Tid> {
    let (row, place) = fields.pass();
    row.try_get(place).map_err(|error| unreadable(&error))
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

/// What people and programs outside say may hold the one character that PostgreSQL's texts cannot.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}
