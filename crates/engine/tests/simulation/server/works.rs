//! What a server works off beside its callers: operations, piece by piece, and what was kept long enough.

use std::time::Duration;

use taskyard_core::id::TaskId;
use taskyard_core::operation::Operation;
use taskyard_core::query::{List, Query};
use taskyard_core::random::Random;
use taskyard_core::rows::UniqueKey;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::clear::{Clear, ended_before};
use taskyard_core::verbs::discard::Discard;
use taskyard_core::verbs::free::Free;
use taskyard_core::verbs::proceed::{Piece, Proceed};
use taskyard_engine::services::STEP_ROWS_MAX;
use taskyard_engine::services::operations::look_for_piece;

use super::{Caller, Server, Service, Who};
use crate::surroundings::Surroundings;

/// Few, so that most operations take many pieces, and servers end in the midst of them.
const PIECE_MAX: usize = 4;
/// How many tasks a piece is looked for among.
const LOOK_AT_MAX: usize = 12;
/// Of a thousand pieces so many are as large as one may be.
const LARGE: u64 = 300;
/// How many tasks are looked at by one step of retention.
const STEP_MAX: usize = 20;
/// Of more tasks than this nobody asks to have many run again.
pub(crate) const RETRIED_MAX: usize = 250;

/// How far it has looked.
#[derive(Default)]
pub(super) struct Places {
    relics: Option<TaskId>,
    free: Option<TaskId>,
    /// It looks for pieces again before it regularly would.
    operates_soon: bool,
}

impl Server {
    /// The next piece of each operation.
    pub(super) fn operate(&mut self, around: &mut Surroundings) {
        self.places.operates_soon = false;
        let open = Query::OpenOperations {
            limit: around.policy.operations_max,
        };
        let open = self.mine.read(open).operations();
        for operation in open {
            let piece = self.piece(&operation, around);
            let caller = Caller::of(Who::Service(Service::Operate));
            self.command(piece, caller, around);
        }
    }

    fn piece(&mut self, operation: &Operation, around: &mut Surroundings) -> Proceed {
        let is_large = around.happens(LARGE);
        let limit = if is_large {
            STEP_ROWS_MAX
        } else {
            1 + around.below(PIECE_MAX)
        };
        let mut query = look_for_piece(operation, limit);
        if let Query::Tasks(List { look_at_max, .. }) = &mut query
            && !is_large
        {
            *look_at_max = 1 + around.below(LOOK_AT_MAX);
        }
        let found = self.mine.read(query).tasks();
        let now = self.clock.now(around.now);
        let new_id = || {
            let bits = (u128::from(around.random.bits()) << 64) | u128::from(around.random.bits());
            TaskId::new(now, bits)
        };
        let views = found.items.iter();
        let ahead = views.filter(|view| view.task.created_at > now);
        let ahead = ahead.map(|view| view.task.id);
        around.ledger.operations.found_ahead(ahead);
        let piece = Proceed::of(operation, found, now, new_id);
        if let Piece::Retry(tasks) = &piece.piece {
            for task in tasks {
                around.ledger.wants(task);
                let of = task.retry_of.expect("it runs one again");
                around.ledger.operations.wants(task.id, operation.id, of);
            }
        }
        piece
    }

    /// When the next piece is due, if one was done.
    pub(super) fn proceeded(&mut self, after: Option<&Operation>, around: &mut Surroundings) {
        around.tally.count(match after {
            Some(after) if after.is_running() => "operation_goes_on",
            Some(_) => "operation_is_done",
            None => "piece_comes_too_late",
        });
        let goes_on = after.is_some_and(Operation::is_running);
        if goes_on && !std::mem::replace(&mut self.places.operates_soon, true) {
            let wait = around.millis(0, 100);
            self.plan(Service::OperateOn, wait, around);
        }
    }

    /// Also what may not go, as if all might: the rules judge.
    pub(super) fn retain(&mut self, around: &mut Surroundings) {
        let query = Query::Relics {
            after: self.places.relics.unwrap_or(TaskId::NIL),
            until: TaskId::new(Timestamp::MAX, u128::MAX),
            limit: STEP_MAX,
        };
        let ended = self.mine.read(query).relics();
        let is_through = ended.len() < STEP_MAX;
        self.places.relics = ended.last().map(|ended| ended.task).filter(|_| !is_through);
        let tasks: Vec<TaskId> = ended.into_iter().map(|ended| ended.task).collect();
        if !tasks.is_empty() {
            let caller = Caller::of(Who::Service(Service::Retain));
            self.command(Discard { tasks }, caller, around);
        }
    }

    /// Unique keys whose tasks have ended, and operations that did so long ago.
    pub(super) fn tidy(&mut self, around: &mut Surroundings) {
        let query = Query::Freeable {
            after: self.places.free,
            limit: STEP_MAX,
        };
        let found = self.mine.read(query).freeable();
        self.places.free = found.next;
        // Also those that are not free, as if all were: the rules judge.
        let all = around.ledger.known.unique.keys().cloned();
        let keys: Vec<UniqueKey> = found.keys.into_iter().chain(all).collect();
        if !keys.is_empty() {
            let caller = Caller::of(Who::Service(Service::Prune));
            self.command(Free { keys }, caller, around);
        }
        let query = Query::OldOperations {
            ended: ended_before(&around.policy, self.clock.now(around.now)),
            limit: STEP_MAX,
        };
        let operations = self.mine.read(query).old_operations();
        if !operations.is_empty() {
            let caller = Caller::of(Who::Service(Service::Prune));
            self.command(Clear { operations }, caller, around);
        }
    }
}

impl Service {
    /// How often those look that work something off.
    pub(super) const WORKS_EVERY: Duration = Duration::from_secs(1);
}
