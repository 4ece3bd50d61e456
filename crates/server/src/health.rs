//! Whether the server is well, and whether it takes requests: for probes, which ask often, so what was found is good
//! for a second.

use std::time::Duration;

use axum::extract::State;
use http::StatusCode;
use serde_json::json;
use taskyard_api::health::{DatabaseHealth, Health, LogsHealth, Readiness, WorkersHealth};
use taskyard_core::query::{Answer as Found, Query};
use taskyard_core::store::{self, Cause};
use taskyard_engine::error::Error;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::app::App;
use crate::openapi::SERVER;
use crate::openapi::operation::Routes;
use crate::response::{self, Answer};

/// The paths of the routes below, which answer however full or closed the server is to others.
pub(crate) const PROBES: [&str; 2] = ["/health", "/ready"];

/// How long what was found is told again.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// How long the database may take to answer and still count as well.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What was found last, and when.
#[derive(Default)]
pub(crate) struct Pulse(Mutex<Option<(Instant, Beat)>>);

#[derive(Clone, Copy)]
struct Beat {
    /// Where it did not, the log says so.
    is_answered: bool,
    /// What is wrong with the database; none while nothing is.
    wrong: Option<&'static str>,
    /// The same of the logs.
    wrong_with_logs: Option<&'static str>,
    workers: WorkersHealth,
}

/// `GET /health`
pub(crate) async fn health(State(app): State<App>) -> Answer {
    let beat = app.pulse().feel(&app).await;
    let ok = beat.wrong.is_none();
    let health = Health {
        ok,
        version: app.settings().version.to_owned(),
        database: DatabaseHealth {
            kind: app.settings().database.to_owned(),
            ok,
            message: beat.wrong.map(str::to_owned),
        },
        logs: LogsHealth {
            ok: beat.wrong_with_logs.is_none(),
            message: beat.wrong_with_logs.map(str::to_owned),
        },
        workers: beat.workers,
    };
    response::json(status(ok), &health)
}

/// `GET /ready`
pub(crate) async fn ready(State(app): State<App>) -> Answer {
    let waits_for = if !app.is_started() {
        Some("starting")
    } else if app.is_stopping() {
        Some("stopping")
    } else {
        app.pulse().feel(&app).await.wrong
    };
    let readiness = Readiness {
        ready: waits_for.is_none(),
        message: waits_for.map(str::to_owned),
    };
    response::json(status(readiness.ready), &readiness)
}

/// What `/openapi.json` says of the routes above.
pub(crate) fn describe(routes: &mut Routes<'_>) {
    let workers = json!({"online": 3, "offline": 0});
    let unknown = json!({"online": null, "offline": null});
    let well = json!({"kind": "sqlite", "ok": true, "message": null});
    let full = json!({"kind": "sqlite", "ok": false, "message": said_of(&store::Error::Full)});
    let logs = json!({"ok": true, "message": null});
    routes.under("", SERVER);
    routes
        .get("/health", "health")
        .says(
            "Is the server well?",
            "Whether the database answers and takes writes, whether logs are kept, which keeps no task from its end, and how \
             many workers there are.",
        )
        .answers::<Health>(
            200,
            "It is.",
            &json!({"ok": true, "version": "0.1.0", "database": well, "logs": logs, "workers": workers}),
        )
        .answers::<Health>(
            503,
            "It is not; `database` says why.",
            &json!({"ok": false, "version": "0.1.0", "database": full, "logs": logs, "workers": unknown}),
        )
        .for_everybody();
    routes
        .get("/ready", "ready")
        .says(
            "Does the server take requests?",
            "It does from when it has started until it is told to stop, while the database is well.",
        )
        .answers::<Readiness>(200, "It does.", &json!({"ready": true, "message": null}))
        .answers::<Readiness>(
            503,
            "It does not; `message` says what it waits for.",
            &json!({"ready": false, "message": "starting"}),
        )
        .for_everybody();
}

