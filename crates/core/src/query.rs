//! What can be asked of a store without changing anything.

mod answer;
mod queues;

use std::sync::Arc;

use crate::counter::Counter;
use crate::explain::Explain;
use crate::filter::Filter;
use crate::id::{Epoch, Fence, OperationId, SlotKey, TaskId, WorkerNumber};
use crate::json::Json;
use crate::lane::{Lane, LaneKey};
use crate::minute::Minute;
use crate::name::Name;
use crate::needs::ReadyKey;
use crate::order::Priority;
use crate::policy::Policy;
use crate::rows::{Carry, Failure, Lease, Outcome, Progress, Ready, Scheduled, Task, Worker};
use crate::slot::{Counts, Place};
use crate::status::Status;
use crate::time::Timestamp;
use crate::verbs::expire::{Lost, Sight};
use crate::verbs::held::Token;

pub use self::answer::{Answer, Attempts, Freeable};
pub use self::queues::{QueueList, QueueView, QueuesListed};

#[derive(Clone, Debug)]
pub enum Query {
    Task(TaskId),
    Tasks(List),
    /// Details of errors that are longer than this many bytes are left out: a hundred runs may have one each, every
    /// one as large as an output.
    Attempts {
        task: TaskId,
        detail_max: usize,
    },
    /// What decides when a task runs; without its payloads.
    Explain(Explain),
    /// Tasks by queue, kind and status, of every lane that there ever was: for whoever compares them with the tasks.
    Counts,
    /// Tasks by status; besides of so many queues, and of so many kinds, those with most tasks.
    Sums {
        names: usize,
    },
    /// What happened in this minute and those behind it.
    Minutes {
        from: i64,
    },
    /// Workers by name, behind `after` if it is given; offline ones too, unless they are forgotten. At most `limit`.
    Workers {
        after: Option<Name>,
        limit: usize,
    },
    /// How many workers are online at this time, and how many are not; of those that are not forgotten.
    WorkerCounts(Timestamp),
    /// How much there is to do and by whom, at this time; of at most so many lanes since when something waits there.
    Survey {
        now: Timestamp,
        lanes: usize,
    },
    /// Workers that may be forgotten by [`Forget`](crate::verbs::forget::Forget): those that expired by then, and those
    /// that expire later than can be believed.
    Gone {
        expired: Timestamp,
        ahead: Timestamp,
        limit: usize,
    },
    Worker(Name),
    /// A worker that is not forgotten, with the first runs that it holds, at most so many.
    AtWork {
        worker: Name,
        limit: usize,
    },
    /// The names of the workers with these numbers.
    Named(Vec<WorkerNumber>),
    /// The queues of which something was set, by name.
    Queues,
    QueuePage(QueueList),
    Operation(OperationId),
    /// Operations, the newest first, behind `after` if it is given.
    Operations {
        after: Option<OperationId>,
        limit: usize,
    },
    /// Operations that have not ended, the oldest first.
    OpenOperations {
        limit: usize,
    },
    /// Operations that had ended by then, those that did so first before the others.
    OldOperations {
        ended: Timestamp,
        limit: usize,
    },
    /// Of the next `limit` unique keys, in the order of their tasks, those whose tasks have ended.
    Freeable {
        after: Option<TaskId>,
        limit: usize,
    },
    /// Tasks that have ended, by id, behind `after` and up to `until`.
    Relics {
        after: TaskId,
        until: TaskId,
        limit: usize,
    },
    /// Leases that look lost, by key.
    Lost {
        looks: Lost,
        limit: usize,
    },
    /// What may be taken from a worker that is killed, by key: what it holds, if asked for only that of before an epoch,
    /// without what is exclusive.
    Takeable {
        worker: Name,
        before: Option<Epoch>,
        limit: usize,
    },
    /// Which of these tasks have ended.
    Ended(Vec<TaskId>),
    /// Which of these tasks there are.
    Known(Vec<TaskId>),
    /// Who runs this task now; without its payloads.
    Holder(TaskId),
    /// What this worker holds, or all of them do, by worker and task; at most `limit`.
    Holdings {
        worker: Option<WorkerNumber>,
        limit: usize,
    },
    /// The earliest time that anything is scheduled for, behind so many rows.
    NextDue {
        skip: usize,
    },
    /// Whether the store answers and takes writes.
    Ping,
}

