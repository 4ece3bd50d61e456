//! Pages of tasks. What a filter says decides where candidates come from: the narrow table of a status, a few lanes,
//! or all tasks; each candidate is then looked at whole. The only place where statements are put together in code.

use std::fmt::Write as _;

use deadpool_postgres::{Client, Transaction};
use futures_util::future::join_all;
use taskyard_core::id::TaskId;
use taskyard_core::name::Name;
use taskyard_core::query::{Filter, LIST_BYTES_MAX, LIST_ROWS_LOOKED_AT_MAX, List, Listed};
use taskyard_core::status::Status;
use tokio_postgres::IsolationLevel;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::error::explain;
use super::fields::Read;
use super::{load, reads, sql};

/// Up to so many lanes are walked one by one; beyond, all tasks are.
const LANES_MAX: usize = 32;
/// Candidates are fetched so many at a time, and looked at so many in one round trip.
const CHUNK: usize = 500;
const TOGETHER: usize = 50;

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
    let sources = sources(tx, &list.filter).await?;
    let statement = candidates(sources, list.oldest_first);
    let mut listed = Listed::default();
    let (mut after, mut looked_at, mut bytes) = (list.after, 0, 0);
    loop {
        let found = next(tx, &statement, list.oldest_first, after).await?;
        if found.is_empty() {
            return Ok(listed);
        }
        for ids in found.chunks(TOGETHER) {
            let views = ids.iter().map(|id| reads::task_view(tx, *id, list.payload));
            for (id, view) in ids.iter().zip(join_all(views).await) {
                if looked_at == LIST_ROWS_LOOKED_AT_MAX {
                    listed.next = after;
                    return Ok(listed);
                }
                looked_at += 1;
                if let Some(view) = view?.filter(|view| list.filter.lets_through(view)) {
                    bytes += view.bytes();
                    let is_full = listed.items.len() == list.limit || bytes > LIST_BYTES_MAX;
                    if is_full && !listed.items.is_empty() {
                        listed.next = listed.items.last().map(|view| view.task.id);
                        return Ok(listed);
                    }
                    listed.items.push(view);
                }
                after = Some(*id);
            }
        }
    }
}

async fn next(
    tx: &Transaction<'_>,
    statement: &str,
    oldest_first: bool,
    after: Option<TaskId>,
) -> Read<Vec<TaskId>> {
    let start = if oldest_first {
        Uuid::nil()
    } else {
        Uuid::max()
    };
    let after = after.map_or(start, TaskId::as_uuid);
    let rows = i64::try_from(CHUNK).unwrap_or(i64::MAX);
    reads::all(tx, statement, &[&after, &rows], |fields| fields.task()).await
}

/// The ids behind `$1` of all that can let something through, in order, each once, at most `$2`.
fn candidates(sources: Vec<Source>, oldest_first: bool) -> String {
    let (behind, order) = if oldest_first {
        (">", "asc")
    } else {
        ("<", "desc")
    };
    let mut statement = "select found.id from (".to_owned();
    for (index, (from, id, rows)) in sources.into_iter().enumerate() {
        let union = if index == 0 { "" } else { " union " };
        write!(
            statement,
            "{union}(select {id} as id from {from} where {rows} and {id} {behind} $1 order by {id} {order} limit $2)"
        )
        .expect("a string takes all");
    }
    write!(statement, ") as found order by found.id {order} limit $2").expect("a string takes all");
    statement
}

/// A table, its column of ids, and which of its rows count.
type Source = (&'static str, &'static str, String);

async fn sources(tx: &Transaction<'_>, filter: &Filter) -> Read<Vec<Source>> {
    if !filter.statuses.is_empty() {
        let statuses = filter.statuses.iter();
        return Ok(statuses.map(|status| by_status(*status)).collect());
    }
    let tasks = |rows: String| ("task", "id", rows);
    if filter.kind.is_none() && filter.queue.is_none() {
        return Ok(vec![tasks("true".to_owned())]);
    }
    let fitting = fitting(tx, filter).await?;
    if fitting.is_empty() {
        return Ok(vec![tasks("false".to_owned())]);
    }
    if fitting.len() > LANES_MAX {
        return Ok(vec![tasks("true".to_owned())]);
    }
    let lanes = fitting.iter();
    Ok(lanes.map(|lane| tasks(format!("lane = {lane}"))).collect())
}

/// The lanes that the filter lets through, or enough of them to see that there are too many.
async fn fitting(tx: &Transaction<'_>, filter: &Filter) -> Read<Vec<i32>> {
    let kind = filter.kind.as_ref().map(Name::as_str);
    let queue = filter.queue.as_ref().map(Name::as_str);
    let limit = load::limit(LANES_MAX + 1);
    let params: [&(dyn ToSql + Sync); 3] = [&kind, &queue, &limit];
    reads::all(tx, sql::LANE_FITTING, &params, |fields| fields.take()).await
}

fn by_status(status: Status) -> Source {
    let code = status.code();
    match status {
        Status::Scheduled => ("scheduled", "task", "true".to_owned()),
        Status::Pending => ("ready", "task", "true".to_owned()),
        Status::Assigned => ("lease", "task", "started_at is null".to_owned()),
        Status::Running => ("lease", "task", "started_at is not null".to_owned()),
        Status::Completed | Status::Failed | Status::Timeout | Status::Cancelled => {
            ("outcome", "task", format!("status = {code}"))
        }
    }
}
