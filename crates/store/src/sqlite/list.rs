//! Pages of tasks. What a filter says decides where candidates come from: the narrow table of a status, a few lanes,
//! or all tasks; each candidate is then looked at whole. The only place where statements are put together in code.

use rusqlite::{Connection, params};
use taskyard_core::id::TaskId;
use taskyard_core::name::Name;
use taskyard_core::query::{Filter, LIST_BYTES_MAX, LIST_ROWS_LOOKED_AT_MAX, List, Listed};
use taskyard_core::status::Status;

use super::connection::all;
use super::fields::Read;
use super::{reads, sql, tx};

/// Up to so many lanes are walked one by one; beyond, all tasks are.
const LANES_MAX: usize = 32;
/// Candidates are fetched so many at a time.
const CHUNK: usize = 500;

pub(super) fn list(connection: &Connection, list: &List) -> Read<Listed> {
    let sources = sources(connection, &list.filter)?;
    let mut listed = Listed::default();
    let (mut after, mut looked_at, mut bytes) = (list.after, 0, 0);
    loop {
        let candidates = candidates(connection, &sources, list.oldest_first, after)?;
        if candidates.is_empty() {
            return Ok(listed);
        }
        for id in candidates {
            if looked_at == LIST_ROWS_LOOKED_AT_MAX {
                listed.next = after;
                return Ok(listed);
            }
            looked_at += 1;
            let view = reads::task_view(connection, id, list.payload)?;
            if let Some(view) = view.filter(|view| list.filter.lets_through(view)) {
                bytes += view.bytes();
                let is_full = listed.items.len() == list.limit || bytes > LIST_BYTES_MAX;
                if is_full && !listed.items.is_empty() {
                    listed.next = listed.items.last().map(|view| view.task.id);
                    return Ok(listed);
                }
                listed.items.push(view);
            }
            after = Some(id);
        }
    }
}

/// A table of ids and which of its rows count.
struct Source {
    table: &'static str,
    id: &'static str,
    rows: String,
}

fn sources(connection: &Connection, filter: &Filter) -> Read<Vec<Source>> {
    if !filter.statuses.is_empty() {
        let statuses = filter.statuses.iter();
        return Ok(statuses.map(|status| by_status(*status)).collect());
    }
    let all = |rows: String| Source {
        table: "task",
        id: "id",
        rows,
    };
    if filter.kind.is_none() && filter.queue.is_none() {
        return Ok(vec![all("true".to_owned())]);
    }
    let fitting = fitting(connection, filter)?;
    if fitting.len() > LANES_MAX {
        return Ok(vec![all("true".to_owned())]);
    }
    let lanes = fitting.iter();
    Ok(lanes.map(|lane| all(format!("lane = {lane}"))).collect())
}

/// The lanes that the filter lets through, or enough of them to see that there are too many.
fn fitting(connection: &Connection, filter: &Filter) -> Read<Vec<i32>> {
    let kind = filter.kind.as_ref().map(Name::as_str);
    let queue = filter.queue.as_ref().map(Name::as_str);
    let params = params![kind, queue, tx::limit(LANES_MAX + 1)];
    all(connection, sql::LANE_FITTING, params, |fields| {
        fields.take()
    })
}

fn by_status(status: Status) -> Source {
    let (table, rows) = match status {
        Status::Scheduled => ("scheduled", "true".to_owned()),
        Status::Pending => ("ready", "true".to_owned()),
        Status::Assigned => ("lease", "started_at is null".to_owned()),
        Status::Running => ("lease", "started_at is not null".to_owned()),
        Status::Completed => ("outcome", format!("status = {}", status.code())),
        // The second condition is the index's own, word for word: else it is not used.
        Status::Failed | Status::Timeout | Status::Cancelled => (
            "outcome",
            format!("status = {} and status <> 5", status.code()),
        ),
    };
    Source {
        table,
        id: "task",
        rows,
    }
}

/// The next ids of all sources together, in order, each once.
fn candidates(
    connection: &Connection,
    sources: &[Source],
    oldest_first: bool,
    after: Option<TaskId>,
) -> Read<Vec<TaskId>> {
    let (behind, order, start) = if oldest_first {
        (">", "asc", [0; 16])
    } else {
        ("<", "desc", [u8::MAX; 16])
    };
    let after = after.map_or(start, |id| *id.as_bytes());
    let mut found: Vec<TaskId> = Vec::new();
    for Source { table, id, rows } in sources {
        let statement = format!(
            "select {id} from {table} where {rows} and {id} {behind} ?1 order by {id} {order} limit ?2"
        );
        found.extend(all(
            connection,
            &statement,
            params![after, tx::limit(CHUNK)],
            |fields| fields.task(),
        )?);
    }
    found.sort_unstable();
    found.dedup();
    if !oldest_first {
        found.reverse();
    }
    // Behind so many, a source may have rows that were not fetched.
    found.truncate(CHUNK);
    Ok(found)
}
