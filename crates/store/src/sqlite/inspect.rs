//! Looking into a database without touching it, also while a server works on it.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use rusqlite::{Connection, params};

use super::connection::{self, all};
use super::error::is_busy;
use super::fields::{Fields, Read, Sqlite};
use super::file::{self, Part};
use super::open::{self, OpenError, SCHEMA};
use super::{lock, log, logs, restore, sql};
use crate::fields::Database as _;
use crate::findings::{self, FINDINGS_MAX, Judged};
use crate::rows::operation::operation;
use crate::stats::Stats;

/// Looks through the whole file, then at what the rows promise, then through the file of logs beside it; names what is
/// wrong, at most a hundred of each sort, and whether the log is gone that a killed server left. Empty: all is well. It
/// reads one snapshot of each, and the log of a server that works meanwhile grows until it is done.
pub fn check(path: &Path) -> Result<Vec<String>, OpenError> {
    let path = &file::behind_links(path);
    let log = Missing::look(path);
    let found = look_through(path);
    if !log.is_missing() {
        return found;
    }
    let mut all = vec![open::LOG_IS_GONE.to_owned()];
    match found {
        // Its log is put aside on the way.
        Err(cut_short @ OpenError::HalfRestored(_)) => return Err(cut_short),
        Ok(found) => all.extend(found),
        // What is left without the log may be nothing at all.
        Err(OpenError::Empty(_)) => all.push(format!("{} is empty without it", path.display())),
        Err(error) => all.push(error.to_string()),
    }
    Ok(all)
}

/// Whether the log is gone that a killed server left: looked for before the first connection, which makes an empty one,
/// and told behind it.
pub(super) struct Missing<'a> {
    path: &'a Path,
    seemed_gone: bool,
}

impl<'a> Missing<'a> {
    pub(super) fn look(path: &'a Path) -> Self {
        Self {
            path,
            seemed_gone: !open::has_log(path) && lock::tells_of_a_log(path),
        }
    }

    /// A server that stops in order takes its log away a moment before it says so.
    pub(super) fn is_missing(&self) -> bool {
        self.seemed_gone && lock::tells_of_a_log(self.path)
    }
}

fn look_through(path: &Path) -> Result<Vec<String>, OpenError> {
    let connection = ours(path)?;
    open::meta(&connection, path, SCHEMA)?.is_of_today(path)?;
    let mut found = findings(&connection).map_err(|error| open::explain(path, &error))?;
    let had_tasks = has_ever_had_tasks(&connection).map_err(|error| open::explain(path, &error))?;
    found.extend(findings_of_logs(&Part::Logs.of(path), had_tasks));
    Ok(found)
}

/// The first task brings a lane along, which stays.
fn has_ever_had_tasks(connection: &Connection) -> Read<bool> {
    let last: i64 = connection.query_row(sql::LANE_LAST, [], |row| row.get(0))?;
    Ok(last > 0)
}

/// None of this keeps a server from its tasks.
fn findings_of_logs(path: &Path, had_tasks: bool) -> Vec<String> {
    let shown = path.display();
    let gone = |how: &str| {
        let line = format!(
            "{shown} is {how}, and with it what runs printed; the next server to start begins it anew"
        );
        // A start makes it last, and may have been killed before; nothing is printed without a task.
        had_tasks.then_some(line).into_iter().collect()
    };
    if !path.is_file() {
        return gone("missing");
    }
    let look = || {
        let connection = our_logs(path)?;
        whole(&connection).map_err(|error| open::explain(path, &error))
    };
    match look() {
        Ok(found) => found
            .into_iter()
            .map(|line| format!("{shown}: {line}"))
            .collect(),
        Err(OpenError::Empty(_)) => gone("empty"),
        // Nothing is lost: a start has all of it again.
        Err(error @ OpenError::HalfChanged(_)) => vec![format!("the logs of runs: {error}")],
        Err(error) => vec![format!(
            "the logs of runs: {error}. Moved away, it is begun anew by the next server to start"
        )],
    }
}

/// Its version, and how much it holds.
pub fn stats(path: &Path) -> Result<Stats, OpenError> {
    let path = &file::behind_links(path);
    let connection = ours(path)?;
    let meta = open::meta(&connection, path, SCHEMA)?;
    meta.is_of_today(path)?;
    let counted = |fields: &mut Fields<'_>| Ok((fields.take()?, fields.take()?));
    let tables = all(&connection, sql::STATS_ROWS, [], counted);
    let mut tables = tables.map_err(|error| open::explain(path, &error))?;
    let logs = Part::Logs.of(path);
    // What cannot be read of them is for the check to say.
    if let Ok(connection) = our_logs(&logs)
        && let Ok(counted) = all(&connection, sql::LOG_ROWS, [], counted)
    {
        tables.extend(counted);
        tables.sort_unstable();
    }
    let mut bytes = 0;
    for file in [path, &logs] {
        bytes += length(file)? + length(&log::of(file))?;
    }
    Ok(Stats {
        schema: meta.schema,
        min_compatible: meta.min_compatible,
        incarnation: meta.incarnation,
        bytes,
        tables,
    })
}

/// A connection to a database that is there, is ours, and is not too new.
pub(super) fn ours(path: &Path) -> Result<Connection, OpenError> {
    if restore::is_cut_short(path) {
        return Err(OpenError::HalfRestored(path.to_owned()));
    }
    let Some(connection) = looking(path)? else {
        open::check_files(path)?;
        open::no_logs(path)?;
        return Err(OpenError::Empty(path.to_owned()));
    };
    open::check_ours(&connection, path)?;
    open::meta(&connection, path, SCHEMA)?;
    Ok(connection)
}

