//! How values that have no column type of their own are written; the same in both databases. The codes stand in the
//! migrations' checks too.

use std::sync::Arc;
use std::time::Duration;

use taskyard_core::labels::Labels;
use taskyard_core::log::Stream;
use taskyard_core::minute::Durations;
use taskyard_core::name::Name;
use taskyard_core::operation::{Act, State};
use taskyard_core::query::Standing;
use taskyard_core::rows::{End, Lease, Origin, Outcome, Said, Scheduled, Why};
use taskyard_core::status::Status;
use taskyard_core::time::Timestamp;

/// A column holds something that was never written there: a damaged database, or one of another version.
#[derive(Debug, thiserror::Error)]
#[error("{what}{} cannot be {value}", .column.as_deref().map(|name| format!(" in {name}")).unwrap_or_default())]
pub(crate) struct BadColumn {
    what: &'static str,
    value: String,
    /// Where `what` does not say it.
    column: Option<String>,
    table: Option<&'static str>,
}

impl BadColumn {
    pub(crate) fn new(what: &'static str, value: impl ToString) -> Self {
        Self {
            what,
            value: value.to_string(),
            column: None,
            table: None,
        }
    }

    /// Says of which table, of what may stand in several.
    pub(crate) fn of(self, table: &'static str) -> Self {
        Self {
            table: Some(table),
            ..self
        }
    }

    /// Says in which column it stands, of what may stand in several.
    pub(crate) fn within(mut self, column: Option<&str>) -> Self {
        let is_said = self.what.contains('.');
        let column = column.filter(|_| !is_said);
        self.column = column.map(|column| match self.table {
            Some(table) => format!("{table}.{column}"),
            None => column.to_owned(),
        });
        self
    }
}

/// Claims are counted from 1, so a sign is free to say that the lease was told again. A server of before, which knows no
/// sign, takes such a lease for one of another claim.
pub(crate) fn seq_code(lease: &Lease) -> i64 {
    if lease.is_told_again {
        -lease.seq
    } else {
        lease.seq
    }
}

/// The claim's number, and whether the lease was told again.
pub(crate) fn seq(code: i64) -> (i64, bool) {
    (code.saturating_abs(), code < 0)
}

pub(crate) fn why_code(why: Why) -> i16 {
    match why {
        Why::RunAt => 1,
        Why::BackOff => 2,
        Why::Snooze => 3,
    }
}

pub(crate) fn why(code: i16) -> Result<Why, BadColumn> {
    match code {
        1 => Ok(Why::RunAt),
        2 => Ok(Why::BackOff),
        3 => Ok(Why::Snooze),
        other => Err(BadColumn::new("scheduled.why", other)),
    }
}

pub(crate) fn origin_code(origin: Origin) -> i16 {
    match origin {
        Origin::V1 => 1,
        Origin::Simple => 2,
        Origin::Taskmaster => 3,
    }
}

pub(crate) fn origin(code: Option<i16>) -> Result<Option<Origin>, BadColumn> {
    match code {
        None => Ok(None),
        Some(1) => Ok(Some(Origin::V1)),
        Some(2) => Ok(Some(Origin::Simple)),
        Some(3) => Ok(Some(Origin::Taskmaster)),
        Some(other) => Err(BadColumn::new("task.origin", other)),
    }
}

pub(crate) fn end_code(end: End) -> i16 {
    match end {
        End::Failed => 1,
        End::TimedOut => 2,
        End::Snoozed => 3,
        End::Released => 4,
        End::Lost => 5,
    }
}

pub(crate) fn end(code: i16) -> Result<End, BadColumn> {
    match code {
        1 => Ok(End::Failed),
        2 => Ok(End::TimedOut),
        3 => Ok(End::Snoozed),
        4 => Ok(End::Released),
        5 => Ok(End::Lost),
        other => Err(BadColumn::new("attempt.ended", other)),
    }
}

pub(crate) fn said_code(said: Said) -> i16 {
    match said {
        Said::Completed => 1,
        Said::Failed => 2,
        Said::TimedOut => 3,
        Said::Snoozed => 4,
        Said::Released => 5,
    }
}

