//! Where the candidates of a list come from, and what becomes of them. What a filter says decides: the narrow table of a
//! status, a few lanes, or all tasks; each candidate is then looked at whole. The stores put the statements together.
//!
//! Whichever way, a page costs in proportion to the tasks that it may look at, never to those that there are.

use taskyard_core::filter::Filter;
use taskyard_core::id::TaskId;
use taskyard_core::json::Json;
use taskyard_core::query::{LIST_BYTES_MAX, List, Listed, Standing, TaskView};
use taskyard_core::status::Status;
use uuid::Uuid;

/// Up to so many lanes are walked one by one; beyond, all tasks are.
pub(crate) const LANES_MAX: usize = 32;
/// Candidates are fetched so many at a time.
const CHUNK: usize = 500;

/// A table of tasks, its column of their ids, and which of its rows count.
pub(crate) struct Source {
    pub(crate) table: &'static str,
    pub(crate) id: &'static str,
    pub(crate) rows: String,
    /// Which of these rows are looked at. No index serves this: the others are passed over, a bounded number at a time,
    /// each of which costs a hundredth of a look.
    pub(crate) fits: Option<String>,
}

/// The next candidates, in order.
pub(crate) struct Found {
    pub(crate) ids: Vec<TaskId>,
    /// All up to this one were seen; none where there are no more behind them.
    pub(crate) through: Option<TaskId>,
    /// How many rows were passed over or found.
    pub(crate) rows: usize,
}

impl Found {
    /// The next so many of all sources, each of which is looked at.
    pub(crate) fn of(ids: Vec<TaskId>, asked: usize) -> Self {
        let through = ids.last().copied().filter(|_| ids.len() == asked);
        Self {
            ids,
            through,
            rows: 0,
        }
    }

    /// Of one source, what [`passing_over`] answers where at most so many rows were to be seen.
    pub(crate) fn passing_over(seen: Vec<(TaskId, bool, bool)>, asked: usize) -> Self {
        let last = seen.last().filter(|(_, _, is_last)| *is_last);
        let fitting = seen.iter().filter(|(_, fits, _)| *fits);
        Self {
            ids: fitting.map(|(id, _, _)| *id).collect(),
            through: last.map(|(id, _, _)| *id),
            rows: asked,
        }
    }

    /// What all sources have in common: as far as each was seen.
    pub(crate) fn merge(found: Vec<Self>, oldest_first: bool) -> Self {
        let throughs = found.iter().filter_map(|found| found.through);
        let through = if oldest_first {
            throughs.min()
        } else {
            throughs.max()
        };
        let rows = found.iter().map(|found| found.rows).sum();
        let mut ids: Vec<TaskId> = found.into_iter().flat_map(|found| found.ids).collect();
        ids.retain(|id| match through {
            None => true,
            Some(through) if oldest_first => *id <= through,
            Some(through) => *id >= through,
        });
        ids.sort_unstable();
        ids.dedup();
        if !oldest_first {
            ids.reverse();
        }
        Self { ids, through, rows }
    }
}

/// Of these tables no index goes by task: to find the next rows is to read all of them.
pub(crate) fn unordered(filter: &Filter) -> impl Iterator<Item = &'static str> {
    filter.statuses.iter().filter_map(|status| match status {
        Status::Scheduled => Some("scheduled"),
        Status::Pending => Some("ready"),
        Status::Assigned
        | Status::Running
        | Status::Completed
        | Status::Failed
        | Status::Timeout
        | Status::Cancelled => None,
    })
}

/// Counts the rows of a table, up to one more than its parameter, which tells whether it holds more than that.
pub(crate) fn count(table: &str) -> String {
    format!("select count(*) from (select 1 from {table} limit cast($1 as bigint) + 1) as counted")
}

/// Whether [`sources`] has to know which lanes the filter lets through.
pub(crate) fn ask_for_lanes(filter: &Filter, is_crowded: bool) -> bool {
    go_by_lane(filter, is_crowded) && names_lanes(filter)
}

fn go_by_lane(filter: &Filter, is_crowded: bool) -> bool {
    filter.statuses.is_empty() || is_crowded
}

fn names_lanes(filter: &Filter) -> bool {
    filter.kind.is_some() || filter.queue.is_some()
}

