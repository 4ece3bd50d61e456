//! What is asked of the logs, on the connections of the readers.

use std::pin::pin;

use futures_util::TryStreamExt;
use taskyard_core::id::TaskId;
use taskyard_core::log::{Page, Wanted};

use crate::logs::{Listed, PAGE_RUNS_MAX, Paging};
use crate::postgres::asking::{Reader, Snapshot};
use crate::postgres::error::explain;
use crate::postgres::fields::{Fields, Read};
use crate::postgres::params::Param;
use crate::postgres::reads::all;
use crate::postgres::{load, sql};
use crate::rows::log;

pub(super) async fn page(reader: &mut Reader<'_>, wanted: Wanted) -> Read<Page> {
    let snapshot = reader.snapshot().await?;
    let mut paging = Paging::new(wanted);
    let (task, fence) = (wanted.task.as_uuid(), wanted.after.fence.0);
    let (attempt, limit) = (wanted.attempt, load::limit(PAGE_RUNS_MAX));
    let of: [&dyn Param; 4] = [&task, &fence, &attempt, &limit];
    let runs = all(&snapshot, sql::LOG_RUN_LIST, &of, log::listed).await?;
    for run in &runs {
        if paging.is_whole() {
            break;
        }
        lines(&snapshot, *run, &mut paging).await?;
    }
    snapshot.commit().await?;
    Ok(paging.end(&runs))
}

/// One by one as they come: what does not fit any more is not kept.
async fn lines(snapshot: &Snapshot<'_>, run: Listed, paging: &mut Paging) -> Read<()> {
    let broken = |error: tokio_postgres::Error| explain(&error);
    let after = i32::try_from(paging.after(run)).unwrap_or(i32::MAX);
    let looks_at = load::limit(paging.looks_at());
    let params: [&dyn Param; 3] = [&run.id, &after, &looks_at];
    let found = snapshot.streamed(sql::LOG_LINE_LIST, &params).await;
    let mut found = pin!(found.map_err(broken)?);
    while !paging.is_whole()
        && let Some(found) = found.try_next().await.map_err(broken)?
    {
        paging.take(run, log::row(&mut Fields::of(&found))?);
    }
    Ok(())
}

pub(super) async fn tasks(
    reader: &Reader<'_>,
    after: Option<TaskId>,
    limit: usize,
) -> Read<Vec<TaskId>> {
    let after = after.unwrap_or(TaskId::NIL).as_uuid();
    let limit = load::limit(limit);
    all(reader, sql::LOG_TASK_LIST, &[&after, &limit], |fields| {
        fields.task()
    })
    .await
}
