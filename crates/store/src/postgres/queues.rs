//! Pages of queues.

use taskyard_core::name::Name;
use taskyard_core::query::{QueueList, QueuesListed};

use super::asking::{Reader, Snapshot};
use super::fields::{Fields, Read};
use super::params::Param;
use super::reads::{all, one};
use super::{load, sql};
use crate::queues::{self, Stretch};
use crate::rows::{queue, view};

/// One page is one snapshot.
pub(super) async fn list(reader: &mut Reader<'_>, list: &QueueList) -> Read<QueuesListed> {
    let snapshot = reader.snapshot().await?;
    let page = page(&snapshot, list).await?;
    snapshot.commit().await?;
    Ok(page)
}

async fn page(tx: &Snapshot<'_>, list: &QueueList) -> Read<QueuesListed> {
    let through = through(tx, list).await?;
    let Stretch { after, through: to } = Stretch::of(list, through.as_ref());
    let rows = load::limit(list.limit + 1);
    let params: [&dyn Param; 3] = [&after, &to, &rows];
    let tasks = all(tx, sql::QUEUE_TASKS, &params, view::named).await?;
    let set = all(tx, sql::QUEUE_PAGE, &params, queue::queue).await?;
    let mut page = queues::listed(list, through.as_ref(), tasks, set);
    if let Some(last) = page.items.last() {
        let last = last.queue.name.as_str();
        let params: [&dyn Param; 2] = [&after, &last];
        let since = |fields: &mut Fields<'_>| Ok((fields.name()?, fields.time_or_none()?));
        let since = all(tx, sql::QUEUE_SINCE, &params, since).await?;
        queues::wait(&mut page.items, since);
    }
    Ok(page)
}

/// The last queue that the page looks at; none where it looks at all of them.
async fn through(tx: &Snapshot<'_>, list: &QueueList) -> Read<Option<Name>> {
    let after = queues::after(list);
    let name = |fields: &mut Fields<'_>| fields.name();
    let lanes = load::limit(list.look_at_max);
    let params: [&dyn Param; 2] = [&after, &lanes];
    let Some(beyond) = one(tx, sql::LANE_BEYOND, &params, name).await? else {
        return Ok(None);
    };
    let end = beyond.as_str();
    let params: [&dyn Param; 2] = [&after, &end];
    let before = one(tx, sql::LANE_BEFORE, &params, name).await?;
    Ok(before.or(Some(beyond)))
}
