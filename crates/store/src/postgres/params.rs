//! Parameters, and of which type each is: one for each column of a table, whatever the number of rows.

use std::borrow::Cow;
use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, Kind, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use super::tid::Tid;

/// What can be a parameter, also where nobody has asked the database which types the statement takes.
pub(super) trait Param: ToSql + Sync + Send {
    fn kind(&self) -> Type;
    fn value(&self) -> &(dyn ToSql + Sync);
}

impl<T: Typed + ToSql + Sync + Send> Param for T {
    fn kind(&self) -> Type {
        Self::TYPE
    }

    fn value(&self) -> &(dyn ToSql + Sync) {
        self
    }
}

/// A value of one type of PostgreSQL, and of one alone: a prepared statement that took it as another would refuse it.
pub(super) trait Typed {
    const TYPE: Type;
    const ARRAY: Type;
}

macro_rules! typed {
    ($($value:ty: $plain:ident, $array:ident;)*) => {
        $(impl Typed for $value {
            const TYPE: Type = Type::$plain;
            const ARRAY: Type = Type::$array;
        })*
    };
}

typed! {
    bool: BOOL, BOOL_ARRAY;
    i16: INT2, INT2_ARRAY;
    i32: INT4, INT4_ARRAY;
    i64: INT8, INT8_ARRAY;
    f32: FLOAT4, FLOAT4_ARRAY;
    f64: FLOAT8, FLOAT8_ARRAY;
    str: TEXT, TEXT_ARRAY;
    String: TEXT, TEXT_ARRAY;
    Cow<'_, str>: TEXT, TEXT_ARRAY;
    [u8]: BYTEA, BYTEA_ARRAY;
    Vec<u8>: BYTEA, BYTEA_ARRAY;
    Uuid: UUID, UUID_ARRAY;
    Tid: TID, TID_ARRAY;
}

impl<T: Typed + ?Sized> Typed for &T {
    const TYPE: Type = T::TYPE;
    const ARRAY: Type = T::ARRAY;
}

impl<T: Typed> Typed for Option<T> {
    const TYPE: Type = T::TYPE;
    const ARRAY: Type = T::ARRAY;
}

#[derive(Default)]
pub(super) struct Params<'a>(Vec<Box<dyn Param + 'a>>);

impl<'a> Params<'a> {
    pub(super) fn and(mut self, value: impl Param + 'a) -> Self {
        self.0.push(Box::new(value));
        self
    }

    pub(super) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    pub(super) fn as_slice(&self) -> Vec<&(dyn Param + 'a)> {
        self.0.iter().map(|param| &**param).collect()
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

    pub(super) fn column<T: Typed + ToSql + Sync + Send + 'a>(
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

/// An array, where the database was not asked which of the two the statement takes.
impl<T: Typed + ToSql + Sync + Send> Param for Column<T> {
    fn kind(&self) -> Type {
        T::ARRAY
    }

    fn value(&self) -> &(dyn ToSql + Sync) {
        self
    }
}

impl<T: Typed + ToSql + Sync + Send> Param for Vec<T> {
    fn kind(&self) -> Type {
        T::ARRAY
    }

    fn value(&self) -> &(dyn ToSql + Sync) {
        self
    }
}

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
