//! The rows that stores move, one type a table. A store reads and writes them and knows nothing of what they mean.
//!
//! A task's wide row is written once; in between it is narrow rows; its end is one insert.

mod carry;
mod keys;

use std::sync::Arc;
use std::time::Duration;

pub use self::carry::{Carry, LastError};
pub use self::keys::{
    BadUniqueKey, Digest, Digesting, Idempotency, IdempotencyKey, Unique, UniqueKey,
};
use crate::id::{Epoch, Fence, RunKey, ServerNumber, SlotKey, TaskId, WorkerNumber};
use crate::json::Json;
use crate::labels::Labels;
use crate::lane::Lane;
use crate::name::Name;
use crate::order::{OrderKey, Position, Priority};
use crate::retry::Retry;
use crate::slot::{Counts, Limits, Place, Slot};
use crate::status::Status;
use crate::time::Timestamp;
use crate::worker::Profile;

/// What was submitted. Inserted once, never changed.
#[derive(Clone, PartialEq, Debug)]
pub struct Task {
    pub id: TaskId,
    pub lane: Lane,
    /// Where it stood in the order when it was submitted; a [`Carry`] overrules it.
    pub order_key: OrderKey,
    pub priority: Priority,
    pub run_at: Timestamp,
    pub created_at: Timestamp,
    pub input: Input,
    pub limits: Limits,
    /// How long one run may take, from its start.
    pub timeout: Duration,
    pub retry: Retry,
    /// None where a damaged database no longer tells. Only people and filters of lists go by them.
    pub labels: Option<Labels>,
    /// Of the request, where its client chose the id.
    pub digest: Option<Digest>,
    /// It never runs twice at once: only the end of its own lease gives it away.
    pub is_exclusive: bool,
    /// Of one queue's tasks with the same key at most one has not ended.
    pub unique_key: Option<Arc<str>>,
    /// The task that this one runs again.
    pub retry_of: Option<TaskId>,
    /// The older form in which it was submitted; none for our own.
    pub origin: Option<Origin>,
}

impl Task {
    /// As stores load it for decisions.
    pub fn without_input(&self) -> Self {
        Self {
            input: Input::Left(self.input.bytes()),
            ..self.clone()
        }
    }

    pub(crate) fn label(&self, name: &Name) -> Option<&str> {
        self.labels.as_ref()?.get(name)
    }
}

/// What a task works on. It may be large, and no rule looks into it: what is loaded for decisions has only its length.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    Here(Json),
    /// So many bytes, left where they are.
    Left(usize),
}

impl Input {
    pub fn bytes(&self) -> usize {
        match self {
            Self::Here(json) => json.len(),
            Self::Left(bytes) => *bytes,
        }
    }

    pub fn here(&self) -> Option<&Json> {
        match self {
            Self::Here(json) => Some(json),
            Self::Left(_) => None,
        }
    }
}

/// An older family of requests. Who asks in one is answered in its words.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Origin {
    /// `{"problem_id", "parameters"}` on our own route.
    V1,
    Simple,
    Taskmaster,
}

impl Origin {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::Simple => "simple",
            Self::Taskmaster => "taskmaster",
        }
    }
}

/// A slot that waits for a worker, in its lane or, if suspect, in the lane's twin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ready {
    pub lane: Lane,
    pub order_key: OrderKey,
    pub slot: SlotKey,
    pub has_carry: bool,
}

impl Ready {
    pub fn position(&self) -> Position {
        Position {
            order_key: self.order_key,
            slot: self.slot,
        }
    }

    /// The lane in which a slot of this lane waits in such a place.
    pub fn lane_of(lane: Lane, place: Place) -> Lane {
        if place == Place::Suspect {
            lane.twin()
        } else {
            lane.plain()
        }
    }

    pub fn place(&self) -> Place {
        if self.lane.is_twin() {
            Place::Suspect
        } else {
            Place::Ready
        }
    }

    pub fn is_suspect(&self) -> bool {
        self.place() == Place::Suspect
    }
}

/// A slot that waits for a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scheduled {
    pub run_at: Timestamp,
    pub slot: SlotKey,
    pub lane: Lane,
    pub order_key: OrderKey,
    pub why: Why,
    pub has_carry: bool,
}

