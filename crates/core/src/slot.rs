//! The slot machine: where a slot goes when something happens to it. The only place that knows.
//!
//! It works on what is true of a slot, not on rows; [`crate::moves`] turns its answers into rows. A test prints it
//! as a table into `docs/task-states.md`.

use crate::refused::Refused;
use crate::status::Status;

/// An enum with its cases listed beside the variants, so that what goes through all of them misses none: a variant
/// without a case does not compile.
macro_rules! listed {
    ($(#[$about:meta])* $enum:ident {
        $($(#[$doc:meta])* $variant:ident $(($inner:ty))? $({ $field:ident: $type:ty })?:
            $($case:expr => $word:literal),+;)*
    }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $enum { $($(#[$doc])* $variant $(($inner))? $({ $field: $type })?),* }

        impl $enum {
            /// Each with its word in `docs/task-states.md`.
            pub const CASES: &'static [(Self, &'static str)] = &[$($(($case, $word)),+),*];
        }
    };
}

listed! {
    /// Where a slot is.
    Place {
        /// Waits for its time, or for its next try.
        Scheduled: Self::Scheduled => "scheduled";
        /// Waits for a worker.
        Ready: Self::Ready => "ready";
        /// Waits for a worker with an empty hand, because workers kept dying with it in theirs.
        Suspect: Self::Suspect => "suspect";
        /// Given to a worker that has not said that it began.
        Leased: Self::Leased => "leased";
        /// Given to a worker that began.
        Running: Self::Running => "running";
        Ended(Status): Self::Ended(Status::Completed) => "ended";
    }
}

impl Place {
    pub fn status(self) -> Status {
        match self {
            Self::Scheduled => Status::Scheduled,
            Self::Ready | Self::Suspect => Status::Pending,
            Self::Leased => Status::Assigned,
            Self::Running => Status::Running,
            Self::Ended(status) => status,
        }
    }
}

/// How the runs so far went. Three numbers because they mean different things.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Runs that began.
    pub attempts: i32,
    /// Runs that failed or timed out.
    pub failures: i32,
    /// Runs that began and were lost with their worker.
    pub losses: i32,
    /// Leases lost one after the other, with no run in between that its worker reported.
    pub lost_in_a_row: i32,
}

/// From so many leases lost in a row, a slot is handed out alone: either it ends its workers, or it was beside the one
/// that does, and alone it shows which. Not from the first, since most workers that die do so for another reason.
pub(crate) const SUSPECT_AFTER: i32 = 2;

impl Counts {
    pub fn is_suspect(self) -> bool {
        self.lost_in_a_row >= SUSPECT_AFTER
    }

    /// Where a slot waits for a worker.
    pub(crate) fn waiting(self) -> Place {
        if self.is_suspect() {
            Place::Suspect
        } else {
            Place::Ready
        }
    }
}

/// How often a task may fail, and be lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// At so many failures the task ends. At least 1.
    pub max_attempts: i32,
    /// At so many losses the task ends. At least 1.
    pub max_losses: i32,
}

impl Limits {
    /// For events that no limit has a say in.
    pub(crate) const UNASKED: Self = Self {
        max_attempts: 1,
        max_losses: 1,
    };

    /// For what is known not to have met one.
    pub(crate) const FAR: Self = Self {
        max_attempts: i32::MAX,
        max_losses: i32::MAX,
    };
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    pub place: Place,
    pub counts: Counts,
}

listed! {
    /// What can happen to a slot.
    Event {
        /// Its time has come.
        Due: Self::Due => "due";
        /// A worker takes it; `begin` when the claim counts as the begin of its run.
        Claimed { begin: bool }:
            Self::Claimed { begin: false } => "claimed",
            Self::Claimed { begin: true } => "claimed, begun";
        /// Its worker says that the run began.
        Began: Self::Began => "began";
        Completed: Self::Completed => "completed";
        /// Its worker reports a failure; `retry` unless the worker says that another try is useless.
        Failed { retry: bool }:
            Self::Failed { retry: true } => "failed",
            Self::Failed { retry: false } => "failed for good";
        /// The run took longer than it may, says its worker or the sweep.
        TimedOut: Self::TimedOut => "timed out";
        /// Its worker asks to have it tried again later.
        Snoozed: Self::Snoozed => "snoozed";
        /// Its worker hands it back.
        Released: Self::Released => "released";
        /// Somebody changes its time while it waits; `due` when that has come.
        Moved { due: bool }:
            Self::Moved { due: false } => "moved to later",
            Self::Moved { due: true } => "moved to now";
        /// Its time has come, and no worker is to have it.
        Refused: Self::Refused => "refused";
        /// Its worker is gone, or did not renew the lease.
        Lost: Self::Lost => "lost";
        Cancelled: Self::Cancelled => "cancelled";
    }
}

