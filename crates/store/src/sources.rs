//! Where the candidates of a list come from. What a filter says decides: the narrow table of a status, what a worker has
//! ended, a few lanes, or all tasks. Rows come in the order of their ids; those that cannot be let through are passed over
//! by what stands in the row, or one key away, and each of the others is looked at whole. The stores put the statements
//! together.
//!
//! Whichever way, a page costs in proportion to the tasks that it may look at, never to those that there are.

use std::collections::BTreeSet;
use std::fmt::Display;

use taskyard_core::filter::Filter;
use taskyard_core::query::List;
use taskyard_core::status::Status;

/// Up to so many lanes are walked one by one; beyond, all tasks are.
const LANES_WALKED: usize = 32;
/// Up to so many lanes are told apart while rows are passed over; beyond, each task is looked at.
pub(crate) const LANES_TOLD: usize = 1000;
/// Candidates are fetched so many at a time, as long as they are what is looked for.
const CHUNK: usize = 500;

/// A table of tasks, and its column of their ids.
pub(crate) struct Source {
    pub(crate) table: &'static str,
    pub(crate) id: &'static str,
    /// Which of its rows there are: an index of the table answers this in the order of the ids.
    pub(crate) rows: String,
    /// Which of these are looked at. No index answers this: the others are passed over, a bounded number of them, since a
    /// database left alone would go on past any number of rows for the next one that fits.
    pub(crate) fits: String,
    /// To pass over one of its rows is to read another page: they lie apart in their table, or another table is asked.
    pub(crate) jumps: bool,
}

/// What a filter's names stand for in the database.
#[derive(Default)]
pub struct Known {
    /// The lanes that the filter lets through, one more than [`LANES_TOLD`] of them at most; none where it names no kind
    /// and no queue.
    pub lanes: Option<Vec<i32>>,
    /// The number of the worker that it names.
    pub worker: Option<i32>,
    /// One of the [`unordered`] tables holds more rows than a page may look at.
    pub is_crowded: bool,
}

/// Of these tables no index goes by task: to find the next rows is to read all of them. A table, and the column of
/// `counter` that counts its rows.
pub(crate) fn unordered(filter: &Filter) -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_waiting = filter.statuses.iter().filter(|_| filter.worker.is_none());
    of_waiting.filter_map(|status| match status {
        Status::Scheduled => Some(("scheduled", "scheduled")),
        Status::Pending => Some(("ready", "pending")),
        Status::Assigned
        | Status::Running
        | Status::Completed
        | Status::Failed
        | Status::Timeout
        | Status::Cancelled => None,
    })
}

/// How many candidates are fetched at first. What has to be read whole is read once.
pub(crate) fn chunk(list: &List, known: &Known) -> usize {
    if !known.is_crowded && unordered(&list.filter).next().is_some() {
        list.look_at_max
    } else {
        CHUNK.min(list.look_at_max)
    }
}

/// Those of a page; none where nothing can be let through.
pub(crate) fn sources(filter: &Filter, known: &Known) -> Vec<Source> {
    let names_lanes = filter.kind.is_some() || filter.queue.is_some();
    let lanes = known.lanes.as_deref().filter(|_| names_lanes);
    if lanes.is_some_and(<[i32]>::is_empty) {
        return Vec::new();
    }
    let few = lanes.filter(|lanes| lanes.len() <= LANES_WALKED);
    let told = lanes.filter(|lanes| lanes.len() <= LANES_TOLD);
    if filter.worker.is_some() {
        let of_worker = |worker| by_worker(filter, worker, told);
        return known.worker.map_or(Vec::new(), of_worker);
    }
    let is_by_few = few.is_some() && filter.statuses.contains(&Status::Completed);
    if filter.statuses.is_empty() || known.is_crowded || is_by_few {
        by_lane(filter, few, told)
    } else {
        by_status(filter, told)
    }
}

/// What a worker has, and what it has ended; what waits has none. An index on who ended what costs a third of all
/// throughput where there are many workers (`bench --only W0`), since each batch touches a page for every one of them; so
/// rows are passed over.
fn by_worker(filter: &Filter, worker: i32, lanes: Option<&[i32]>) -> Vec<Source> {
    let is_held = |status: &Status| matches!(status, Status::Assigned | Status::Running);
    let mut sources = by_end(filter, lanes);
    if filter.statuses.is_empty() || filter.statuses.iter().any(is_held) {
        sources.push(Source::of("lease").in_lanes(lanes));
    }
    let of_worker = |source: Source| source.fitting(format!("worker = {worker}"));
    sources.into_iter().map(of_worker).collect()
}

/// Over all tasks, or those of a few lanes.
fn by_lane(filter: &Filter, few: Option<&[i32]>, told: Option<&[i32]>) -> Vec<Source> {
    let tasks = || Source::of("task").standing(&filter.statuses);
    match few {
        None => vec![tasks().in_lanes(told)],
        Some(lanes) => {
            let lanes = lanes.iter();
            let of_lane = |lane| tasks().rows(format!("lane = {lane}"));
            lanes.map(of_lane).collect()
        }
    }
}