fn status(well: bool) -> StatusCode {
    if well {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

impl Pulse {
    /// Whoever comes first looks; those who come meanwhile wait for what it finds. That all is well is not told again once a
    /// write has failed.
    async fn feel(&self, app: &App) -> Beat {
        let mut last = self.0.lock().await;
        if let Some((at, beat)) = *last
            && at.elapsed() < GOOD_FOR
            && !(beat.wrong.is_none() && app.engine().trouble().is_some())
        {
            return beat;
        }
        let beat = look(app).await;
        let was_silent = last.is_some_and(|(_, before)| !before.is_answered);
        if was_silent && beat.is_answered {
            tracing::info!("the database answers again");
        }
        *last = Some((Instant::now(), beat));
        beat
    }
}

async fn look(app: &App) -> Beat {
    let now = app.engine().store().now();
    // Both at once, so that a probe waits no longer than one of them may take.
    let (ping, counts) = tokio::join!(
        asked(app, Query::Ping),
        asked(app, Query::WorkerCounts(now))
    );
    let is_answered = ping.is_ok();
    let wrong = match ping {
        Ok(_) => app.engine().trouble().map(|error| said_of(&error)),
        Err(Wrong { what, error }) => {
            if let Some(others) = app.troubles().tell(&error) {
                tracing::warn!(error, others, "the database is not well");
            }
            Some(what)
        }
    };
    // That nobody could count them does not say that there are none.
    let counts = counts.ok().map(Found::worker_counts);
    let count = |workers: i64| u32::try_from(workers).unwrap_or(u32::MAX);
    let workers = WorkersHealth {
        online: counts.map(|counts| count(counts.online)),
        offline: counts.map(|counts| count(counts.offline)),
    };
    Beat {
        is_answered,
        wrong,
        wrong_with_logs: app
            .engine()
            .store()
            .logs()
            .trouble()
            .map(|error| said_of_logs(&error)),
        workers,
    }
}

/// What is wrong with the database.
struct Wrong {
    /// Fit for everybody to see.
    what: &'static str,
    /// For the log.
    error: String,
}

async fn asked(app: &App, query: Query) -> Result<Found, Wrong> {
    let error = match tokio::time::timeout(ANSWER_WITHIN, app.engine().read(query)).await {
        Err(_) => {
            let error = format!("{SILENT} within {} s", ANSWER_WITHIN.as_secs());
            return Err(Wrong {
                what: SILENT,
                error,
            });
        }
        Ok(Ok(found)) => return Ok(found),
        Ok(Err(error)) => error,
    };
    let what = match &error {
        Error::Store(error) => said_of(error),
        Error::Refused(_) | Error::Busy | Error::Stopping | Error::Logs(_) => NOT_AVAILABLE,
    };
    let error = error.to_string();
    Err(Wrong { what, error })
}

pub(crate) fn said_of(error: &store::Error) -> &'static str {
    match error {
        store::Error::Full => "the disk that holds the database is full",
        store::Error::Failed(_) | store::Error::Unreadable(_) => "the database failed",
        store::Error::Damaged(_) => "the database is damaged; see the server's log",
        store::Error::Unavailable(away) => said_of_cause(away.cause),
        store::Error::Unknown(_) | store::Error::Conflict => NOT_AVAILABLE,
    }
}

fn said_of_cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Moved => "the database's file was moved, deleted or replaced; see the server's log",
        Cause::Unreachable => "the database cannot be reached",
        Cause::Crowded => "the database has no room for another connection",
        Cause::Held => "another session of the database holds a lock for too long",
        Cause::ReadOnly => "the database takes no writes: it is a standby, or set to read only",
        Cause::Silent => SILENT,
        Cause::Superseded => {
            "the database is an old primary: another one has taken its place; see the server's log"
        }
        Cause::Newer => {
            "the database's tables were brought up to date by a newer version of Taskyard, beside which this one cannot work"
        }
        Cause::Other => NOT_AVAILABLE,
    }
}

pub(crate) fn said_of_logs(error: &store::Error) -> &'static str {
    match error {
        store::Error::Damaged(_) => "the file of logs is damaged; see the server's log",
        store::Error::Full
        | store::Error::Failed(_)
        | store::Error::Unreadable(_)
        | store::Error::Unavailable(_)
        | store::Error::Unknown(_)
        | store::Error::Conflict => "logs can be neither written nor shown; see the server's log",
    }
}

const NOT_AVAILABLE: &str = "the database is not available";
const SILENT: &str = "the database does not answer";