impl Query {
    /// What a sweep asks for. In grace not for the silent: all of them would be spared, and enough of them
    /// would keep those behind them from being found.
    pub fn lost(policy: &Policy, sight: Sight, limit: usize) -> Self {
        let now = sight.at;
        let looks = Lost {
            overdue: now - policy.timeout_margin,
            steps: sight.steps,
            silent: if sight.grace {
                Timestamp::default()
            } else {
                now
            },
            ahead: if sight.grace {
                Timestamp::MAX
            } else {
                policy.believed_until(now)
            },
            internal_before: sight.alone_since,
        };
        Self::Lost { looks, limit }
    }
}

/// A page of tasks, newest first unless `oldest_first`.
#[derive(Clone, Debug)]
pub struct List {
    pub filter: Filter,
    pub oldest_first: bool,
    /// Goes on behind this one.
    pub after: Option<TaskId>,
    /// 1 to 1000.
    pub limit: usize,
    /// Looks at no more tasks than this, at least 1, for what the filter lets through: the page may hold fewer than
    /// `limit` and still have a next one.
    pub look_at_max: usize,
    /// With inputs and outputs.
    pub payload: bool,
}

impl Default for List {
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            oldest_first: false,
            after: None,
            limit: 0,
            look_at_max: LIST_LOOK_AT,
            payload: false,
        }
    }
}

/// How many tasks a page looks at unless it is told: some hundredths of a second.
pub const LIST_LOOK_AT: usize = 2_000;
/// Pages end before their payloads grow past this, in bytes; one task goes out whatever its size.
pub const LIST_BYTES_MAX: usize = 8 << 20;

#[derive(Debug, Default)]
pub struct Listed {
    pub items: Vec<TaskView>,
    /// Where the next page begins, if there is one.
    pub next: Option<TaskId>,
    /// Those on the way that cannot be read, as of a damaged database: nobody knows whether the filter lets them through.
    pub unreadable: Vec<TaskId>,
}

/// Everything known of one task.
#[derive(Clone, Debug)]
pub struct TaskView {
    pub task: Arc<Task>,
    pub lane: Arc<LaneKey>,
    pub standing: Standing,
    pub carry: Option<Carry>,
    /// The worker that holds it, or that ended it.
    pub worker: Option<Name>,
}

#[derive(Clone, Debug)]
pub enum Standing {
    Scheduled(Scheduled),
    Ready,
    Leased(Box<Lease>),
    Ended(Arc<Outcome>),
}

impl TaskView {
    /// By which key its slot is found in `ready`, if it is ready.
    pub fn ready_key(&self) -> Option<ReadyKey> {
        let counts = Carry::counts(self.carry.as_ref());
        let order_key = self.carry.as_ref().map(|carry| carry.order_key);
        matches!(self.standing, Standing::Ready).then(|| ReadyKey {
            lane: Ready::lane_of(self.task.lane, counts.waiting()),
            order_key: order_key.unwrap_or(self.task.order_key),
            slot: SlotKey::only(self.task.id),
        })
    }

    /// The worker that has it now.
    pub fn holder(&self) -> Option<&Name> {
        let is_leased = matches!(self.standing, Standing::Leased(_));
        self.worker.as_ref().filter(|_| is_leased)
    }

    /// Whether no worker has it, and one will.
    pub fn waits(&self) -> bool {
        matches!(self.standing, Standing::Scheduled(_) | Standing::Ready)
    }

    pub fn status(&self) -> Status {
        match &self.standing {
            Standing::Scheduled(_) => Status::Scheduled,
            Standing::Ready => Status::Pending,
            Standing::Leased(lease) => lease.place().status(),
            Standing::Ended(outcome) => outcome.status,
        }
    }

    /// From when on it may be handed out, as it is now.
    pub fn run_at(&self) -> Timestamp {
        let carry = self.carry.as_ref();
        carry.map_or(self.task.run_at, |carry| carry.run_at)
    }

    /// As it is now.
    pub fn priority(&self) -> Priority {
        let carry = self.carry.as_ref();
        carry.map_or(self.task.priority, |carry| carry.priority)
    }

