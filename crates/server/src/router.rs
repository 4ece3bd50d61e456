//! Every route of the product, on one page.

use axum::Router;
use axum::middleware::from_fn;
use axum::response::IntoResponse;
use axum::routing::{get, patch, post};
use http::{Method, StatusCode};
use taskyard_api::problem::NO_SUCH_ROUTE;

use crate::app::App;
use crate::dialects::{shared, simple, taskmaster};
use crate::docs;
use crate::health;
use crate::metrics::{self, name_route};
use crate::page;
use crate::problem::{self, Code};
use crate::response::{Answer, Refusal};
use crate::v1::{operations, ops, queues, tasks, workers};

pub(crate) fn router(app: App) -> Router {
    let v1 = Router::new()
        // Those who hand in work, and look what became of it.
        .route("/tasks", get(tasks::list).post(tasks::submit::one))
        .route("/tasks/batch", post(tasks::submit::batch))
        .route("/tasks/stats", get(tasks::stats))
        .route("/tasks/cancel", post(tasks::bulk::cancel))
        .route("/tasks/retry", post(tasks::bulk::retry))
        .route("/tasks/{id}", get(tasks::show).patch(tasks::patch))
        .route("/tasks/{id}/cancel", post(tasks::cancel))
        .route("/tasks/{id}/retry", post(tasks::submit::again))
        .route("/tasks/{id}/attempts", get(tasks::attempts))
        .route("/tasks/{id}/explain", get(tasks::explain))
        .route("/operations", get(operations::list))
        .route("/operations/{id}", get(operations::show))
        .route("/operations/{id}/cancel", post(operations::cancel))
        // Workers, about one run.
        .route("/tasks/{id}/start", post(tasks::runs::start))
        .route("/tasks/{id}/progress", post(tasks::runs::progress))
        .route("/tasks/{id}/complete", post(tasks::runs::complete))
        .route("/tasks/{id}/fail", post(tasks::runs::fail))
        .route("/tasks/{id}/snooze", post(tasks::runs::snooze))
        .route("/tasks/{id}/release", post(tasks::runs::release))
        .route(
            "/tasks/{id}/logs",
            get(tasks::logs::show).post(tasks::logs::append),
        )
        // Workers, about themselves.
        .route("/workers", get(workers::routes::list))
        .route("/workers/register", post(workers::routes::register))
        .route("/workers/{id}/heartbeat", post(workers::routes::heartbeat))
        .route("/workers/{id}/claim", post(workers::routes::claim))
        .route("/workers/{id}/report", post(workers::routes::report))
        // Those who look after the workers.
        .route(
            "/workers/{id}",
            get(workers::routes::show).delete(workers::routes::delete),
        )
        .route("/workers/{id}/drain", post(workers::routes::drain))
        .route("/workers/{id}/kill", post(workers::routes::kill))
        .route("/workers/internal/status", get(workers::pool::status))
        .route("/workers/internal/scale", post(workers::pool::scale))
        .route("/workers/internal/start", post(workers::pool::start))
        .route("/workers/internal/stop", post(workers::pool::stop))
        // Those who look after the queues.
        .route("/queues", get(queues::list))
        .route("/queues/{name}", patch(queues::patch))
        .route("/queues/{name}/pause", post(queues::pause))
        .route("/queues/{name}/resume", post(queues::resume))
        // And after this server.
        .route("/ops/sweep", post(ops::sweep))
        .route("/ops/reset", post(ops::reset));

    let dialects = if app.settings().dialects {
        dialects()
    } else {
        Router::new()
    };
    Router::new()
        .nest("/api/v1", v1)
        // Probes.
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        // What the API is, for programs and, on two pages, for people.
        .route("/openapi.json", get(docs::description))
        .route("/docs", get(docs::swagger_ui))
        .route("/docs/", get(docs::to_swagger_ui))
        .route("/redoc", get(docs::redoc))
        .route("/redoc/", get(docs::to_redoc))
        .route("/docs/{file}", get(docs::file))
        // What the type of a problem leads to.
        .route("/problems/{code}", get(problem::page::show))
        // People.
        .route("/", get(page::show))
        .route("/ui/", get(page::show))
        .route("/ui", get(page::lead))
        // Whoever watches.
        .route("/metrics", get(metrics::show))
        .merge(dialects)
        .route_layer(from_fn(name_route))
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .with_state(app)
}

/// Those who speak as they did to the systems before this one.
fn dialects() -> Router<App> {
    Router::new()
        // simple; what several have is told apart by its fields.
        .route("/tasks", get(shared::list).post(shared::submit))
        .route("/tasks/{id}", get(simple::tasks::show))
        .route("/tasks/{id}/claim", post(simple::tasks::claim))
        .route("/tasks/{id}/complete", post(simple::tasks::complete))
        .route("/workers/{id}/heartbeat", post(simple::workers::heartbeat))
        .route("/workers/count", get(simple::workers::count))
        // taskmaster.
        .route("/api/schedule", post(taskmaster::tasks::schedule))
        .route("/api/status", get(taskmaster::tasks::status))
        .route("/api/tasks", get(taskmaster::tasks::list))
        .route("/api/workers", get(taskmaster::workers::list))
        .route("/api/workers/scale", post(taskmaster::workers::scale))
        .route("/api/workers/kill", post(taskmaster::workers::kill))
        .route("/api/stats", get(taskmaster::workers::stats))
}

async fn no_such_route() -> Refusal {
    problem::new(Code::NotFound, NO_SUCH_ROUTE).into()
}

/// The router adds the header `Allow`.
async fn no_such_method(method: Method) -> Answer {
    if method == Method::OPTIONS {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let detail = format!("this route does not take {method}; see the header Allow");
    Err(problem::new(Code::MethodNotAllowed, detail).into())
}
