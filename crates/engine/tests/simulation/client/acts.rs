//! What a client asks for besides submits: of its tasks, of all that a filter finds, of queues and of workers.

use std::sync::Arc;
use std::time::Duration;

use taskyard_core::command::Done;
use taskyard_core::filter::Filter;
use taskyard_core::id::TaskId;
use taskyard_core::name::Name;
use taskyard_core::operation::Act;
use taskyard_core::order::Priority;
use taskyard_core::random::Random;
use taskyard_core::retention::Retention;
use taskyard_core::retry::Retry;
use taskyard_core::rows::{Digest, IdempotencyKey};
use taskyard_core::status::Status;
use taskyard_core::verbs::drain::Drain;
use taskyard_core::verbs::kill::{Kill, Part};
use taskyard_core::verbs::operate::Operate;
use taskyard_core::verbs::patch::Patch;
use taskyard_core::verbs::set_queue::SetQueue;
use taskyard_core::verbs::submit::Begin;

use super::Client;
use super::submits::QUEUES;
use crate::network::Call;
use crate::server::RETRIED_MAX;
use crate::surroundings::Surroundings;

impl Client {
    pub(super) fn any_task(around: &mut Surroundings) -> Option<TaskId> {
        // Once in a while one that is there no more.
        if around.happens(30) {
            return around.ledger.discarded.keys().next_back().copied();
        }
        let tasks = around.ledger.stored.len();
        // The newest are more interesting.
        let back = around.below(tasks.min(15));
        around.ledger.stored.iter().rev().nth(back).copied()
    }

    pub(super) fn cancel(&mut self, around: &mut Surroundings) {
        if let Some(task) = Self::any_task(around) {
            let ticket = around.ticket();
            around.ledger.cancels.insert(task);
            self.ask(Call::Cancel(task), ticket, around);
        }
    }

    /// Sometimes it is somebody who wants a worker to go.
    pub(super) fn look_after_workers(&mut self, around: &mut Surroundings) {
        let known = around.ledger.profiles.len();
        let chosen = around.below(known.max(1));
        let Some(worker) = around.ledger.profiles.keys().nth(chosen).cloned() else {
            return;
        };
        let call = match around.below(3) {
            0 => Call::Drain(Drain { worker }),
            1 => Call::Kill(Kill {
                worker,
                runs: Vec::new(),
                part: Part::First,
            }),
            _ => Call::Delete(worker),
        };
        let ticket = around.ticket();
        self.ask(call, ticket, around);
    }

    pub(super) fn patch(&mut self, around: &mut Surroundings) {
        let Some(task) = Self::any_task(around) else {
            return;
        };
        let begin = match around.below(4) {
            0 => Some(Begin::Now),
            1 => Some(Begin::After(Duration::from_secs(
                1 + around.below(20) as u64,
            ))),
            _ => None,
        };
        let priority = Priority::new(around.below(3) as i64 - 1).ok();
        if let Some(priority) = priority {
            around.ledger.patches.asked(task, priority);
        }
        let patch = Patch {
            task,
            priority,
            begin,
        };
        let ticket = around.ticket();
        self.ask(Call::Patch(patch), ticket, around);
    }

    /// Sometimes cancels what it has just submitted, while servers give it out.
    pub(super) fn change_its_mind(&mut self, done: &Done, around: &mut Surroundings) {
        if let Done::Submit(submitted) = done
            && around.happens(200)
        {
            let task = submitted.ids[around.below(submitted.ids.len())];
            let ticket = around.ticket();
            around.ledger.cancels.insert(task);
            self.ask(Call::Cancel(task), ticket, around);
        }
    }

    pub(super) fn read(&mut self, around: &mut Surroundings) {
        if let Some(task) = Self::any_task(around) {
            let had_ended = around.ledger.outcomes.contains_key(&task);
            let ticket = around.ticket();
            self.ask(Call::Read { task, had_ended }, ticket, around);
        }
    }

    /// What has ended, mostly.
    pub(super) fn retry(&mut self, around: &mut Surroundings) {
        if let Some(task) = Self::any_task(around) {
            let ticket = around.ticket();
            self.ask(Call::Retry(task), ticket, around);
        }
    }

