//! Refusals: the one mapping from what went wrong to problem details (RFC 9457).
//!
//! `docs/problems.md` lists every code; a test compares the two. What the caller learns is fit for the caller; what
//! broke goes to the log, once, by way of [`crate::trouble`].

pub(crate) mod page;

use std::fmt::Display;

use http::StatusCode;
use taskyard_api::problem::{FieldError, Problem};
use taskyard_api::request::BadRequest;
use taskyard_core::refused::Refused;
use taskyard_core::store;
use taskyard_engine::error::Error;

use crate::trouble::{self, Cause};

macro_rules! codes {
    ($($name:ident = $word:literal, $status:literal, $title:literal;)*) => {
        /// The stable word of a problem.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Code { $($name),* }

        impl Code {
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }

            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status),* }
            }

            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }
        }
    };
}

codes! {
    Malformed = "malformed", 400, "No HTTP request";
    NotJson = "not_json", 400, "Not JSON";
    BrokenBody = "broken_body", 400, "The body broke off";
    Unauthorized = "unauthorized", 401, "No valid token";
    WrongOrigin = "wrong_origin", 403, "Foreign origin";
    OnlyInDev = "only_in_dev", 403, "Only for development";
    NotFound = "not_found", 404, "Not found";
    MethodNotAllowed = "method_not_allowed", 405, "Method not allowed";
    BodyTimeout = "body_timeout", 408, "The body took too long";
    HeadTimeout = "head_timeout", 408, "The request took too long";
    AlreadyEnded = "already_ended", 409, "Already ended";
    NotEnded = "not_ended", 409, "Not ended";
    InputDamaged = "input_damaged", 409, "Input damaged";
    OperationEnded = "operation_ended", 409, "Operation ended";
    NotWaiting = "not_waiting", 409, "Not waiting";
    NotClaimable = "not_claimable", 409, "Not free to be claimed";
    StaleLease = "stale_lease", 409, "Stale lease";
    ReportedOtherwise = "reported_otherwise", 409, "Reported otherwise";
    WorkerReplaced = "worker_replaced", 409, "Worker replaced";
    WorkerDraining = "worker_draining", 409, "Worker draining";
    WorkerIsInternal = "worker_is_internal", 409, "Name of an internal worker";
    WorkerIsExternal = "worker_is_external", 409, "Name of an external worker";
    WorkerOnline = "worker_online", 409, "Worker online";
    OthersUp = "others_up", 409, "Other servers are up";
    IdTaken = "id_taken", 409, "Id taken";
    TooLarge = "too_large", 413, "Too large";
    AddressTooLong = "address_too_long", 414, "Address too long";
    UnsupportedMediaType = "unsupported_media_type", 415, "Unsupported media type";
    WrongHost = "wrong_host", 421, "Foreign host";
    Invalid = "invalid", 422, "Invalid value";
    UnknownField = "unknown_field", 422, "Unknown field";
    IdempotencyKeyReused = "idempotency_key_reused", 422, "Idempotency key reused";
    TooManyLanes = "too_many_lanes", 422, "Too many lanes";
    TooManyQueues = "too_many_queues", 422, "Too many queues";
    TooManyWorkers = "too_many_workers", 422, "Too many workers";
    TooManyWrongTokens = "too_many_wrong_tokens", 429, "Too many wrong tokens";
    TooManyOperations = "too_many_operations", 429, "Too many operations";
    QueueFull = "queue_full", 429, "Too many requests wait";
    HeadTooLarge = "head_too_large", 431, "Head too large";
    Internal = "internal", 500, "Internal error";
    Unreadable = "unreadable", 500, "Cannot be read";
    Unavailable = "unavailable", 503, "Database not available";
    OutcomeUnknown = "outcome_unknown", 503, "Outcome unknown";
    ConnectionsFull = "connections_full", 503, "Too many connections at once";
    BodiesFull = "bodies_full", 503, "Too many bodies at once";
    AnswersFull = "answers_full", 503, "Too many answers at once";
    FollowsFull = "follows_full", 503, "Too many logs are followed";
    LogsUnavailable = "logs_unavailable", 503, "Logs not available";
    Stopping = "stopping", 503, "Stopping";
    DiskFull = "disk_full", 507, "Disk full";
}

/// When to come back, by how long such things last.
pub(crate) const SOON_MS: u64 = 1_000;
const DISK_MS: u64 = 10_000;

pub(crate) fn new(code: Code, detail: impl Into<String>) -> Box<Problem> {
    Box::new(Problem {
        kind: format!("/problems/{}", code.word()),
        title: code.title().to_owned(),
        status: code.status(),
        detail: Some(detail.into()),
        code: code.word().to_owned(),
        errors: Vec::new(),
        request_id: None,
        task_id: None,
        task_status: None,
        retry_after_ms: None,
    })
}

