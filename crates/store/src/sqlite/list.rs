//! Pages of tasks: candidates in the order of their ids, each looked at whole.

use rusqlite::{Connection, params};
use taskyard_core::filter::Filter;
use taskyard_core::id::TaskId;
use taskyard_core::name::Name;
use taskyard_core::query::{List, Listed};
use uuid::Uuid;

use super::connection::{all, one};
use super::fields::Read;
use super::{reads, sql, tx};
use crate::sources::{self, Found, Page, Source};

pub(super) fn list(connection: &Connection, list: &List) -> Read<Listed> {
    let is_crowded = is_crowded(connection, list)?;
    let sources = match &list.filter.worker {
        Some(name) => one(connection, sql::WORKER_NUMBER, [name.as_str()], |fields| {
            fields.take()
        })?
        .map_or(Vec::new(), |number| {
            sources::of_worker(&list.filter, number)
        }),
        None => {
            let fitting = fitting(connection, &list.filter, is_crowded)?;
            sources::sources(&list.filter, &fitting, is_crowded)
        }
    };
    let chunk = sources::chunk(list, is_crowded);
    let mut page = Page::of(list);
    while let Some(ids) = page.ids() {
        let found = if sources.iter().any(|source| source.fits.is_some()) {
            passing_over(connection, &sources, list, ids, page.pass_over())?
        } else {
            candidates(connection, &sources, list.oldest_first, ids, chunk)?
        };
        for id in found.ids {
            if page.ends() {
                return Ok(page.listed());
            }
            let view = reads::task_view(connection, id, list.payload)?;
            page.look_at(id, view);
        }
        match found.through {
            Some(through) if !page.seen(through, found.rows) => {}
            Some(_) | None => break,
        }
    }
    Ok(page.listed())
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
    [first, last]: [Uuid; 2],
    chunk: usize,
) -> Read<Found> {
    let order = if oldest_first { "asc" } else { "desc" };
    let mut found: Vec<TaskId> = Vec::new();
    for Source {
        table, id, rows, ..
    } in sources
    {
        let statement = format!(
            "select {id} from {table} where {rows} and {id} >= ?1 and {id} <= ?2 order by {id} {order} limit ?3"
        );
        found.extend(all(
            connection,
            &statement,
            params![first.as_bytes(), last.as_bytes(), tx::limit(chunk)],
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
    Ok(Found::of(found, chunk))
}

/// The same where most rows are passed over, at most so many of each source.
fn passing_over(
    connection: &Connection,
    sources: &[Source],
    list: &List,
    [first, last]: [Uuid; 2],
    rows: usize,
) -> Read<Found> {
    let mut found = Vec::new();
    for source in sources {
        let fits = source.fits.as_deref().unwrap_or("true");
        // `$3` would be the first parameter, for it stands first.
        let statement = sources::passing_over(source, fits, list.oldest_first).replace('$', "?");
        let params = params![first.as_bytes(), last.as_bytes(), tx::limit(rows)];
        let seen = all(connection, &statement, params, |fields| {
            Ok((fields.task()?, fields.take()?, fields.take()?))
        })?;
        found.push(Found::passing_over(seen, rows));
    }
    Ok(Found::merge(found, list.oldest_first))
}
