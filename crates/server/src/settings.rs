//! What can be set, with the values it starts from: who may come in, and the limits of the HTTP side. What the rules
//! read stands in `taskyard_core::policy`; a few limits of shape, which nobody sets, stand where they are checked.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::access::Secret;
use crate::worker_ids::WorkerIds;

#[derive(Clone, Debug)]
pub struct Settings {
    pub access: Access,
    /// Names that requests may call this server by on loopback, besides `localhost` and loopback addresses.
    pub hosts: Vec<String>,
    /// Origins whose pages may call this server, besides its own.
    pub origins: Vec<String>,
    /// What `/health` calls the database: `sqlite` or `postgres`.
    pub database: &'static str,
    /// What `/health` calls the program.
    pub version: &'static str,
    /// What workers outside of servers may be called.
    pub worker_ids: WorkerIds,
    /// Kinds that `taskyard worker` runs, without more being allowed: it is advised for these alone.
    pub built_in: Vec<String>,
    pub not_inside: NotInside,
    /// It is for development: what nobody may do elsewhere is served.
    pub dev: bool,
    /// Whether the older families of routes are served.
    pub dialects: bool,
    /// What becomes of the commands that one of them schedules.
    pub commands: Commands,
    pub limits: Limits,
    /// Counted by whoever writes the log, for `/metrics`.
    pub log_lines_dropped: Arc<AtomicU64>,
}

/// Kinds that the program knows and workers inside do not run, by why they do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotInside {
    /// Others are named, with `--internal-kinds`.
    pub left_out: Vec<String>,
    /// Nothing of them may be run, until this flag, as it is typed, says what.
    pub not_allowed: Vec<(&'static str, &'static str)>,
}

/// What becomes of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commands {
    /// Workers that may run them do, unless `Policy::commands_refused` says why not.
    Run,
    /// Workers inside go through their lives with each, which is taken so much later than it is due.
    Simulated { picked_after: Duration },
}

