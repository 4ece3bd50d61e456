//! One step: rows are picked, submitted, and let go of.

use std::fmt;

use futures_util::future::join_all;
use taskyard_engine::error::Error;
use taskyard_server::app::App;
use taskyard_server::inbox::{self as rows, Fate, Row};
use taskyard_store::postgres::inbox::{self, Inbox, Picked, Wanted};
use uuid::Uuid;

/// How many rows are held at once, and how many bytes of them: each is a command in the engine.
const ROWS_MAX: usize = 500;
const BYTES_MAX: usize = 8 << 20;

/// Why an inbox is left alone for a while.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There.
    Inbox(inbox::Error),
    /// Here: the server takes nothing.
    Server(Error),
}

impl Trouble {
    /// What has one line in the log while it lasts: one that cannot be reached says so in other words each time.
    pub(super) fn kind(&self) -> String {
        match self {
            Self::Inbox(inbox::Error::Away(_)) => String::new(),
            other => other.to_string(),
        }
    }
}

impl From<inbox::Error> for Trouble {
    fn from(error: inbox::Error) -> Self {
        Self::Inbox(error)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inbox(error) => error.fmt(f),
            Self::Server(error) => write!(f, "this server takes nothing at present: {error}"),
        }
    }
}

/// What is left behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    AllTaken,
    MoreMayWait,
}

pub(super) struct Round {
    pub(super) taken: u64,
    pub(super) refused: u64,
    /// One of those that were refused, and why.
    pub(super) example: Option<(Uuid, String)>,
    pub(super) ended: Ended,
    /// Why some were left as they are.
    pub(super) trouble: Option<Trouble>,
}

/// From this number on. An error leaves all rows as they were.
pub(super) async fn of(app: &App, inbox: &mut Inbox, from: i64) -> Result<Round, inbox::Error> {
    let wanted = Wanted {
        from,
        rows_max: ROWS_MAX,
        input_max: app.settings().limits.input_max,
        options_max: rows::OPTIONS_MAX,
        bytes_max: BYTES_MAX,
    };
    let picked = inbox.pick(&wanted).await?;
    let ended = ended(&picked, &wanted);
    // Each is sent when it is first polled, in the order of the rows.
    let fates = join_all(picked.iter().map(|row| async {
        let fate = rows::submit(app, &as_row(row)).await;
        (row.id, fate)
    }));
    let sorted = Sorted::of(fates.await);
    if !picked.is_empty() {
        inbox.settle(&sorted.taken, &sorted.refused).await?;
    }
    let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
    Ok(Round {
        taken: count(sorted.taken.len()),
        refused: count(sorted.refused.len()),
        example: sorted.refused.into_iter().next(),
        ended,
        trouble: sorted.later.map(Trouble::Server),
    })
}

/// Whether others may stand behind these. What comes later is told.
fn ended(picked: &[Picked], wanted: &Wanted) -> Ended {
    let bytes: usize = picked.iter().map(bytes).sum();
    let next_max = wanted.input_max + wanted.options_max;
    let is_cut = bytes + next_max > wanted.bytes_max || picked.len() == wanted.rows_max;
    if is_cut && !picked.is_empty() {
        Ended::MoreMayWait
    } else {
        Ended::AllTaken
    }
}

fn bytes(picked: &Picked) -> usize {
    let bytes = |text: &inbox::Text| match text {
        inbox::Text::Whole(text) => text.len(),
        inbox::Text::TooLong(bytes) => *bytes,
    };
    bytes(&picked.input) + bytes(&picked.options)
}

fn as_row(picked: &Picked) -> Row<'_> {
    Row {
        id: picked.id,
        kind: &picked.kind,
        input: as_text(&picked.input),
        options: as_text(&picked.options),
    }
}

fn as_text(text: &inbox::Text) -> rows::Text<'_> {
    match text {
        inbox::Text::Whole(text) => rows::Text::Whole(text),
        inbox::Text::TooLong(bytes) => rows::Text::TooLong(*bytes),
    }
}

#[derive(Default)]
struct Sorted {
    taken: Vec<Uuid>,
    refused: Vec<(Uuid, String)>,
    /// Why others are to be submitted again.
    later: Option<Error>,
}

impl Sorted {
    fn of(fates: Vec<(Uuid, Fate)>) -> Self {
        let mut sorted = Self::default();
        let mut failed = Vec::new();
        for (id, fate) in fates {
            match fate {
                Fate::Taken => sorted.taken.push(id),
                Fate::Refused(reason) => sorted.refused.push((id, reason)),
                Fate::Later(error) => sorted.later = Some(error),
                Fate::Failed(error) => failed.push((id, error)),
            }
        }
        // Where the database takes others, it is this row that it does not take. Else it may be that it takes none.
        let takes_others = !sorted.taken.is_empty();
        for (id, error) in failed {
            if takes_others {
                tracing::error!(task.id = %id, %error, "the database does not take a task of an inbox");
                sorted.refused.push((id, rows::failed()));
            } else {
                sorted.later = Some(error);
            }
        }
        sorted
    }
}

/// A row that the database fails over alone is tried again and again until others come with it.
#[cfg(test)]
mod tests {
    use taskyard_core::store;

    use super::*;

    fn failed() -> Fate {
        Fate::Failed(Error::Store(store::Error::Failed("no".to_owned())))
    }

    #[test]
    fn a_row_is_blamed_only_where_others_are_taken() {
        let (bad, good) = (Uuid::from_u128(1), Uuid::from_u128(2));

        let alone = Sorted::of(vec![(bad, failed())]);
        let beside = Sorted::of(vec![(bad, failed()), (good, Fate::Taken)]);

        assert!(alone.refused.is_empty() && alone.later.is_some());
        assert_eq!(beside.taken, [good]);
        assert_eq!(beside.refused[0].0, bad);
        assert!(
            beside.refused[0].1.contains("internal"),
            "{:?}",
            beside.refused
        );
        assert!(beside.later.is_none());
    }
}
