//! Pages of tasks: candidates in the order of their ids, each looked at whole.

use rusqlite::{Connection, params};
use taskyard_core::id::TaskId;
use taskyard_core::name::Name;
use taskyard_core::query::{Filter, List, Listed};

use super::connection::{all, one};
use super::fields::Read;
use super::{reads, sql, tx};
use crate::sources::{self, Page, Source};

pub(super) fn list(connection: &Connection, list: &List) -> Read<Listed> {
    let is_crowded = is_crowded(connection, list)?;
    let fitting = fitting(connection, &list.filter, is_crowded)?;
    let sources = sources::sources(&list.filter, &fitting, is_crowded);
    let chunk = sources::chunk(list, is_crowded);
    let mut page = Page::of(list);
    loop {
        let candidates = candidates(connection, &sources, list.oldest_first, page.after(), chunk)?;
        if candidates.is_empty() {
            return Ok(page.listed());
        }
        for id in candidates {
            if page.ends() {
                return Ok(page.listed());
            }
            let view = reads::task_view(connection, id, list.payload)?;
            page.look_at(id, view);
        }
    }
}

/// The lanes that the filter lets through, or enough of them to see that there are too many.
fn fitting(connection: &Connection, filter: &Filter, is_crowded: bool) -> Read<Vec<i32>> {
    if !sources::ask_for_lanes(filter, is_crowded) {
        return Ok(Vec::new());
    }
    let kind = filter.kind.as_ref().map(Name::as_str);
    let queue = filter.queue.as_ref().map(Name::as_str);
    let params = params![kind, queue, tx::limit(sources::LANES_MAX + 1)];
    all(connection, sql::LANE_FITTING, params, |fields| {
        fields.take()
    })
}

fn is_crowded(connection: &Connection, list: &List) -> Read<bool> {
    for table in sources::unordered(&list.filter) {
        let most = tx::limit(list.look_at_max);
        let rows = one(connection, &sources::count(table), [most], |fields| {
            fields.take::<i64>()
        })?;
        if rows.is_some_and(|rows| rows > most) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The next ids of all sources together, in order, each once.
fn candidates(
    connection: &Connection,
    sources: &[Source],
    oldest_first: bool,
    after: Option<TaskId>,
    chunk: usize,
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
            params![after, tx::limit(chunk)],
            |fields| fields.task(),
        )?);
    }
    found.sort_unstable();
    found.dedup();
    if !oldest_first {
        found.reverse();
    }
    // Behind so many, a source may have rows that were not fetched.
    found.truncate(chunk);
    Ok(found)
}