/// Those of a page, none of which has to read more rows than it may look at. `fitting`: the lanes that the filter lets
/// through, one more than [`LANES_MAX`] of them at most. `is_crowded`: one of the [`unordered`] tables holds more.
pub(crate) fn sources(filter: &Filter, fitting: &[i32], is_crowded: bool) -> Vec<Source> {
    if go_by_lane(filter, is_crowded) {
        return by_lane(filter, fitting);
    }
    let mut sources: Vec<Source> = Vec::new();
    // All that has ended is behind it.
    let with_completed = filter.statuses.contains(&Status::Completed);
    let has_source =
        |status: &&Status| !(with_completed && status.is_final()) || **status == Status::Completed;
    for status in filter.statuses.iter().filter(has_source) {
        let source = by_status(*status);
        if !sources
            .iter()
            .any(|other| other.table == source.table && other.rows == source.rows)
        {
            sources.push(source);
        }
    }
    sources
}

/// Those of a worker's tasks, what it has and what it has ended; what waits has none. An index on who ended what costs a
/// third of all throughput where there are many workers (`bench --only W0`), since each batch touches a page for every one
/// of them; so the rows are walked in the order of their ids, and nothing but the worker of each is looked at.
pub(crate) fn of_worker(filter: &Filter, worker: i32) -> Vec<Source> {
    let is_wanted = |is_of: fn(Status) -> bool| {
        filter.statuses.is_empty() || filter.statuses.iter().any(|status| is_of(*status))
    };
    let of_table = |table| Source {
        table,
        id: "task",
        rows: "true".to_owned(),
        fits: Some(format!("worker = {worker}")),
    };
    let ended = is_wanted(Status::is_final).then(|| of_table("outcome"));
    let held = |status| matches!(status, Status::Assigned | Status::Running);
    let held = is_wanted(held).then(|| of_table("lease"));
    ended.into_iter().chain(held).collect()
}

/// How many candidates are fetched at a time. What has to be read whole is read once.
pub(crate) fn chunk(list: &List, is_crowded: bool) -> usize {
    if !is_crowded && list.filter.worker.is_none() && unordered(&list.filter).next().is_some() {
        list.look_at_max
    } else {
        CHUNK.min(list.look_at_max)
    }
}

fn by_lane(filter: &Filter, fitting: &[i32]) -> Vec<Source> {
    let tasks = |rows: String| Source {
        table: "task",
        id: "id",
        rows,
        fits: None,
    };
    if !names_lanes(filter) || fitting.len() > LANES_MAX {
        return vec![tasks("true".to_owned())];
    }
    let lanes = fitting.iter();
    lanes.map(|lane| tasks(format!("lane = {lane}"))).collect()
}

/// Conditions that no index serves are left to the look at each task: the database would go on past any number of rows
/// for the next one that fits.
fn by_status(status: Status) -> Source {
    let (table, rows) = match status {
        Status::Scheduled => ("scheduled", "true".to_owned()),
        Status::Pending => ("ready", "true".to_owned()),
        Status::Assigned | Status::Running => ("lease", "true".to_owned()),
        Status::Completed => ("outcome", "true".to_owned()),
        // The second condition is the index's own, word for word: else SQLite does not use it.
        Status::Failed | Status::Timeout | Status::Cancelled => (
            "outcome",
            format!("status = {} and status <> 5", status.code()),
        ),
    };
    Source {
        table,
        id: "task",
        rows,
        fits: None,
    }
}

/// A page on its way: the stores bring the candidates, in order, and it keeps the account.
pub(crate) struct Page<'a> {
    list: &'a List,
    listed: Listed,
    /// The last one that the page is done with.
    after: Option<TaskId>,
    looked_at: usize,
    /// Rows that were passed over on the way, without a look at their tasks.
    passed: usize,
    /// Of all that was looked at, whether it was let through or not.
    bytes: usize,
    bytes_of_largest: usize,
    /// There is one more that the filter lets through, and no room for it.
    is_full: bool,
}

impl<'a> Page<'a> {
    pub(crate) fn of(list: &'a List) -> Self {
        Self {
            list,
            listed: Listed::default(),
            after: list.after,
            looked_at: 0,
            passed: 0,
            bytes: 0,
            bytes_of_largest: 0,
            is_full: false,
        }
    }

    /// The ids that the next candidates can have, from the first to the last; none where there can be no more.
    pub(crate) fn ids(&self) -> Option<[Uuid; 2]> {
        let ids = self.list.filter.ids();
        let (mut first, mut last) = (*ids.start(), *ids.end());
        if let Some(after) = self.after.map(|id| id.as_uuid().as_u128()) {
            if self.list.oldest_first {
                first = first.max(after + 1);
            } else {
                last = last.min(after - 1);
            }
        }
        (first <= last).then(|| [first, last].map(Uuid::from_u128))
    }

