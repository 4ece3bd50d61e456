//! What is asked of the logs.

use rusqlite::{Connection, params};
use taskyard_core::id::TaskId;
use taskyard_core::log::{Page, Wanted};

use crate::logs::{PAGE_RUNS_MAX, Paging};
use crate::rows::log;
use crate::sqlite::connection::all;
use crate::sqlite::fields::{Fields, Read};
use crate::sqlite::{sql, tx};

pub(super) fn page(connection: &Connection, wanted: Wanted) -> Read<Page> {
    let snapshot = connection.unchecked_transaction()?;
    let mut paging = Paging::new(wanted);
    let of = params![
        wanted.task.as_bytes(),
        wanted.after.fence.0,
        wanted.attempt,
        tx::limit(PAGE_RUNS_MAX),
    ];
    let runs = all(&snapshot, sql::LOG_RUN_LIST, of, log::listed)?;
    for run in &runs {
        if paging.is_whole() {
            break;
        }
        let mut chunks = snapshot.prepare_cached(sql::LOG_CHUNK_LIST)?;
        let looks_at = tx::limit(paging.looks_at());
        let mut rows = chunks.query(params![run.id, paging.behind(*run), looks_at])?;
        // Stepped through by hand: what does not fit any more is not even read.
        while !paging.is_whole()
            && let Some(found) = rows.next()?
        {
            paging.take_all(*run, log::lines(&mut Fields::of(found))?);
        }
    }
    Ok(paging.end(&runs))
}

pub(super) fn tasks(
    connection: &Connection,
    after: Option<TaskId>,
    limit: usize,
) -> Read<Vec<TaskId>> {
    let after = after.unwrap_or(TaskId::NIL);
    let params = params![after.as_bytes(), tx::limit(limit)];
    all(connection, sql::LOG_TASK_LIST, params, |fields| {
        fields.task()
    })
}
