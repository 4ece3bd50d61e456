//! Pages of tasks: candidates in the order of their ids, each looked at whole.
//!
//! There are as many statements as shapes of filters, so they are not kept: they would drive out those of every batch.

use rusqlite::{Connection, Rows, params};
use taskyard_core::filter::Filter;
use taskyard_core::id::TaskId;
use taskyard_core::name::Name;
use taskyard_core::query::{List, Listed};

use super::connection::{all, one};
use super::error::is_of_a_row;
use super::fields::{Fields, Read};
use super::{reads, sql, tx};
use crate::page::Page;
use crate::sources::{self, Known, Source};

/// A row costs half a microsecond to pass over, where a look costs some 10 (`bench --only W9`).
const PASSED_FOR_A_LOOK: usize = 5;

pub(super) fn list(connection: &Connection, list: &List) -> Read<Listed> {
    let known = known(connection, list)?;
    let mut page = Page::of(list, PASSED_FOR_A_LOOK);
    let Some([first, last]) = page.ids() else {
        return Ok(page.listed());
    };
    let statements = statements(&list.filter, &known, list.oldest_first);
    let prepared = statements.iter().map(|text| connection.prepare(text));
    let mut statements = prepared.collect::<Result<Vec<_>, _>>()?;
    let mut walks = Vec::with_capacity(statements.len());
    for statement in &mut statements {
        let rows = statement.query(params![first.as_bytes(), last.as_bytes()])?;
        walks.push(Walk::begin(rows)?);
    }
    while let Some((id, fits)) = next(&mut walks, list.oldest_first)? {
        if page.ends() {
            break;
        }
        if fits {
            match reads::task_view(connection, id, list.payload) {
                Err(error) if is_of_a_row(&error) => page.cannot_read(id),
                view => page.look_at(id, view?),
            }
        } else {
            page.pass(1, id);
        }
    }
    Ok(page.listed())
}

fn known(connection: &Connection, list: &List) -> Read<Known> {
    let filter = &list.filter;
    let worker = filter.worker.as_ref().map(|name| {
        let name = [name.as_str()];
        one(connection, sql::WORKER_NUMBER, name, |fields| fields.take())
    });
    Ok(Known {
        lanes: fitting(connection, filter)?,
        worker: worker.transpose()?.flatten(),
        is_crowded: is_crowded(connection, list)?,
    })
}

/// The lanes that the filter lets through, or enough of them to see that there are too many.
fn fitting(connection: &Connection, filter: &Filter) -> Read<Option<Vec<i32>>> {
    let limit = tx::limit(sources::LANES_TOLD + 1);
    let queue = filter.queue.as_ref().map(Name::as_str);
    let number = |fields: &mut Fields<'_>| fields.take();
    let lanes = match (&filter.kind, queue) {
        (None, None) => return Ok(None),
        (Some(kind), queue) => {
            let params = params![kind.as_str(), queue, limit];
            all(connection, sql::LANE_OF_KIND, params, number)
        }
        (None, Some(queue)) => {
            let params = params![queue, limit];
            all(connection, sql::LANE_OF_QUEUE, params, number)
        }
    };
    Ok(Some(lanes?))
}

fn is_crowded(connection: &Connection, list: &List) -> Read<bool> {
    for (table, _) in sources::unordered(&list.filter) {
        let most = tx::limit(list.look_at_max);
        let statement = format!("select count(*) from (select 1 from {table} limit ?1 + 1)");
        let rows = one(connection, &statement, [most], |fields| {
            fields.take::<i64>()
        })?;
        if rows.is_some_and(|rows| rows > most) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Those of a page.
pub fn statements(filter: &Filter, known: &Known, oldest_first: bool) -> Vec<String> {
    let sources = sources::sources(filter, known);
    let sources = sources.iter();
    sources.map(|source| walk(source, oldest_first)).collect()
}

/// The ids from `?1` to `?2` of one source, in order, each with whether it is looked at. A row is read when its turn comes,
/// so there is no limit to it but where the page ends.
fn walk(source: &Source, oldest_first: bool) -> String {
    let Source {
        table,
        id,
        rows,
        fits,
        jumps: _,
    } = source;
    let order = if oldest_first { "asc" } else { "desc" };
    format!(
        "select {id}, ({fits}) is true from {table} where {rows} and {id} >= ?1 and {id} <= ?2 order by {id} {order}"
    )
}

/// One source, and the row that it stands at.
struct Walk<'a> {
    rows: Rows<'a>,
    at: Option<(TaskId, bool)>,
}

impl<'a> Walk<'a> {
    fn begin(rows: Rows<'a>) -> Read<Self> {
        let mut walk = Self { rows, at: None };
        walk.step()?;
        Ok(walk)
    }

    fn step(&mut self) -> Read<()> {
        self.at = match self.rows.next()? {
            None => None,
            Some(row) => {
                let mut fields = Fields::of(row);
                Some((fields.task()?, fields.take()?))
            }
        };
        Ok(())
    }
}

/// The next id of all sources together, once, and whether any of them would have it looked at.
fn next(walks: &mut [Walk<'_>], oldest_first: bool) -> Read<Option<(TaskId, bool)>> {
    let ids = walks.iter().filter_map(|walk| walk.at.map(|(id, _)| id));
    let Some(next) = (if oldest_first { ids.min() } else { ids.max() }) else {
        return Ok(None);
    };
    let mut is_fit = false;
    for walk in walks {
        while let Some((id, fits)) = walk.at
            && id == next
        {
            is_fit |= fits;
            walk.step()?;
        }
    }
    Ok(Some((next, is_fit)))
}
