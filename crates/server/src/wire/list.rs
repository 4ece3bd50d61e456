//! The query of a list of tasks, and cursors, each of which is good only for the list that it came with, of the database
//! that it came from: emptied or put back, that is another one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use taskyard_api::operation::TasksFilter;
use taskyard_api::problem::Problem;
use taskyard_api::task;
use taskyard_api::time::Time;
use taskyard_core::filter::Filter;
use taskyard_core::id::{OperationId, TaskId};
use taskyard_core::name::{BadName, Name};
use taskyard_core::query::List;
use taskyard_core::rows::Digest;
use taskyard_core::status::Status;
use uuid::Uuid;

use crate::problem::{self, Code};
use crate::query::Params;

pub(crate) const LIMIT_DEFAULT: u64 = 50;
pub(crate) const LIMIT_MAX: u64 = 1000;
/// Bytes of the filter's digest in a cursor.
const BOUND: usize = 8;
/// What stands for the filter in a cursor of the list of workers, which has none.
const WORKERS: &str = "workers";
/// The same of the list of queues.
const QUEUES: &str = "queues";
/// The same of the list of operations.
const OPERATIONS: &str = "operations";
/// Tells databases apart; see [`taskyard_core::store::Store::incarnation`].
type Incarnation = [u8; 16];

const KNOWN: &[&str] = &[
    "status",
    "kind",
    "queue",
    "worker_id",
    "label",
    "q",
    "created_after",
    "created_before",
    "sort",
    "include",
    "limit",
    "cursor",
];

pub(crate) fn read(
    query: Option<&str>,
    look_at_max: usize,
    of: &Incarnation,
) -> Result<List, Box<Problem>> {
    let params = Params::read(query, KNOWN, &["label"])?;
    let invalid = |name: &str, detail: String| problem::at(Code::Invalid, name, detail);
    let filter = filter(&params)?;
    let oldest_first = match params.get("sort") {
        None | Some("-created") => false,
        Some("created") => true,
        Some(_) => return Err(invalid("sort", "must be created or -created".to_owned())),
    };
    let payload = match params.get("include") {
        None => false,
        Some("payload") => true,
        Some(_) => return Err(invalid("include", "must be payload".to_owned())),
    };
    let limit = limit(&params)?;
    let mut list = List {
        filter,
        oldest_first,
        after: None,
        limit,
        look_at_max,
        payload,
    };
    list.after = match params.get("cursor") {
        None => None,
        Some(cursor) => Some(after(cursor, &list, of).ok_or_else(|| {
            let detail = "not a cursor of this list; it goes with the filter and sort of its page";
            invalid("cursor", detail.to_owned())
        })?),
    };
    Ok(list)
}

fn filter(params: &Params<'_>) -> Result<Filter, Box<Problem>> {
    let text = |name: &str| params.get(name).map(str::to_owned);
    let time = |name: &str| {
        let Some(text) = params.get(name) else {
            return Ok(None);
        };
        text.parse::<Time>().map(Some).map_err(|bad| {
            let had_plus = text.replace(' ', "+").parse::<Time>().is_ok();
            let hint = "; in a query + stands for a space: write it %2B";
            let hint = if had_plus { hint } else { "" };
            problem::at(Code::Invalid, name, format!("{bad}{hint}"))
        })
    };
    let asked = TasksFilter {
        status: statuses(params)?,
        kind: text("kind"),
        queue: text("queue"),
        worker_id: text("worker_id"),
        label: params.all("label").map(str::to_owned).collect(),
        q: text("q"),
        created_after: time("created_after")?,
        created_before: time("created_before")?,
    };
    let mut first = None;
    let filter = super::filter::filter(&asked, |name, detail| {
        first.get_or_insert_with(|| problem::at(Code::Invalid, name, detail));
    });
    first.map_or(Ok(filter), Err)
}

fn statuses(params: &Params<'_>) -> Result<Vec<task::Status>, Box<Problem>> {
    let words = params
        .get("status")
        .into_iter()
        .flat_map(|text| text.split(','));
    words
        .map(|word| word.parse::<Status>().map(Into::into))
        .collect::<Result<_, _>>()
        .map_err(|bad| problem::at(Code::Invalid, "status", format!("each {bad}")))
}

