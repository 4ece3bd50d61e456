//! Answers to queries, on connections of their own: whole rows and counts, one statement each.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use taskyard_core::counter::Counter;
use taskyard_core::explain::{Explain, Surroundings};
use taskyard_core::id::{OperationId, TaskId, WorkerNumber};
use taskyard_core::name::Name;
use taskyard_core::query::{
    Answer, AtWork, Attempts, Freeable, Minutes, Query, Sums, Survey, TaskView,
};
use taskyard_core::time::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::asking::{Asked, Reader};
use super::error::explain;
use super::fields::{Fields, Read};
use super::params::Param;
use super::{list, load, queues, sql};
use crate::columns;
use crate::rows::{history, key, minute, operation, presence, queue, relic, view};

pub(super) async fn answer(reader: &mut Reader<'_>, query: &Query) -> Read<Answer> {
    Ok(match query {
        Query::Task(id) => {
            let mut found = task_views(reader, &[*id], true).await?;
            Answer::Task(found.remove(id).transpose()?.map(Box::new))
        }
        Query::Tasks(list) => Answer::Tasks(list::list(reader, list).await?),
        Query::Attempts { task, detail_max } => {
            let (task, detail_max) = (task.as_uuid(), load::limit(*detail_max));
            let params: [&dyn Param; 2] = [&detail_max, &task];
            Answer::Attempts(Attempts {
                ended: all(reader, sql::ATTEMPT_LIST, &params, |fields| {
                    Ok((history::attempt(fields)?, fields.name_or_none()?))
                })
                .await?,
                late: all(reader, sql::LATE_RESULT_LIST, &params, history::late_result).await?,
            })
        }
        Query::Explain(asked) => {
            let snapshot = reader.snapshot().await?;
            let mut found = task_views(&snapshot, &[asked.task], false).await?;
            let around = match found.remove(&asked.task).transpose()? {
                Some(view) => Some(around(&snapshot, view, asked).await?),
                None => None,
            };
            snapshot.commit().await?;
            Answer::Explain(around.map(Box::new))
        }
        Query::Counts => Answer::Counts(all(reader, sql::COUNTER_SUM, &[], view::counted).await?),
        Query::Sums { names } => Answer::Sums(sums(reader, *names).await?),
        Query::Minutes { from } => {
            let minutes = all(reader, sql::MINUTE_LIST, &[from], minute::minute).await?;
            let told: BTreeSet<i32> = minutes.iter().map(|minute| minute.key.lane.0).collect();
            let told: Vec<i32> = told.into_iter().collect();
            // Lanes stay, so those of a moment later are those of these rows too.
            let lanes = all(reader, sql::LANE_NAMED, &[&told], key::lane).await?;
            Answer::Minutes(Minutes { minutes, lanes })
        }
        Query::Workers { after, limit } => {
            let (after, limit) = (after.as_ref().map(Name::as_str), load::limit(*limit));
            let params: [&dyn Param; 3] = [&after, &None::<i64>, &limit];
            Answer::Workers(all(reader, sql::WORKER_LIST, &params, view::worker).await?)
        }
        Query::WorkerCounts(now) => {
            let now = now.as_micros();
            let counts = one(reader, sql::WORKER_COUNT, &[&now], view::worker_counts).await?;
            Answer::WorkerCounts(counts.unwrap_or_default())
        }
        Query::Survey { now, lanes } => Answer::Survey(survey(reader, *now, *lanes).await?),
        Query::Gone {
            expired,
            ahead,
            limit,
        } => {
            let (expired, ahead) = (expired.as_micros(), ahead.as_micros());
            let limit = load::limit(*limit);
            let params: [&dyn Param; 3] = [&expired, &ahead, &limit];
            Answer::Gone(all(reader, sql::WORKER_GONE, &params, |fields| fields.name()).await?)
        }
        Query::Worker(name) => {
            let name = name.as_str();
            let worker = one(reader, sql::WORKER_BY_NAME, &[&name], presence::worker).await?;
            Answer::Worker(worker.map(Box::new))
        }
        Query::AtWork { worker, limit } => {
            let (name, limit) = (worker.as_str(), load::limit(*limit));
            let view = one(reader, sql::WORKER_VIEW, &[&name], view::worker).await?;
            let params: [&dyn Param; 2] = [&name, &limit];
            let runs = all(reader, sql::LEASE_HELD, &params, view::run).await?;
            Answer::AtWork(view.map(|view| Box::new(AtWork { view, runs })))
        }
        Query::Named(numbers) => {
            let numbers: Vec<i32> = numbers.iter().map(|number| number.0).collect();
            let named =
                |fields: &mut Fields<'_>| Ok((WorkerNumber(fields.take()?), fields.name()?));
            Answer::Named(all(reader, sql::WORKER_NAMED, &[&numbers], named).await?)
        }
        Query::Queues => Answer::Queues(all(reader, sql::QUEUE_LIST, &[], queue::queue).await?),
        Query::QueuePage(list) => Answer::QueuePage(queues::list(reader, list).await?),
        Query::Operation(id) => {
            let id = id.as_uuid();
            let found = one(reader, sql::OPERATION_BY_ID, &[&id], operation::operation).await?;
            Answer::Operation(found.map(Box::new))
        }
        Query::Operations { after, limit } => {
            let after = after.map_or(Uuid::max(), OperationId::as_uuid);
            let rows = load::limit(*limit);
            let params: [&dyn Param; 2] = [&after, &rows];
            let found = all(reader, sql::OPERATION_LIST, &params, operation::operation).await?;
            Answer::Operations(found)
        }
        Query::OpenOperations { limit } => {
            let limit = load::limit(*limit);
            let found = all(reader, sql::OPERATION_OPEN, &[&limit], operation::operation).await?;
            Answer::Operations(found)
        }
        Query::OldOperations { ended, limit } => {
            let (ended, limit) = (ended.as_micros(), load::limit(*limit));
            let params: [&dyn Param; 2] = [&ended, &limit];
            let found = all(reader, sql::OPERATION_OLD, &params, |fields| {
                fields.operation()
            });
            Answer::OldOperations(found.await?)
        }
        Query::Freeable { after, limit } => {
            let (after, rows) = (after.unwrap_or(TaskId::NIL).as_uuid(), load::limit(*limit));
            let params: [&dyn Param; 2] = [&after, &rows];
            let held = |fields: &mut Fields<'_>| Ok((key::unique(fields)?, fields.take()?));
            Freeable::of(all(reader, sql::UNIQUE_NEXT, &params, held).await?, *limit).into()
        }
        Query::Relics {
            after,
            until,
            limit,
        } => {
            let (after, until) = (after.as_uuid(), until.as_uuid());
            let limit = load::limit(*limit);
            let params: [&dyn Param; 3] = [&after, &until, &limit];
            Answer::Relics(all(reader, sql::RELIC_LIST, &params, relic::ended).await?)
        }
        Query::Lost { looks, limit } => {
            let lost =
                |fields: &mut Fields<'_>| Ok((history::run(fields)?, fields.name_or_none()?));
            let (overdue, silent) = (looks.overdue.as_micros(), looks.silent.as_micros());
            let ahead = looks.ahead.as_micros();
            let steps = looks.steps.all();
            let [a, b, c, d] = steps.map(|step| (step.at.as_micros(), columns::micros(step.by)));
            let limit = load::limit(*limit);
            let before = looks.internal_before.map(Timestamp::as_micros);
            let params: [&dyn Param; 13] = [
                &overdue, &a.0, &a.1, &b.0, &b.1, &c.0, &c.1, &d.0, &d.1, &silent, &ahead, &before,
                &limit,
            ];
            Answer::Lost(all(reader, sql::LEASE_LOST, &params, lost).await?)
        }
        Query::Takeable {
            worker,
            before,
            limit,
        } => {
            let (worker, before) = (worker.as_str(), before.map(|epoch| epoch.0));
            let params: [&dyn Param; 3] = [&worker, &before, &load::limit(*limit)];
            Answer::Takeable(all(reader, sql::LEASE_TAKEABLE, &params, history::run).await?)
        }
        Query::Ended(tasks) => {
            let ids: Vec<Uuid> = tasks.iter().map(|task| task.as_uuid()).collect();
            Answer::Ended(all(reader, sql::OUTCOME_ENDED, &[&ids], |fields| fields.task()).await?)
        }
        Query::Known(tasks) => {
            let ids: Vec<Uuid> = tasks.iter().map(|task| task.as_uuid()).collect();
            Answer::Known(all(reader, sql::TASK_KNOWN, &[&ids], |fields| fields.task()).await?)
        }
        Query::Holder(task) => {
            let id = task.as_uuid();
            Answer::Holder(one(reader, sql::TASK_HOLDER, &[&id], view::holder).await?)
        }
        Query::Holdings { worker, limit } => {
            let (worker, limit) = (worker.map(|worker| worker.0), load::limit(*limit));
            let params: [&dyn Param; 2] = [&worker, &limit];
            Answer::Holdings(all(reader, sql::LEASE_LIST, &params, view::holding).await?)
        }
        Query::NextDue { skip } => {
            let skip = load::limit(*skip);
            Answer::NextDue(
                one(reader, sql::SCHEDULED_NEXT, &[&skip], |fields| {
                    fields.time()
                })
                .await?,
            )
        }
        Query::Ping => {
            rows(reader, sql::META_TOUCH, &[]).await?;
            Answer::Pong
        }
    })
}

