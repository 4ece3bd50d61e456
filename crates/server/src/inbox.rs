//! Rows of inboxes, in which tasks stand that were submitted with transactions of somebody's own database. Each is read as
//! the body of a submit would be that says the same, by the same checks, and goes the same way. Whoever picks the rows is
//! told what becomes of each.

use std::collections::BTreeMap;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::Serialize;
use serde_json::value::RawValue;
use taskyard_api::problem::{FieldError, Problem};
use taskyard_api::submit::Submit;
use taskyard_core::refused::Refused;
use taskyard_core::store;
use taskyard_core::verbs::submit::{self, NewTask};
use taskyard_engine::error::Error;
use uuid::Uuid;

use crate::app::App;
use crate::metrics::Seconds;
use crate::problem::{self, Code};
use crate::request;
use crate::wire::faults::{Faults, Place};
use crate::wire::new_task::new_task;

/// The longest options of a row, in bytes: as much as the body of one task may hold around its input.
pub const OPTIONS_MAX: usize = 64 << 10;

/// How much is said of why a row is refused, in characters.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// Fields of a submit that a row has a column for.
const COLUMNS: [&str; 3] = ["id", "kind", "input"];

/// What somebody submitted. The id is the task's.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    pub id: Uuid,
    pub kind: &'a str,
    pub input: Text<'a>,
    /// What else may be said of a task: the other fields of the body of a submit.
    pub options: Text<'a>,
}

/// A JSON text of the row.
#[derive(Clone, Copy, Debug)]
pub enum Text<'a> {
    Whole(&'a str),
    /// It was not read, for it has so many bytes.
    TooLong(usize),
}

/// What becomes of a row.
#[derive(Debug)]
pub enum Fate {
    /// Its task is stored, or another one that has its unique key.
    Taken,
    /// It cannot be taken as it is. Why, as a JSON text for its column.
    Refused(String),
    /// Nothing can be taken for now, or nobody knows whether it was: it is to be submitted again.
    Later(Error),
    /// The database does not take this one, or none.
    Failed(Error),
}

/// What is kept of why a row was refused.
#[derive(Serialize)]
struct Reason<'a> {
    code: &'a str,
    message: &'a str,
}

/// Submits the task of a row. Done again it finds the task.
pub async fn submit(app: &App, row: &Row<'_>) -> Fate {
    let task = match read(app, row) {
        Ok(task) => task,
        Err(problem) => return Fate::Refused(reason(&problem)),
    };
    match app.engine().submit(submit::Submit::of(vec![task])).await {
        Ok(_) => Fate::Taken,
        Err(Error::Refused(refused)) => Fate::Refused(reason(&of_refusal(&refused))),
        Err(error @ Error::Store(store::Error::Failed(_))) => Fate::Failed(error),
        Err(error) => Fate::Later(error),
    }
}

/// That the database does not take a row where it takes others; the log tells why.
pub fn failed() -> String {
    let detail = "the server's database does not take it; the server's log tells more";
    reason(&problem::new(Code::Internal, detail))
}

fn of_refusal(refused: &Refused) -> Box<Problem> {
    match refused {
        Refused::IdNotRecent { .. } => problem::at(
            Code::Invalid,
            "/id",
            format!(
                "{refused}; once the clock of the inbox's database is right, and that time has come, it can be taken"
            ),
        ),
        refused => problem::refused(refused),
    }
}

fn read(app: &App, row: &Row<'_>) -> Result<NewTask, Box<Problem>> {
    let (input, options) = texts(app, row)?;
    let text = body(row, input, options)?;
    let submitted = request::parse::<Submit<&RawValue>>(app, text.as_bytes()).map_err(placed)?;
    let mut faults = Faults::default();
    let task = new_task(app, &submitted, Place::ROOT, &mut faults);
    faults.check().map_err(placed)?;
    let task = task.expect("a task that is not made has its fault named");
    Ok(NewTask {
        is_of_any_age: true,
        ..task
    })
}