    /// Pauses it or lets it go on, or says what its tasks take that do not say themselves.
    pub(super) fn set_queue(&mut self, around: &mut Surroundings) {
        let queue = Name::path(QUEUES[around.below(QUEUES.len())]).expect("a queue");
        let is_paused = around.ledger.queues.is_paused(&queue);
        let set = SetQueue::of(queue);
        let set = match around.below(6) {
            _ if is_paused && around.happens(800) => SetQueue {
                paused: Some(false),
                ..set
            },
            0..=2 => SetQueue {
                paused: Some(true),
                ..set
            },
            3 => {
                let attempts = around
                    .happens(700)
                    .then(|| 1 + i32::from(around.happens(500)));
                let timeout = around.happens(700).then(|| around.millis(3_000, 10_000));
                SetQueue {
                    max_attempts: Some(attempts),
                    timeout: Some(timeout),
                    ..set
                }
            }
            4 => {
                let retry = around.happens(700).then(|| Retry {
                    backoff: around.millis(100, 1_000),
                    ..around.policy.retry
                });
                SetQueue {
                    retry: Some(retry),
                    ..set
                }
            }
            _ => {
                let life = around.millis(1, 100_000);
                let retention = around.happens(700).then(|| Retention {
                    failed: around.happens(500).then_some(life),
                    ..Retention::all(life)
                });
                SetQueue {
                    retention: Some(retention),
                    ..set
                }
            }
        };
        let ticket = around.ticket();
        self.ask(Call::SetQueue(set), ticket, around);
    }

    /// Nothing stays paused for good.
    pub(super) fn let_queues_go_on(&mut self, around: &mut Surroundings) {
        for queue in around.ledger.queues.paused() {
            let set = SetQueue {
                paused: Some(false),
                ..SetQueue::of(queue)
            };
            let ticket = around.ticket();
            self.ask(Call::SetQueue(set), ticket, around);
        }
    }

    /// Cancels or runs again all that a filter finds.
    pub(super) fn operate(&mut self, around: &mut Surroundings) {
        let act = if around.happens(500) && around.ledger.known.tasks.len() < RETRIED_MAX {
            Act::Retry
        } else {
            Act::Cancel
        };
        let Some(filter) = act.narrow(filter(act, around)) else {
            return;
        };
        let bits = (u128::from(around.random.bits()) << 64) | u128::from(around.random.bits());
        let id = TaskId::new(around.now, bits).into();
        // Two of three clients say that it is to happen once.
        let key = (around.below(3) > 0).then(|| IdempotencyKey {
            scope: "operate".into(),
            key: format!("operation-{bits}").into(),
        });
        let operate = Operate {
            id,
            act,
            filter: Arc::new(filter),
            once: key.map(|key| (key, Digest::of(b"operate"))),
        };
        let ticket = around.ticket();
        self.ask(Call::Operate(operate), ticket, around);
    }

    /// Stops one, or one that has ended.
    pub(super) fn look_after_operations(&mut self, around: &mut Surroundings) {
        let place = around.below(3);
        if let Some(operation) = around.ledger.operations.any(place) {
            let ticket = around.ticket();
            self.ask(Call::CancelOperation(operation), ticket, around);
        }
    }
}

/// Of a kind or a queue; retries find less, or there would be more and more tasks.
fn filter(act: Act, around: &mut Surroundings) -> Filter {
    let kind = Name::path(["a", "b"][around.below(2)]).expect("a kind");
    let queue = Name::path(QUEUES[around.below(QUEUES.len())]).expect("a queue");
    let workers: Vec<Name> = around.ledger.profiles.keys().cloned().collect();
    let worker = workers.get(around.below(workers.len())).cloned();
    let is_retry = act == Act::Retry;
    let statuses: Vec<Status> = match around.below(4) {
        0 if is_retry => vec![Status::Failed, Status::Timeout],
        1 if is_retry => vec![Status::Completed],
        0 => vec![Status::Scheduled],
        1 => vec![Status::Assigned, Status::Running],
        2 if !is_retry => vec![Status::Pending, Status::Running],
        _ => Vec::new(),
    };
    let by_kind = is_retry || around.happens(500);
    let by_queue = !by_kind || around.happens(300);
    let from = around.now - around.millis(1_000, 60_000);
    let until = around.now - around.millis(1, 3_000);
    Filter {
        statuses,
        kind: by_kind.then_some(kind),
        queue: by_queue.then_some(queue),
        worker: worker.filter(|_| around.happens(200)),
        created_after: (is_retry || around.happens(200)).then_some(from),
        created_before: around.happens(100).then_some(until),
        ..Filter::default()
    }
}
