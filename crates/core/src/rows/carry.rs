//! What a slot brings along from place to place.

use super::{Failure, Reported};
use crate::id::{Fence, SlotKey};
use crate::json::Json;
use crate::order::{OrderKey, Priority};
use crate::slot::Counts;
use crate::time::Timestamp;

/// What a slot brings along from its earlier runs, and where it stands in the order since it was changed. Only after a
/// first return or change; most tasks never have one. It changes only together with the slot's place row.
#[derive(Clone, PartialEq, Debug)]
pub struct Carry {
    pub slot: SlotKey,
    pub run_at: Timestamp,
    pub priority: Priority,
    pub order_key: OrderKey,
    /// Of the latest claim, 0 if there was none; the next one is higher.
    pub fence: Fence,
    pub counts: Counts,
    pub error: LastError,
    /// The latest accepted report, to answer it again the same way.
    pub reported: Option<Reported>,
    pub checkpoint: Option<Json>,
    /// Since when a suspect has waited for an empty hand, and until when a worker is kept free for it.
    pub suspect_since: Option<Timestamp>,
    pub kept_until: Option<Timestamp>,
}

/// The error of the latest run of a slot that had one.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum LastError {
    #[default]
    None,
    Here(Failure),
    /// Whatever stands there. It may be as large as an output, and no rule asks for it: what is loaded for decisions leaves
    /// it, and a row that is written so leaves it as it is.
    Left,
}

impl LastError {
    pub fn here(&self) -> Option<&Failure> {
        match self {
            Self::Here(error) => Some(error),
            Self::None | Self::Left => None,
        }
    }
}

impl Carry {
    /// As stores load it for decisions.
    pub fn without_error(self) -> Self {
        Self {
            error: LastError::Left,
            ..self
        }
    }

    /// As it stands, once it is written over this one or is compared with it.
    pub fn complete(&mut self, stands: &Self) {
        if self.error == LastError::Left {
            self.error.clone_from(&stands.error);
        }
    }

    /// What its runs so far came to; nothing where there were none.
    pub fn counts(carry: Option<&Self>) -> Counts {
        carry.map_or_else(Counts::default, |carry| carry.counts)
    }

    /// Of a slot that has nothing to bring along yet; where it stands in the order is for who puts it there.
    pub(crate) fn of_nothing(slot: SlotKey) -> Self {
        Self {
            slot,
            run_at: Timestamp::default(),
            priority: Priority::default(),
            order_key: OrderKey::default(),
            fence: Fence(0),
            counts: Counts::default(),
            error: LastError::None,
            reported: None,
            checkpoint: None,
            suspect_since: None,
            kept_until: None,
        }
    }

    /// The fence of the latest claim; 0 where there was none.
    pub(crate) fn fence(carry: Option<&Self>) -> Fence {
        carry.map_or(Fence(0), |carry| carry.fence)
    }
}