pub(crate) fn said(code: i16) -> Result<Said, BadColumn> {
    match code {
        1 => Ok(Said::Completed),
        2 => Ok(Said::Failed),
        3 => Ok(Said::TimedOut),
        4 => Ok(Said::Snoozed),
        5 => Ok(Said::Released),
        other => Err(BadColumn::new("late_result.said", other)),
    }
}

pub(crate) fn act_code(act: Act) -> i16 {
    match act {
        Act::Cancel => 1,
        Act::Retry => 2,
    }
}

pub(crate) fn act(code: i16) -> Result<Act, BadColumn> {
    match code {
        1 => Ok(Act::Cancel),
        2 => Ok(Act::Retry),
        other => Err(BadColumn::new("operation.act", other)),
    }
}

pub(crate) fn operation_state(ended_at: Option<Timestamp>, cancelled: bool) -> State {
    match ended_at {
        None => State::Running,
        Some(at) if cancelled => State::Cancelled(at),
        Some(at) => State::Done(at),
    }
}

pub(crate) fn stream_code(stream: Stream) -> i16 {
    match stream {
        Stream::Stdout => 1,
        Stream::Stderr => 2,
        Stream::Worker => 3,
    }
}

pub(crate) fn stream(code: i16) -> Result<Stream, BadColumn> {
    match code {
        1 => Ok(Stream::Stdout),
        2 => Ok(Stream::Stderr),
        3 => Ok(Stream::Worker),
        other => Err(BadColumn::new(
            "log_chunk.lines",
            format_args!("a line of stream {other}"),
        )),
    }
}

pub(crate) fn outcome_status(code: Option<i16>) -> Result<Option<Status>, BadColumn> {
    let known =
        |code| Status::from_code(code).ok_or_else(|| BadColumn::new("outcome.status", code));
    code.map(known).transpose()
}

pub(crate) fn durations(bytes: &[u8]) -> Result<Durations, BadColumn> {
    Durations::from_bytes(bytes).map_err(|_| BadColumn::new("buckets of durations", "these bytes"))
}

/// A count or a number that is never below zero.
pub(crate) fn unsigned<T: TryFrom<i64>>(number: i64) -> Result<T, BadColumn> {
    T::try_from(number).map_err(|_| BadColumn::new("a number of a log", number))
}

/// Where a task stands, in the words of `task_view`, with the rows that it brings along. Nowhere, or in a place that
/// this program does not know, is an error: it would pass for another place.
pub(crate) fn standing(
    place: Option<i16>,
    scheduled: Option<Scheduled>,
    lease: Option<Lease>,
    outcome: Option<Outcome>,
) -> Result<Standing, BadColumn> {
    let standing = match place {
        Some(1) => scheduled.map(Standing::Scheduled),
        Some(2) => Some(Standing::Ready),
        Some(3) => lease.map(|lease| Standing::Leased(Box::new(lease))),
        Some(4) => outcome.map(|outcome| Standing::Ended(Arc::new(outcome))),
        Some(_) | None => None,
    };
    let place = || place.map_or("nowhere".to_owned(), |place| place.to_string());
    standing.ok_or_else(|| BadColumn::new("a task's place", place()))
}

/// Names as one JSON array, in the order they were given.
pub(crate) fn names_text(names: &[Name]) -> String {
    let names: Vec<&str> = names.iter().map(Name::as_str).collect();
    serde_json::to_string(&names).expect("a list of strings is always JSON")
}

pub(crate) fn names(text: &str) -> Result<Vec<Name>, BadColumn> {
    let names: Vec<String> =
        serde_json::from_str(text).map_err(|_| BadColumn::new("a list of names", text))?;
    Ok(names.into_iter().map(Name::stored).collect())
}

/// Of a task. Whatever is written was never damaged.
pub(crate) fn labels_text(labels: Option<&Labels>) -> String {
    labels.map(Labels::to_text).unwrap_or_default()
}

/// In microseconds; what is longer than a column holds is as good as for ever.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

pub(crate) fn duration(micros: i64) -> Result<Duration, BadColumn> {
    u64::try_from(micros)
        .map(Duration::from_micros)
        .map_err(|_| BadColumn::new("a duration", micros))
}
