//! Flags that say which tasks, for lists and for what is done to all of them at once.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use taskyard_api::operation::TasksFilter;
use taskyard_api::page::TasksQuery;
use taskyard_api::time::Time;
use taskyard_core::status::Status;

use crate::clock;
use crate::settings::units::{duration, pair};

/// The words that there are, which shells can so complete.
fn statuses() -> impl TypedValueParser<Value = Status> {
    PossibleValuesParser::new(Status::ALL.map(Status::as_str)).map(|word| {
        let named = Status::ALL
            .into_iter()
            .find(|status| status.as_str() == word);
        named.expect("no other word is let through")
    })
}

#[derive(Debug, Args)]
pub(crate) struct FilterArgs {
    /// Only these: scheduled, pending, assigned, running, completed, failed, timeout, cancelled.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "STATUSES",
        value_parser = statuses(),
        hide_possible_values = true
    )]
    pub(crate) status: Vec<Status>,
    /// Only of this kind.
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// Only of this queue.
    #[arg(long, value_name = "NAME")]
    pub(crate) queue: Option<String>,
    /// Only what this worker has, or has ended.
    #[arg(long, value_name = "WORKER")]
    pub(crate) worker: Option<String>,
    /// Only with this label, whose value may hold commas. May be given several times.
    #[arg(long = "label", value_parser = pair, value_name = "NAME=VALUE")]
    pub(crate) labels: Vec<(String, String)>,
    /// Only what has all of these words in its kind or its labels; or whose id begins so, with six characters or more.
    #[arg(long, value_name = "WORDS")]
    pub(crate) search: Option<String>,
    /// Only what was created at this time or later, such as 2026-12-24T18:00:00Z; or within so long, such as 2h.
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub(crate) created_after: Option<When>,
    /// Only what was created before this time; or longer ago than this, such as 2h.
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub(crate) created_before: Option<When>,
}

/// An instant, as it was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct When {
    time: Time,
    /// It was said how long ago, so the same words mean another instant by the next command.
    is_ago: bool,
}

/// A time, or how long ago by this machine's clock.
fn when(text: &str) -> Result<When, String> {
    if let Ok(ago) = duration(text) {
        let time = Time(clock::now() - ago);
        return Ok(When { time, is_ago: true });
    }
    let is_ago = false;
    match text.parse() {
        Ok(time) => Ok(When { time, is_ago }),
        Err(bad) => Err(format!("{bad}; or how long ago, such as 2h or 7d")),
    }
}

impl FilterArgs {
    /// Some of the tasks may have completed.
    pub(crate) fn lets_completed(&self) -> bool {
        self.status.is_empty() || self.status.contains(&Status::Completed)
    }

    /// No flag is given, so every task is meant.
    pub(crate) fn is_empty(&self) -> bool {
        self.filter() == TasksFilter::default()
    }

    pub(crate) fn filter(&self) -> TasksFilter {
        TasksFilter {
            status: self.status.iter().map(|status| (*status).into()).collect(),
            kind: self.kind.clone(),
            queue: self.queue.clone(),
            worker_id: self.worker.clone(),
            label: self.labels(),
            q: self.search.clone(),
            created_after: self.created_after.map(|when| when.time),
            created_before: self.created_before.map(|when| when.time),
        }
    }

    pub(crate) fn query(&self) -> TasksQuery {
        let statuses: Vec<_> = self.status.iter().map(|status| (*status).into()).collect();
        TasksQuery {
            kind: self.kind.clone(),
            queue: self.queue.clone(),
            worker_id: self.worker.clone(),
            labels: self.labels(),
            q: self.search.clone(),
            created_after: self.created_after.map(|when| when.time),
            created_before: self.created_before.map(|when| when.time),
            ..TasksQuery::default()
        }
        .with_status(&statuses)
    }

    /// The flags by which a later command means the same instants as this one, which a cursor goes with.
    pub(crate) fn instants(&self) -> String {
        let named = [
            ("--created-after", self.created_after),
            ("--created-before", self.created_before),
        ];
        let ago = named
            .into_iter()
            .filter_map(|(flag, when)| Some((flag, when.filter(|when| when.is_ago)?)));
        ago.map(|(flag, when)| format!("{flag} {} ", when.time))
            .collect()
    }

    fn labels(&self) -> Vec<String> {
        let labels = self.labels.iter();
        labels
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }
}

/// What is done to every task that the filter lets through.
#[derive(Debug, Args)]
pub(crate) struct BulkArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Every task that it can be done to, whatever it is; with a filter there is no need for it.
    #[arg(long)]
    pub(crate) all: bool,
    /// Only says how many tasks there are.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Does not wait for the end: the server does the work, piece by piece, also while nobody waits for it.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) detach: bool,
}

impl BulkArgs {
    /// Any of its flags is given.
    pub(crate) fn is_asked(&self) -> bool {
        self.all || self.dry_run || self.detach || !self.filter.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_an_instant_or_how_long_ago_it_is() {
        let before = clock::now();
        let ago = when("2h").unwrap();
        let instant = when("2026-12-24T18:00:00Z").unwrap();

        let minutes = before.since(ago.time.0).as_secs() / 60;
        assert!((119..=120).contains(&minutes), "{ago:?}");
        assert_eq!(instant.time.to_string(), "2026-12-24T18:00:00.000Z");
        assert_eq!((ago.is_ago, instant.is_ago), (true, false));
        for text in ["2", "-2h", "yesterday", "2026-12-24"] {
            assert!(when(text).unwrap_err().contains("2h or 7d"), "{text}");
        }
    }
}
