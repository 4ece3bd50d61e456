//! `GET /` and `/ui/`: one page for people, rendered here, with no script, so that it is read in any browser.
//!
//! Whatever it shows was written by others: every text goes through [`Html::text`], and its policy lets a browser do
//! nothing with it but show it.

mod html;

use std::sync::LazyLock;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use sha2::{Digest, Sha256};
use taskyard_core::name::Name;
use taskyard_core::query::{List, Query, QueueList, QueuesListed, Survey, TaskView, WorkerView};
use taskyard_core::status::Status;
use taskyard_core::time::Timestamp;
use taskyard_core::worker::Profile;

use self::html::{Html, Kind};
use crate::app::App;
use crate::health;
use crate::query::Params;
use crate::response::{self, Answer};
use crate::wire;

/// The paths of the routes below, which browsers are shown.
pub(crate) const PATHS: [&str; 3] = ["/", "/ui", "/ui/"];

const TASKS: usize = 20;
const WORKERS: usize = 50;
const QUEUES: usize = 50;
/// How often it may be asked to load itself again.
const REFRESH_SECONDS: [u64; 2] = [1, 3600];
const STYLE: &str = include_str!("page/style.css");

/// Its own style and nothing else: no script, picture, form or frame.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// `GET /ui`
pub(crate) async fn lead() -> Response {
    Redirect::permanent("/ui/").into_response()
}

/// `GET /` and `GET /ui/`
pub(crate) async fn show(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let params = Params::read(query.as_deref(), &["refresh"], &[])?;
    let [least, most] = REFRESH_SECONDS;
    let refresh = params.number("refresh", 0, most, 0)?;
    let refresh = (refresh >= least).then_some(refresh);
    let within = app.limits().metrics_within;
    let (survey, rows) = tokio::join!(
        app.metrics().surveys.within(&app, within),
        tokio::time::timeout(within, rows(&app)),
    );
    let called = headers.get(HOST).and_then(|host| host.to_str().ok());
    let mut html = Html::new(STYLE, refresh);
    head(&mut html, &app, called.unwrap_or_default(), refresh);
    match (&survey, rows) {
        (Some((survey, now)), Ok(Some(rows))) => {
            counts(&mut html, survey);
            queues(&mut html, &rows.queues, *now);
            staff(&mut html, &rows.workers, survey, *now);
            latest(&mut html, &rows.tasks, *now);
        }
        _ => html.line(
            "bad",
            "The database does not answer in time, so there is nothing to show of it. The server's log says more.",
        ),
    }
    html.links(
        "More",
        &[
            ("/docs", "API, to try"),
            ("/redoc", "API, to read"),
            ("/openapi.json", "OpenAPI"),
            ("/metrics", "Metrics"),
            ("/health", "Health"),
            ("/api/v1/tasks", "Tasks as JSON"),
            ("/api/v1/workers", "Workers as JSON"),
        ],
    );
    let answer = response::text(
        app.answers().nothing(),
        "text/html; charset=utf-8",
        html.finish().into_bytes(),
    )?;
    Ok(guarded(answer))
}