    /// Whether the page ends before a candidate that there is. It has cost what it may then, or is full.
    pub(crate) fn ends(&mut self) -> bool {
        let is_over =
            self.is_full || self.looked_at == self.list.look_at_max || self.bytes > LIST_BYTES_MAX;
        if is_over {
            self.listed.next = self.after;
        }
        is_over
    }

    /// How many rows may be passed over in one go: few at first, for there may be enough among them.
    pub(crate) fn pass_over(&self) -> usize {
        let left = (self.list.look_at_max * PASSED_FOR_A_LOOK).saturating_sub(self.passed);
        self.passed.max(FIRST_PASSED).min(left).max(1)
    }

    /// All up to this one were seen, and what fits among them was looked at. Whether the page ends here: it has cost what
    /// it may.
    pub(crate) fn seen(&mut self, through: TaskId, rows: usize) -> bool {
        self.passed += rows;
        if !self.is_full {
            self.after = Some(through);
        }
        let is_over = self.is_full || self.passed >= self.list.look_at_max * PASSED_FOR_A_LOOK;
        if is_over {
            self.listed.next = self.after;
        }
        is_over
    }

    /// How many may be looked at in one go, up to `most`, before it is known what they hold: few at first, and later no
    /// more than would fit if they were like the largest so far.
    pub(crate) fn together(&self, most: usize) -> usize {
        let room = LIST_BYTES_MAX.saturating_sub(self.bytes);
        let fitting = room / self.bytes_of_largest.max(1);
        let known = self.looked_at * 2;
        known.max(FIRST_TOGETHER).min(fitting).clamp(1, most)
    }

    /// Only while the page does not end. The view is none where the task is gone.
    pub(crate) fn look_at(&mut self, id: TaskId, view: Option<TaskView>) {
        self.looked_at += 1;
        if let Some(view) = view {
            let bytes = bytes_read(&view);
            self.bytes += bytes;
            self.bytes_of_largest = self.bytes_of_largest.max(bytes);
            if self.list.filter.lets_through(&view) {
                let items = &mut self.listed.items;
                if items.len() == self.list.limit {
                    self.after = items.last().map(|last| last.task.id);
                    self.is_full = true;
                    return;
                }
                // One goes out whatever its size.
                if self.bytes > LIST_BYTES_MAX && !items.is_empty() {
                    self.is_full = true;
                    return;
                }
                items.push(view);
            }
        }
        self.after = Some(id);
    }

    pub(crate) fn listed(mut self) -> Listed {
        if self.is_full {
            self.listed.next = self.after;
        }
        self.listed
    }
}

const FIRST_TOGETHER: usize = 10;
/// For each task that a page may look at it may pass over so many rows.
const PASSED_FOR_A_LOOK: usize = 10;
const FIRST_PASSED: usize = 1_000;

/// The rows of one source from the first to the last id: those that fit, each with whether it does, and the last one of as
/// many as may be passed over; `$1` and `$2` are the ids, `$3` is how many rows.
pub(crate) fn passing_over(source: &Source, fits: &str, oldest_first: bool) -> String {
    let Source {
        table, id, rows, ..
    } = source;
    let order = if oldest_first { "asc" } else { "desc" };
    format!(
        "select numbered.id, numbered.fits, numbered.place = $3 from (
           select near.id, near.fits, row_number() over (order by near.id {order}) as place from (
             select {id} as id, coalesce({fits}, false) as fits from {table}
             where {rows} and {id} >= $1 and {id} <= $2 order by {id} {order} limit $3
           ) as near
         ) as numbered
         where numbered.fits or numbered.place = $3
         order by numbered.id {order}"
    )
}

/// What the database handed over that may be large.
fn bytes_read(view: &TaskView) -> usize {
    let json = |json: &Option<Json>| json.as_ref().map_or(0, Json::len);
    let leased = match &view.standing {
        Standing::Leased(lease) => json(&lease.checkpoint),
        Standing::Scheduled(_) | Standing::Ready | Standing::Ended(_) => 0,
    };
    let carry = view.carry.as_ref();
    view.bytes() + leased + carry.map_or(0, |carry| json(&carry.checkpoint))
}
