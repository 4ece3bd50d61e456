//! What a check looks for in any store, and how it is said. Each statement takes how many findings are wanted, but for
//! those of [`judged`].

use taskyard_core::json::is_json;
use taskyard_core::labels::{Demands, Labels};
use taskyard_core::operation::Operation;

use crate::columns;
use crate::fields::{Database, Fields, Payload, Read, Shown};
use crate::rows::{history, minute, place, presence, queue, task};

/// So many findings of a kind; where there are as many, there are more.
pub(crate) const FINDINGS_MAX: i64 = 100;
pub(crate) const OPERATIONS_MAX: usize = 100;
pub(crate) const DAMAGED_MAX: usize = 100;

const DAMAGED_JSON: &str = "damaged JSON";

/// Answers a task, and how often it is known, stands somewhere and has ended.
pub(crate) const PLACES: &str = include_str!("../sql/common/check_places.sql");
/// Answers a lane, a status, how many tasks are counted and how many there are.
pub(crate) const COUNTERS: &str = include_str!("../sql/common/check_counters.sql");
/// Answers lanes.
pub(crate) const MINUTES: &str = include_str!("../sql/common/check_minutes.sql");
/// Each answers tasks, of which it is true what stands beside it.
pub(crate) const OF_TASKS: [(&str, &str); 5] = [
    (
        include_str!("../sql/common/check_carries.sql"),
        "does not say rightly whether it brings something along",
    ),
    (
        include_str!("../sql/common/check_lanes.sql"),
        "is of a lane that does not exist",
    ),
    (
        include_str!("../sql/common/check_workers.sql"),
        "is held by a worker that does not exist",
    ),
    (
        include_str!("../sql/common/check_keys.sql"),
        "has a unique key that is not kept for it",
    ),
    (
        include_str!("../sql/common/check_holders.sql"),
        "does not have the unique key that is kept for it",
    ),
];

/// What the first column names, whether that is a key that can be read or not: one row that cannot keeps none of the
/// others from being named.
pub(crate) fn key<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, String> {
    fields.take().map(|Shown { text, .. }| text)
}

pub(crate) fn place<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, String> {
    let id = key(fields)?;
    let (known, places, ends): (i64, i64, i64) = (fields.take()?, fields.take()?, fields.take()?);
    Ok(match (known, places, ends) {
        (0, ..) => format!("task {id} does not exist, but has rows"),
        (_, 0, 0) => format!("task {id} stands nowhere"),
        (_, _, 0) => format!("task {id} stands in {places} places"),
        _ => format!("task {id} has ended and still stands somewhere"),
    })
}

pub(crate) fn counter<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, String> {
    let lane = key(fields)?;
    let status = key(fields)?;
    let (counted, found): (i64, i64) = (fields.take()?, fields.take()?);
    Ok(format!(
        "lane {lane}, status {status}: {counted} tasks are counted and {found} are there"
    ))
}

pub(crate) fn minute<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, String> {
    let lane = key(fields)?;
    Ok(format!(
        "lane {lane} does not exist, but it is kept what happened there"
    ))
}

