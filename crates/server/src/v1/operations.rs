//! `/operations`: how far the acts are that were begun on all tasks of a filter, and stopping them.

use axum::extract::{RawQuery, Request, State};
use serde_json::{Value, json};
use taskyard_api::operation::Operation;
use taskyard_api::page::Page;
use taskyard_core::query::Query;

use crate::app::App;
use crate::openapi::OPERATIONS;
use crate::openapi::operation::Routes;
use crate::openapi::shapes::TASK_ID;
use crate::problem::Code;
use crate::query;
use crate::request::{self, OfOperation};
use crate::response::{self, Answer};
use crate::wire;

/// `GET /operations`
pub(crate) async fn list(State(app): State<App>, RawQuery(query): RawQuery) -> Answer {
    let of = app.engine().store().incarnation();
    let (limit, after) = wire::list::operations(query.as_deref(), &of)?;
    let _turn = app.turn_to_list().await;
    // One more tells whether there is a next page.
    let query = Query::Operations {
        after,
        limit: limit + 1,
    };
    let mut found = app.engine().read(query).await?.operations();
    let has_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| has_more);
    let page = Page {
        items: found.iter().map(wire::operation::operation).collect(),
        next_cursor: last.map(|row| wire::list::operations_cursor(row.id, &of)),
    };
    response::read(app.answers().nothing(), &page)
}

/// `GET /operations/{id}`
pub(crate) async fn show(
    State(app): State<App>,
    OfOperation(id): OfOperation,
    RawQuery(query): RawQuery,
) -> Answer {
    query::none(query.as_deref())?;
    let operation = app.engine().operation(id).await?;
    response::ok(&wire::operation::operation(&operation))
}

/// `POST /operations/{id}/cancel`
pub(crate) async fn cancel(
    State(app): State<App>,
    OfOperation(id): OfOperation,
    request: Request,
) -> Answer {
    request::nothing(&app, request).await?;
    let operation = app.engine().cancel_operation(id).await?;
    response::ok(&wire::operation::operation(&operation))
}

pub(crate) fn describe(routes: &mut Routes<'_>) {
    routes.under("/api/v1", OPERATIONS);
    routes
        .get("/operations", "list_operations")
        .says(
            "List operations",
            "Newest first: those under way, and those that ended within `--operation-life` (24 h).",
        )
        .takes_parameter("limit")
        .takes_parameter("cursor")
        .answers_page_of::<Operation>(
            "A page of operations.",
            &json!({"items": [], "next_cursor": null}),
        )
        .refuses(&[Code::Invalid]);
    routes
        .get("/operations/{id}", "show_operation")
        .says(
            "Look at an operation",
            "How many tasks it has found, acted on and skipped so far. It is worked off newest task first, in pieces of 500.",
        )
        .of_operation()
        .answers::<Operation>(200, "The operation as it stands.", &example("running"));
    routes
        .post("/operations/{id}/cancel", "cancel_operation")
        .says("Stop an operation", "Where it is; what it did stays.")
        .of_operation()
        .takes_nothing()
        .answers::<Operation>(200, "It goes no further.", &example("cancelled"))
        .refuses(&[Code::OperationEnded]);
}

pub(crate) fn example(status: &str) -> Value {
    let ended_at = (status != "running").then_some("2026-01-31T12:00:02.000Z");
    json!({
        "id": TASK_ID, "act": "cancel", "status": status, "filter": {"status": ["pending"], "kind": "resize"},
        "matched": 1500, "done": 1499, "skipped": 1, "created_at": "2026-01-31T12:00:00.000Z", "ended_at": ended_at,
    })
}
