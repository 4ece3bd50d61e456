//! `/ops`: what whoever looks after a server asks of it.

use axum::extract::{Request, State};
use serde_json::json;
use taskyard_api::health::{Emptied, Swept};

use crate::app::App;
use crate::openapi::SERVER;
use crate::openapi::operation::Routes;
use crate::problem::{self, Code};
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

/// `POST /ops/reset`
pub(crate) async fn reset(State(app): State<App>, request: Request) -> Answer {
    request::nothing(&app, request).await?;
    if !app.settings().dev {
        let why = "everything is taken away only by a server that was started with --dev";
        return Err(problem::new(Code::OnlyInDev, why).into());
    }
    app.engine().reset().await?;
    let incarnation = app.engine().store().incarnation();
    tracing::warn!("everything was taken away, as was asked for");
    response::ok(&Emptied {
        incarnation: incarnation
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    })
}

pub(crate) fn describe(routes: &mut Routes<'_>) {
    routes.under("/api/v1", SERVER);
    routes
        .post("/ops/sweep", "sweep")
        .says(
            "Sweep now",
            "Takes away the runs of workers that are gone and those that take too long, as the server does by itself \
             every `--sweep`. In its time of grace, after a start or an outage, nobody's silence counts.",
        )
        .takes_nothing()
        .answers::<Swept>(200, "It has swept.", &json!({"expired": 2, "grace": false}));
    routes
        .post("/ops/reset", "reset")
        .says(
            "Take everything away",
            "Tasks, operations, workers, queues' settings, idempotency keys, rates and logs, all of it or nothing. Only a \
             server that was started with `--dev` does it, and none beside another server that is up on the same database. \
             What is under way goes on until its worker hears that its lease is gone; its results are refused. Workers \
             register again by themselves. Lease tokens, cursors and epochs of before are not taken any more.",
        )
        .takes_nothing()
        .answers::<Emptied>(
            200,
            "All is gone, and the database is another one.",
            &json!({"incarnation": "0c7f2ad9e1b04f6c93de5b17a8c2f045"}),
        )
        .refuses(&[Code::OnlyInDev, Code::OthersUp]);
}
