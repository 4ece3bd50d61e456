//! What `run` asks of a database: load rows, write the difference, all or nothing. Private to this crate.

use std::future::Future;

use hashbrown::HashMap;
use taskyard_core::diff::Diff;
use taskyard_core::id::TaskId;
use taskyard_core::json::Json;
use taskyard_core::lane::Lane;
use taskyard_core::needs::Needs;
use taskyard_core::store::Error;
use taskyard_core::view::View;

/// The inputs that a diff asked for, read in its own transaction.
pub(crate) type Inputs = HashMap<TaskId, Json>;

/// One transaction, begun by its maker, undone when dropped.
pub(crate) trait Tx: Sized {
    /// Loads these rows into the view; [`View::asked`] has been called with the same needs.
    fn load(&mut self, needs: &Needs, view: &mut View) -> impl Future<Output = Result<(), Error>>;

    /// Writes the diff and ends the transaction. Durable when it returns, unless the store holds answers back.
    fn commit(self, diff: Diff) -> impl Future<Output = Result<Inputs, Undone>>;
}

/// Why a diff was not written. [`Error::Conflict`] says that another server changed a row of it meanwhile.
pub(crate) enum Undone {
    /// Where a row was to be put in, another one stands. Another server may have put it there since the load; but what
    /// stands there load after load is in the way for good.
    Taken(String),
    Error(Error),
}

impl From<Error> for Undone {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// A place to make transactions in: one connection that writes.
pub(crate) trait Writer {
    type Tx<'a>: Tx
    where
        Self: 'a;

    fn begin(&mut self) -> impl Future<Output = Result<Self::Tx<'_>, Error>>;

    /// Those of the lanes that have anything scheduled, ready or leased.
    fn open_among(&mut self, lanes: &[Lane]) -> impl Future<Output = Result<Vec<Lane>, Error>>;
}