pub(crate) fn status(problem: &Problem) -> StatusCode {
    StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// One wrong part of the request, such as a header or a query parameter.
pub(crate) fn at(code: Code, place: &str, detail: impl Into<String>) -> Box<Problem> {
    let error = FieldError {
        pointer: place.to_owned(),
        detail: detail.into(),
    };
    let mut problem = new(code, error.to_string());
    problem.errors.push(error);
    problem
}

/// The engine's answer where it is no answer.
pub(crate) fn of(error: &Error) -> Box<Problem> {
    match error {
        Error::Refused(refused) => self::refused(refused),
        Error::Busy => later(Code::QueueFull, error.to_string(), SOON_MS),
        Error::Stopping => later(Code::Stopping, error.to_string(), SOON_MS),
        Error::Store(error) => unserved(error),
        Error::Logs(error) => without_logs(error),
    }
}

pub(crate) fn refused(refused: &Refused) -> Box<Problem> {
    let code = match refused {
        Refused::NoSuchTask | Refused::NoSuchWorker | Refused::NoSuchOperation => Code::NotFound,
        Refused::OperationEnded => Code::OperationEnded,
        Refused::AlreadyEnded(_) => Code::AlreadyEnded,
        Refused::NotEnded(_) => Code::NotEnded,
        Refused::Damaged(_) => Code::InputDamaged,
        Refused::StaleLease => Code::StaleLease,
        Refused::ReportedOtherwise => Code::ReportedOtherwise,
        Refused::NotWaiting => Code::NotWaiting,
        Refused::NotClaimable | Refused::WorkerUnfit(_) => Code::NotClaimable,
        Refused::Broken => Code::Internal,
        Refused::WorkerReplaced | Refused::WorkerKilled => Code::WorkerReplaced,
        Refused::WorkerDraining => Code::WorkerDraining,
        Refused::WorkerIsInternal => {
            return at(Code::WorkerIsInternal, "/worker_id", refused.to_string());
        }
        Refused::WorkerIsExternal => Code::WorkerIsExternal,
        Refused::WorkerIsOnline => Code::WorkerOnline,
        Refused::OthersUp { .. } => Code::OthersUp,
        Refused::IdTaken(_) => Code::IdTaken,
        Refused::IdNotRecent { .. } => Code::Invalid,
        Refused::KeyReused => Code::IdempotencyKeyReused,
        Refused::TooManyLanes(_) => Code::TooManyLanes,
        Refused::TooManyQueues(_) => Code::TooManyQueues,
        Refused::TooManyOperations(_) => Code::TooManyOperations,
        Refused::TooManyWorkers(_) => Code::TooManyWorkers,
    };
    let mut problem = new(code, refused.to_string());
    if code == Code::TooManyOperations {
        problem.retry_after_ms = Some(SOON_MS);
    }
    if let Refused::AlreadyEnded(status) | Refused::NotEnded(status) = refused {
        problem.task_status = Some((*status).into());
    }
    problem
}

/// What the store could not do. The cause may name paths and addresses, so it is for the log only; but what a row holds is
/// its reader's.
fn unserved(error: &store::Error) -> Box<Problem> {
    trouble::note(Cause::of(error, error.to_string()));
    match error {
        store::Error::Unavailable(_) | store::Error::Conflict => later(
            Code::Unavailable,
            "nothing was changed; try again in a moment",
            SOON_MS,
        ),
        store::Error::Unknown(_) => later(
            Code::OutcomeUnknown,
            "the request may have been done or not; repeat it with the same id, key or lease token",
            SOON_MS,
        ),
        store::Error::Full => later(Code::DiskFull, error.to_string(), DISK_MS),
        store::Error::Unreadable(what) => {
            let detail = format!(
                "what the database holds of it is damaged: {what}. Mend that by hand, or put a backup back; `taskyard db \
                 check` tells where else"
            );
            new(Code::Unreadable, detail)
        }
        store::Error::Failed(_) | store::Error::Damaged(_) => {
            new(Code::Internal, "the server's log tells more")
        }
    }
}

/// The same of what keeps the logs. Tasks go on without it.
fn without_logs(error: &store::Error) -> Box<Problem> {
    trouble::note(Cause::of(error, format!("logs: {error}")));
    match error {
        store::Error::Full => later(
            Code::DiskFull,
            "the disk that holds the logs is full",
            DISK_MS,
        ),
        store::Error::Unknown(_) => later(
            Code::OutcomeUnknown,
            "the lines may be stored or not; send them again with the same first_seq",
            SOON_MS,
        ),
        store::Error::Unavailable(_) | store::Error::Conflict => later(
            Code::LogsUnavailable,
            "logs can be neither written nor shown for now, which concerns no task; try again in a moment",
            SOON_MS,
        ),
        // Nothing that goes by itself, so nobody is told when to come back.
        store::Error::Failed(_) | store::Error::Unreadable(_) | store::Error::Damaged(_) => new(
            Code::LogsUnavailable,
            "logs can be neither written nor shown, which concerns no task; the server's log tells why",
        ),
    }
}

/// A bug of ours, met while answering.
pub(crate) fn broken(error: &dyn Display) -> Box<Problem> {
    trouble::note(Cause {
        error: error.to_string(),
        is_bug: true,
    });
    new(Code::Internal, "the server's log tells more")
}

pub(crate) fn later(code: Code, detail: impl Into<String>, retry_after_ms: u64) -> Box<Problem> {
    let mut problem = new(code, detail);
    problem.retry_after_ms = Some(retry_after_ms);
    problem
}

/// A body that could not be read.
pub(crate) fn unread(bad: &BadRequest) -> Box<Problem> {
    let code = match bad {
        BadRequest::NotJson(_) => Code::NotJson,
        BadRequest::UnknownField(_) => Code::UnknownField,
        BadRequest::Invalid(_) => Code::Invalid,
        BadRequest::TooMany(_) => Code::TooLarge,
    };
    let mut problem = new(code, bad.to_string());
    problem.errors.push(bad.field().clone());
    problem
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// `docs/problems.md`, as far as the code knows it: what and when stands beside it in words.
    #[test]
    fn the_table_of_problems_lists_every_code_with_its_status() {
        let table = include_str!("../../../docs/problems.md");
        let listed: String = table
            .lines()
            .filter(|line| line.starts_with("| `"))
            .filter_map(|line| {
                let mut cells = line.split('|').map(str::trim).skip(1);
                Some(format!("{} {}\n", cells.next()?, cells.next()?))
            })
            .collect();

        let known = Code::ALL.iter().fold(String::new(), |mut text, code| {
            writeln!(text, "`{}` {}", code.word(), code.status()).unwrap();
            text
        });

        assert_eq!(listed, known);
    }
}
