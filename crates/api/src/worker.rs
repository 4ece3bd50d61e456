//! What a worker asks: to be known, for tasks, and to keep them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use taskyard_core::id::TaskId;

use crate::payload::Raw;
use crate::request::{Request, nearest, nearest_if_any, null_is_absent};
use crate::task::{Progress, Status};
use crate::time::Time;

/// How many kinds, and how many queues, a worker may name.
pub const NAMES_MAX: usize = 256;

/// `POST /workers/register`: a process says who it is and what it can run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// Its name, 1–64 of `A–Z a–z 0–9 . _ -`, but not `.` or `..`. The same name again replaces the process that had it:
    /// that one's leases come back at once.
    pub worker_id: String,
    /// The kinds that it runs, 1 to 256; `["*"]` for every kind.
    pub kinds: Vec<String>,
    /// The queues that it serves, 1 to 256. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queues: Option<Vec<String>>,
    /// What tasks can require. Up to 32; values 1–64 bytes of UTF-8 (`é` is two) with no control characters.
    #[serde(
        default,
        deserialize_with = "null_is_absent",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub labels: BTreeMap<String, String>,
    /// How many runs it does at once, for people to see. 1 to 1,000,000; default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<i64>,
}

impl Request for Register {
    const LEVELS: usize = 0;
}

/// The answer to a registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Registered {
    pub worker_id: String,
    /// Small and stable for this name.
    pub number: u32,
    /// Counts the registrations of this name. Named in later calls, it tells a process that it was replaced.
    pub epoch: u32,
    /// How often a heartbeat is wanted, in milliseconds.
    pub heartbeat_ms: u64,
    /// After so long without a sign of life the worker is offline and its leases are lost, in milliseconds.
    pub heartbeat_ttl_ms: u64,
    /// How long a lease lasts without being renewed, in milliseconds.
    pub lease_ms: u64,
    /// How long after its time is up a run is taken away, in milliseconds.
    #[serde(default = "timeout_margin_ms")]
    pub timeout_margin_ms: u64,
    #[serde(default)]
    pub limits: Limits,
}

/// What a server takes from a worker. One that does not say has the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Limits {
    /// Runs of a heartbeat, and results of a report. Default 10,000.
    pub runs_max: usize,
    /// Tasks that one claim gets. Default 1,000.
    pub claim_max: usize,
    /// Bytes of the body of a heartbeat or a report. Default 16 MiB.
    pub body_bytes_max: usize,
    /// Bytes of a checkpoint. Default 64 KiB.
    pub checkpoint_bytes_max: usize,
    /// Bytes of the message beside a progress. Default 1 KiB.
    pub message_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            runs_max: 10_000,
            claim_max: 1_000,
            body_bytes_max: 16 << 20,
            checkpoint_bytes_max: 64 << 10,
            message_bytes_max: 1 << 10,
        }
    }
}

/// The [`Registered::timeout_margin_ms`] of a server that does not say.
pub const TIMEOUT_MARGIN_MS: u64 = 10_000;

fn timeout_margin_ms() -> u64 {
    TIMEOUT_MARGIN_MS
}

/// A worker as lists show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Worker {
    pub worker_id: String,
    pub number: u32,
    pub epoch: u32,
    pub status: WorkerStatus,
    /// It runs within a server's process.
    pub internal: bool,
    /// `["*"]` for every kind; nothing for who asks for none, and takes the tasks that it names.
    pub kinds: Vec<String>,
    /// Null for all queues.
    pub queues: Option<Vec<String>>,
    pub labels: BTreeMap<String, String>,
    /// How many runs it does at once, as it says.
    pub capacity: u32,
    /// How many leases it holds.
    pub held: u32,
    /// How many of its runs completed, and how many failed or timed out, over all processes of its name.
    #[serde(default)]
    pub completed: u64,
    #[serde(default)]
    pub failed: u64,
    pub registered_at: Time,
    /// Its last sign of life, as far as it was noted: of those that come thick and fast not every one is.
    /// Null of one that was killed, of which it is not kept; of one that left it is earlier by the time that workers may
    /// be silent.
    pub heard_at: Option<Time>,
    /// It is offline from then on, unless it gives a sign of life before.
    pub expires_at: Time,
    /// What it holds, the longest held first, up to 1,000; only where this one worker is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Vec<Running>>,
}

/// A run that a worker holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Running {
    pub task_id: TaskId,
    pub kind: String,
    pub queue: String,
    /// Which run of the task this is, counted from 1.
    pub attempt: u32,
    /// `assigned`, or `running` once it began.
    pub status: Status,
    pub assigned_at: Time,
    pub started_at: Option<Time>,
    pub lease_expires_at: Time,
    pub progress: Option<Progress>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WorkerStatus {
    /// Heard of lately; holds nothing.
    Idle,
    /// Heard of lately; holds leases.
    Busy,
    /// Heard of lately; gets nothing more, finishes what it holds and leaves.
    Draining,
    /// Silent for too long, or killed, so that its leases are lost; or it drained and left.
    Offline,
}

