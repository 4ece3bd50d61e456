//! Parameters as columns: one array for each column of a table, whatever the number of rows.

use tokio_postgres::types::ToSql;

#[derive(Default)]
pub(super) struct Params<'a>(Vec<Box<dyn ToSql + Sync + 'a>>);

impl<'a> Params<'a> {
    pub(super) fn and(mut self, value: impl ToSql + Sync + 'a) -> Self {
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

    pub(super) fn column<T: ToSql + Sync + 'a>(mut self, value: impl Fn(&'a R) -> T) -> Self {
        let values: Vec<T> = self.rows.iter().map(value).collect();
        self.params = self.params.and(values);
        self
    }

    pub(super) fn params(self) -> Params<'a> {
        self.params
    }
}
