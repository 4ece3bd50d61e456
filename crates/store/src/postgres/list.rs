//! Pages of tasks: candidates in the order of their ids, each looked at whole.
//!
//! There are as many statements as shapes of filters, so they are not kept: a connection would hold them for ever.

use taskyard_core::filter::Filter;
use taskyard_core::id::TaskId;
use taskyard_core::name::Name;
use taskyard_core::query::{List, Listed};
use taskyard_core::store::Error;
use uuid::Uuid;

use super::asking::{Reader, Snapshot};
use super::error::explain;
use super::fields::{Fields, Read};
use super::params::Param;
use super::reads::Views;
use super::{load, reads, sql};
use crate::page::Page;
use crate::sources::{self, Known, Source};

/// So many candidates are looked at in one statement at most.
const TOGETHER: usize = 500;
/// A row costs half a microsecond to pass over where rows lie beside each other, and 5 where each is another page, while a
/// look costs some 20 (`bench --only W9`).
const PASSED_FOR_A_LOOK: usize = 5;
const JUMPED_FOR_A_LOOK: usize = 1;

/// One page is one snapshot. Where the database fails over what one of its tasks left in it, none of the page can be had,
/// so it is read again, piece by piece.
pub(super) async fn list(reader: &mut Reader<'_>, list: &List) -> Read<Listed> {
    match of_a_snapshot(reader, list, false).await {
        Err(Error::Failed(_) | Error::Unreadable(_)) => of_a_snapshot(reader, list, true).await,
        listed => listed,
    }
}

async fn of_a_snapshot(reader: &mut Reader<'_>, list: &List, is_careful: bool) -> Read<Listed> {
    let mut tx = reader.snapshot().await?;
    let listed = page(&mut tx, list, is_careful).await?;
    tx.commit().await?;
    Ok(listed)
}

async fn page(tx: &mut Snapshot<'_>, list: &List, is_careful: bool) -> Read<Listed> {
    let known = known(tx, list).await?;
    let sources = sources::sources(&list.filter, &known);
    let passed_for_a_look = if sources.iter().any(|source| source.jumps) {
        JUMPED_FOR_A_LOOK
    } else {
        PASSED_FOR_A_LOOK
    };
    let mut page = Page::of(list, passed_for_a_look);
    let Some(statement) = candidates(&sources, list.oldest_first) else {
        return Ok(page.listed());
    };
    let chunk = sources::chunk(list, &known);
    while let Some(ids) = page.ids() {
        let found = Found::next(tx, &statement, ids, page.ahead(chunk)).await?;
        let mut rest = found.fitting.as_slice();
        while !rest.is_empty() {
            let (ids, others) = rest.split_at(page.together(TOGETHER).min(rest.len()));
            let mut views = if is_careful {
                carefully(tx, ids, list.payload).await?
            } else {
                reads::task_views(tx, ids, list.payload).await?
            };
            for id in ids {
                if page.ends() {
                    return Ok(page.listed());
                }
                match views.remove(id) {
                    Some(Err(_)) => page.cannot_read(*id),
                    view => page.look_at(*id, view.transpose()?),
                }
            }
            rest = others;
        }
        let Some(through) = found.through else {
            break;
        };
        page.pass(found.passed, through);
        if found.passed > 0 && page.ends() {
            break;
        }
    }
    Ok(page.listed())
}

/// Halves what the database fails over until what is to blame stands alone.
async fn carefully(tx: &mut Snapshot<'_>, ids: &[TaskId], payload: bool) -> Read<Views> {
    let mut views = Views::new();
    let mut waiting = vec![ids];
    while let Some(part) = waiting.pop() {
        let point = tx.point().await?;
        let ended = match reads::task_views(&point, part, payload).await {
            Ok(found) => {
                views.extend(found);
                point.commit().await
            }
            Err(error @ (Error::Failed(_) | Error::Unreadable(_))) => {
                match part {
                    [id] => _ = views.insert(*id, Err(error)),
                    part => waiting.extend(<[_; 2]>::from(part.split_at(part.len() / 2))),
                }
                point.rollback().await
            }
            Err(error) => return Err(error),
        };
        ended?;
    }
    Ok(views)
}

/// The next rows of all sources, in order.
struct Found {
    /// Those that are looked at.
    fitting: Vec<TaskId>,
    /// The last of as many rows as were asked for; none where there were fewer, and so no more behind them.
    through: Option<TaskId>,
    /// How many are not looked at, where there are as many as were asked for.
    passed: usize,
}

