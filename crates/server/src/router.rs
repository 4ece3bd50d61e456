//! Every route of the product, on one page.
//!
//! Each stands here with its whole path: a router nested in another has each of its requests pass two services more.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get, patch, post};
use http::{Method, StatusCode};
use taskyard_api::problem::NO_SUCH_ROUTE;

use crate::app::App;
use crate::dialects::{shared, simple, taskmaster};
use crate::docs;
use crate::health;
use crate::metrics;
use crate::page;
use crate::problem::{self, Code};
use crate::response::{Answer, Refusal};
use crate::v1::{operations, ops, queues, tasks, workers};

/// The path of a route of ours.
macro_rules! v1 {
    ($path:literal) => {
        concat!("/api/v1", $path)
    };
}

/// The routes, and which of them a path is of, for what is counted by route.
struct Routes {
    router: Router<App>,
    patterns: Patterns,
}

/// Which route a path is of.
#[derive(Default)]
pub(crate) struct Patterns(matchit::Router<&'static str>);

impl Patterns {
    pub(crate) fn of(&self, path: &str) -> Option<&'static str> {
        self.0.at(path).ok().map(|found| *found.value)
    }
}

impl Routes {
    fn none() -> Self {
        Self {
            router: Router::new(),
            patterns: Patterns::default(),
        }
    }

    fn route(mut self, path: &'static str, methods: MethodRouter<App>) -> Self {
        self.patterns
            .0
            .insert(path, path)
            .expect("each route stands here once");
        Self {
            router: self.router.route(path, methods),
            ..self
        }
    }
}

pub(crate) fn router(app: App) -> (Router, Patterns) {
    let mut routes = beside_v1(of_v1(Routes::none()));
    if app.settings().dialects {
        routes = of_dialects(routes);
    }
    let Routes { router, patterns } = routes;
    let router = router
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .with_state(app);
    (router, patterns)
}

fn of_v1(routes: Routes) -> Routes {
    routes
        // Those who hand in work, and look what became of it.
        .route(v1!("/tasks"), get(tasks::list).post(tasks::submit::one))
        .route(v1!("/tasks/batch"), post(tasks::submit::batch))
        .route(v1!("/tasks/stats"), get(tasks::stats))
        .route(v1!("/tasks/cancel"), post(tasks::bulk::cancel))
        .route(v1!("/tasks/retry"), post(tasks::bulk::retry))
        .route(v1!("/tasks/{id}"), get(tasks::show).patch(tasks::patch))
        .route(v1!("/tasks/{id}/cancel"), post(tasks::cancel))
        .route(v1!("/tasks/{id}/retry"), post(tasks::submit::again))
        .route(v1!("/tasks/{id}/attempts"), get(tasks::attempts))
        .route(v1!("/tasks/{id}/explain"), get(tasks::explain))
        .route(v1!("/operations"), get(operations::list))
        .route(v1!("/operations/{id}"), get(operations::show))
        .route(v1!("/operations/{id}/cancel"), post(operations::cancel))
        // Workers, about one run.
        .route(v1!("/tasks/{id}/start"), post(tasks::runs::start))
        .route(v1!("/tasks/{id}/progress"), post(tasks::runs::progress))
        .route(v1!("/tasks/{id}/complete"), post(tasks::runs::complete))
        .route(v1!("/tasks/{id}/fail"), post(tasks::runs::fail))
        .route(v1!("/tasks/{id}/snooze"), post(tasks::runs::snooze))
        .route(v1!("/tasks/{id}/release"), post(tasks::runs::release))
        .route(
            v1!("/tasks/{id}/logs"),
            get(tasks::logs::show).post(tasks::logs::append),
        )
        // Workers, about themselves.
        .route(v1!("/workers"), get(workers::routes::list))
        .route(v1!("/workers/register"), post(workers::routes::register))
        .route(
            v1!("/workers/{id}/heartbeat"),
            post(workers::routes::heartbeat),
        )
        .route(v1!("/workers/{id}/claim"), post(workers::routes::claim))
        .route(v1!("/workers/{id}/report"), post(workers::routes::report))
        // Those who look after the workers.
        .route(
            v1!("/workers/{id}"),
            get(workers::routes::show).delete(workers::routes::delete),
        )
        .route(v1!("/workers/{id}/drain"), post(workers::routes::drain))
        .route(v1!("/workers/{id}/kill"), post(workers::routes::kill))
        .route(v1!("/workers/internal/status"), get(workers::pool::status))
        .route(v1!("/workers/internal/scale"), post(workers::pool::scale))
        .route(v1!("/workers/internal/start"), post(workers::pool::start))
        .route(v1!("/workers/internal/stop"), post(workers::pool::stop))
        // Those who look after the queues.
        .route(v1!("/queues"), get(queues::list))
        .route(v1!("/queues/{name}"), patch(queues::patch))
        .route(v1!("/queues/{name}/pause"), post(queues::pause))
        .route(v1!("/queues/{name}/resume"), post(queues::resume))
        // And after this server.
        .route(v1!("/ops/sweep"), post(ops::sweep))
        .route(v1!("/ops/reset"), post(ops::reset))
}

fn beside_v1(routes: Routes) -> Routes {
    routes
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
}

/// Those who speak as they did to the systems before this one.
fn of_dialects(routes: Routes) -> Routes {
    routes
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
