//! Operations: what those do who act on many tasks at once, and what it promises.

use std::sync::Arc;

use proptest::sample::Index;
use taskyard_core::command::Command;
use taskyard_core::filter::Filter;
use taskyard_core::id::TaskId;
use taskyard_core::operation::{self as bulk, Operation};
use taskyard_core::rows::{Digest, IdempotencyKey};
use taskyard_core::verbs::cancel_operation::CancelOperation;
use taskyard_core::verbs::clear::Clear;
use taskyard_core::verbs::operate::Operate;
use taskyard_core::verbs::proceed::{Piece, Proceed, Proceeded};
use taskyard_core::verbs::submit::NewTask;

use super::{World, latest};
use crate::acts::{Act, KINDS};

impl World {
    /// The command, where it is one of these and there is something that it could happen to.
    pub(super) fn operate(&mut self, act: &Act) -> Option<Command> {
        Some(match act {
            Act::Operate { retry, key } => {
                self.serial += 1;
                let act = if *retry {
                    bulk::Act::Retry
                } else {
                    bulk::Act::Cancel
                };
                let key = key.map(|key| IdempotencyKey {
                    scope: "operate".into(),
                    key: key.to_string().into(),
                });
                Operate {
                    id: TaskId::new(self.now, u128::from(self.serial) << 40).into(),
                    act,
                    filter: Arc::new(act.narrow(Filter::default())?),
                    once: key.map(|key| (key, Digest::of(b"request"))),
                }
                .into()
            }
            Act::Proceed { operation, limit } => self.proceed(operation, *limit)?,
            Act::ProceedAgain(piece) => {
                let pieces = latest(&self.pieces);
                (!pieces.is_empty())
                    .then(|| piece.get(pieces).clone())?
                    .into()
            }
            Act::CancelOperation(operation) => {
                let operation = self.operation(operation)?.id;
                CancelOperation { operation }.into()
            }
            Act::Clear => {
                let operations = self.tables.operations.keys().copied().collect();
                Clear { operations }.into()
            }
            _ => return None,
        })
    }

    fn operation(&self, index: &Index) -> Option<&Operation> {
        let all: Vec<&Operation> = self.tables.operations.values().collect();
        (!all.is_empty()).then(|| *index.get(&all))
    }

    /// The next piece of an operation, as it may have been found some time ago: the rules judge each task again.
    fn proceed(&mut self, operation: &Index, limit: usize) -> Option<Command> {
        let operation = self.operation(operation)?.clone();
        let behind = |id: &TaskId| operation.cursor.is_none_or(|cursor| *id < cursor);
        let tasks = self.tables.tasks.values().rev();
        let tasks = tasks.filter(|task| behind(&task.id) && operation.found(task, self.now));
        let found: Vec<_> = tasks.take(limit).cloned().collect();
        let next = found.last().map(|task| task.id);
        let piece = match operation.act {
            bulk::Act::Cancel => Piece::Cancel(found.iter().map(|task| task.id).collect()),
            bulk::Act::Retry => {
                let ended = found
                    .iter()
                    .filter(|task| self.tables.outcomes.contains_key(&task.id));
                let ended: Vec<TaskId> = ended.map(|task| task.id).collect();
                let again = ended.into_iter().map(|of| NewTask {
                    retry_of: Some(of),
                    ..self.task(KINDS[0], 0, 0, (1, 1), false)
                });
                Piece::Retry(again.collect())
            }
        };
        let piece = Proceed {
            operation: operation.id,
            behind: operation.cursor,
            piece,
            unreadable: 0,
            next,
        };
        self.pieces.push(piece.clone());
        Some(piece.into())
    }

    /// What a piece's answer promises, and what later acts go by.
    pub(super) fn proceeded(&mut self, piece: &Proceed, after: Proceeded) {
        let Some(operation) = after.operation else {
            return;
        };
        assert!(
            self.done.insert((operation.id, piece.behind)),
            "a piece is done once"
        );
        if let Piece::Retry(tasks) = &piece.piece {
            let ids = tasks.iter().map(|task| task.id);
            let made = ids.filter(|id| self.tables.tasks.contains_key(id));
            self.tasks.extend(made);
        }
    }
}
