//! What is asked of the logs, on the connections of the readers.

use std::pin::pin;

use deadpool_postgres::{Client, Transaction};
use futures_util::TryStreamExt;
use taskyard_core::id::TaskId;
use taskyard_core::log::{Page, Wanted};
use tokio_postgres::IsolationLevel;
use tokio_postgres::types::ToSql;

use crate::logs::{Listed, PAGE_RUNS_MAX, Paging};
use crate::postgres::error::explain;
use crate::postgres::fields::{Fields, Read};
use crate::postgres::reads::all;
use crate::postgres::{load, sql};
use crate::rows::log;

pub(super) async fn page(client: &mut Client, wanted: Wanted) -> Read<Page> {
    let snapshot = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await
        .map_err(|error| explain(&error))?;
    let mut paging = Paging::new(wanted);
    let (task, fence) = (wanted.task.as_uuid(), wanted.after.fence.0);
    let (attempt, limit) = (wanted.attempt, load::limit(PAGE_RUNS_MAX));
    let of: [&(dyn ToSql + Sync); 4] = [&task, &fence, &attempt, &limit];
    let runs = all(&snapshot, sql::LOG_RUN_LIST, &of, log::listed).await?;
    for run in &runs {
        if paging.is_whole() {
            break;
        }
        lines(&snapshot, *run, &mut paging).await?;
    }
    snapshot.commit().await.map_err(|error| explain(&error))?;
    Ok(paging.end(&runs))
}

/// One by one as they come: what does not fit any more is not kept.
async fn lines(snapshot: &Transaction<'_>, run: Listed, paging: &mut Paging) -> Read<()> {
    let broken = |error: tokio_postgres::Error| explain(&error);
    let after = i32::try_from(paging.after(run)).unwrap_or(i32::MAX);
    let looks_at = load::limit(paging.looks_at());
    let params: [&(dyn ToSql + Sync); 3] = [&run.id, &after, &looks_at];
    let statement = snapshot.prepare_cached(sql::LOG_LINE_LIST).await;
    let statement = statement.map_err(broken)?;
    let found = snapshot.query_raw(&statement, params).await;
    let mut found = pin!(found.map_err(broken)?);
    while !paging.is_whole()
        && let Some(found) = found.try_next().await.map_err(broken)?
    {
        paging.take(run, log::row(&mut Fields::of(&found))?);
    }
    Ok(())
}

pub(super) async fn tasks(
    client: &Client,
    after: Option<TaskId>,
    limit: usize,
) -> Read<Vec<TaskId>> {
    let after = after.unwrap_or(TaskId::NIL).as_uuid();
    let limit = load::limit(limit);
    all(client, sql::LOG_TASK_LIST, &[&after, &limit], |fields| {
        fields.task()
    })
    .await
}
