//! Writes a diff: table by table, row by row in the order of the keys.

use rusqlite::{CachedStatement, Connection, params};
use taskyard_core::counter::Counter;
use taskyard_core::diff::Diff;
use taskyard_core::id::TaskId;
use taskyard_core::lane::Lane;
use taskyard_core::store::Error;
use taskyard_core::view::Change;

use super::connection::one;
use super::error::explain;
use super::fields::Read;
use super::rows::{history, key, minute, operation, place, presence, queue, task};
use super::sql;
use crate::tx::Inputs;

/// Whose counters these are: on SQLite there is one server.
pub(super) const SERVER: i32 = 0;

type Bind<R> = fn(&mut CachedStatement<'_>, &R) -> Read<usize>;

/// How rows of one table are written. Without an `update`, a row that changed has moved: it is taken out and put in.
/// Without a `delete`, none is ever taken out.
struct Table<R> {
    insert: (&'static str, Bind<R>),
    update: Option<&'static str>,
    delete: Option<(&'static str, Bind<R>)>,
}

pub(super) fn inputs(connection: &Connection, tasks: &[TaskId]) -> Read<Inputs> {
    let mut inputs = Inputs::with_capacity(tasks.len());
    for id in tasks {
        let input = one(connection, sql::TASK_INPUT, [id.as_bytes()], |fields| {
            fields.json()
        })?;
        inputs.extend(input.map(|input| (*id, input)));
    }
    Ok(inputs)
}

pub(super) fn write(connection: &Connection, diff: &Diff) -> Result<(), Error> {
    SERVERS.write(connection, &diff.servers)?;
    insert(connection, sql::LANE_INSERT, key::insert_lane, &diff.lanes)?;
    QUEUES.write(connection, &diff.queues)?;
    OPERATIONS.write(connection, &diff.operations)?;
    WORKERS.write(connection, &diff.workers)?;
    insert_tasks(connection, diff).map_err(explain)?;
    SCHEDULED.write(connection, &diff.scheduled)?;
    READY.write(connection, &diff.ready)?;
    LEASES.write(connection, &diff.leases)?;
    CARRIES.write(connection, &diff.carries)?;
    insert_outcomes(connection, diff).map_err(explain)?;
    UNIQUES.write(connection, &diff.uniques)?;
    IDEMPOTENCY.write(connection, &diff.idempotency)?;
    MINUTES.write(connection, &diff.minutes)?;
    insert(
        connection,
        sql::ATTEMPT_INSERT,
        history::insert_attempt,
        &diff.attempts,
    )?;
    insert(
        connection,
        sql::LATE_RESULT_PUT,
        history::put_late_result,
        &diff.late_results,
    )?;
    forget_and_count(connection, diff).map_err(explain)
}

fn forget_and_count(connection: &Connection, diff: &Diff) -> Read<()> {
    for statement in [sql::ATTEMPT_DELETE, sql::LATE_RESULT_DELETE] {
        let mut statement = connection.prepare_cached(statement)?;
        for run in &diff.forgotten {
            history::delete_run(&mut statement, *run)?;
        }
    }
    discard(connection, &diff.discarded)?;
    if let Some(first) = diff.minutes_from {
        connection
            .prepare_cached(sql::MINUTE_DELETE)?
            .execute([first])?;
    }
    count(connection, &diff.counters)
}

/// Almost every lane that is counted for was counted for before.
fn count(connection: &Connection, counters: &[(Lane, Counter)]) -> Read<()> {
    let mut add = connection.prepare_cached(sql::COUNTER_ADD)?;
    let mut insert = connection.prepare_cached(sql::COUNTER_INSERT)?;
    for (lane, change) in counters {
        if key::write_counter(&mut add, SERVER, *lane, change)? == 0 {
            key::write_counter(&mut insert, SERVER, *lane, change)?;
        }
    }
    Ok(())
}

/// Also what was put in just now.
fn discard(connection: &Connection, tasks: &[TaskId]) -> Read<()> {
    for statement in [
        sql::ATTEMPT_DISCARD,
        sql::LATE_RESULT_DISCARD,
        sql::CARRY_DISCARD,
        sql::OUTCOME_DISCARD,
        sql::TASK_DISCARD,
    ] {
        let mut statement = connection.prepare_cached(statement)?;
        for task in tasks {
            statement.execute([task.as_bytes()])?;
        }
    }
    Ok(())
}

fn insert_tasks(connection: &Connection, diff: &Diff) -> Read<()> {
    let mut statement = connection.prepare_cached(sql::TASK_INSERT)?;
    task::insert_tasks(&mut statement, diff.tasks.iter().map(|row| &**row))
}

fn insert_outcomes(connection: &Connection, diff: &Diff) -> Read<()> {
    let mut statement = connection.prepare_cached(sql::OUTCOME_INSERT)?;
    task::insert_outcomes(&mut statement, diff.outcomes.iter().map(|row| &**row))
}

fn insert<'a, R: 'a>(
    connection: &Connection,
    statement: &str,
    bind: Bind<R>,
    rows: impl IntoIterator<Item = &'a R>,
) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(statement).map_err(explain)?;
    for row in rows {
        bind(&mut statement, row).map_err(explain)?;
    }
    Ok(())
}

impl<R> Table<R> {
    fn write(&self, connection: &Connection, changes: &[Change<R>]) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let prepare = |statement| connection.prepare_cached(statement).map_err(explain);
        let delete = self.delete.map(|(text, bind)| Ok((prepare(text)?, bind)));
        let mut delete = delete.transpose()?;
        let mut take_out = |row: &R| {
            let (delete, bind) = delete.as_mut().expect("rows of this table are kept");
            once(bind(delete, row))
        };
        let mut insert = prepare(self.insert.0)?;
        let mut update = self.update.map(prepare).transpose()?;
        for change in changes {
            match (change, &mut update) {
                (Change::Insert(row), _) => once(self.insert.1(&mut insert, row))?,
                (Change::Delete(row), _) => take_out(row)?,
                (Change::Update { after, .. }, Some(update)) => once(self.insert.1(update, after))?,
                (Change::Update { before, after }, None) => {
                    take_out(before)?;
                    once(self.insert.1(&mut insert, after))?;
                }
            }
        }
        Ok(())
    }
}

/// Nobody else writes, so a row that was loaded is still there; a write that misses it is a bug and must not pass.
fn once(rows: Read<usize>) -> Result<(), Error> {
    match rows.map_err(explain)? {
        1 => Ok(()),
        rows => Err(Error::Failed(format!("a change of one row changed {rows}"))),
    }
}

const SERVERS: Table<taskyard_core::rows::Server> = Table {
    insert: (sql::SERVER_INSERT, presence::write_server),
    update: Some(sql::SERVER_UPDATE),
    delete: None,
};

const QUEUES: Table<taskyard_core::queue::Queue> = Table {
    insert: (sql::QUEUE_INSERT, queue::write_queue),
    update: Some(sql::QUEUE_UPDATE),
    delete: Some((sql::QUEUE_DELETE, |delete, row| {
        delete.execute([row.name.as_str()])
    })),
};

const OPERATIONS: Table<taskyard_core::operation::Operation> = Table {
    insert: (sql::OPERATION_INSERT, operation::write_operation),
    update: Some(sql::OPERATION_UPDATE),
    delete: Some((sql::OPERATION_DELETE, |delete, row| {
        delete.execute([row.id.as_bytes()])
    })),
};

const WORKERS: Table<taskyard_core::rows::Worker> = Table {
    insert: (sql::WORKER_INSERT, presence::write_worker),
    update: Some(sql::WORKER_UPDATE),
    delete: None,
};

const SCHEDULED: Table<taskyard_core::rows::Scheduled> = Table {
    insert: (sql::SCHEDULED_INSERT, place::insert_scheduled),
    update: None,
    delete: Some((sql::SCHEDULED_DELETE, place::delete_scheduled)),
};

const READY: Table<taskyard_core::rows::Ready> = Table {
    insert: (sql::READY_INSERT, place::insert_ready),
    update: None,
    delete: Some((sql::READY_DELETE, place::delete_ready)),
};

const LEASES: Table<taskyard_core::rows::Lease> = Table {
    insert: (sql::LEASE_INSERT, place::write_lease),
    update: Some(sql::LEASE_UPDATE),
    delete: Some((sql::LEASE_DELETE, |delete, row| {
        delete.execute(params![row.slot.task.as_bytes(), row.slot.slot.0])
    })),
};

const CARRIES: Table<taskyard_core::rows::Carry> = Table {
    insert: (sql::CARRY_INSERT, place::write_carry),
    update: Some(sql::CARRY_UPDATE),
    delete: None,
};

const UNIQUES: Table<taskyard_core::rows::Unique> = Table {
    insert: (sql::UNIQUE_INSERT, key::write_unique),
    update: Some(sql::UNIQUE_UPDATE),
    delete: Some((sql::UNIQUE_DELETE, |delete, row| {
        delete.execute(params![row.key.queue.as_str(), row.key.key])
    })),
};

const MINUTES: Table<taskyard_core::minute::Minute> = Table {
    insert: (sql::MINUTE_INSERT, minute::write_minute),
    update: Some(sql::MINUTE_UPDATE),
    delete: None,
};

const IDEMPOTENCY: Table<taskyard_core::rows::Idempotency> = Table {
    insert: (sql::IDEMPOTENCY_INSERT, key::write_idempotency),
    update: Some(sql::IDEMPOTENCY_UPDATE),
    delete: Some((sql::IDEMPOTENCY_DELETE, |delete, row| {
        delete.execute(params![row.key.scope, row.key.key])
    })),
};
