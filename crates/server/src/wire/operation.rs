//! Operations as answers show them.

use taskyard_api::operation::{Act, Operation, Status};
use taskyard_core::operation::{self, State};

use super::filter::shown;

pub(crate) fn operation(row: &operation::Operation) -> Operation {
    let count = |tasks: i64| u64::try_from(tasks).unwrap_or_default();
    let (done, skipped) = (count(row.done), count(row.skipped));
    Operation {
        id: row.id,
        act: match row.act {
            operation::Act::Cancel => Act::Cancel,
            operation::Act::Retry => Act::Retry,
        },
        status: match row.state {
            State::Running => Status::Running,
            State::Done(_) => Status::Done,
            State::Cancelled(_) => Status::Cancelled,
        },
        filter: shown(&row.filter),
        matched: done + skipped,
        done,
        skipped,
        created_at: row.created_at.into(),
        ended_at: row.ended_at().map(Into::into),
    }
}
