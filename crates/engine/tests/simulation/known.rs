//! The tasks as they were last seen, summed up as the invariants need it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use taskyard_core::id::{Epoch, TaskId, WorkerNumber};
use taskyard_core::lane::LaneKey;
use taskyard_core::query::{Standing, TaskView};
use taskyard_core::rows::UniqueKey;
use taskyard_core::status::Status;

/// The number of a client's request; its tasks carry it as a label.
pub(crate) type Ask = u64;

/// A lane, in an order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Words(String);

impl From<Arc<LaneKey>> for Words {
    fn from(lane: Arc<LaneKey>) -> Self {
        Self(format!("{}/{}/{:?}", lane.queue, lane.kind, lane.demands))
    }
}

#[derive(Default)]
pub(crate) struct Known {
    pub(crate) tasks: BTreeMap<TaskId, TaskView>,
    /// How many there ever were.
    pub(crate) ever: i64,
    pub(crate) counts: BTreeMap<(Words, Status), i64>,
    /// How many tasks of a request there ever were, without those that run others again.
    pub(crate) present: BTreeMap<Ask, usize>,
    pub(crate) of_key: BTreeMap<String, Ask>,
    /// What anybody may take who serves it.
    pub(crate) free: BTreeMap<TaskId, Arc<LaneKey>>,
    /// What each process holds, and which of it is suspect.
    pub(crate) hands: BTreeMap<(WorkerNumber, Epoch), BTreeMap<TaskId, bool>>,
    open: BTreeSet<TaskId>,
    scheduled: BTreeSet<TaskId>,
    /// What has not ended, by its unique key.
    pub(crate) unique: BTreeMap<UniqueKey, BTreeSet<TaskId>>,
}

/// The unique key of a task.
pub(crate) fn unique_key(view: &TaskView) -> Option<UniqueKey> {
    Some(UniqueKey {
        queue: view.lane.queue.clone(),
        key: view.task.unique_key.clone()?,
    })
}

impl Known {
    pub(crate) fn note(&mut self, view: &TaskView, ask: Ask) {
        let id = view.task.id;
        match self.tasks.insert(id, view.clone()) {
            Some(before) => self.uncount(&before),
            None => {
                self.ever += 1;
                if view.task.retry_of.is_none() {
                    *self.present.entry(ask).or_default() += 1;
                }
            }
        }
        *self.counts.entry(counted(view)).or_default() += 1;
        let suspect = view.carry.as_ref();
        let suspect = suspect.is_some_and(|carry| carry.counts.is_suspect());
        self.leave(id);
        if matches!(view.standing, Standing::Ready) && !suspect {
            self.free.insert(id, Arc::clone(&view.lane));
        }
        if let Standing::Leased(lease) = &view.standing {
            let hand = self.hands.entry((lease.worker, lease.epoch)).or_default();
            hand.insert(id, suspect);
        }
        if view.status() == Status::Scheduled {
            self.scheduled.insert(id);
        }
        if view.status().is_final() {
            self.end(view);
        } else {
            self.open.insert(id);
            if let Some(key) = unique_key(view) {
                self.unique.entry(key).or_default().insert(id);
            }
        }
    }

    /// It is there no more.
    pub(crate) fn discard(&mut self, task: TaskId) {
        if let Some(view) = self.tasks.remove(&task) {
            self.uncount(&view);
        }
    }

    fn uncount(&mut self, view: &TaskView) {
        *self.counts.entry(counted(view)).or_default() -= 1;
    }

    fn leave(&mut self, id: TaskId) {
        self.free.remove(&id);
        self.scheduled.remove(&id);
        for hand in self.hands.values_mut() {
            hand.remove(&id);
        }
        self.hands.retain(|_, hand| !hand.is_empty());
    }

    fn end(&mut self, view: &TaskView) {
        self.open.remove(&view.task.id);
        if let Some(key) = unique_key(view)
            && let Some(tasks) = self.unique.get_mut(&key)
        {
            tasks.remove(&view.task.id);
        }
    }

    /// Whether somebody holds it as a suspect.
    pub(crate) fn is_suspect(&self, task: TaskId) -> bool {
        self.hands
            .values()
            .any(|hand| hand.get(&task).is_some_and(|suspect| *suspect))
    }

    pub(crate) fn scheduled(&self) -> impl Iterator<Item = TaskId> {
        self.scheduled.iter().copied()
    }

    pub(crate) fn open(&self) -> impl Iterator<Item = TaskId> {
        self.open.iter().copied()
    }
}

fn counted(view: &TaskView) -> (Words, Status) {
    (Arc::clone(&view.lane).into(), view.status())
}