fn texts<'a>(app: &App, row: &Row<'a>) -> Result<(&'a str, &'a str), Box<Problem>> {
    let mut faults = Faults::default();
    let mut text = |field, text, max| match text {
        Text::Whole(text) => text,
        Text::TooLong(bytes) => {
            faults.size(Place::ROOT, field, bytes, max);
            ""
        }
    };
    let input = text("input", row.input, app.limits().input_max);
    let options = text("options", row.options, OPTIONS_MAX);
    faults.check()?;
    Ok((input, options))
}

/// What a request would say. Its columns stand first, so that the options cannot take their places.
fn body(row: &Row<'_>, input: &str, options: &str) -> Result<String, Box<Problem>> {
    let wrong = |detail: String| problem::at(Code::Invalid, "/options", detail);
    let inner = options.trim().strip_prefix('{');
    let Some(inner) = inner.and_then(|text| text.strip_suffix('}')) else {
        return Err(wrong(
            "must be an object of further fields, such as {\"queue\": \"images\"}".to_owned(),
        ));
    };
    let said: BTreeMap<String, &RawValue> =
        serde_json::from_str(options).map_err(|error| wrong(error.to_string()))?;
    if let Some(column) = COLUMNS.iter().find(|name| said.contains_key(**name)) {
        let detail = "is said by the row's column of that name; leave it out of the options";
        let place = format!("/options/{column}");
        return Err(problem::at(Code::Invalid, &place, detail));
    }
    let kind = serde_json::to_string(row.kind).expect("a text can be written as JSON");
    let separator = if said.is_empty() { "" } else { "," };
    let id = row.id.hyphenated();
    Ok(format!(
        r#"{{"id":"{id}","kind":{kind},"input":{input}{separator}{inner}}}"#
    ))
}

/// Names the places of the row where those of a request's body are named.
fn placed(mut problem: Box<Problem>) -> Box<Problem> {
    for error in &mut problem.errors {
        let mut parts = error.pointer.split('/').skip(1);
        if !parts.next().is_some_and(|field| COLUMNS.contains(&field)) {
            error.pointer.insert_str(0, "/options");
        }
    }
    problem
}

fn reason(problem: &Problem) -> String {
    let message = if problem.errors.is_empty() {
        problem.detail.clone().unwrap_or_default()
    } else {
        let errors = problem.errors.iter().map(FieldError::to_string);
        errors.collect::<Vec<_>>().join("; ")
    };
    // PostgreSQL keeps no NUL in JSON.
    let message = message.replace('\0', "\u{fffd}");
    let message = match message.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    };
    let reason = Reason {
        code: &problem.code,
        message: &message,
    };
    serde_json::to_string(&reason).expect("texts can be written as JSON")
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfInbox {
    inbox: String,
}

/// What is counted of all inboxes.
#[derive(Default)]
pub(crate) struct Inboxes {
    taken: Family<OfInbox, Counter>,
    refused: Family<OfInbox, Counter>,
    oldest: Family<OfInbox, Seconds>,
    up: Family<OfInbox, Gauge>,
}

impl Inboxes {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "taskyard_inbox_taken",
            "Rows of an inbox that were taken over here",
            self.taken.clone(),
        );
        registry.register(
            "taskyard_inbox_refused",
            "Rows of an inbox that were refused here, and are kept there with their errors",
            self.refused.clone(),
        );
        registry.register(
            "taskyard_inbox_oldest_seconds",
            "How long the first row of an inbox had waited when this server looked last",
            self.oldest.clone(),
        );
        registry.register(
            "taskyard_inbox_up",
            "Whether rows could be taken from an inbox when this server tried last",
            self.up.clone(),
        );
    }

    fn of(&self, inbox: &str) -> Counted {
        let labels = OfInbox {
            inbox: inbox.to_owned(),
        };
        Counted {
            taken: self.taken.get_or_create_owned(&labels),
            refused: self.refused.get_or_create_owned(&labels),
            oldest: self.oldest.get_or_create_owned(&labels),
            up: self.up.get_or_create_owned(&labels),
        }
    }
}

/// What is counted of one inbox; shown by `/metrics` from then on.
#[derive(Clone)]
pub struct Counted {
    pub taken: Counter,
    pub refused: Counter,
    pub oldest: Seconds,
    pub up: Gauge,
}

/// Of the inbox of this name, which holds no password.
pub fn counted(app: &App, inbox: &str) -> Counted {
    app.metrics().inboxes.of(inbox)
}
