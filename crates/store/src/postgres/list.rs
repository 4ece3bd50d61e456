//! Pages of tasks: candidates in the order of their ids, each looked at whole.
//!
//! There are as many statements as shapes of filters, so they are not kept: a connection would hold them for ever.

use std::fmt::Write as _;

use deadpool_postgres::{Client, Transaction};
use taskyard_core::filter::Filter;
use taskyard_core::id::TaskId;
use taskyard_core::name::Name;
use taskyard_core::query::{List, Listed};
use tokio_postgres::IsolationLevel;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::error::explain;
use super::fields::{Fields, Read};
use super::{load, reads, sql};
use crate::sources::{self, Found, Page, Source};

/// So many candidates are looked at in one statement at most.
const TOGETHER: usize = 500;

/// One page is one snapshot.
pub(super) async fn list(client: &mut Client, list: &List) -> Read<Listed> {
    let begun = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await;
    let tx = begun.map_err(|error| explain(&error))?;
    let listed = page(&tx, list).await?;
    tx.commit().await.map_err(|error| explain(&error))?;
    Ok(listed)
}

async fn page(tx: &Transaction<'_>, list: &List) -> Read<Listed> {
    let is_crowded = is_crowded(tx, list).await?;
    let sources = match &list.filter.worker {
        Some(name) => of_worker(tx, &list.filter, name).await?,
        None => {
            let fitting = fitting(tx, &list.filter, is_crowded).await?;
            sources::sources(&list.filter, &fitting, is_crowded)
        }
    };
    if sources.is_empty() {
        return Ok(Listed::default());
    }
    let statement = candidates(&sources, list.oldest_first);
    let chunk = sources::chunk(list, is_crowded);
    let mut page = Page::of(list);
    while let Some(ids) = page.ids() {
        let found = if sources.iter().any(|source| source.fits.is_some()) {
            passing_over(tx, &sources, list, ids, page.pass_over()).await?
        } else {
            Found::of(next(tx, &statement, ids, chunk).await?, chunk)
        };
        let mut rest = found.ids.as_slice();
        while !rest.is_empty() {
            let (ids, others) = rest.split_at(page.together(TOGETHER).min(rest.len()));
            let mut views = reads::task_views(tx, ids, list.payload).await?;
            for id in ids {
                if page.ends() {
                    return Ok(page.listed());
                }
                page.look_at(*id, views.remove(id));
            }
            rest = others;
        }
        match found.through {
            Some(through) if !page.seen(through, found.rows) => {}
            Some(_) | None => break,
        }
    }
    Ok(page.listed())
}

async fn next(
    tx: &Transaction<'_>,
    statement: &str,
    [first, last]: [Uuid; 2],
    chunk: usize,
) -> Read<Vec<TaskId>> {
    let chunk = load::limit(chunk);
    let params: [(&(dyn ToSql + Sync), Type); 3] = [
        (&first, Type::UUID),
        (&last, Type::UUID),
        (&chunk, Type::INT8),
    ];
    let rows = tx
        .query_typed(statement, &params)
        .await
        .map_err(|error| explain(&error))?;
    rows.iter().map(|row| Fields::of(row).task()).collect()
}

/// The same where most rows are passed over, at most so many of each source.
async fn passing_over(
    tx: &Transaction<'_>,
    sources: &[Source],
    list: &List,
    [first, last]: [Uuid; 2],
    rows: usize,
) -> Read<Found> {
    let limit = load::limit(rows);
    let params: [(&(dyn ToSql + Sync), Type); 3] = [
        (&first, Type::UUID),
        (&last, Type::UUID),
        (&limit, Type::INT8),
    ];
    let mut found = Vec::new();
    for source in sources {
        let fits = source.fits.as_deref().unwrap_or("true");
        let statement = sources::passing_over(source, fits, list.oldest_first);
        let seen = tx.query_typed(&statement, &params).await;
        let seen = seen.map_err(|error| explain(&error))?;
        let seen = seen.iter().map(|row| {
            let mut fields = Fields::of(row);
            Ok((fields.task()?, fields.take()?, fields.take()?))
        });
        found.push(Found::passing_over(seen.collect::<Read<_>>()?, rows));
    }
    Ok(Found::merge(found, list.oldest_first))
}

async fn is_crowded(tx: &Transaction<'_>, list: &List) -> Read<bool> {
    for table in sources::unordered(&list.filter) {
        let most = load::limit(list.look_at_max);
        let statement = sources::count(table);
        let rows = reads::all(tx, &statement, &[&most], |fields| fields.take::<i64>()).await?;
        if rows.iter().any(|rows| *rows > most) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn of_worker(tx: &Transaction<'_>, filter: &Filter, name: &Name) -> Read<Vec<Source>> {
    let name = name.as_str();
    let numbers = reads::all(tx, sql::WORKER_NUMBER, &[&name], |fields| fields.take()).await?;
    let number = numbers.into_iter().next();
    Ok(number.map_or(Vec::new(), |number| sources::of_worker(filter, number)))
}

/// The lanes that the filter lets through, or enough of them to see that there are too many.
async fn fitting(tx: &Transaction<'_>, filter: &Filter, is_crowded: bool) -> Read<Vec<i32>> {
    if !sources::ask_for_lanes(filter, is_crowded) {
        return Ok(Vec::new());
    }
    let kind = filter.kind.as_ref().map(Name::as_str);
    let queue = filter.queue.as_ref().map(Name::as_str);
    let limit = load::limit(sources::LANES_MAX + 1);
    let params: [&(dyn ToSql + Sync); 3] = [&kind, &queue, &limit];
    reads::all(tx, sql::LANE_FITTING, &params, |fields| fields.take()).await
}

/// The ids from `$1` to `$2` of all that can let something through, in order, each once, at most `$3`.
fn candidates(sources: &[Source], oldest_first: bool) -> String {
    let order = if oldest_first { "asc" } else { "desc" };
    let mut statement = "select found.id from (".to_owned();
    for (index, source) in sources.iter().enumerate() {
        let Source {
            table, id, rows, ..
        } = source;
        let union = if index == 0 { "" } else { " union " };
        write!(
            statement,
            "{union}(select {id} as id from {table} where {rows} and {id} >= $1 and {id} <= $2 order by {id} {order} limit $3)"
        )
        .expect("a string takes all");
    }
    write!(statement, ") as found order by found.id {order} limit $3").expect("a string takes all");
    statement
}
