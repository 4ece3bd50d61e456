//! Pages of queues.

use rusqlite::{Connection, params};
use taskyard_core::name::Name;
use taskyard_core::query::{QueueList, QueuesListed};

use super::connection::{all, one};
use super::fields::{Fields, Read};
use super::{sql, tx};
use crate::queues::{self, Stretch};
use crate::rows::{queue, view};

pub(super) fn page(connection: &Connection, list: &QueueList) -> Read<QueuesListed> {
    let through = through(connection, list)?;
    let Stretch { after, through: to } = Stretch::of(list, through.as_ref());
    let params = params![after, to, tx::limit(list.limit + 1)];
    let tasks = all(connection, sql::QUEUE_TASKS, params, view::named)?;
    let set = all(connection, sql::QUEUE_PAGE, params, queue::queue)?;
    let mut page = queues::listed(list, through.as_ref(), tasks, set);
    if let Some(last) = page.items.last() {
        let params = params![after, last.queue.name.as_str()];
        let since = |fields: &mut Fields<'_>| Ok((fields.name()?, fields.time_or_none()?));
        let since = all(connection, sql::QUEUE_SINCE, params, since)?;
        queues::wait(&mut page.items, since);
    }
    Ok(page)
}

/// The last queue that the page looks at; none where it looks at all of them.
fn through(connection: &Connection, list: &QueueList) -> Read<Option<Name>> {
    let after = queues::after(list);
    let name = |fields: &mut Fields<'_>| fields.name();
    let params = params![after, tx::limit(list.look_at_max)];
    let Some(beyond) = one(connection, sql::LANE_BEYOND, params, name)? else {
        return Ok(None);
    };
    let before = one(connection, sql::LANE_BEFORE, [after, beyond.as_str()], name)?;
    Ok(before.or(Some(beyond)))
}