/// Where `event` leads. Refused where it cannot happen: too late, or to a slot that nobody holds.
pub fn step(slot: Slot, event: Event, limits: Limits) -> Result<Slot, Refused> {
    use Place::{Ended, Leased, Ready, Running, Scheduled, Suspect};
    match (slot.place, event) {
        (Ended(status), _) => Err(Refused::AlreadyEnded(status)),
        (_, Event::Cancelled) => Ok(slot.ended(Status::Cancelled)),

        (Scheduled, Event::Due) => Ok(slot.waiting()),
        (Scheduled, Event::Refused) => Ok(slot.ended(Status::Failed)),
        (Ready | Suspect | Leased | Running, Event::Due | Event::Refused) => {
            Err(Refused::NotWaiting)
        }

        (Scheduled | Ready | Suspect, Event::Moved { due: true }) => Ok(slot.waiting()),
        (Scheduled | Ready | Suspect, Event::Moved { due: false }) => Ok(slot.at(Scheduled)),
        (Leased | Running, Event::Moved { .. }) => Err(Refused::NotWaiting),

        (Ready, Event::Claimed { begin: false }) => Ok(slot.at(Leased)),
        (Ready, Event::Claimed { begin: true }) => Ok(slot.begun()),
        // Given alone, and taken as begun: if this worker dies too, the task did it.
        (Suspect, Event::Claimed { .. }) => Ok(slot.begun()),
        (Scheduled | Leased | Running, Event::Claimed { .. }) => Err(Refused::NotClaimable),

        (Leased, Event::Began) => Ok(slot.begun()),
        (Running, Event::Began) => Ok(slot),

        // A result says that the run began, also where nothing else did.
        (Leased | Running, Event::Completed) => Ok(slot.heard_of().ended(Status::Completed)),
        (Leased | Running, Event::Failed { retry }) => {
            Ok(slot.heard_of().failed(retry, Status::Failed, limits))
        }
        (Leased | Running, Event::TimedOut) => {
            Ok(slot.heard_of().failed(true, Status::Timeout, limits))
        }
        (Leased | Running, Event::Snoozed) => Ok(slot.heard_of().at(Scheduled)),
        (Leased | Running, Event::Released) => Ok(slot.waiting()),

        // Nothing says that it began: a crash of its worker is not its fault, at least the first time.
        (Leased, Event::Lost) => Ok(slot.lost().waiting()),
        (Running, Event::Lost) => Ok(slot.lost().lost_begun(limits)),

        (
            Scheduled | Ready | Suspect,
            Event::Began
            | Event::Completed
            | Event::Failed { .. }
            | Event::TimedOut
            | Event::Snoozed
            | Event::Released
            | Event::Lost,
        ) => Err(Refused::StaleLease),
    }
}

impl Slot {
    fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    fn waiting(self) -> Self {
        self.at(self.counts.waiting())
    }

    fn ended(self, status: Status) -> Self {
        self.at(Place::Ended(status))
    }

    fn begun(mut self) -> Self {
        self.counts.attempts += 1;
        self.at(Place::Running)
    }

    /// Its run reported: whatever was suspected of the slot is answered.
    fn heard_of(self) -> Self {
        let mut slot = if self.place == Place::Leased {
            self.begun()
        } else {
            self
        };
        slot.counts.lost_in_a_row = 0;
        slot
    }

    fn failed(mut self, retry: bool, status: Status, limits: Limits) -> Self {
        self.counts.failures += 1;
        if retry && self.counts.failures < limits.max_attempts {
            self.at(Place::Scheduled)
        } else {
            self.ended(status)
        }
    }

    fn lost(mut self) -> Self {
        self.counts.lost_in_a_row += 1;
        self
    }

    fn lost_begun(mut self, limits: Limits) -> Self {
        self.counts.losses += 1;
        if self.counts.losses >= limits.max_losses {
            self.ended(Status::Failed)
        } else {
            self.waiting()
        }
    }
}
