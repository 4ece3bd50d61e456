//! `GET /metrics`: what this server counts, and how much there is to do, for Prometheus and whatever reads its formats.
//!
//! Most of it is counted where it happens, on handles that are kept. What only the database knows is asked for at each
//! scrape by one read ([`survey`]), which scrapes that come together share; one that takes too long leaves its part out
//! of the answer, and `taskyard_database_up` says so.

mod format;
mod process;
mod requests;
mod survey;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{RawQuery, State};
use hashbrown::HashSet;
use http::HeaderMap;
use http::header::{CACHE_CONTROL, VARY};
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use taskyard_core::hints::Exchanged;
use taskyard_core::query::Survey;
use taskyard_core::status::Status;
use taskyard_core::time::Timestamp;
use taskyard_engine::metrics::OTHER;

use self::format::Format;
pub(crate) use self::requests::Requests;
pub(crate) use self::survey::Surveys;
use crate::app::App;
use crate::inbox::Inboxes;
use crate::openapi::SERVER;
use crate::openapi::operation::Routes;
use crate::problem::{self, Code};
use crate::query;
use crate::response::{self, Answer};
use crate::settings::Settings;

/// A gauge of seconds.
pub(crate) type Seconds = Gauge<f64, AtomicU64>;

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfStatus {
    status: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfQueue {
    queue: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfState {
    state: &'static str,
}

/// What is counted as it happens, and what scrapes share.
pub(crate) struct Metrics {
    counted: Registry,
    pub(crate) requests: Requests,
    pub(crate) wrong_tokens: Counter,
    pub(crate) inboxes: Inboxes,
    pub(crate) surveys: Surveys,
    queues: Apart,
}

impl Metrics {
    pub(crate) fn new(engine: &taskyard_engine::metrics::Metrics, settings: &Settings) -> Self {
        let values_max = settings.limits.metrics_values_max;
        engine.tell_apart(values_max);
        let mut counted = Registry::default();
        let about = [
            ("version", settings.version),
            ("database", settings.database),
        ];
        counted.register("taskyard_build", "What runs here", Info::new(about));
        engine.register(&mut counted);
        let requests = Requests::default();
        requests.register(&mut counted);
        let wrong_tokens = Counter::default();
        counted.register(
            "taskyard_wrong_tokens",
            "Requests that were refused for a token that is not known here",
            wrong_tokens.clone(),
        );
        let inboxes = Inboxes::default();
        inboxes.register(&mut counted);
        Self {
            counted,
            requests,
            wrong_tokens,
            inboxes,
            surveys: Surveys::default(),
            queues: Apart::new(values_max),
        }
    }
}

/// Names that are told apart, as many as come first; the others are one.
struct Apart {
    max: usize,
    known: Mutex<HashSet<String>>,
}

impl Apart {
    fn new(max: usize) -> Self {
        Self {
            max,
            known: Mutex::default(),
        }
    }

    fn label(&self, name: &str) -> String {
        let mut known = self.known.lock();
        if known.contains(name) {
            return name.to_owned();
        }
        if known.len() >= self.max {
            return OTHER.to_owned();
        }
        known.insert(name.to_owned());
        name.to_owned()
    }

    /// Those that are told apart by now.
    fn known(&self) -> Vec<String> {
        self.known.lock().iter().cloned().collect()
    }
}

pub(crate) fn describe(routes: &mut Routes<'_>) {
    routes.under("", SERVER);
    routes
        .get("/metrics", "metrics")
        .says(
            "What it counts",
            "In Prometheus's text format, or as OpenMetrics to who accepts that; `docs/operations.md` lists them.",
        )
        .answers_text(
            "What was counted since the server started, and how much there is now.",
            &[Format::Plain.content_type(), Format::OpenMetrics.content_type()],
            "# TYPE taskyard_tasks gauge\ntaskyard_tasks{status=\"pending\"} 3\n",
        )
        .refuses(&[Code::AnswersFull]);
}

/// `GET /metrics`
pub(crate) async fn show(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    query::none(query.as_deref())?;
    let format = Format::wanted(&headers);
    let (survey, process) = tokio::join!(
        app.metrics()
            .surveys
            .within(&app, app.limits().metrics_within),
        tokio::task::spawn_blocking(process::look),
    );
    let mut found = Registry::default();
    let up: Gauge = Gauge::default();
    up.set(i64::from(survey.is_some()));
    found.register(
        "taskyard_database_up",
        "Whether the database answered this scrape in time; 0 leaves out what only it knows",
        up,
    );
    let logs_up: Gauge = Gauge::default();
    let logs = app.engine().store().logs();
    logs_up.set(i64::from(logs.trouble().is_none()));
    found.register(
        "taskyard_logs_up",
        "Whether logs of tasks can be kept and shown, as far as is known; 0 concerns no task",
        logs_up,
    );
    let dropped: Counter = Counter::default();
    dropped.inc_by(app.settings().log_lines_dropped.load(Ordering::Relaxed));
    found.register(
        "taskyard_log_lines_dropped",
        "Lines of this server's log that are missing because nobody took them",
        dropped,
    );
    exchanged(&app, &mut found);
    if let Some((survey, at)) = survey {
        surveyed(&survey, at, &app.metrics().queues, &mut found);
    }
    loaded(&app, &mut found);
    if let Ok(Some(process)) = process {
        process.register(&mut found);
    }
    let mut text = String::with_capacity(16 << 10);
    encode_registry(&mut text, &app.metrics().counted)
        .and_then(|()| encode_registry(&mut text, &found))
        .and_then(|()| encode_eof(&mut text))
        .map_err(|error| problem::broken(&error))?;
    let answer = response::text(
        app.answers().nothing(),
        format.content_type(),
        format.of(text).into_bytes(),
    )?;
    let answer = response::with(answer, VARY, "accept");
    Ok(response::with(answer, CACHE_CONTROL, "no-store"))
}

/// What the database knows.
fn surveyed(survey: &Survey, at: Timestamp, apart: &Apart, registry: &mut Registry) {
    let tasks = Family::<OfStatus, Gauge>::default();
    let mut waiting: BTreeMap<String, (i64, Duration)> = BTreeMap::new();
    for status in Status::ALL {
        // Counts are summed over servers, whose parts may be below zero; the sum never is for long.
        let sum = survey.tasks[status].max(0);
        let status = status.as_str();
        tasks.get_or_create_owned(&OfStatus { status }).set(sum);
    }
    // Where nothing waits any more that must be told, too.
    for queue in apart.known() {
        waiting.entry(queue).or_default();
    }
    for (queue, pending) in &survey.pending {
        waiting.entry(apart.label(queue.as_str())).or_default().0 += pending;
    }
    for (queue, since) in &survey.waiting {
        let oldest = &mut waiting.entry(apart.label(queue.as_str())).or_default().1;
        *oldest = at.since(*since).max(*oldest);
    }
    let depth = Family::<OfQueue, Gauge>::default();
    let oldest = Family::<OfQueue, Seconds>::default();
    for (queue, (pending, age)) in waiting {
        let queue = OfQueue { queue };
        depth.get_or_create_owned(&queue).set(pending.max(0));
        oldest.get_or_create_owned(&queue).set(age.as_secs_f64());
    }
    let workers = Family::<OfState, Gauge>::default();
    for (state, count) in [
        ("online", survey.staff.online),
        ("offline", survey.staff.offline),
        ("internal", survey.staff.internal),
    ] {
        workers.get_or_create_owned(&OfState { state }).set(count);
    }
    registry.register(
        "taskyard_tasks",
        "Tasks that are stored, by where they stand",
        tasks,
    );
    registry.register(
        "taskyard_queue_depth",
        "Tasks that are due and wait for a worker",
        depth,
    );
    registry.register(
        "taskyard_queue_oldest_seconds",
        "How long the task has been due that is next in turn; the longest over the kinds of a queue",
        oldest,
    );
    registry.register(
        "taskyard_workers",
        "Workers that are known: processes of their own that are heard or are not, and internal ones that are heard",
        workers,
    );
}

/// What servers tell each other.
fn exchanged(app: &App, registry: &mut Registry) {
    let Exchanged { sent, heard, hears } = app.engine().store().exchanged();
    for (name, help, count) in [
        (
            "taskyard_hints_sent",
            "Messages to other servers on this database about what was done here",
            sent,
        ),
        (
            "taskyard_hints_heard",
            "Messages of other servers on this database about what was done there",
            heard,
        ),
    ] {
        let counter: Counter = Counter::default();
        counter.inc_by(count);
        registry.register(name, help, counter);
    }
    let up: Gauge = Gauge::default();
    up.set(i64::from(hears));
    registry.register(
        "taskyard_hints_up",
        "Whether other servers can be heard; 0 costs those who wait a moment, and is so on SQLite, where there are none",
        up,
    );
}

/// What waits in this process.
fn loaded(app: &App, registry: &mut Registry) {
    let load = app.engine().load();
    let mut gauge = |name: &str, help: &str, value: usize| {
        let gauge: Gauge = Gauge::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    gauge(
        "taskyard_commands_waiting",
        "Commands that wait for the database or are under way there",
        load.commands,
    );
    gauge(
        "taskyard_commands_max",
        "How many commands may wait before callers are told to come back",
        load.commands_max,
    );
    gauge(
        "taskyard_commands_waiting_bytes",
        "About how much memory these commands hold",
        load.bytes,
    );
    gauge(
        "taskyard_commands_max_bytes",
        "About how much memory they may hold",
        load.bytes_max,
    );
    gauge(
        "taskyard_tasks_waited_for",
        "Tasks whose end somebody waits for here",
        load.waits,
    );
}

/// A counter of the process, which is read and not counted.
fn counter(value: f64) -> Counter<f64, AtomicU64> {
    let counter = Counter::<f64, AtomicU64>::default();
    counter.inc_by(value);
    counter
}
