//! Older families of routes over the same verbs: an old request becomes the verb that we have for it, and what that
//! answers becomes an old answer. A folder each; paths that several of them have stand in [`shared`].
//!
//! There is no rule here, and nothing is remembered: what a dialect needs to know again is a field of the engine's rows.
//! Fields and parameters that nobody knows are passed over, as these families always did.

pub(crate) mod described;
pub(crate) mod shared;
pub(crate) mod simple;
mod status;
pub(crate) mod taskmaster;

use std::time::Duration;

use axum::response::Response;
use http::HeaderName;
use serde::Deserialize;
use serde_json::value::RawValue;
use taskyard_api::problem::Problem;
use taskyard_core::id::{Epoch, TaskId, WorkerNumber};
use taskyard_core::name::Name;
use taskyard_core::query::{List, Listed, Query, TaskView};
use taskyard_core::refused::Refused;
use taskyard_core::rows::{Digest, IdempotencyKey};
use taskyard_core::verbs::register::Register;
use taskyard_core::verbs::submit::{NewTask, Submit};
use taskyard_core::worker::Profile;

use crate::app::App;
use crate::problem::{self, Code};
use crate::query::Params;
use crate::response::{self, Refusal};
use crate::trouble;

/// How many tasks a list shows, and behind how many of the newest it begins.
fn page_of(app: &App, query: Option<&str>, default: usize) -> Result<[usize; 2], Box<Problem>> {
    let params = Params::of_known(query, &["limit", "offset"])?;
    let number = |name: &str, min: u64, max: usize, default: usize| {
        let [max, default] = [max, default].map(|number| u64::try_from(number).unwrap_or(u64::MAX));
        let number = params.number(name, min, max, default);
        number.map(|number| usize::try_from(number).unwrap_or(usize::MAX))
    };
    let limit = number("limit", 1, LIMIT_MAX, default)?;
    Ok([limit, number("offset", 0, app.limits().offset_max, 0)?])
}

/// What stands there, be it null: none is for what is left out.
fn there<'de: 'a, 'a, D: serde::Deserializer<'de>>(
    reader: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(reader).map(Some)
}

/// Stores the task, and answers it as it is read then; sent again with the same key, the one that was stored before.
async fn submitted(
    app: &App,
    task: NewTask,
    once: Option<(IdempotencyKey, Digest)>,
) -> Result<TaskView, Refusal> {
    let submit = Submit {
        tasks: vec![task],
        once,
        again: false,
    };
    let stored = app.engine().submit(submit).await?;
    look(app, stored.ids[0]).await
}

async fn look(app: &App, id: TaskId) -> Result<TaskView, Refusal> {
    Ok(app.engine().task(id, Duration::ZERO).await?)
}

/// How many tasks, or workers, a list shows at most.
const LIMIT_MAX: usize = 1_000;

/// The list with payloads that goes on behind so many of the newest tasks; none where there are no more. It takes a turn for
/// each page that it passes, so that others get theirs in between.
async fn behind(app: &App, offset: usize) -> Result<Option<List>, Refusal> {
    let mut list = List {
        look_at_max: app.limits().list_look_at_max,
        ..List::default()
    };
    let mut left = offset;
    while left > 0 {
        list.limit = left.min(LIMIT_MAX);
        let _turn = app.turn_to_list().await;
        let passed = page(app, list.clone()).await?;
        left -= passed.items.len();
        list.after = passed.next;
        if passed.next.is_none() {
            return Ok(None);
        }
    }
    list.payload = true;
    Ok(Some(list))
}

/// One page, and where the next one begins.
async fn page(app: &App, list: List) -> Result<Listed, Refusal> {
    Ok(app.engine().read(Query::Tasks(list)).await?.tasks())
}

/// So many tasks that cannot be read are named beside a list; the log names them all.
const LEFT_OUT_MAX: usize = 20;

/// The answer that shows a list, beside which stand the tasks that it came by and that cannot be read: these lists have no
/// place for them.
fn without(left_out: &[TaskId], answer: Response) -> Response {
    if left_out.is_empty() {
        return answer;
    }
    trouble::log_left_out(left_out);
    let named = left_out.iter().take(LEFT_OUT_MAX).map(TaskId::to_string);
    let named = named.collect::<Vec<_>>().join(", ");
    response::with(answer, UNREADABLE, &named)
}

const UNREADABLE: HeaderName = HeaderName::from_static("x-unreadable");

/// Who calls by a name, which is all that there is to show for it.
struct Caller {
    name: Name,
    number: WorkerNumber,
    epoch: Epoch,
}

impl Caller {
    /// A worker that is there. Not one inside of a server: these call without HTTP, so it would be somebody else. Nor one
    /// that was killed, which is told so, or its process would go on as if it were new.
    async fn known(app: &App, name: Name) -> Result<Option<Self>, Refusal> {
        let query = Query::Worker(name.clone());
        let row = app.engine().read(query).await?.worker();
        let Some(row) = row.filter(|row| !row.is_forgotten) else {
            return Ok(None);
        };
        if row.server.is_some() {
            return Err(problem::refused(&Refused::WorkerIsInternal).into());
        }
        if row.is_killed {
            return Err(problem::refused(&Refused::WorkerKilled).into());
        }
        Ok(Some(Self {
            name,
            number: row.number,
            epoch: row.epoch,
        }))
    }

    /// The same; one that nobody knows is known from here on, as one that takes what it names: nothing says which kinds it
    /// would run, and it asks for none.
    async fn met(app: &App, name: Name) -> Result<Self, Refusal> {
        if let Some(known) = Self::known(app, name.clone()).await? {
            return Ok(known);
        }
        let fits = app.settings().worker_ids.check(&name);
        fits.map_err(|why| problem::at(Code::Invalid, "/worker_id", why))?;
        let register = Register {
            name: name.clone(),
            server: None,
            profile: std::sync::Arc::new(Profile::by_name()),
            capacity: 1,
            if_new: true,
        };
        let registered = app.engine().register(register).await?;
        Ok(Self {
            name,
            number: registered.number,
            epoch: registered.epoch,
        })
    }
}

/// The name that stands in this place.
fn worker_name(worker_id: &str) -> Result<Name, Box<Problem>> {
    Name::plain(worker_id).map_err(|why| problem::at(Code::Invalid, "/worker_id", why.to_string()))
}
