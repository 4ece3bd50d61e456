//! The query of a list of tasks, and cursors, each of which is good for the list that it came with only.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use taskyard_api::problem::Problem;
use taskyard_core::id::TaskId;
use taskyard_core::name::Name;
use taskyard_core::query::{Filter, List};
use taskyard_core::rows::Digest;
use taskyard_core::status::Status;
use uuid::Uuid;

use crate::problem::{self, Code};
use crate::query::Params;

pub(crate) const LIMIT_DEFAULT: u64 = 50;
pub(crate) const LIMIT_MAX: u64 = 1000;
/// How many labels one filter may name.
const LABELS_MAX: usize = taskyard_core::labels::LABELS_MAX;
/// Bytes of the filter's digest in a cursor.
const BOUND: usize = 8;
/// What stands for the filter in a cursor of the list of workers, which has none.
const WORKERS: &str = "workers";

const KNOWN: &[&str] = &[
    "status", "kind", "queue", "label", "sort", "include", "limit", "cursor",
];

pub(crate) fn read(query: Option<&str>, look_at_max: usize) -> Result<List, Box<Problem>> {
    let params = Params::read(query, KNOWN, &["label"])?;
    let invalid = |name: &str, detail: String| problem::at(Code::Invalid, name, detail);
    let named = |name: &str| {
        params
            .get(name)
            .map(Name::path)
            .transpose()
            .map_err(|bad| invalid(name, bad.to_string()))
    };
    let filter = Filter {
        statuses: statuses(&params)?,
        kind: named("kind")?,
        queue: named("queue")?,
        labels: labels(&params)?,
    };
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
    let limit = params.number("limit", 1, LIMIT_MAX, LIMIT_DEFAULT)?;
    let mut list = List {
        filter,
        oldest_first,
        after: None,
        limit: usize::try_from(limit).unwrap_or(1),
        look_at_max,
        payload,
    };
    list.after = match params.get("cursor") {
        None => None,
        Some(cursor) => Some(after(cursor, &list).ok_or_else(|| {
            let detail = "not a cursor of this list; it goes with the filter and sort of its page";
            invalid("cursor", detail.to_owned())
        })?),
    };
    Ok(list)
}

fn statuses(params: &Params<'_>) -> Result<Vec<Status>, Box<Problem>> {
    let words = params
        .get("status")
        .into_iter()
        .flat_map(|text| text.split(','));
    let mut statuses = words
        .map(str::parse)
        .collect::<Result<Vec<Status>, _>>()
        .map_err(|bad| problem::at(Code::Invalid, "status", format!("each {bad}")))?;
    statuses.sort_unstable();
    statuses.dedup();
    Ok(statuses)
}

fn labels(params: &Params<'_>) -> Result<Vec<(Name, Arc<str>)>, Box<Problem>> {
    let invalid = |detail: &str| problem::at(Code::Invalid, "label", detail);
    let mut labels = Vec::new();
    // One in each: a comma belongs to the value.
    for pair in params.all("label") {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| invalid("must be name=value, one in each `label`"))?;
        let name = Name::plain(name).map_err(|bad| invalid(&format!("the name {bad}")))?;
        labels.push((name, Arc::from(value)));
        if labels.len() > LABELS_MAX {
            return Err(invalid(&format!("at most {LABELS_MAX} of them")));
        }
    }
    labels.sort_unstable();
    Ok(labels)
}

/// Where the page behind this one begins.
pub(crate) fn cursor(next: TaskId, list: &List) -> String {
    let mut bytes = next.as_bytes().to_vec();
    bytes.extend(bound(list));
    URL_SAFE_NO_PAD.encode(bytes)
}

fn after(cursor: &str, list: &List) -> Option<TaskId> {
    let bytes: [u8; 16 + BOUND] = URL_SAFE_NO_PAD.decode(cursor).ok()?.try_into().ok()?;
    let (id, rest) = bytes.split_first_chunk::<16>()?;
    if *rest != bound(list) {
        return None;
    }
    Uuid::from_bytes(*id).try_into().ok()
}

/// Where the page of workers behind the one that ends with this name begins.
pub(crate) fn workers_cursor(last: &Name) -> String {
    let mut bytes = bound_to(WORKERS).to_vec();
    bytes.extend(last.as_str().as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The name behind which the page begins.
pub(crate) fn workers_after(cursor: &str) -> Result<Name, Box<Problem>> {
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let name = bytes.strip_prefix(&bound_to(WORKERS))?;
        Name::plain(str::from_utf8(name).ok()?).ok()
    };
    let detail = "not a cursor of this list; begin again without one";
    read().ok_or_else(|| problem::at(Code::Invalid, "cursor", detail))
}

/// What a cursor is bound to. How many there are on a page, and with what, may change from page to page.
fn bound(list: &List) -> [u8; BOUND] {
    bound_to(&format!("{:?} {}", list.filter, list.oldest_first))
}

fn bound_to(text: &str) -> [u8; BOUND] {
    let mut bound = [0; BOUND];
    bound.copy_from_slice(&Digest::of(text.as_bytes()).0[..BOUND]);
    bound
}