/// A statement that answers all rows of some sort, and what is wrong with one of them; none where it is whole.
pub(crate) type Judged<D> = (
    &'static str,
    fn(&mut Fields<'_, D>) -> Read<D, Option<String>>,
);

/// Most rows are whole, so these are not limited: whoever asks stops at so many findings, and holds one row at a time.
pub(crate) fn judged<D: Database>() -> [Judged<D>; 16] {
    [
        (include_str!("../sql/common/check_numbers.sql"), numbers),
        (include_str!("../sql/common/check_servers.sql"), of_server),
        (include_str!("../sql/common/check_demands.sql"), demands),
        (include_str!("../sql/common/check_queues.sql"), of_queue),
        (include_str!("../sql/common/check_profiles.sql"), profile),
        (include_str!("../sql/common/check_staff.sql"), of_worker),
        (
            include_str!("../sql/common/check_histograms.sql"),
            of_minute,
        ),
        (include_str!("../sql/common/check_payloads.sql"), payload),
        (include_str!("../sql/common/check_tasks.sql"), of_task),
        (include_str!("../sql/common/check_ready.sql"), of_ready),
        (
            include_str!("../sql/common/check_scheduled.sql"),
            |fields| of_row("scheduled", fields, place::scheduled),
        ),
        (include_str!("../sql/common/check_leases.sql"), |fields| {
            of_row("lease", fields, place::lease)
        }),
        (include_str!("../sql/common/check_carried.sql"), |fields| {
            of_row("carry", fields, place::carry)
        }),
        (include_str!("../sql/common/check_ends.sql"), |fields| {
            of_row("outcome", fields, task::outcome)
        }),
        (include_str!("../sql/common/check_attempts.sql"), |fields| {
            of_row("attempt", fields, history::attempt)
        }),
        (
            include_str!("../sql/common/check_late_results.sql"),
            |fields| of_row("late_result", fields, history::late_result),
        ),
    ]
}

/// Up to which number workers were given theirs before; whoever registers is given one behind it.
fn numbers<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Option<String>> {
    let given_before: Read<D, i32> = fields.take();
    Ok(given_before.err().map(|error| {
        let why = D::why(&error);
        format!("what numbers workers were given before cannot be read: {why}")
    }))
}

/// A start reads all of them.
fn of_server<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Option<String>> {
    let Shown { text: number, .. } = fields.take()?;
    Ok(presence::server(fields)
        .err()
        .map(|error| format!("server {number} cannot be read: {}", D::why(&error))))
}

fn of_ready<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Option<String>> {
    let Shown { text: id, .. } = fields.clone().take()?;
    let mut is_bare = false;
    let unread = of_row("ready", fields, |fields| {
        let row = place::ready(fields)?;
        is_bare = row.is_suspect() && !row.has_carry;
        Ok(row)
    })?;
    let bare = || format!("task {id} waits as a suspect, but brings nothing along that says why");
    Ok(unread.or_else(|| is_bare.then(bare)))
}

/// What of it is no payload, of a task that is there: of others it is said that they are not.
fn of_row<'r, D: Database, T>(
    table: &str,
    fields: &mut Fields<'r, D>,
    read: impl FnOnce(&mut Fields<'r, D>) -> Read<D, T>,
) -> Read<D, Option<String>> {
    let Shown { text: id, is_sound } = fields.take()?;
    Ok(match read(fields) {
        Err(error) if is_sound => Some(format!(
            "what {table} holds of task {id} cannot be read: {}",
            D::why(&error)
        )),
        Ok(_) | Err(_) => None,
    })
}

fn payload<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Option<String>> {
    let (task, what): (Shown, &str) = (fields.take()?, fields.take()?);
    let text = text(fields)?;
    let is_whole = text.is_some_and(|text| match what {
        "labels" => Labels::from_text(text).is_ok(),
        _ => is_json(text),
    });
    // The same row's input has said so.
    let is_said = what == "labels" && is_whole;
    let why = match task.is_sound {
        true if is_whole => return Ok(None),
        false if is_said => return Ok(None),
        true => DAMAGED_JSON,
        false => "that is no task's id",
    };
    Ok(Some(format!(
        "the {what} of task {} cannot be read: {why}",
        task.text
    )))
}

/// What of it is no payload.
fn of_task<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Option<String>> {
    let Shown { text: id, is_sound } = fields.clone().take()?;
    Ok(match task::whole_task(fields) {
        Err(error) if is_sound => Some(format!("task {id} cannot be read: {}", D::why(&error))),
        Ok(_) | Err(_) => None,
    })
}

fn of_queue<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Option<String>> {
    let Shown { text: name, .. } = fields.clone().take()?;
    Ok(match queue::queue(fields) {
        Err(error) => Some(format!("queue {name} cannot be read: {}", D::why(&error))),
        Ok(queue) => {
            let max_attempts = queue.defaults.max_attempts.filter(|max| *max < 1);
            max_attempts.map(|max| format!("queue {name} has max_attempts {max}"))
        }
    })
}

/// What of it is no profile.
fn of_worker<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Option<String>> {
    let Shown {
        text: name,
        is_sound,
    } = fields.clone().take()?;
    Ok(match presence::worker(fields) {
        Err(error) if is_sound => Some(format!("worker {name} cannot be read: {}", D::why(&error))),
        Ok(_) | Err(_) => None,
    })
}

fn of_minute<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Option<String>> {
    let Shown { text: lane, .. } = fields.take()?;
    let number: i64 = fields.clone().take()?;
    Ok(minute::minute(fields).err().map(|error| {
        format!(
            "what happened on lane {lane} in minute {number} cannot be read: {}",
            D::why(&error)
        )
    }))
}

fn demands<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Option<String>> {
    let Shown {
        text: lane,
        is_sound,
    } = fields.take()?;
    let demands = text(fields)?.is_some_and(|text| Demands::from_text(text).is_ok());
    let names = [text(fields)?, text(fields)?];
    Ok(if !is_sound {
        Some(format!(
            "what lane {lane} requires cannot be read: that is no lane's number"
        ))
    } else if !demands {
        Some(format!(
            "what lane {lane} requires cannot be read: {DAMAGED_JSON}"
        ))
    } else {
        let is_damaged = names.iter().any(Option::is_none);
        is_damaged.then(|| format!("the queue or the kind of lane {lane} cannot be read"))
    })
}

fn profile<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Option<String>> {
    let Shown {
        text: name,
        is_sound,
    } = fields.take()?;
    let are_names = |text: &str| columns::names(text).is_ok();
    let kinds = text(fields)?.is_some_and(are_names);
    let queues = text(fields)?.is_some_and(are_names);
    let labels = text(fields)?.is_some_and(|text| Labels::from_text(text).is_ok());
    let parts = [("kinds", kinds), ("queues", queues), ("labels", labels)];
    let damaged = parts.into_iter().find(|(_, is_whole)| !is_whole);
    Ok(if is_sound {
        damaged
            .map(|(part, _)| format!("the {part} of worker {name} cannot be read: {DAMAGED_JSON}"))
    } else {
        Some(format!("the name of worker {name} cannot be read"))
    })
}

/// Where there is one.
fn text<'r, D: Database>(fields: &mut Fields<'r, D>) -> Read<D, Option<&'r str>> {
    fields.take().map(|Payload(text)| text)
}

/// What is wrong with an operation, of which this was read, or why nothing was.
pub(crate) fn operation(id: &str, read: Result<Operation, String>) -> Option<String> {
    match read {
        Err(reason) => Some(format!("operation {id} cannot be read: {reason}")),
        Ok(Operation { done, skipped, .. }) if done < 0 || skipped < 0 => Some(format!(
            "operation {id} has done {done} tasks and skipped {skipped}"
        )),
        Ok(_) => None,
    }
}
