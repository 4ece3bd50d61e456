//! Answers to queries, each from one snapshot of the database.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};
use taskyard_core::counter::Counter;
use taskyard_core::explain::{Explain, Surroundings};
use taskyard_core::id::{TaskId, WorkerNumber};
use taskyard_core::lane::Lane;
use taskyard_core::name::Name;
use taskyard_core::query::{
    Answer, AtWork, Attempts, Freeable, Minutes, Query, Sums, Survey, TaskView,
};
use taskyard_core::store::Error;
use taskyard_core::time::Timestamp;

use super::connection::{all, one};
use super::error::explain;
use super::fields::{Fields, Read};
use super::{list, queues, sql, tx};
use crate::columns;
use crate::rows::{history, key, minute, operation, presence, queue, relic, view};

pub(super) fn read(connection: &Connection, query: &Query) -> Result<Answer, Error> {
    let answer = || {
        let snapshot = connection.unchecked_transaction()?;
        let answer = answer(&snapshot, query)?;
        snapshot.finish()?;
        Ok(answer)
    };
    answer().map_err(explain)
}

fn answer(connection: &Connection, query: &Query) -> Read<Answer> {
    Ok(match query {
        Query::Task(id) => Answer::Task(task_view(connection, *id, true)?.map(Box::new)),
        Query::Tasks(list) => Answer::Tasks(list::list(connection, list)?),
        Query::Attempts { task, detail_max } => {
            let params = params![tx::limit(*detail_max), task.as_bytes()];
            Answer::Attempts(Attempts {
                ended: all(connection, sql::ATTEMPT_LIST, params, |fields| {
                    Ok((history::attempt(fields)?, fields.name_or_none()?))
                })?,
                late: all(
                    connection,
                    sql::LATE_RESULT_LIST,
                    params,
                    history::late_result,
                )?,
            })
        }
        Query::Explain(asked) => {
            let view = task_view(connection, asked.task, false)?;
            let around = view.map(|view| around(connection, view, asked));
            Answer::Explain(around.transpose()?.map(Box::new))
        }
        Query::Counts => Answer::Counts(all(connection, sql::COUNTER_SUM, [], view::counted)?),
        Query::Sums { names } => {
            let most = |of_queues: bool| {
                let params = params![of_queues, tx::limit(*names)];
                all(connection, sql::COUNTER_MOST, params, view::named)
            };
            Answer::Sums(Sums {
                all: all_tasks(connection)?,
                by_queue: most(true)?,
                by_kind: most(false)?,
            })
        }
        Query::Minutes { from } => {
            let minutes = all(connection, sql::MINUTE_LIST, [from], minute::minute)?;
            let told: BTreeSet<Lane> = minutes.iter().map(|minute| minute.key.lane).collect();
            let mut lanes = Vec::with_capacity(told.len());
            for lane in told {
                lanes.extend(one(connection, sql::LANE_NAMED, [lane.0], key::lane)?);
            }
            Answer::Minutes(Minutes { minutes, lanes })
        }
        Query::Workers { after, limit } => {
            let after = after.as_ref().map(Name::as_str);
            let params = params![after, None::<i64>, tx::limit(*limit)];
            Answer::Workers(all(connection, sql::WORKER_LIST, params, view::worker)?)
        }
        Query::WorkerCounts(now) => {
            let now = [now.as_micros()];
            let counts = one(connection, sql::WORKER_COUNT, now, view::worker_counts)?;
            Answer::WorkerCounts(counts.unwrap_or_default())
        }
        Query::Survey { now, lanes } => {
            let since = |fields: &mut Fields<'_>| Ok((fields.name()?, fields.time()?));
            let now = [now.as_micros()];
            Answer::Survey(Survey {
                tasks: all_tasks(connection)?,
                pending: all(connection, sql::COUNTER_PENDING, [], view::pending)?,
                waiting: all(connection, sql::READY_SINCE, [tx::limit(*lanes)], since)?,
                staff: one(connection, sql::WORKER_STAFF, now, view::staff)?.unwrap_or_default(),
            })
        }
        Query::Gone {
            expired,
            ahead,
            limit,
        } => {
            let params = params![expired.as_micros(), ahead.as_micros(), tx::limit(*limit)];
            let gone = all(connection, sql::WORKER_GONE, params, |fields| fields.name())?;
            Answer::Gone(gone)
        }
        Query::Worker(name) => {
            let worker = one(
                connection,
                sql::WORKER_BY_NAME,
                [name.as_str()],
                presence::worker,
            )?;
            Answer::Worker(worker.map(Box::new))
        }
        Query::AtWork { worker, limit } => {
            let view = one(
                connection,
                sql::WORKER_VIEW,
                [worker.as_str()],
                view::worker,
            )?;
            let held = params![worker.as_str(), tx::limit(*limit)];
            let runs = all(connection, sql::LEASE_HELD, held, view::run)?;
            Answer::AtWork(view.map(|view| Box::new(AtWork { view, runs })))
        }
        Query::Named(numbers) => {
            let mut named = Vec::new();
            for number in numbers {
                named.extend(one(connection, sql::WORKER_NAMED, [number.0], |fields| {
                    Ok((WorkerNumber(fields.take()?), fields.name()?))
                })?);
            }
            Answer::Named(named)
        }
        Query::Queues => Answer::Queues(all(connection, sql::QUEUE_LIST, [], queue::queue)?),
        Query::QueuePage(list) => Answer::QueuePage(queues::page(connection, list)?),
        Query::Operation(id) => {
            let id = [id.as_bytes()];
            let found = one(connection, sql::OPERATION_BY_ID, id, operation::operation)?;
            Answer::Operation(found.map(Box::new))
        }
        Query::Operations { after, limit } => {
            let after = after.map_or([u8::MAX; 16], |after| *after.as_bytes());
            let params = params![after, tx::limit(*limit)];
            let found = all(
                connection,
                sql::OPERATION_LIST,
                params,
                operation::operation,
            )?;
            Answer::Operations(found)
        }
        Query::OpenOperations { limit } => {
            let limit = [tx::limit(*limit)];
            let found = all(connection, sql::OPERATION_OPEN, limit, operation::operation)?;
            Answer::Operations(found)
        }
        Query::OldOperations { ended, limit } => {
            let params = params![ended.as_micros(), tx::limit(*limit)];
            Answer::OldOperations(all(connection, sql::OPERATION_OLD, params, |fields| {
                fields.operation()
            })?)
        }
        Query::Freeable { after, limit } => {
            let after = after.unwrap_or(TaskId::NIL);
            let params = params![after.as_bytes(), tx::limit(*limit)];
            let held = all(connection, sql::UNIQUE_NEXT, params, |fields| {
                Ok((key::unique(fields)?, fields.take()?))
            })?;
            Freeable::of(held, *limit).into()
        }
        Query::Relics {
            after,
            until,
            limit,
        } => {
            let params = params![after.as_bytes(), until.as_bytes(), tx::limit(*limit)];
            Answer::Relics(all(connection, sql::RELIC_LIST, params, relic::ended)?)
        }
        Query::Lost { looks, limit } => {
            let steps = looks.steps.all();
            let [a, b, c, d] = steps.map(|step| (step.at.as_micros(), columns::micros(step.by)));
            let (silent, ahead) = (looks.silent.as_micros(), looks.ahead.as_micros());
            let before = looks.internal_before.map(Timestamp::as_micros);
            let overdue = looks.overdue.as_micros();
            let limit = tx::limit(*limit);
            let params = params![
                overdue, a.0, a.1, b.0, b.1, c.0, c.1, d.0, d.1, silent, ahead, before, limit
            ];
            let lost =
                |fields: &mut Fields<'_>| Ok((history::run(fields)?, fields.name_or_none()?));
            Answer::Lost(all(connection, sql::LEASE_LOST, params, lost)?)
        }
        Query::Takeable {
            worker,
            before,
            limit,
        } => {
            let before = before.map(|epoch| epoch.0);
            let params = params![worker.as_str(), before, tx::limit(*limit)];
            let takeable = all(connection, sql::LEASE_TAKEABLE, params, history::run)?;
            Answer::Takeable(takeable)
        }
        Query::Ended(tasks) => {
            let mut ended = Vec::new();
            for task in tasks {
                let id = [task.as_bytes()];
                ended.extend(one(connection, sql::OUTCOME_ENDED, id, |fields| {
                    fields.task()
                })?);
            }
            Answer::Ended(ended)
        }
        Query::Known(tasks) => {
            let mut known = Vec::new();
            for task in tasks {
                let id = [task.as_bytes()];
                known.extend(one(connection, sql::TASK_KNOWN, id, |fields| {
                    fields.task()
                })?);
            }
            Answer::Known(known)
        }
        Query::Holder(task) => {
            let id = [task.as_bytes()];
            Answer::Holder(one(connection, sql::TASK_HOLDER, id, view::holder)?)
        }
        Query::Holdings { worker, limit } => {
            let params = params![worker.map(|worker| worker.0), tx::limit(*limit)];
            Answer::Holdings(all(connection, sql::LEASE_LIST, params, view::holding)?)
        }
        Query::NextDue { skip } => {
            let skip = [tx::limit(*skip)];
            Answer::NextDue(one(connection, sql::SCHEDULED_NEXT, skip, |fields| {
                fields.time()
            })?)
        }
        Query::Ping => {
            one(connection, sql::META_LOAD, [], |fields| {
                fields.take::<i64>()
            })?;
            Answer::Pong
        }
    })
}

