//! `/queues`: how much waits in them; pausing them, and what their tasks take that do not say themselves.

use axum::extract::{RawQuery, Request, State};
use serde_json::{Value, json};
use taskyard_api::page::Page;
use taskyard_api::queue::{PatchQueue, Queue, QueueSettings};
use taskyard_core::minute::MinuteKey;
use taskyard_core::name::Name;
use taskyard_core::query::{Query, QueueList};
use taskyard_core::verbs::set_queue::{QueueSet, SetQueue};

use crate::app::App;
use crate::openapi::QUEUES;
use crate::openapi::operation::Routes;
use crate::problem::Code;
use crate::request::{self, OfQueue};
use crate::response::{self, Answer};
use crate::wire;
use crate::wire::faults::Faults;
use crate::wire::list::queues_cursor;
use crate::wire::queue::{change, defaults, retention};

/// What a queue takes in a list, with the longest name and all that may be set of it.
const QUEUE_BYTES_MAX: usize = 2 << 10;

/// `GET /queues`: by name.
pub(crate) async fn list(State(app): State<App>, RawQuery(query): RawQuery) -> Answer {
    let of = app.engine().store().incarnation();
    let (limit, after) = wire::list::queues(query.as_deref(), &of)?;
    let _turn = app.turn_to_list().await;
    let mut held = app.answers().nothing();
    held.hold(limit * QUEUE_BYTES_MAX)?;
    let wanted = Query::QueuePage(QueueList {
        after,
        limit,
        look_at_max: app.limits().list_look_at_max,
    });
    let listed = app.engine().read(wanted).await?.queue_page();
    let now = app.engine().store().now();
    let from = MinuteKey::minute_of(now) - 1;
    let minutes = app.engine().read(Query::Minutes { from }).await?.minutes();
    let views = listed
        .items
        .iter()
        .map(|view| wire::queue::queue(view, now));
    let mut items: Vec<Queue> = views.collect();
    wire::stats::set_rates(&mut items, &minutes, now);
    let page = Page {
        items,
        next_cursor: listed.next.map(|next| queues_cursor(&next, &of)),
    };
    response::read(held, &page)
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
    let body = request::json_alone(&app, request, app.limits().plain_body()).await?;
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
        .takes_parameter("limit")
        .takes_parameter("cursor")
        .answers_page_of::<Queue>("A page of queues.", &json!({"items": [], "next_cursor": null}))
        .refuses(&[Code::Invalid]);
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
        .says("Resume a queue", "Workers that wait get its tasks at once.")
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