/// Who may come in.
#[derive(Clone, Debug)]
pub enum Access {
    /// Whoever reaches the loopback address, as long as no foreign page or name led there.
    Loopback,
    /// Whoever knows the token.
    Token(Secret),
    /// Everybody, as long as no foreign page led there, nor a foreign name to the loopback address.
    None,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            access: Access::Loopback,
            hosts: Vec::new(),
            // Where the dashboard runs while it is being worked on.
            origins: vec!["http://localhost:5173".to_owned()],
            database: "sqlite",
            version: env!("CARGO_PKG_VERSION"),
            worker_ids: WorkerIds::default(),
            built_in: Vec::new(),
            not_inside: NotInside::default(),
            dev: false,
            dialects: true,
            commands: Commands::Run,
            limits: Limits::default(),
            log_lines_dropped: Arc::default(),
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct Limits {
    /// Bytes of a task's input. Default 1 MiB.
    pub input_max: usize,
    /// Bytes of an output, and of an error's detail. Default 8 MiB.
    pub output_max: usize,
    /// Bytes of an error's detail in the list of a task's attempts, which leaves longer ones out. Default 64 KiB, as
    /// much as is kept of a late result.
    pub attempt_detail_max: usize,
    /// Tasks that one page of a list looks at for what its filter lets through; lanes that one page of queues is put
    /// together from. Default 2,000.
    pub list_look_at_max: usize,
    /// Of the newest tasks, behind how many a dialect's list may begin; each of them is looked at. Default 10,000.
    pub offset_max: usize,
    /// Tasks that a dry run of a bulk act counts. Default 10,000.
    pub matching_max: usize,
    /// Pages of lists, lists of attempts, and counts of tasks that are read and rendered at once; others wait for their
    /// turn. Default 1.
    ///
    /// Invariant: fewer than the store has readers, or looks at single tasks, waits and probes stand behind them.
    pub lists_max: usize,
    /// Logs that are followed at once. Default 100. Each has a connection, and holds a page of it at most.
    pub follows_max: usize,
    /// Bytes of a checkpoint. Default 64 KiB.
    pub checkpoint_max: usize,
    /// Arrays and objects within each other in a payload. Default 64.
    pub depth_max: usize,
    /// Bytes of a batch's or report's body or of one with lines of a log, and of what a stream holds back at once. Default 16 MiB.
    pub bulk_max: usize,
    /// Tasks of a batch, results of a report, lines for a log in one request, tasks that a stream stores at once. Default 10,000.
    pub tasks_max: usize,
    /// Tasks that one claim gets, whatever it asks for. Default 1,000, which is also the most that one may ask for.
    pub claim_max: usize,
    /// Tasks of one stream. Default 1,000,000.
    pub stream_tasks_max: usize,
    /// Bytes of all bodies that are gathered or being served at once, besides those of up to 64 KiB that come in one
    /// piece. Default 256 MiB.
    ///
    /// Invariant: at least twice the largest body ([`Limits::body_max`]), or some could never come in.
    pub bodies_max: usize,
    /// Bytes of all answers of more than 64 KiB that were not sent yet. Default 256 MiB. One is given whatever its size.
    pub answers_max: usize,
    /// How long a body may stand still. Default 30 s.
    pub body_pause_max: Duration,
    /// How long a whole body may take, or as much of a stream as is stored at once. Default 5 min.
    pub body_within: Duration,
    /// Connections at once. For more of them those make room that wait for a request. Default 10,000.
    pub connections_max: usize,
    /// Connections beside those that wait for a place, are told that there is none, or are probes. Default 100.
    pub connections_spare: usize,
    /// How long a connection may wait for a place. Default 1 s, so that a probe is never far behind.
    pub place_within: Duration,
    /// Bytes of a request's head. Default 100,000, at least [`Limits::HEAD_BYTES_LEAST`]. At most 100 headers whatever
    /// is set.
    pub head_bytes_max: usize,
    /// How long a request's head may take. Default 10 s.
    pub head_within: Duration,
    /// How long a connection may stand idle between requests. Default 75 s, well above the 10 s of heartbeats, so
    /// that workers keep theirs.
    pub idle_within: Duration,
    /// How long an answer may wait for its reader to take more of it. Default 30 s.
    pub write_pause_max: Duration,
    /// How long its reader may take for a whole answer. Default 5 min.
    pub answer_within: Duration,
    /// Wrong tokens that may come from one address within a minute before it is told to come back later. Default 100.
    pub wrong_tokens_max: u32,
    /// Kinds, and queues, that `/metrics` tells apart; the others are one, `other`. Default 100.
    pub metrics_values_max: usize,
    /// How long a look at `/metrics`, or at the page, waits for what only the database knows. Default 2 s, well within
    /// the 10 s that Prometheus gives a scrape.
    pub metrics_within: Duration,
    /// How long a stopping server finishes what it accepted. Default 10 s.
    pub stop_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            input_max: 1 << 20,
            output_max: 8 << 20,
            attempt_detail_max: 64 << 10,
            list_look_at_max: taskyard_core::query::LIST_LOOK_AT,
            offset_max: 10_000,
            matching_max: 10_000,
            lists_max: 1,
            follows_max: 100,
            checkpoint_max: 64 << 10,
            depth_max: taskyard_core::json::DEPTH_MAX,
            bulk_max: 16 << 20,
            tasks_max: 10_000,
            claim_max: 1_000,
            stream_tasks_max: 1_000_000,
            bodies_max: 256 << 20,
            answers_max: 256 << 20,
            body_pause_max: Duration::from_secs(30),
            body_within: Duration::from_mins(5),
            connections_max: 10_000,
            connections_spare: 100,
            place_within: Duration::from_secs(1),
            head_bytes_max: 100_000,
            head_within: Duration::from_secs(10),
            idle_within: Duration::from_secs(75),
            write_pause_max: Duration::from_secs(30),
            answer_within: Duration::from_mins(5),
            wrong_tokens_max: 100,
            metrics_values_max: taskyard_engine::metrics::KINDS_MAX,
            metrics_within: Duration::from_secs(2),
            stop_within: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// What the HTTP library needs for itself.
    pub const HEAD_BYTES_LEAST: usize = 8 << 10;

    /// What a body may hold around its payload.
    const ENVELOPE: usize = 64 << 10;

    /// Bytes of the largest body that any route takes.
    pub fn body_max(&self) -> usize {
        self.bulk_max
            .max(self.submit_body())
            .max(self.output_body())
            .max(self.checkpoint_body())
    }

    /// Bytes of a body without a payload.
    pub(crate) fn plain_body(&self) -> usize {
        Self::ENVELOPE
    }

    /// Bytes of one task as submitted, alone or on a line.
    pub(crate) fn submit_body(&self) -> usize {
        self.input_max + Self::ENVELOPE
    }

    pub(crate) fn output_body(&self) -> usize {
        self.output_max + Self::ENVELOPE
    }

    pub(crate) fn checkpoint_body(&self) -> usize {
        self.checkpoint_max + Self::ENVELOPE
    }
}
