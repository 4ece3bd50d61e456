//! How weak the model is at present, and what came of it.

use std::collections::BTreeMap;

/// How often something happens, in a thousand. All 0: as strong as a database can be that several servers share.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Weakness {
    /// A statement lets others run before it.
    pub pause: u64,
    /// A statement comes so late that others get whole batches done before it, as one whose server was held up does.
    pub stall: u64,
    /// The look at the places where a slot should stand by what was read before comes as late as that.
    pub tear: u64,
    /// A pick passes over a row as if another server held it.
    pub missed_row: u64,
    /// A statement finds the database gone.
    pub unavailable: u64,
    /// A commit meets a change that the model does not otherwise have.
    pub conflict: u64,
    /// A commit breaks off and was written.
    pub unknown_written: u64,
    /// A commit breaks off and was not written.
    pub unknown_not_written: u64,
    /// A query is answered from an earlier state.
    pub old_read: u64,
    /// A commit is refused for what it holds.
    pub refused: u64,
}

/// What can be wrong with the database as a whole, for a while.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// It cannot be reached; a commit that is sent to it has an unknown outcome.
    Away,
    /// Nothing can be written.
    Full,
}

/// What a refused commit is answered with.
pub const REFUSED: &str = "the model refuses";

/// How often what happened, by name.
pub type Tally = BTreeMap<&'static str, u64>;