/// What a scheduled slot waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The time that its submitter named.
    RunAt,
    /// The next try after a failure.
    BackOff,
    /// The time that its worker asked for.
    Snooze,
}

/// A worker's right to run a slot until a time.
#[derive(Clone, PartialEq, Debug)]
pub struct Lease {
    pub slot: SlotKey,
    pub fence: Fence,
    /// Random; who cannot name it does not hold the lease.
    pub secret: i64,
    pub worker: WorkerNumber,
    pub epoch: Epoch,
    /// The worker's number for the claim that made this lease; 0 where it gave none.
    pub seq: i64,
    /// That claim was sent again, and answered with this lease once more: whoever heard nothing of it the first time may
    /// have heard of it then.
    pub is_told_again: bool,
    pub lane: Lane,
    pub has_carry: bool,
    pub claimed_at: Timestamp,
    /// When the run began, if anything says that it did.
    pub started_at: Option<Timestamp>,
    pub expires_at: Timestamp,
    /// When the run, once begun, has taken too long.
    pub deadline: Option<Timestamp>,
    pub progress: Option<Progress>,
    pub checkpoint: Option<Json>,
    /// As its task is.
    pub is_exclusive: bool,
}

impl Lease {
    pub fn run(&self) -> RunKey {
        self.slot.run(self.fence)
    }

    pub fn place(&self) -> Place {
        if self.started_at.is_some() {
            Place::Running
        } else {
            Place::Leased
        }
    }

    /// Which attempt its run is, counted from 1, begun or not.
    pub fn attempt(&self, carry: Option<&Carry>) -> i32 {
        Carry::counts(carry).attempts + 1
    }

    /// Its slot as it is now: a run that began counts.
    pub fn as_slot(&self, carry: Option<&Carry>) -> Slot {
        let (place, mut counts) = (self.place(), Carry::counts(carry));
        if place == Place::Running {
            counts.attempts = self.attempt(carry);
        }
        Slot { place, counts }
    }
}

/// How far a run is, in its worker's words.
#[derive(Clone, PartialEq, Debug)]
pub struct Progress {
    /// From 0 to 1.
    pub fraction: Option<f64>,
    pub message: Option<Arc<str>>,
}

/// An accepted report: which run's, and what it said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reported {
    pub fence: Fence,
    pub digest: Digest,
}

/// What went wrong, for people and programs.
#[derive(Clone, PartialEq, Debug)]
pub struct Failure {
    /// A stable word: the executor's or worker's own, `worker_lost`, `timeout`.
    pub code: Arc<str>,
    pub message: Arc<str>,
    pub detail: Option<Json>,
}

impl Failure {
    /// Bytes of its detail, which may be as large as an output; the rest is short.
    pub(crate) fn detail_len(&self) -> usize {
        self.detail.as_ref().map_or(0, Json::len)
    }

    /// Where its detail is longer than this many bytes, it goes without.
    pub fn leave_out_above(&mut self, detail_max: usize) {
        self.detail.take_if(|detail| detail.len() > detail_max);
    }

    /// The code of a task whose last run that could be lost was.
    pub(crate) const LOST: &str = "worker_lost";

    /// The code of a command that nobody may run here, as workers say it too.
    pub(crate) const NOT_ALLOWED: &str = "command_not_allowed";

    /// Of a task whose payload the database no longer holds as it was handed in; `what` of it.
    pub(crate) fn unreadable(what: &str) -> Self {
        let message = format!(
            "the {what} of this task is damaged: what the database holds of it is no JSON. `taskyard db check` names \
             every task of which that is so"
        );
        Self::new("unreadable", &message)
    }

    pub fn new(code: &str, message: &str) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            detail: None,
        }
    }
}

/// A task's end. Inserted once, never changed.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    pub task: TaskId,
    pub lane: Lane,
    pub status: Status,
    pub output: Option<Json>,
    pub error: Option<Failure>,
    pub claimed_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Timestamp,
    pub worker: Option<WorkerNumber>,
    pub counts: Counts,
    pub fence: Fence,
    pub reported: Option<Reported>,
}

