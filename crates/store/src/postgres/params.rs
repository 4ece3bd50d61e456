//! Parameters as columns: one for each column of a table, whatever the number of rows.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, Kind, ToSql, Type, to_sql_checked};

#[derive(Default)]
pub(super) struct Params<'a>(Vec<Box<dyn ToSql + Sync + Send + 'a>>);

impl<'a> Params<'a> {
    pub(super) fn and(mut self, value: impl ToSql + Sync + Send + 'a) -> Self {
        self.0.push(Box::new(value));
        self
    }

    pub(super) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    pub(super) fn as_slice(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.0.iter().map(|param| &**param as _).collect()
    }
}

/// Rows of one table on their way into parameters.
pub(super) struct Columns<'a, R> {
    rows: &'a [R],
    params: Params<'a>,
}

impl<'a, R> Columns<'a, R> {
    pub(super) fn of(rows: &'a [R]) -> Self {
        Self {
            rows,
            params: Params::default(),
        }
    }

    pub(super) fn column<T: ToSql + Sync + Send + 'a>(
        mut self,
        value: impl Fn(&'a R) -> T,
    ) -> Self {
        let values = self.rows.iter().map(value).collect();
        self.params = self.params.and(Column(values));
        self
    }

    pub(super) fn params(self) -> Params<'a> {
        self.params
    }
}

/// An array, or the one value that there is where the statement takes no array. No column of ours holds arrays.
#[derive(Debug)]
struct Column<T>(Vec<T>);

impl<T: ToSql> ToSql for Column<T> {
    fn to_sql(
        &self,
        wanted: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (wanted.kind(), self.0.as_slice()) {
            (Kind::Array(_), values) => values.to_sql(wanted, out),
            (_, [value]) => value.to_sql(wanted, out),
            _ => Err("a statement for one row has another number of them".into()),
        }
    }

    fn accepts(wanted: &Type) -> bool {
        <&[T]>::accepts(wanted) || T::accepts(wanted)
    }

    to_sql_checked!();
}