pub(super) async fn rows<C: Asked>(
    client: &C,
    statement: &str,
    params: &[&dyn Param],
) -> Read<Vec<Row>> {
    let rows = client.rows(statement, params).await;
    rows.map_err(|error| explain(&error))
}

pub(super) async fn all<C: Asked, T>(
    client: &C,
    statement: &str,
    params: &[&dyn Param],
    read: impl Fn(&mut Fields<'_>) -> Read<T>,
) -> Read<Vec<T>> {
    let rows = rows(client, statement, params).await?;
    rows.iter().map(|row| read(&mut Fields::of(row))).collect()
}

pub(super) async fn one<C: Asked, T>(
    client: &C,
    statement: &str,
    params: &[&dyn Param],
    read: impl Fn(&mut Fields<'_>) -> Read<T>,
) -> Read<Option<T>> {
    let rows = rows(client, statement, params).await?;
    rows.first()
        .map(|row| read(&mut Fields::of(row)))
        .transpose()
}

/// What else decides when this task runs.
async fn around<C: Asked>(client: &C, view: TaskView, asked: &Explain) -> Read<Surroundings> {
    let paused = all(client, sql::QUEUE_PAUSED, &[], |fields| fields.name()).await?;
    let mut around = Surroundings {
        is_queue_paused: paused.contains(&view.lane.queue),
        before: 0,
        workers: Vec::new(),
        holder: None,
        view,
    };
    if let Some(key) = around.view.ready_key() {
        let (lane, order_key) = (key.lane.0, key.order_key.0);
        let (task, slot) = (key.slot.task.as_uuid(), key.slot.slot.0);
        let limit = load::limit(asked.before);
        let params: [&dyn Param; 5] = [&lane, &order_key, &task, &slot, &limit];
        let before = one(client, sql::READY_BEFORE, &params, view::count).await?;
        around.before = before.unwrap_or_default();
    }
    if let Some(name) = around.view.holder() {
        let name = name.as_str();
        around.holder = one(client, sql::WORKER_BY_NAME, &[&name], presence::worker).await?;
    }
    if around.view.waits() {
        let (now, limit) = (asked.now.as_micros(), load::limit(asked.workers));
        let params: [&dyn Param; 3] = [&None::<&str>, &now, &limit];
        around.workers = all(client, sql::WORKER_LIST, &params, view::worker).await?;
    }
    Ok(around)
}

/// Three questions of one snapshot.
async fn sums(reader: &mut Reader<'_>, names: usize) -> Read<Sums> {
    let snapshot = reader.snapshot().await?;
    let names = load::limit(names);
    let sums = Sums {
        all: all_tasks(&snapshot).await?,
        by_queue: all(&snapshot, sql::COUNTER_MOST, &[&true, &names], view::named).await?,
        by_kind: all(&snapshot, sql::COUNTER_MOST, &[&false, &names], view::named).await?,
    };
    snapshot.commit().await?;
    Ok(sums)
}

async fn all_tasks<C: Asked>(client: &C) -> Read<Counter> {
    let all = one(client, sql::COUNTER_ALL, &[], key::counter).await?;
    Ok(all.unwrap_or_default())
}

/// Four questions of one snapshot.
async fn survey(reader: &mut Reader<'_>, now: Timestamp, lanes: usize) -> Read<Survey> {
    let snapshot = reader.snapshot().await?;
    let (now, lanes) = (now.as_micros(), load::limit(lanes));
    let since = |fields: &mut Fields<'_>| Ok((fields.name()?, fields.time()?));
    let survey = Survey {
        tasks: all_tasks(&snapshot).await?,
        pending: all(&snapshot, sql::COUNTER_PENDING, &[], view::pending).await?,
        waiting: all(&snapshot, sql::READY_SINCE, &[&lanes], since).await?,
        staff: one(&snapshot, sql::WORKER_STAFF, &[&now], view::staff)
            .await?
            .unwrap_or_default(),
    };
    snapshot.commit().await?;
    Ok(survey)
}

/// Of each task that there is what is known of it, or why that cannot be read.
pub(super) type Views = HashMap<TaskId, Read<TaskView>>;

/// Everything known of each of these tasks that there are; without `payload`, their inputs read as null and their
/// outputs are left out.
pub(super) async fn task_views<C: Asked>(
    client: &C,
    tasks: &[TaskId],
    payload: bool,
) -> Read<Views> {
    let ids: Vec<Uuid> = tasks.iter().map(|task| task.as_uuid()).collect();
    let rows = rows(client, sql::TASK_VIEW, &[&payload, &ids]).await?;
    let view = |row: &Row| {
        let id = Fields::of(row).task()?;
        Ok((id, view::task(&mut Fields::of(row))))
    };
    rows.iter().map(view).collect()
}
