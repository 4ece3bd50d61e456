//! What PostgreSQL's failures mean to who called.

use std::error::Error as _;

use taskyard_core::store::{Away, Cause, Error};
use tokio_postgres::error::{Severity, SqlState};

/// Before a commit was sent: nothing of the batch happened.
pub(super) fn explain(error: &tokio_postgres::Error) -> Error {
    let Some(refused) = error.as_db_error() else {
        if is_broken(error) {
            return Error::Unavailable(Cause::Unreachable.with(one_line(error)));
        }
        // What could not be encoded or understood will not be the next time either.
        return Error::Failed(one_line(error));
    };
    match refused.code() {
        &SqlState::UNIQUE_VIOLATION
        | &SqlState::T_R_SERIALIZATION_FAILURE
        | &SqlState::T_R_DEADLOCK_DETECTED
        // A statement found fewer rows than it was asked to change; see the statements.
        | &SqlState::DIVISION_BY_ZERO => Error::Conflict,
        &SqlState::DISK_FULL => Error::Full,
        // What a transaction through a pooler begins with found this out.
        &SqlState::INVALID_ARGUMENT_FOR_LOG => Error::Unavailable(
            "the pooler leads to another host than when the connection was made, or another one has taken its place".into(),
        ),
        code if is_passing(code) => Error::Unavailable(away(error)),
        _ => Error::Failed(one_line(error)),
    }
}

/// Once a commit was sent: it may have happened unless the database itself says that it did not. An ordinary failure
/// of a statement before it came back over a connection that stands, and its commit undid the batch.
pub(super) fn explain_commit(error: &tokio_postgres::Error) -> Error {
    let is_ordinary = error
        .as_db_error()
        .is_some_and(|refused| refused.parsed_severity() == Some(Severity::Error));
    if is_ordinary {
        explain(error)
    } else {
        Error::Unknown(one_line(error))
    }
}

/// A row stands where one was to be put in.
pub(super) fn is_taken(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::UNIQUE_VIOLATION)
}

/// The server could not be reached, is still starting or already stopping, or has no room for one more connection.
pub(super) fn is_away(error: &tokio_postgres::Error) -> bool {
    match error.as_db_error() {
        Some(refused) => {
            let code = refused.code();
            // What is full of connections, of memory or otherwise; 57P01 to 57P03 tell of a start or an end. A pooler that
            // finds no database says so by 08P01, as it does of what it does not understand.
            let is_not_understood = refused.message().contains("startup parameter");
            (["53", "57P0", "08"].iter()).any(|class| code.code().starts_with(class))
                && !is_not_understood
        }
        None => is_broken(error),
    }
}

fn is_broken(error: &tokio_postgres::Error) -> bool {
    let cause = error.source();
    error.is_closed() || cause.is_some_and(|cause| cause.is::<std::io::Error>())
}

/// Why there is no connection, or none any more.
pub(super) fn away(error: &tokio_postgres::Error) -> Away {
    cause(error).with(one_line(error))
}

fn cause(error: &tokio_postgres::Error) -> Cause {
    match error.code() {
        Some(&SqlState::TOO_MANY_CONNECTIONS) => Cause::Crowded,
        _ if is_away(error) => Cause::Unreachable,
        Some(&SqlState::LOCK_NOT_AVAILABLE) => Cause::Held,
        Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => Cause::ReadOnly,
        _ => Cause::Other,
    }
}

/// Trouble of the server's, not of the statement's.
fn is_passing(code: &SqlState) -> bool {
    // Connections, resources, operators, the machine; a standby that became the target; waits that took too long.
    ["08", "53", "57", "58"]
        .iter()
        .any(|class| code.code().starts_with(class))
        || is_of_another_session(code)
        || [
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        ]
        .contains(code)
}

/// What was prepared is not there, or something else is by its name: statements go over connections of several sessions.
fn is_of_another_session(code: &SqlState) -> bool {
    [
        SqlState::INVALID_SQL_STATEMENT_NAME,
        SqlState::DUPLICATE_PSTATEMENT,
    ]
    .contains(code)
}

/// The server's own words, or the chain of causes. Holds no password: the driver never puts one into an error.
pub(super) fn one_line(error: &tokio_postgres::Error) -> String {
    if let Some(refused) = error.as_db_error() {
        let advice = if is_of_another_session(refused.code()) {
            "; there seems to be a pooler in transaction mode in between: start Taskyard with --pooled"
        } else {
            ""
        };
        return format!(
            "{} ({}){advice}",
            refused.message().replace('\n', " "),
            refused.code().code()
        );
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text = format!("{text}: {reason}");
        }
        cause = error.source();
    }
    text.replace('\n', " ")
}
