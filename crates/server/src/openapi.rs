//! The description of the API that `/openapi.json` gives out: OpenAPI 3.1, made of the code.
//!
//! What a route takes and answers is told beside its handler, in the file `described.rs` of its folder; the shapes of
//! bodies are derived from the wire types ([`shapes`]); the limits put onto them are the constants and settings that the
//! checks go by ([`bounds`]), and so are the values that texts name ([`in_force`]); refusals are the codes of [`crate::problem`]. A test compares the routes with those that
//! [`crate::router`] lists, another the document with the printed one, `docs/openapi.json`.

pub(crate) mod bounds;
mod in_force;
pub(crate) mod operation;
pub(crate) mod shapes;
mod shared;

use serde_json::{Value, json};
use taskyard_api::payload::Payload;
use taskyard_api::problem::Problem;
use taskyard_core::policy::Policy;

use self::operation::Routes;
use self::shapes::Shapes;
use crate::settings::Settings;
use crate::{dialects, docs, health, metrics, v1};

/// The groups of routes, in the order that pages show them.
pub(crate) const TASKS: &str = "tasks";
pub(crate) const RUNS: &str = "runs";
pub(crate) const WORKERS: &str = "workers";
pub(crate) const QUEUES: &str = "queues";
pub(crate) const OPERATIONS: &str = "operations";
pub(crate) const SERVER: &str = "server";
/// Of the dialects.
pub(crate) const SIMPLE: &str = "simple";
pub(crate) const TASKMASTER: &str = "taskmaster";

/// The whole document, with the limits of these settings and of this policy.
pub fn document(settings: &Settings, policy: &Policy) -> Value {
    let mut shapes = Shapes::default();
    // Referred to by what is referred to, and by refusals.
    shapes.reference::<Payload>();
    shapes.reference::<Problem>();
    let mut routes = Routes::new(&mut shapes);
    v1::describe(&mut routes);
    health::describe(&mut routes);
    metrics::describe(&mut routes);
    docs::describe(&mut routes);
    let mut bounds = Vec::new();
    if settings.dialects {
        dialects::described::describe(&mut routes, &settings.limits);
        bounds = dialects::described::bounds();
    }
    let (paths, responses) = routes.finish();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Taskyard",
            "version": settings.version,
            "summary": "Coordinates work over many workers.",
            "description": ABOUT.trim(),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "This server."}],
        "tags": [
            {"name": TASKS, "description": "For those who submit tasks, and look what became of them."},
            {"name": RUNS, "description": "What workers say of one run; its `lease_token` proves that it is theirs."},
            {"name": WORKERS, "description": "What a worker asks: to be known, for tasks, and to keep them."},
            {"name": QUEUES, "description": "How much waits in each; pausing them, and what their tasks take."},
            {"name": OPERATIONS, "description": "Cancels and retries of all tasks that a filter lets through: how far they are, and stopping them."},
            {"name": SERVER, "description": "About the server itself. `/health` and `/ready` need no token."},
            {"name": SIMPLE, "description": "A dialect, an older family of routes: tasks with some data. `--no-dialects` turns it off."},
            {"name": TASKMASTER, "description": "Another one: commands that run at their time, and the internal workers."},
        ],
        "paths": paths,
        "components": {
            "schemas": shapes.finish(&settings.limits, bounds),
            "parameters": shared::parameters(),
            "headers": shared::headers(),
            "responses": responses,
            "securitySchemes": {
                operation::BEARER: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The token that the server was started with (`TASKYARD_TOKEN`). On a loopback \
                                    address, or with `--no-auth`, none is wanted.",
                },
            },
        },
        "security": [{operation::BEARER: []}],
    });
    in_force::say(&mut document, &settings.limits, policy);
    document
}

const ABOUT: &str = "
Ids are strings, times are RFC 3339 in UTC with milliseconds, durations are whole milliseconds in fields that end in
`_ms`. In requests null is the same as a field that is left out, and a field that nobody knows is refused; clients
ignore fields of answers that they do not know. A refusal is a problem (RFC 9457, `application/problem+json`); programs
go by its `code`. What fails with 408, 429, 500, 503 or 507 may be sent again, with the same `id` or `Idempotency-Key`
where it creates something.
";
