//! `POST /tasks` and `POST /tasks/batch`.

mod lines;
mod older;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use http::{HeaderMap, StatusCode, header};
use serde_json::value::RawValue;
use taskyard_api::problem::{FieldError, Problem};
use taskyard_api::submit::{Submit, Submitted, SubmittedBatch};
use taskyard_core::id::TaskId;
use taskyard_core::refused::Refused;
use taskyard_core::rows::{Digest, IdempotencyKey};
use taskyard_core::store;
use taskyard_core::verbs::submit::{self, Made, NewTask};
use taskyard_engine::error::Error;

use crate::app::App;
use crate::problem::{self, Code};
use crate::query;
use crate::request::{self, JSON, NDJSON, OfTask};
use crate::response::{self, Answer};
use crate::wire::faults::{Faults, Place};
use crate::wire::new_task::new_task;

const KEY_HEADER: &str = "idempotency-key";
pub(crate) const KEY_LEN_MAX: usize = 255;

/// `POST /tasks`
pub(crate) async fn one(State(app): State<App>, request: Request) -> Answer {
    query::none(request.uri().query())?;
    let key = key(&app, request.headers(), "POST /api/v1/tasks")?;
    let body = request::json(&app, request, app.limits().submit_body()).await?;
    let task = read(&app, &body)?;
    let ids = [task.id];
    let stored = app
        .engine()
        .submit(submit::Submit {
            tasks: vec![task],
            once: key.map(|key| (key, Digest::of(&body))),
            again: false,
        })
        .await
        .map_err(|error| refused(&error, &ids, |_| Place::ROOT).0)?;
    submitted(&app, &stored).await
}

/// One task in our form, or in the older one.
fn read(app: &App, body: &[u8]) -> Result<NewTask, Box<Problem>> {
    let mut faults = Faults::default();
    let task = match request::parse::<Submit<&RawValue>>(app, body) {
        Ok(submitted) => new_task(app, &submitted, Place::ROOT, &mut faults),
        // Looked at only here, so that our own form pays nothing for it.
        Err(refused) => match older::read(app, body)? {
            Some(older) => older::new_task(app, &older, &mut faults)?,
            None => return Err(refused),
        },
    };
    faults.check()?;
    Ok(task.expect("a task that is not made has its fault named"))
}