impl Outcome {
    /// Whether it failed because its worker fell silent. A worker may report that code too.
    pub fn was_lost(&self) -> bool {
        let error = self.error.as_ref();
        self.reported.is_none() && error.is_some_and(|error| &*error.code == Failure::LOST)
    }

    /// The end of a task that no run led to.
    pub(crate) fn without_a_run(
        task: TaskId,
        status: Status,
        counts: Counts,
        ended_at: Timestamp,
    ) -> Self {
        Self {
            task,
            lane: Lane(0),
            status,
            output: None,
            error: None,
            claimed_at: None,
            started_at: None,
            ended_at,
            worker: None,
            counts,
            fence: Fence(0),
            reported: None,
        }
    }
}

/// As much of an outcome as decisions go by: what a run left behind may be large, and is never loaded for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closed {
    pub status: Status,
    pub fence: Fence,
    pub reported: Option<Reported>,
}

impl From<&Outcome> for Closed {
    fn from(outcome: &Outcome) -> Self {
        Self {
            status: outcome.status,
            fence: outcome.fence,
            reported: outcome.reported,
        }
    }
}

/// As much of a task that has ended as tells whether it may go.
#[derive(Clone, PartialEq, Debug)]
pub struct Ended {
    pub task: TaskId,
    pub status: Status,
    pub ended_at: Timestamp,
    pub queue: Name,
}

/// A task that has ended, on its way out: what has to be known to take all its rows away.
#[derive(Clone, PartialEq, Debug)]
pub struct Relic {
    pub ended: Ended,
    pub lane: Lane,
    pub unique_key: Option<Arc<str>>,
}

/// A run that did not end its task.
#[derive(Clone, PartialEq, Debug)]
pub struct Attempt {
    pub run: RunKey,
    /// Counted from 1 over the runs that began; none if this one never did.
    pub number: Option<i32>,
    pub worker: WorkerNumber,
    pub claimed_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Timestamp,
    pub end: End,
    pub error: Option<Failure>,
}

/// How a run ended that did not end its task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Failed,
    TimedOut,
    Snoozed,
    Released,
    Lost,
}

/// A report that was refused because its lease was no longer current. Kept to be seen.
#[derive(Clone, PartialEq, Debug)]
pub struct LateResult {
    /// With fence 0 where the named run never was.
    pub run: RunKey,
    pub at: Timestamp,
    /// What it wanted to say.
    pub said: Said,
    pub output: Option<Json>,
    pub error: Option<Failure>,
}

/// What a report says of its run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Said {
    Completed,
    Failed,
    TimedOut,
    Snoozed,
    Released,
}

/// A worker, by name; its number and epoch stand in narrow rows for it.
#[derive(Clone, PartialEq, Debug)]
pub struct Worker {
    pub name: Name,
    pub number: WorkerNumber,
    pub epoch: Epoch,
    /// The server in whose process it runs, if it is an internal one.
    pub server: Option<ServerNumber>,
    pub profile: Arc<Profile>,
    /// How many runs it does at once, as it says; for people.
    pub capacity: i32,
    pub registered_at: Timestamp,
    /// Without a sign of life until then it is offline.
    pub expires_at: Timestamp,
    /// A suspect that it runs alone, or is left to empty its hand for: it gets nothing else meanwhile.
    pub kept_for: Option<SlotKey>,
    /// It gets nothing more: it finishes what it holds and leaves. Until a process registers under its name.
    pub is_draining: bool,
    /// It was ended from outside, and nobody is this worker any more. Until a process registers under its name.
    pub is_killed: bool,
    /// What it held before this epoch goes back at no cost: the last kill brought it there. Stays when a process registers
    /// under its name, which may be before everything went back.
    pub killed_before: Option<Epoch>,
    /// Runs of all its processes that completed, and that failed or timed out; for people.
    pub completed: i64,
    pub failed: i64,
    /// It was gone for so long that nobody lists it any more. Its name, number and epoch stay for the runs that refer to
    /// them, and so that none of them is given to another; its next sign of life brings it back.
    pub is_forgotten: bool,
}

impl Worker {
    pub fn is_offline(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }
}

/// A server that is, or was, up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Server {
    pub number: ServerNumber,
    pub started_at: Timestamp,
    pub expires_at: Timestamp,
}