fn guarded(answer: Response) -> Response {
    [
        (CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        // It is of this moment, and of whoever may see it.
        (CACHE_CONTROL, "no-store"),
    ]
    .into_iter()
    .fold(answer, |answer, (name, value)| {
        response::with(answer, name, value)
    })
}

struct Rows {
    /// The latest.
    tasks: Vec<TaskView>,
    /// The first by name.
    workers: Vec<WorkerView>,
    queues: QueuesListed,
}

/// None where the database failed.
async fn rows(app: &App) -> Option<Rows> {
    let _turn = app.turn_to_list().await;
    let list = List {
        limit: TASKS,
        look_at_max: app.limits().list_look_at_max,
        ..List::default()
    };
    let tasks = app.engine().read(Query::Tasks(list)).await;
    let workers = Query::Workers {
        after: None,
        limit: WORKERS,
    };
    let workers = app.engine().read(workers).await;
    let queues = QueueList {
        limit: QUEUES,
        look_at_max: app.limits().list_look_at_max,
        ..QueueList::default()
    };
    let queues = app.engine().read(Query::QueuePage(queues)).await;
    Some(Rows {
        tasks: tasks.ok()?.tasks().items,
        workers: workers.ok()?.workers(),
        queues: queues.ok()?.queue_page(),
    })
}

fn head(html: &mut Html, app: &App, called: &str, refresh: Option<u64>) {
    let settings = app.settings();
    html.title("Taskyard");
    html.line(
        "faint",
        &format!(
            "Version {} on {}, at {called}, up for {}.",
            settings.version,
            settings.database,
            age(app.uptime()),
        ),
    );
    let trouble = app.engine().trouble();
    if let Some(error) = &trouble {
        html.line("bad", health::said_of(error));
    }
    if let Some(error) = app.engine().store().logs().trouble() {
        html.line("bad", health::said_of_logs(&error));
    }
    match refresh {
        Some(seconds) => html.links(
            "",
            &[
                ("?", "Stop refreshing"),
                (&format!("?refresh={seconds}"), "Refresh now"),
            ],
        ),
        None => html.links("", &[("?", "Refresh"), ("?refresh=5", "Refresh every 5 s")]),
    }
}

fn counts(html: &mut Html, survey: &Survey) {
    html.heading("Tasks by status");
    let names = Status::ALL.map(|status| (status.as_str(), Kind::Number));
    let row = Status::ALL.map(|status| survey.tasks[status].max(0).to_string());
    html.table(&names, [row.to_vec()]);
}

fn queues(html: &mut Html, queues: &QueuesListed, now: Timestamp) {
    html.heading("Queues");
    if queues.items.is_empty() {
        return html.line("faint", "No task was submitted yet.");
    }
    let mut columns = vec![("queue", Kind::Name), ("status", Kind::Plain)];
    columns.extend(Status::ALL.map(|status| (status.as_str(), Kind::Number)));
    columns.push(("oldest", Kind::Number));
    let rows = queues.items.iter().map(|view| {
        let status = if view.queue.is_paused {
            "paused"
        } else {
            "open"
        };
        let mut cells = vec![view.queue.name.to_string(), status.to_owned()];
        cells.extend(Status::ALL.map(|status| view.tasks[status].max(0).to_string()));
        let oldest = view.since.map(|since| now.since(since)).unwrap_or_default();
        cells.push(if oldest.is_zero() {
            String::new()
        } else {
            age(oldest)
        });
        cells
    });
    html.table(&columns, rows);
    if queues.next.is_some() {
        html.line("faint", "There may be more: /api/v1/queues lists all.");
    }
}

fn staff(html: &mut Html, workers: &[WorkerView], survey: &Survey, now: Timestamp) {
    let staff = survey.staff;
    html.heading("Workers");
    html.line(
        "faint",
        &format!(
            "{} online ({} internal), {} offline.",
            staff.online + staff.internal,
            staff.internal,
            staff.offline
        ),
    );
    if workers.is_empty() {
        return;
    }
    let columns = [
        ("worker", Kind::Name),
        ("status", Kind::Plain),
        ("held", Kind::Number),
        ("queues", Kind::Text),
        ("kinds", Kind::Text),
    ];
    let rows = workers.iter().map(|view| {
        let worker = &view.worker;
        let Profile { kinds, queues, .. } = &*worker.profile;
        vec![
            worker.name.to_string(),
            wire::worker::status(view, now).as_str().to_owned(),
            format!("{}/{}", view.held, worker.capacity),
            names(queues.as_deref()),
            names(kinds.as_deref()),
        ]
    });
    html.table(&columns, rows);
    if workers.len() == WORKERS {
        html.line("faint", "There may be more: /api/v1/workers lists all.");
    }
}

fn names(names: Option<&[Name]>) -> String {
    match names {
        None => "all".to_owned(),
        Some(names) => names
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn latest(html: &mut Html, tasks: &[TaskView], now: Timestamp) {
    html.heading("Latest tasks");
    if tasks.is_empty() {
        return html.line("faint", "There is none.");
    }
    let columns = [
        ("task", Kind::Task),
        ("status", Kind::Plain),
        ("kind", Kind::Name),
        ("queue", Kind::Name),
        ("age", Kind::Plain),
        ("worker", Kind::Name),
        ("error", Kind::Text),
    ];
    let rows = tasks.iter().map(|view| {
        let task = wire::task::task(view, false);
        let error = task
            .error
            .map(|error| format!("{}: {}", error.code, shortened(&error.message)));
        vec![
            task.id.to_string(),
            view.status().as_str().to_owned(),
            task.kind,
            task.queue,
            age(now.since(view.task.created_at)),
            task.worker_id.unwrap_or_default(),
            error.unwrap_or_default(),
        ]
    });
    html.table(&columns, rows);
}

/// Messages may have 16 KiB; the task shows them whole.
fn shortened(message: &str) -> String {
    const MOST: usize = 200;
    let mut letters = message.chars();
    let mut short: String = letters.by_ref().take(MOST).collect();
    if letters.next().is_some() {
        short.push('…');
    }
    short
}

/// As a person says it: the largest unit and the next.
fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}