impl WorkerStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Draining => "draining",
            Self::Offline => "offline",
        }
    }
}

/// `POST /workers/{id}/claim`, or part of a report: asks for tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// How many tasks at most. 1 to 1,000.
    #[serde(deserialize_with = "nearest")]
    pub limit: u32,
    /// How long to wait for the first one, in milliseconds. 0 to 60,000; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// The runs count as begun: for workers that start at once and do not say so. Default false.
    #[serde(
        default,
        deserialize_with = "null_is_absent",
        skip_serializing_if = "is_false"
    )]
    pub begin: bool,
    /// The worker's own number for this claim, from 1 upwards. Sent again, for want of an answer, it is answered with
    /// those of the same leases that stand: a run that has ended since, as where its task was cancelled, is not among
    /// them. Where none stands it is a claim like any other, and may bring other tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// Of the worker's registration; an older one is refused. Default: the current one.
    #[serde(
        default,
        deserialize_with = "nearest_if_any",
        skip_serializing_if = "Option::is_none"
    )]
    pub epoch: Option<u32>,
    /// It may have reached a server before, this one or another. Said in the header [`AGAIN`] and not in the body, so that
    /// servers of before, which know no such field, take it as well.
    #[serde(skip)]
    pub again: bool,
}

/// The header by which a claim, alone or in a report, says that it was sent before and may have reached another server. With
/// `true` in it, leases that were dealt for its `seq` are looked for; without it a server looks for those that it may have
/// dealt itself.
pub const AGAIN: &str = "x-again";

impl Request for Claim {
    const LEVELS: usize = 0;
}

/// The answer to a claim; without tasks when the time is up.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Claimed<P = Raw> {
    pub tasks: Vec<Run<P>>,
    /// As in the answer to a heartbeat.
    #[serde(default, skip_serializing_if = "is_false")]
    pub drain: bool,
    /// How long a lease lasts at the server that answers, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub lease_ms: Option<u64>,
    /// How often a heartbeat is wanted from now on, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub heartbeat_ms: Option<u64>,
}

/// One run, as its worker gets it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Run<P = Raw> {
    pub id: TaskId,
    pub kind: String,
    pub queue: String,
    pub input: P,
    /// Which run of the task this is, counted from 1.
    pub attempt: u32,
    /// Proves that the run is this worker's; goes into every report about it. Opaque.
    pub lease_token: String,
    /// The lease holds until then, unless a heartbeat renews it.
    pub lease_expires_at: Time,
    /// How long the run may take from its start, in milliseconds.
    pub timeout_ms: u64,
    /// It must never run twice at once: its worker ends it when two thirds of the lease have gone by without an answer to
    /// a heartbeat that named it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub exclusive: bool,
    /// What an earlier run saved to go on from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<P>,
}

/// `POST /workers/{id}/heartbeat`: a sign of life, with the runs that the worker still has. Only leases that it lists
/// are renewed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Heartbeat<P = Raw> {
    pub held: Vec<Held<P>>,
    /// Of the worker's registration; an older one is refused. Default: the current one.
    #[serde(
        default,
        deserialize_with = "nearest_if_any",
        skip_serializing_if = "Option::is_none"
    )]
    pub epoch: Option<u32>,
    /// The worker's last word: its process ends and holds nothing, so it is offline at once, until it calls again. Not
    /// with runs in `held`. Default false.
    #[serde(
        default,
        deserialize_with = "null_is_absent",
        skip_serializing_if = "is_false"
    )]
    pub leaves: bool,
}

impl<P> Request for Heartbeat<P> {
    const LEVELS: usize = 3;
}

/// One run that its worker still has.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Held<P = Raw> {
    pub task_id: TaskId,
    pub lease_token: String,
    /// It began.
    pub running: bool,
    /// News of how far it is. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What a later run may go on from; JSON of up to `--checkpoint-max` (64 KiB). Default: what was saved before stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<P>,
}

/// The answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Heard {
    /// The listed leases hold until then.
    pub expires_at: Time,
    /// No longer this worker's: their results will be refused.
    pub lost: Vec<TaskId>,
    /// Cancelled: to be ended, and not to be reported.
    pub cancel: Vec<TaskId>,
    /// Not known to hold for two thirds of a lease from now: they could not be looked at, or are exclusive and their
    /// time is up. To go on, but for exclusive ones only as long as an earlier answer lets them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unconfirmed: Vec<TaskId>,
    /// The worker is to take nothing new and to stop when it has finished.
    pub drain: bool,
    /// How long a lease lasts at the server that answers, from now on, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub lease_ms: Option<u64>,
    /// How often a heartbeat is wanted from now on, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub heartbeat_ms: Option<u64>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
pub(crate) fn is_false(flag: &bool) -> bool {
    !flag
}