    /// Bytes of what it shows that may be large: payloads as far as they are here, and details of errors.
    pub fn bytes(&self) -> usize {
        let json = |json: &Option<Json>| json.as_ref().map_or(0, Json::len);
        let detail = |error: &Option<Failure>| error.as_ref().map_or(0, Failure::detail_len);
        let ended = match &self.standing {
            Standing::Ended(outcome) => json(&outcome.output) + detail(&outcome.error),
            Standing::Scheduled(_) | Standing::Ready | Standing::Leased(_) => 0,
        };
        let carried = self.carry.as_ref().and_then(|carry| carry.error.here());
        let carried = carried.map_or(0, Failure::detail_len);
        let input = self.task.input.here().map_or(0, Json::len);
        input + ended + carried
    }

    /// The counts so far, the run under way among them.
    pub fn counts(&self) -> Counts {
        let carry = self.carry.as_ref();
        match &self.standing {
            Standing::Leased(lease) => lease.as_slot(carry).counts,
            Standing::Ended(outcome) => outcome.counts,
            Standing::Scheduled(_) | Standing::Ready => Carry::counts(carry),
        }
    }
}

/// Who runs a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holder {
    /// It waits.
    Nobody,
    Worker(Held),
    Ended(Status),
}

/// As much of a lease as shows whose it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    pub fence: Fence,
    pub secret: i64,
    pub by: (WorkerNumber, Epoch),
    pub claimed_at: Timestamp,
    pub has_begun: bool,
    /// Which attempt the run is, counted from 1, begun or not.
    pub attempt: i32,
}

impl Held {
    pub fn new(lease: &Lease, carry: Option<&Carry>) -> Self {
        Self {
            fence: lease.fence,
            secret: lease.secret,
            by: (lease.worker, lease.epoch),
            claimed_at: lease.claimed_at,
            has_begun: lease.started_at.is_some(),
            attempt: lease.attempt(carry),
        }
    }
}

/// One run in the hands of a worker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Holding {
    pub by: (WorkerNumber, Epoch),
    pub token: Token,
}

/// Of all servers, in no order, and the lanes that are named there.
#[derive(Clone, Debug, Default)]
pub struct Minutes {
    pub minutes: Vec<Minute>,
    pub lanes: Vec<(Lane, Arc<LaneKey>)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    pub lane: Arc<LaneKey>,
    pub tasks: Counter,
}

/// How many tasks there are, from one snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    pub all: Counter,
    /// The queues that have most tasks, these first; none that has no task.
    pub by_queue: Vec<(Name, Counter)>,
    /// The kinds, in the same way.
    pub by_kind: Vec<(Name, Counter)>,
}

#[derive(Clone, Debug)]
pub struct WorkerView {
    pub worker: Worker,
    /// How many leases it holds.
    pub held: usize,
}

/// A worker and what it does.
#[derive(Clone, Debug)]
pub struct AtWork {
    pub view: WorkerView,
    /// The longest held first.
    pub runs: Vec<RunView>,
}

/// A run that a worker holds, without what is large of it.
#[derive(Clone, Debug, PartialEq)]
pub struct RunView {
    pub task: TaskId,
    pub queue: Name,
    pub kind: Name,
    /// Counted from 1.
    pub attempt: i32,
    pub claimed_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub expires_at: Timestamp,
    pub progress: Option<Progress>,
}

impl RunView {
    pub fn status(&self) -> Status {
        let place = match self.started_at {
            Some(_) => Place::Running,
            None => Place::Leased,
        };
        place.status()
    }
}

/// How much there is to do and by whom, from one snapshot.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    pub tasks: Counter,
    /// Of each queue in which tasks are due and wait for a worker how many do, by name.
    pub pending: Vec<(Name, i64)>,
    /// The queue of each lane in which something is ready, and when what is next in turn there became due.
    pub waiting: Vec<(Name, Timestamp)>,
    pub staff: Staff,
}

/// Workers that are not forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Staff {
    /// Processes of their own that are heard.
    pub online: i64,
    /// And those that are not.
    pub offline: i64,
    /// Workers inside of servers that are up.
    pub internal: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WorkerCounts {
    pub online: i64,
    pub offline: i64,
}
