//! `/queues`: how much waits in them; pausing them, and what their tasks take that do not say themselves.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, Request, State};
use serde_json::{Value, json};
use taskyard_api::page::Page;
use taskyard_api::queue::{Defaults, PatchQueue, Queue, QueueSettings};
use taskyard_api::stats::Counts;
use taskyard_core::minute::MinuteKey;
use taskyard_core::name::Name;
use taskyard_core::query::{Answer as Found, LIST_BYTES_MAX, Query, Survey};
use taskyard_core::queue;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::set_queue::{QueueSet, SetQueue};

use crate::app::App;
use crate::openapi::QUEUES;
use crate::openapi::operation::Routes;
use crate::problem::{self, Code};
use crate::query;
use crate::request::{self, OfQueue};
use crate::response::{self, Answer};
use crate::wire;
use crate::wire::faults::Faults;
use crate::wire::queue::{change, defaults, retention};

/// `GET /queues`
pub(crate) async fn list(State(app): State<App>, RawQuery(query): RawQuery) -> Answer {
    query::none(query.as_deref())?;
    let _turn = app.turn_to_list().await;
    let mut held = app.answers().nothing();
    // How many there are is known when they are read; as many as may be open by default have room in this.
    held.hold(LIST_BYTES_MAX)?;
    let (now, lanes) = (
        app.engine().store().now(),
        app.engine().policy().lanes_max.saturating_mul(2),
    );
    let Found::Survey(survey) = app.engine().read(Query::Survey { now, lanes }).await? else {
        return Err(problem::broken(&"a survey was answered with something else").into());
    };
    let Found::Queues(set) = app.engine().read(Query::Queues).await? else {
        return Err(problem::broken(&"queues were answered with something else").into());
    };
    let from = MinuteKey::minute_of(now) - 1;
    let Found::Minutes(minutes) = app.engine().read(Query::Minutes { from }).await? else {
        return Err(problem::broken(&"minutes were answered with something else").into());
    };
    let mut items = queues(&survey, &set, now);
    wire::stats::set_rates(&mut items, &minutes, now);
    let page = Page {
        items,
        next_cursor: None,
    };
    response::read(held, &page)
}

/// By name: those that have or had tasks, and those of which something was set.
fn queues(survey: &Survey, set: &[queue::Queue], now: Timestamp) -> Vec<Queue> {
    let mut found: BTreeMap<Name, Queue> = BTreeMap::new();
    let empty = |name: &Name| Queue {
        name: name.to_string(),
        paused: false,
        counts: Counts::default(),
        oldest_ms: None,
        rates: None,
        defaults: Defaults::default(),
        retention: None,
    };
    for queue in set {
        let known = found.entry(queue.name.clone());
        let known = known.or_insert_with(|| empty(&queue.name));
        known.paused = queue.is_paused;
        known.defaults = defaults(&queue.defaults);
        known.retention = queue.retention.as_ref().map(retention);
    }
    for counted in &survey.counts {
        let name = &counted.lane.queue;
        let queue = found.entry(name.clone()).or_insert_with(|| empty(name));
        for (status, tasks) in counted.tasks.iter() {
            // Counts are summed over servers, whose parts may be below zero; the sum never is for long.
            let tasks = u64::try_from(tasks).unwrap_or_default();
            queue.counts.add(status.into(), tasks);
        }
    }
    for (name, since) in &survey.waiting {
        let queue = found.entry(name.clone()).or_insert_with(|| empty(name));
        let age = u64::try_from(now.since(*since).as_millis()).unwrap_or(u64::MAX);
        queue.oldest_ms = queue.oldest_ms.max(Some(age));
    }
    found.into_values().collect()
}

/// `POST /queues/{name}/pause`
pub(crate) async fn pause(
    State(app): State<App>,
    OfQueue(name): OfQueue,
    request: Request,
) -> Answer {
    set_paused(app, name, request, true).await
}

/// `POST /queues/{name}/resume`
pub(crate) async fn resume(
    State(app): State<App>,
    OfQueue(name): OfQueue,
    request: Request,
) -> Answer {
    set_paused(app, name, request, false).await
}

async fn set_paused(app: App, queue: Name, request: Request, paused: bool) -> Answer {
    request::nothing(&app, request).await?;
    let change = SetQueue {
        paused: Some(paused),
        ..SetQueue::of(queue)
    };
    set(&app, change).await
}

/// `PATCH /queues/{name}`
pub(crate) async fn patch(
    State(app): State<App>,
    OfQueue(name): OfQueue,
    request: Request,
) -> Answer {
    query::none(request.uri().query())?;
    let body = request::json(&app, request, app.limits().plain_body()).await?;
    let asked: PatchQueue = request::parse(&app, &body)?;
    let mut faults = Faults::default();
    let change = change(name, &asked, &mut faults);
    faults.check()?;
    set(&app, change).await
}

async fn set(app: &App, change: SetQueue) -> Answer {
    let QueueSet(queue) = app.engine().set_queue(change).await?;
    response::ok(&QueueSettings {
        name: queue.name.to_string(),
        paused: queue.is_paused,
        defaults: defaults(&queue.defaults),
        retention: queue.retention.as_ref().map(retention),
    })
}

pub(crate) fn describe(routes: &mut Routes<'_>) {
    routes.under("/api/v1", QUEUES);
    routes
        .get("/queues", "list_queues")
        .says(
            "List queues",
            "By name: those that have or had tasks, and those of which something was set; with what waits, for how long, \
             and how fast tasks come and go.",
        )
        .answers_page_of::<Queue>("All of them.", &json!({"items": [], "next_cursor": null}));
    routes
        .post("/queues/{name}/pause", "pause_queue")
        .says(
            "Pause a queue",
            "Nothing of it is given to workers from now on; what they have goes on. Tasks are still taken.",
        )
        .of_queue()
        .takes_nothing()
        .answers::<QueueSettings>(200, "It is paused.", &settings(true))
        .refuses(&[Code::TooManyQueues]);
    routes
        .post("/queues/{name}/resume", "resume_queue")
        .says(
            "Let a paused queue go on",
            "Workers that wait get its tasks at once.",
        )
        .of_queue()
        .takes_nothing()
        .answers::<QueueSettings>(200, "It goes on.", &settings(false))
        .refuses(&[Code::TooManyQueues]);
    routes
        .patch("/queues/{name}", "change_queue")
        .says(
            "Change what a queue's tasks take, and how long they are kept",
            "Those that are submitted from now on and do not say themselves; `retention` is for those too that ended \
             before. What is not named stays as it is; null is what the server says. Another server of the same database may take up to a second to know.",
        )
        .of_queue()
        .takes::<PatchQueue>(&[
            ("once", json!({"max_attempts": 1, "timeout_ms": 60_000})),
            ("short", json!({"retention": {"completed_ms": 604_800_000}})),
            ("back", json!({"max_attempts": null, "timeout_ms": null})),
        ])
        .answers::<QueueSettings>(200, "As it is now.", &settings(false))
        .refuses(&[Code::TooManyQueues]);
}

fn settings(paused: bool) -> Value {
    json!({
        "name": "default", "paused": paused,
        "defaults": {"max_attempts": 1, "timeout_ms": 60_000, "retry": null}, "retention": null,
    })
}