/// The same for a file of logs.
pub(super) fn our_logs(path: &Path) -> Result<Connection, OpenError> {
    let connection = looking(path)?.ok_or_else(|| OpenError::Empty(path.to_owned()))?;
    logs::open::check_ours(&connection, path)?;
    Ok(connection)
}

/// Refuses what is not ours, or of no use to this program, before anything is changed in the file or left beside it: for
/// who is about to write.
pub(super) fn check_ours_first(part: Part, path: &Path) -> Result<(), OpenError> {
    if !open::holds_something(path) {
        return Ok(());
    }
    let look = |connect: fn(&Path) -> Read<Connection>| {
        let connection = connect(path)?;
        let has_nothing = open::has_nothing(&connection)?;
        Ok((connection, has_nothing))
    };
    // Whoever may write takes a change back that was cut short, also another program's; so whose it is is asked before.
    if open::holds_something(&file::named(path, file::JOURNAL))
        && let Ok((connection, false)) = look(connection::as_it_stands)
        && let Err(foreign @ (OpenError::Foreign(_) | OpenError::ForeignLogs(_))) =
            part.check_ours(&connection, path)
    {
        return Err(foreign);
    }
    let looked = match look(connection::looking_alone) {
        // Whoever has it open keeps what is beside it there, so that another look leaves nothing.
        Err(error) if is_busy(&error) => look(connection::reading),
        looked => looked,
    };
    let (connection, has_nothing) = looked.map_err(|error| open::explain(path, &error))?;
    if has_nothing {
        return Ok(());
    }
    part.check_ours(&connection, path)
}

/// None where nothing is in it.
fn looking(path: &Path) -> Result<Option<Connection>, OpenError> {
    let metadata = path.metadata().map_err(|source| OpenError::Io {
        path: path.to_owned(),
        source,
    })?;
    if metadata.len() == 0 || is_undone_to_nothing(path) {
        return Ok(None);
    }
    let broken = |error: rusqlite::Error| open::explain(path, &error);
    let connection = connection::reading(path).map_err(broken)?;
    let has_nothing = open::has_nothing(&connection).map_err(broken)?;
    Ok((!has_nothing).then_some(connection))
}

/// A start that was killed as it made the file leaves a journal, which has whoever may write take all of that back: it
/// begins with its mark and says from how many pages on (SQLite's file format, §3). Who only looks is refused.
fn is_undone_to_nothing(path: &Path) -> bool {
    const MARK: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    const PAGES_BEFORE: usize = 16;
    let mut head = [0; PAGES_BEFORE + 4];
    let journal = File::open(file::named(path, file::JOURNAL));
    let is_read = journal.and_then(|mut journal| journal.read_exact(&mut head));
    is_read.is_ok() && head.starts_with(&MARK) && head[PAGES_BEFORE..] == [0; 4]
}

fn findings(connection: &Connection) -> Read<Vec<String>> {
    let snapshot = connection.unchecked_transaction()?;
    let mut found = whole(&snapshot)?;
    let most = [FINDINGS_MAX];
    found.extend(all(&snapshot, findings::PLACES, most, findings::place)?);
    found.extend(all(&snapshot, findings::COUNTERS, most, findings::counter)?);
    for (statement, what) in findings::OF_TASKS {
        let line = |fields: &mut Fields<'_>| Ok(format!("task {} {what}", findings::key(fields)?));
        found.extend(all(&snapshot, statement, most, line)?);
    }
    found.extend(all(&snapshot, findings::MINUTES, most, findings::minute)?);
    found.extend(operations(&snapshot)?);
    for judged in findings::judged() {
        found.extend(damaged(&snapshot, judged)?);
    }
    snapshot.finish()?;
    Ok(found)
}

/// All of them are looked at: they go soon after their end.
fn operations(connection: &Connection) -> Read<Vec<String>> {
    let mut statement = connection.prepare(sql::OPERATION_LIST)?;
    let mut rows = statement.query(params![[u8::MAX; 16], i64::MAX])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id = findings::key(&mut Fields::of(row))?;
        let read = operation(&mut Fields::of(row)).map_err(|error| Sqlite::why(&error));
        found.extend(findings::operation(&id, read));
        if found.len() == findings::OPERATIONS_MAX {
            break;
        }
    }
    Ok(found)
}

/// Looks through all JSON of one sort, a row at a time.
fn damaged(connection: &Connection, (statement, judge): Judged<Sqlite>) -> Read<Vec<String>> {
    let mut statement = connection.prepare(statement)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while found.len() < findings::DAMAGED_MAX
        && let Some(row) = rows.next()?
    {
        found.extend(judge(&mut Fields::of(row))?);
    }
    Ok(found)
}

/// What is wrong with the file itself.
fn whole(connection: &Connection) -> Read<Vec<String>> {
    let said: Vec<String> = all(connection, "pragma integrity_check(100)", [], |fields| {
        fields.take()
    })?;
    Ok(said.into_iter().filter(|line| line != "ok").collect())
}

/// 0 for a file that is not there: a database that nobody has open has no log.
fn length(path: &Path) -> Result<u64, OpenError> {
    match path.metadata() {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(source) => Err(OpenError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}