/// Where the page behind this one begins.
pub(crate) fn cursor(next: TaskId, list: &List, of: &Incarnation) -> String {
    let mut bytes = next.as_bytes().to_vec();
    bytes.extend(bound(list, of));
    URL_SAFE_NO_PAD.encode(bytes)
}

fn after(cursor: &str, list: &List, of: &Incarnation) -> Option<TaskId> {
    let bytes: [u8; 16 + BOUND] = URL_SAFE_NO_PAD.decode(cursor).ok()?.try_into().ok()?;
    let (id, rest) = bytes.split_first_chunk::<16>()?;
    if *rest != bound(list, of) {
        return None;
    }
    Uuid::from_bytes(*id).try_into().ok()
}

/// What is asked of the list of workers: how many, and behind which of them.
pub(crate) fn workers(
    query: Option<&str>,
    of: &Incarnation,
) -> Result<(usize, Option<Name>), Box<Problem>> {
    page(query, WORKERS, of, |name| {
        Name::plain(str::from_utf8(name).ok()?).ok()
    })
}

/// Where the page of workers behind the one that ends with this name begins.
pub(crate) fn workers_cursor(last: &Name, of: &Incarnation) -> String {
    page_cursor(WORKERS, last.as_str().as_bytes(), of)
}

/// The same of queues. What is no name any more may have been one when tasks came with it.
pub(crate) fn queues(
    query: Option<&str>,
    of: &Incarnation,
) -> Result<(usize, Option<Name>), Box<Problem>> {
    page(query, QUEUES, of, |name| {
        let name = str::from_utf8(name).ok()?;
        match Name::path(name) {
            Err(BadName::Dots) => Some(Name::stored(name)),
            checked => checked.ok(),
        }
    })
}

pub(crate) fn queues_cursor(last: &Name, of: &Incarnation) -> String {
    page_cursor(QUEUES, last.as_str().as_bytes(), of)
}

/// The same of operations.
pub(crate) fn operations(
    query: Option<&str>,
    of: &Incarnation,
) -> Result<(usize, Option<OperationId>), Box<Problem>> {
    page(query, OPERATIONS, of, |id| {
        Uuid::from_slice(id).ok()?.try_into().ok()
    })
}

pub(crate) fn operations_cursor(last: OperationId, of: &Incarnation) -> String {
    page_cursor(OPERATIONS, last.as_bytes(), of)
}

fn page<T>(
    query: Option<&str>,
    list: &str,
    of: &Incarnation,
    row: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<(usize, Option<T>), Box<Problem>> {
    let params = Params::read(query, &["limit", "cursor"], &[])?;
    let limit = limit(&params)?;
    let Some(cursor) = params.get("cursor") else {
        return Ok((limit, None));
    };
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        row(bytes.strip_prefix(&bound_to(list, of))?)
    };
    let after = read().ok_or_else(|| {
        let detail = "not a cursor of this list; begin again without one";
        problem::at(Code::Invalid, "cursor", detail)
    })?;
    Ok((limit, Some(after)))
}

fn page_cursor(list: &str, row: &[u8], of: &Incarnation) -> String {
    URL_SAFE_NO_PAD.encode([bound_to(list, of).as_slice(), row].concat())
}

/// How many rows a page may have.
pub(crate) fn limit(params: &Params<'_>) -> Result<usize, Box<Problem>> {
    let limit = params.number("limit", 1, LIMIT_MAX, LIMIT_DEFAULT)?;
    Ok(usize::try_from(limit).unwrap_or(1))
}

/// What a cursor is bound to. How many there are on a page, and with what, may change from page to page.
fn bound(list: &List, of: &Incarnation) -> [u8; BOUND] {
    bound_to(&format!("{:?} {}", list.filter, list.oldest_first), of)
}

fn bound_to(text: &str, of: &Incarnation) -> [u8; BOUND] {
    let mut bound = [0; BOUND];
    bound.copy_from_slice(&Digest::of(&[text.as_bytes(), of].concat()).0[..BOUND]);
    bound
}
