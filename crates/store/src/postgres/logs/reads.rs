//! What is asked of the logs, on the connections of the readers.

use std::pin::pin;

use futures_util::TryStreamExt;
use taskyard_core::id::TaskId;
use taskyard_core::log::{PAGE_BYTES_MAX, Page, Wanted};

use crate::logs::{Listed, PAGE_RUNS_MAX, Paging};
use crate::postgres::asking::{Reader, Snapshot};
use crate::postgres::error::explain;
use crate::postgres::fields::{Fields, Read};
use crate::postgres::params::Param;
use crate::postgres::reads::all;
use crate::postgres::{load, sql};
use crate::rows::log::{self, CHUNK_BYTES};

/// So many rows of lines are asked for at once: about as much as a page has room for, where they are full.
const PORTION: usize = PAGE_BYTES_MAX / CHUNK_BYTES;

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

async fn lines(snapshot: &Snapshot<'_>, run: Listed, paging: &mut Paging) -> Read<()> {
    while !paging.is_whole() && goes_on(snapshot, run, paging).await? {}
    Ok(())
}

/// Takes a portion of the run's lines; answers whether there may be more. The rows come one by one: what does not fit any more
/// is not kept.
async fn goes_on(snapshot: &Snapshot<'_>, run: Listed, paging: &mut Paging) -> Read<bool> {
    let broken = |error: tokio_postgres::Error| explain(&error);
    let behind = i32::try_from(paging.behind(run)).unwrap_or(i32::MAX);
    let mut left = PORTION.min(paging.looks_at());
    let limit = load::limit(left);
    let params: [&dyn Param; 3] = [&run.id, &behind, &limit];
    let found = snapshot.streamed(sql::LOG_CHUNK_LIST, &params).await;
    let mut found = pin!(found.map_err(broken)?);
    while !paging.is_whole()
        && let Some(found) = found.try_next().await.map_err(broken)?
    {
        paging.take_all(run, log::lines(&mut Fields::of(&found))?);
        left -= 1;
    }
    Ok(left == 0)
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