/// `POST /tasks/{id}/retry`: what has ended once more, as another task.
pub(crate) async fn again(State(app): State<App>, OfTask(of): OfTask, request: Request) -> Answer {
    query::none(request.uri().query())?;
    let route = format!("POST /api/v1/tasks/{of}/retry");
    let key = key(&app, request.headers(), &route)?;
    request::empty(&app, request).await?;
    // That there may be an empty object or nothing makes no difference.
    let once = key.map(|key| (key, Digest::of(b"")));
    let tasks = match app.engine().task(of, Duration::ZERO).await {
        Ok(view) => {
            vec![NewTask::again(&view, app.engine().new_task()).map_err(Error::Refused)?]
        }
        // An earlier sending may have come while it was there.
        Err(Error::Refused(Refused::NoSuchTask)) if once.is_some() => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let stored = app.engine().submit(submit::Submit {
        tasks,
        once,
        again: false,
    });
    let stored = stored.await?;
    if stored.ids.is_empty() {
        return Err(Error::Refused(Refused::NoSuchTask).into());
    }
    submitted(&app, &stored).await
}

async fn submitted(app: &App, stored: &submit::Submitted) -> Answer {
    let (id, made) = (stored.ids[0], stored.made[0]);
    let status = match made {
        Made::Now(status) => status,
        Made::Before | Made::ByAnother => app.engine().task(id, Duration::ZERO).await?.status(),
    };
    let status = status.into();
    let answer = Submitted { id, status };
    let answer = match made {
        Made::ByAnother => response::ok(&answer)?,
        Made::Now(_) | Made::Before => response::created(&answer)?,
    };
    let location = format!("/api/v1/tasks/{id}");
    Ok(response::with(answer, header::LOCATION, &location))
}

/// `POST /tasks/batch`: an array, or lines.
pub(crate) async fn batch(State(app): State<App>, request: Request) -> Answer {
    query::none(request.uri().query())?;
    let key = key(&app, request.headers(), "POST /api/v1/tasks/batch")?;
    if request::is_of(request.headers(), NDJSON) {
        let ids = lines::store(&app, request.into_body(), key).await?;
        return response::done(&app, StatusCode::CREATED, &SubmittedBatch { ids });
    }
    if !request::is_of(request.headers(), JSON) {
        let wanted = format!("{} for an array, or {} for lines", JSON[0], NDJSON[0]);
        return Err(request::unsupported(&wanted).into());
    }
    let body = request::json(&app, request, app.limits().bulk_max).await?;
    let tasks = array(&app, &body)?;
    let ids: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
    let stored = app
        .engine()
        .submit(submit::Submit {
            tasks,
            once: key.map(|key| (key, Digest::of(&body))),
            again: false,
        })
        .await
        .map_err(|error| refused(&error, &ids, |index| Place::element("", index)).0)?;
    let ids = stored.ids.to_vec();
    response::done(&app, StatusCode::CREATED, &SubmittedBatch { ids })
}

fn array(app: &App, body: &[u8]) -> Result<Vec<NewTask>, Box<Problem>> {
    let submitted: Vec<Submit<&RawValue>> = request::parse(app, body).map_err(with_a_way_out)?;
    if submitted.is_empty() {
        return Err(nothing());
    }
    let max = app.limits().tasks_max;
    if submitted.len() > max {
        let detail = format!(
            "the batch holds {} tasks, at most {max} are taken; send lines of NDJSON for more",
            submitted.len()
        );
        return Err(problem::new(Code::TooLarge, detail));
    }
    let mut faults = Faults::default();
    let tasks = submitted
        .iter()
        .enumerate()
        .filter_map(|(index, task)| new_task(app, task, Place::element("", index), &mut faults))
        .collect();
    faults.check()?;
    Ok(tasks)
}

/// Lines may go on where an array must end.
fn with_a_way_out(mut problem: Box<Problem>) -> Box<Problem> {
    if problem.code == Code::TooLarge.word() {
        let detail = problem.detail.take().unwrap_or_default();
        problem.detail = Some(format!("{detail}; send lines of NDJSON for more"));
    }
    problem
}

fn nothing() -> Box<Problem> {
    problem::new(Code::Invalid, "the batch holds no task")
}

/// The caller's key for this request, within its own scope.
pub(crate) fn key(
    app: &App,
    headers: &HeaderMap,
    route: &str,
) -> Result<Option<IdempotencyKey>, Box<Problem>> {
    let mut values = headers.get_all(KEY_HEADER).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let is_visible = |byte: &u8| byte.is_ascii_graphic();
    let bytes = value.as_bytes();
    let fits = (1..=KEY_LEN_MAX).contains(&bytes.len()) && bytes.iter().all(is_visible);
    match value.to_str() {
        Ok(key) if fits && values.next().is_none() => Ok(Some(IdempotencyKey {
            scope: format!("{} {route}", app.scope_of_keys()).into(),
            key: Arc::from(key),
        })),
        _ => {
            let detail = format!("must be one key of 1 to {KEY_LEN_MAX} visible ASCII characters");
            Err(problem::at(Code::Invalid, "Idempotency-Key", detail))
        }
    }
}

/// A refusal that is about one task names its place, and is answered with its number.
fn refused(
    error: &Error,
    ids: &[TaskId],
    place: impl Fn(usize) -> Place,
) -> (Box<Problem>, Option<usize>) {
    let mut problem = problem::of(error);
    if let (Error::Store(store::Error::Unknown(_)), [id]) = (error, ids) {
        // Where it was made here, its task has no digest to be held against.
        problem.detail = Some(format!(
            "the task may have been stored or not; send it again as it was if it had an id or an Idempotency-Key, else with \
             \"id\": \"{id}\", where id_taken says that it was stored: it is stored once"
        ));
        problem.task_id = Some(*id);
    }
    let Error::Refused(refused @ (Refused::IdTaken(id) | Refused::IdNotRecent { id, .. })) = error
    else {
        return (problem, None);
    };
    // Of two alike the second one is at fault.
    let index = ids.iter().rposition(|other| other == id);
    let first = ids.iter().position(|other| other == id);
    if matches!(refused, Refused::IdTaken(_)) && first != index {
        let pointer = index.map(|index| place(index).pointer("id"));
        let detail = "this id stands twice in the request; each task needs one of its own";
        problem = problem::at(Code::Invalid, &pointer.unwrap_or_default(), detail);
        problem.task_id = Some(*id);
        return (problem, index);
    }
    problem.task_id = Some(*id);
    problem.errors.extend(index.map(|index| FieldError {
        pointer: place(index).pointer("id"),
        detail: error.to_string(),
    }));
    (problem, index)
}