impl Found {
    async fn next(
        tx: &Snapshot<'_>,
        statement: &str,
        [first, last]: [Uuid; 2],
        rows: usize,
    ) -> Read<Self> {
        let limit = load::limit(rows);
        let params: [&dyn Param; 3] = [&first, &last, &limit];
        let seen = tx.once(statement, &params).await;
        let (mut fitting, mut through) = (Vec::new(), None);
        for row in &seen.map_err(|error| explain(&error))? {
            let mut fields = Fields::of(row);
            let (id, fits, is_last) = (fields.task()?, fields.take()?, fields.take()?);
            // Two sources may know the same task.
            if fits && fitting.last() != Some(&id) {
                fitting.push(id);
            }
            if is_last {
                through = Some(id);
            }
        }
        let passed = rows - fitting.len();
        Ok(Self {
            fitting,
            through,
            passed,
        })
    }
}

async fn known(tx: &Snapshot<'_>, list: &List) -> Read<Known> {
    let filter = &list.filter;
    let worker = match &filter.worker {
        None => None,
        Some(name) => {
            let name = name.as_str();
            reads::one(tx, sql::WORKER_NUMBER, &[&name], |fields| fields.take()).await?
        }
    };
    Ok(Known {
        lanes: fitting(tx, filter).await?,
        worker,
        is_crowded: is_crowded(tx, list).await?,
    })
}

async fn is_crowded(tx: &Snapshot<'_>, list: &List) -> Read<bool> {
    for (_, counted) in sources::unordered(&list.filter) {
        let most = load::limit(list.look_at_max);
        // Not the table itself: where much was taken out since it was vacuumed, even a few rows are far to go for.
        let statement = format!("select cast(coalesce(sum({counted}), 0) as bigint) from counter");
        let rows = reads::all(tx, &statement, &[], |fields| fields.take::<i64>()).await?;
        if rows.iter().any(|rows| *rows > most) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The lanes that the filter lets through, or enough of them to see that there are too many.
async fn fitting(tx: &Snapshot<'_>, filter: &Filter) -> Read<Option<Vec<i32>>> {
    let limit = load::limit(sources::LANES_TOLD + 1);
    let queue = filter.queue.as_ref().map(Name::as_str);
    let number = |fields: &mut Fields<'_>| fields.take();
    let lanes = match (&filter.kind, queue) {
        (None, None) => return Ok(None),
        (Some(kind), queue) => {
            let kind = kind.as_str();
            let params: [&dyn Param; 3] = [&kind, &queue, &limit];
            reads::all(tx, sql::LANE_OF_KIND, &params, number).await
        }
        (None, Some(queue)) => {
            let params: [&dyn Param; 2] = [&queue, &limit];
            reads::all(tx, sql::LANE_OF_QUEUE, &params, number).await
        }
    };
    Ok(Some(lanes?))
}

/// That of a page, over and over; none where nothing can be let through.
pub fn statement(filter: &Filter, known: &Known, oldest_first: bool) -> Option<String> {
    candidates(&sources::sources(filter, known), oldest_first)
}

/// Of the first `$3` rows of all sources together, with ids from `$1` to `$2`, in order: those that are looked at, and the
/// last one, if there are as many. The others stay in the database: to send them would take longer than to read them. None
/// where there are no sources.
fn candidates(sources: &[Source], oldest_first: bool) -> Option<String> {
    if sources.is_empty() {
        return None;
    }
    let order = if oldest_first { "asc" } else { "desc" };
    let walk = |source: &Source| {
        let Source {
            table,
            id,
            rows,
            fits,
            jumps: _,
        } = source;
        format!(
            "(select {id} as id, ({fits}) is true as fits from {table}
              where {rows} and {id} >= $1 and {id} <= $2 order by {id} {order} limit $3)"
        )
    };
    let walks: Vec<String> = sources.iter().map(walk).collect();
    let walks = walks.join(" union all ");
    Some(format!(
        "select numbered.id, numbered.fits, numbered.place = $3
         from (
           select near.id, near.fits, row_number() over (order by near.id {order}) as place
           from (select * from ({walks}) as every order by id {order} limit $3) as near
         ) as numbered
         where numbered.fits or numbered.place = $3
         order by numbered.id {order}"
    ))
}
