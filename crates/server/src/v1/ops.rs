//! `/ops`: what whoever looks after a server asks of it.

use axum::extract::{Request, State};
use serde_json::json;
use taskyard_api::health::Swept;

use crate::app::App;
use crate::openapi::SERVER;
use crate::openapi::operation::Routes;
use crate::request;
use crate::response::{self, Answer};

/// `POST /ops/sweep`
pub(crate) async fn sweep(State(app): State<App>, request: Request) -> Answer {
    request::nothing(&app, request).await?;
    let sweep = app.engine().sweep().await?;
    response::ok(&Swept {
        expired: sweep.expired,
        grace: sweep.grace,
    })
}

pub(crate) fn describe(routes: &mut Routes<'_>) {
    routes.under("/api/v1", SERVER);
    routes
        .post("/ops/sweep", "sweep")
        .says(
            "Sweep now",
            "Takes away the runs of workers that are gone and those that take too long, as the server does by itself \
             every `--sweep` (1 s). In its time of grace, after a start or an outage, nobody's silence counts.",
        )
        .takes_nothing()
        .answers::<Swept>(200, "It has swept.", &json!({"expired": 2, "grace": false}));
}
