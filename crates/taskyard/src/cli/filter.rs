//! Flags that say which tasks, for lists and for what is done to all of them at once.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use taskyard_api::operation::TasksFilter;
use taskyard_api::page::TasksQuery;
use taskyard_api::time::Time;
use taskyard_core::status::Status;

use crate::settings::units::pair;

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
    /// Only what has all of these words in its kind or its labels; or whose id begins so, with eight characters or more.
    #[arg(long, value_name = "WORDS")]
    pub(crate) search: Option<String>,
    /// Only what was made at this time or later, such as 2026-12-24T18:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(crate) created_after: Option<Time>,
    /// Only what was made before this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) created_before: Option<Time>,
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
            created_after: self.created_after,
            created_before: self.created_before,
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
            created_after: self.created_after,
            created_before: self.created_before,
            ..TasksQuery::default()
        }
        .with_status(&statuses)
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
