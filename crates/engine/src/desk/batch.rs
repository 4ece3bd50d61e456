//! What a batch is made of, and how much of the database it takes.

use std::time::Duration;

use taskyard_core::command::Command;
use taskyard_core::verbs::claim::{Claim, Claims};
use taskyard_core::verbs::heartbeat::Held;
use taskyard_core::verbs::proceed::Piece;
use taskyard_core::verbs::report::RunResult;

use super::errand::Errand;

/// About how many rows one batch may write.
const ROWS_MAX: usize = 1000;
/// About how many bytes of payloads one batch may hold.
const BYTES_MAX: usize = 1 << 20;

/// Where an answer goes.
pub trait Caller {
    /// Nobody waits for the answer any more.
    fn is_gone(&self) -> bool;

    /// Its claim found nothing and is parked: what it waits for now is not the database.
    fn waits_for_work(&mut self) {}

    /// Of a sweep's command: when it looked whose silence counts.
    fn looked_at(&self) -> Option<Moment> {
        None
    }
}

/// Time since some start, in the caller's clock.
pub type Moment = Duration;

/// A claim and until when it may wait.
pub struct Waiting<C> {
    pub claim: Claim,
    pub until: Moment,
    pub caller: C,
}

pub(super) struct Queued<C> {
    pub(super) command: Command,
    pub(super) caller: C,
}

/// What runs as one transaction, and who hears of it.
pub struct Batch<C> {
    /// Whoever runs them may take them away.
    pub commands: Vec<Command>,
    /// Counted from 1.
    pub(super) number: u64,
    pub(super) callers: Vec<C>,
    /// What the last of the commands is made of, if there are any.
    pub(super) claims: Vec<Taken<C>>,
    rows: usize,
    bytes: usize,
}

impl<C> Batch<C> {
    pub(super) fn numbered(number: u64) -> Self {
        Self {
            commands: Vec::new(),
            number,
            callers: Vec::new(),
            claims: Vec::new(),
            rows: 0,
            bytes: 0,
        }
    }

    pub(super) fn has_room_for_claim(&self, claim: &Claim) -> bool {
        self.claims.is_empty() || self.rows + claim.limit <= ROWS_MAX
    }

    /// Whether or not there is room for it.
    pub(super) fn add(&mut self, queued: Queued<C>) {
        let size = size(&queued.command);
        self.put(queued, size);
    }

    /// Answers what there is no room for. Whatever comes first has room.
    pub(super) fn add_where_there_is_room(&mut self, queued: Queued<C>) -> Option<Queued<C>> {
        let (rows, bytes) = size(&queued.command);
        let is_first = self.commands.is_empty() && self.claims.is_empty();
        if !is_first && (self.rows + rows > ROWS_MAX || self.bytes + bytes > BYTES_MAX) {
            return Some(queued);
        }
        self.put(queued, (rows, bytes));
        None
    }

    fn put(&mut self, Queued { command, caller }: Queued<C>, (rows, bytes): (usize, usize)) {
        self.rows += rows;
        self.bytes += bytes;
        self.commands.push(command);
        self.callers.push(caller);
    }

    /// Takes away the command that its claims are, if there are any.
    pub(super) fn take_claims(&mut self) -> Vec<Claim> {
        if self.claims.is_empty() {
            return Vec::new();
        }
        match self.commands.pop() {
            Some(Command::Claims(Claims { claims })) => claims,
            _ => unreachable!("claims are the last of the commands"),
        }
    }

    pub(super) fn add_claim(&mut self, taken: Taken<C>) {
        self.rows += taken.waiting.claim.limit;
        self.claims.push(taken);
    }
}

impl<C: Caller> Batch<C> {
    /// How many commands it has besides that of its claims.
    pub fn callers(&self) -> usize {
        self.callers.len()
    }

    /// How many commands and claims it has.
    pub fn size(&self) -> usize {
        self.callers.len() + self.claims.len()
    }

    /// Something that workers said at this time was lost: in what a sweep of before then takes away, silence does not
    /// count. Of the commands behind the first so many.
    pub fn spare_the_silent(&mut self, lost_at: Moment, from: usize) {
        let all = self.commands.iter_mut().zip(&self.callers);
        for (command, caller) in all.skip(from) {
            if let Command::Expire(expire) = command
                && caller.looked_at().is_some_and(|looked| looked <= lost_at)
            {
                expire.sight.grace = true;
            }
        }
    }
}

/// A claim of a batch, and what it was woken for.
pub(super) struct Taken<C> {
    pub(super) waiting: Waiting<C>,
    pub(super) errand: Option<Errand>,
}

/// About how many rows and bytes a command writes.
pub(super) fn size(command: &Command) -> (usize, usize) {
    match command {
        Command::Submit(submit) => (
            submit.tasks.len(),
            submit.tasks.iter().map(|task| task.input.len()).sum(),
        ),
        Command::Report(report) => (
            report.results.len(),
            report.results.iter().map(RunResult::payload_len).sum(),
        ),
        Command::Heartbeat(heartbeat) => (
            heartbeat.held.len(),
            heartbeat.held.iter().map(Held::payload_len).sum(),
        ),
        Command::Expire(expire) => (expire.runs.len(), 0),
        Command::Kill(kill) => (1 + kill.runs.len(), 0),
        Command::Promote(promote) => (promote.limit, 0),
        Command::Prune(prune) => (prune.limit, 0),
        Command::Discard(discard) => (discard.tasks.len(), 0),
        Command::Forget(forget) => (forget.workers.len(), 0),
        Command::Free(free) => (free.keys.len(), 0),
        Command::Tally(tally) => (tally.minutes.len() + tally.workers.len(), 0),
        Command::Clear(clear) => (clear.operations.len(), 0),
        Command::Proceed(proceed) => match &proceed.piece {
            Piece::Cancel(tasks) => (1 + tasks.len(), 0),
            Piece::PassOver(_) => (1, 0),
            Piece::Retry(tasks) => (
                1 + tasks.len(),
                tasks.iter().map(|task| task.input.len()).sum(),
            ),
        },
        Command::Claims(claims) => (claims.claims.len(), 0),
        Command::Start(_)
        | Command::Cancel(_)
        | Command::Patch(_)
        | Command::SetQueue(_)
        | Command::Operate(_)
        | Command::CancelOperation(_)
        | Command::Register(_)
        | Command::Drain(_)
        | Command::Join(_)
        | Command::Leave(_) => (1, 0),
    }
}
