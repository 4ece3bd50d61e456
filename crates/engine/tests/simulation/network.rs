//! Messages and what can happen to them on the way: lost, doubled, late, and so out of order.

use std::time::Duration;

use taskyard_core::command;
use taskyard_core::hints::Hints;
use taskyard_core::id::{OperationId, TaskId};
use taskyard_core::name::Name;
use taskyard_core::random::Seeded;
use taskyard_core::verbs::drain::Drain;
use taskyard_core::verbs::heartbeat::Heartbeat;
use taskyard_core::verbs::kill::Kill;
use taskyard_core::verbs::operate::Operate;
use taskyard_core::verbs::patch::Patch;
use taskyard_core::verbs::register::Register;
use taskyard_core::verbs::report::Report;
use taskyard_core::verbs::set_queue::SetQueue;
use taskyard_core::verbs::start::Start;
use taskyard_core::verbs::submit::Submit;
use taskyard_engine::engine::ClaimCall;

use crate::options::Rates;
use crate::tally::Tally;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Node {
    Server(usize),
    Worker(usize),
    Client(usize),
}

/// Joins an answer to its question.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Ticket(pub(crate) u64);

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) from: Node,
    pub(crate) to: Node,
    pub(crate) ticket: Ticket,
    pub(crate) body: Body,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Call(Call),
    Told(Told),
    /// From server to server, as PostgreSQL's NOTIFY carries it.
    Hint(Hints),
}

/// What workers and clients ask of a server.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Submit {
        submit: Submit,
        /// The server makes the ids, new ones each time this arrives.
        makes_ids: bool,
    },
    Cancel(TaskId),
    Patch(Patch),
    /// To be run again as a new task, once it has ended.
    Retry(TaskId),
    SetQueue(SetQueue),
    Operate(Operate),
    CancelOperation(OperationId),
    Read {
        task: TaskId,
        /// It had ended before anybody asked.
        had_ended: bool,
    },
    Register(Register),
    Drain(Drain),
    Kill(Kill),
    /// The worker is to be listed no more.
    Delete(Name),
    Claim(ClaimCall),
    Start(Start),
    Heartbeat(Heartbeat),
    Report(Report),
}

impl Call {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Submit { .. } => "submit",
            Self::Cancel(_) => "cancel",
            Self::Patch(_) => "patch",
            Self::Retry(_) => "retry",
            Self::SetQueue(_) => "set_queue",
            Self::Operate(_) => "operate",
            Self::CancelOperation(_) => "cancel_operation",
            Self::Read { .. } => "read",
            Self::Register(_) => "register",
            Self::Drain(_) => "drain",
            Self::Kill(_) => "kill",
            Self::Delete(_) => "delete",
            Self::Claim(_) => "claim",
            Self::Start(_) => "start",
            Self::Heartbeat(_) => "heartbeat",
            Self::Report(_) => "report",
        }
    }

    /// Whether it may arrive twice and mean the same. A submit that names neither key nor id is two submits, and so is a
    /// retry.
    pub(crate) fn can_be_doubled(&self) -> bool {
        match self {
            Self::Submit { submit, makes_ids } => !makes_ids || submit.once.is_some(),
            Self::Retry(_) => false,
            _ => true,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Told {
    Answer(command::Answer),
    /// There is no room for it now.
    Busy,
    /// What was read; looked at where it was read.
    Task,
}

pub(crate) struct Network {
    random: Seeded,
    pub(crate) rates: Rates,
}

impl Network {
    pub(crate) fn new(seed: u64, rates: Rates) -> Self {
        Self {
            random: Seeded::new(seed),
            rates,
        }
    }

    /// After which times the message arrives, once for each of its copies.
    pub(crate) fn carry(&mut self, message: &Message, tally: &mut Tally) -> Vec<Duration> {
        let lost = match message.body {
            Body::Hint(_) => self.rates.hints_lost,
            Body::Call(_) | Body::Told(_) => self.rates.lost,
        };
        if self.happens(lost) {
            tally.count(match message.body {
                Body::Hint(_) => "hint_is_lost",
                Body::Call(_) => "question_is_lost",
                Body::Told(_) => "answer_is_lost",
            });
            return Vec::new();
        }
        let mut arrivals = vec![self.delay(tally)];
        let can_be_doubled = match &message.body {
            Body::Call(call) => call.can_be_doubled(),
            Body::Told(_) | Body::Hint(_) => true,
        };
        if can_be_doubled && self.happens(self.rates.doubled) {
            tally.count("message_is_doubled");
            arrivals.push(self.delay(tally));
        }
        arrivals
    }

    /// Whether who waits for an answer has gone when it is ready.
    pub(crate) fn hangs_up(&mut self, tally: &mut Tally) -> bool {
        let gone = self.happens(self.rates.hung_up);
        if gone {
            tally.count("caller_has_gone_when_the_answer_is_ready");
        }
        gone
    }

    fn delay(&mut self, tally: &mut Tally) -> Duration {
        if self.happens(self.rates.late) {
            tally.count("message_is_late");
            return Duration::from_millis(500 + self.random.below(6_000));
        }
        Duration::from_micros(200 + self.random.below(20_000))
    }

    fn happens(&mut self, rate: u64) -> bool {
        self.random.below(1000) < rate
    }
}