/// What else decides when this task runs.
fn around(connection: &Connection, view: TaskView, asked: &Explain) -> Read<Surroundings> {
    let paused = all(connection, sql::QUEUE_PAUSED, [], |fields| fields.name())?;
    let before = view.ready_key().map(|key| {
        let (lane, order_key, limit) = (key.lane.0, key.order_key.0, tx::limit(asked.before));
        let params = params![
            lane,
            order_key,
            key.slot.task.as_bytes(),
            key.slot.slot.0,
            limit
        ];
        one(connection, sql::READY_BEFORE, params, view::count)
    });
    let holder = view.holder().map(|name| {
        one(
            connection,
            sql::WORKER_BY_NAME,
            [name.as_str()],
            presence::worker,
        )
    });
    let workers = if view.waits() {
        let params = params![
            None::<&str>,
            asked.now.as_micros(),
            tx::limit(asked.workers)
        ];
        all(connection, sql::WORKER_LIST, params, view::worker)?
    } else {
        Vec::new()
    };
    Ok(Surroundings {
        is_queue_paused: paused.contains(&view.lane.queue),
        before: before.transpose()?.flatten().unwrap_or_default(),
        workers,
        holder: holder.transpose()?.flatten(),
        view,
    })
}

fn all_tasks(connection: &Connection) -> Read<Counter> {
    let all = one(connection, sql::COUNTER_ALL, [], key::counter)?;
    Ok(all.unwrap_or_default())
}

/// Everything known of one task; without `payload`, its input reads as null and its output is left out.
pub(super) fn task_view(
    connection: &Connection,
    id: TaskId,
    payload: bool,
) -> Read<Option<TaskView>> {
    let params = params![payload, id.as_bytes()];
    one(connection, sql::TASK_VIEW, params, view::task)
}
