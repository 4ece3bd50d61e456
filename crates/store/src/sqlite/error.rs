//! What SQLite's failures mean to who called.

use rusqlite::ErrorCode::{
    CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, FileLockingProtocolFailed,
    NotADatabase, OutOfMemory, ReadOnly, SystemIoFailure,
};
use rusqlite::ffi::{
    SQLITE_FULL, SQLITE_IOERR_DIR_FSYNC, SQLITE_IOERR_FSYNC, SQLITE_IOERR_TRUNCATE,
    SQLITE_IOERR_WRITE, SQLITE_READONLY_ROLLBACK,
};
use taskyard_core::store::{Cause, Error};

pub(super) fn explain(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(DiskFull) => Error::Full,
        Some(DatabaseCorrupt | NotADatabase) => Error::Damaged(error.to_string()),
        Some(DatabaseBusy | DatabaseLocked) => {
            Error::Unavailable(Cause::Held.with(error.to_string()))
        }
        // Trouble of the machine's, not of the statement's.
        Some(FileLockingProtocolFailed | CannotOpen | ReadOnly | SystemIoFailure | OutOfMemory) => {
            Error::Unavailable(error.to_string().into())
        }
        // A key that is taken too: nobody else writes, so nobody was quicker, and that row stands in the way for good.
        _ if is_of_a_row(&error) => Error::Unreadable(why_unreadable(&error)),
        _ => Error::Failed(error.to_string()),
    }
}

/// In the words of what reads columns, where it is told by that.
pub(super) fn why_unreadable(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::FromSqlConversionFailure(_, _, bad) => bad.to_string(),
        error => error.to_string(),
    }
}

/// What stands in a row cannot be what was written: others can be read.
pub(super) fn is_of_a_row(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..)
    )
}

/// See [`super::log::GiveUp`] for what follows.
pub(super) fn is_failed_sync(error: &rusqlite::Error) -> bool {
    is_one_of(error, &[SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC])
}

/// Of two files, it is the one that is written.
pub(super) fn is_of_writing(error: &rusqlite::Error) -> bool {
    let codes = [SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_IOERR_TRUNCATE];
    is_one_of(error, &codes) || is_failed_sync(error)
}

/// Somebody's change of the file was cut short, and who only looks may not take it back.
pub(super) fn needs_rollback(error: &rusqlite::Error) -> bool {
    is_one_of(error, &[SQLITE_READONLY_ROLLBACK])
}

/// Somebody else has the file, or a part of it, at the moment.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(DatabaseBusy)
}

fn is_one_of(error: &rusqlite::Error, codes: &[i32]) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| codes.contains(&error.extended_code))
}