/// Over the tables of the statuses.
fn by_status(filter: &Filter, lanes: Option<&[i32]>) -> Vec<Source> {
    let place = |status: &Status| match status {
        Status::Scheduled => Some("scheduled"),
        Status::Pending => Some("ready"),
        Status::Assigned | Status::Running => Some("lease"),
        Status::Completed | Status::Failed | Status::Timeout | Status::Cancelled => None,
    };
    // Two statuses of one place are one table.
    let places: BTreeSet<&str> = filter.statuses.iter().filter_map(place).collect();
    let open = places
        .into_iter()
        .map(|table| Source::of(table).in_lanes(lanes));
    open.chain(by_end(filter, lanes)).collect()
}

/// What has ended, as the filter wants it.
fn by_end(filter: &Filter, lanes: Option<&[i32]>) -> Vec<Source> {
    let statuses = filter.statuses.iter().copied();
    let ended: BTreeSet<Status> = statuses.filter(|status| status.is_final()).collect();
    let outcomes = || Source::of("outcome").in_lanes(lanes);
    if filter.statuses.is_empty() {
        vec![outcomes()]
    } else if ended.contains(&Status::Completed) {
        let codes = listed(ended.iter().map(|status| status.code()));
        vec![outcomes().fitting(format!("status in ({codes})"))]
    } else {
        // The second condition is the index's own, word for word: else SQLite does not use it.
        let of_status =
            |status: Status| outcomes().rows(format!("status = {} and status <> 5", status.code()));
        ended.into_iter().map(of_status).collect()
    }
}

/// With commas between them.
fn listed(numbers: impl IntoIterator<Item: Display>) -> String {
    let texts = numbers.into_iter().map(|number| number.to_string());
    texts.collect::<Vec<_>>().join(", ")
}

impl Source {
    fn of(table: &'static str) -> Self {
        Self {
            table,
            id: if table == "task" { "id" } else { "task" },
            rows: "true".to_owned(),
            fits: "true".to_owned(),
            jumps: false,
        }
    }

    fn rows(self, rows: String) -> Self {
        let jumps = true;
        Self {
            rows,
            jumps,
            ..self
        }
    }

    fn fitting(self, condition: String) -> Self {
        let fits = match self.fits.as_str() {
            "true" => condition,
            others => format!("{others} and {condition}"),
        };
        Self { fits, ..self }
    }

    /// Of these lanes and their twins.
    fn in_lanes(self, lanes: Option<&[i32]>) -> Self {
        match lanes {
            None => self,
            Some(lanes) => self.fitting(format!("abs(lane) in ({})", listed(lanes))),
        }
    }

    /// Of tasks, those that can stand at one of these, as far as their outcome tells.
    fn standing(self, statuses: &[Status]) -> Self {
        if statuses.is_empty() {
            return self;
        }
        let outcome =
            |column| format!("(select outcome.{column} from outcome where outcome.task = task.id)");
        let ended = statuses.iter().filter(|status| status.is_final());
        let codes = listed(ended.map(|status| status.code()));
        let stands = if codes.is_empty() {
            format!("{} is null", outcome("task"))
        } else if statuses.iter().all(|status| status.is_final()) {
            format!("{} in ({codes})", outcome("status"))
        } else {
            format!("coalesce({}, 0) in (0, {codes})", outcome("status"))
        };
        let jumps = true;
        Self { jumps, ..self }.fitting(stands)
    }
}

#[cfg(test)]
mod tests {
    use taskyard_core::name::Name;

    use super::*;

    #[test]
    fn rows_that_lie_apart_are_told_from_those_beside_each_other() {
        let name = || Name::plain("x").unwrap();
        let status = |status| [status].into();
        let everything = Filter::default();
        let by_worker = Filter {
            worker: Some(name()),
            ..Filter::default()
        };
        let completed = Filter {
            statuses: status(Status::Completed),
            ..Filter::default()
        };
        let completed_of_kind = Filter {
            kind: Some(name()),
            ..completed.clone()
        };
        let failed_of_queue = Filter {
            statuses: status(Status::Failed),
            queue: Some(name()),
            ..Filter::default()
        };
        let failed_by_worker = Filter {
            worker: Some(name()),
            queue: None,
            ..failed_of_queue.clone()
        };
        let known = Known {
            lanes: Some(vec![1]),
            worker: Some(1),
            is_crowded: false,
        };
        let jumps = |filter: &Filter| {
            let sources = sources(filter, &known);
            sources.iter().any(|source| source.jumps)
        };

        for beside in [everything, by_worker, completed] {
            assert!(!jumps(&beside), "{beside:?}");
        }
        for apart in [completed_of_kind, failed_of_queue, failed_by_worker] {
            assert!(jumps(&apart), "{apart:?}");
        }
    }
}
