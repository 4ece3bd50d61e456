//! The tasks as they were last seen, summed up as the invariants need it.

use std::collections::BTreeMap;
use std::sync::Arc;

use taskyard_core::id::{Epoch, TaskId, WorkerNumber};
use taskyard_core::lane::LaneKey;
use taskyard_core::query::{Standing, TaskView};
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
    pub(crate) tasks: BTreeMap<TaskId, (Words, Status)>,
    pub(crate) counts: BTreeMap<(Words, Status), i64>,
    pub(crate) present: BTreeMap<Ask, usize>,
    pub(crate) of_key: BTreeMap<String, Ask>,
    /// What anybody may take who serves it.
    pub(crate) free: BTreeMap<TaskId, Arc<LaneKey>>,
    /// What each process holds, and which of it is suspect.
    pub(crate) hands: BTreeMap<(WorkerNumber, Epoch), BTreeMap<TaskId, bool>>,
}

impl Known {
    pub(crate) fn note(&mut self, view: &TaskView, ask: Ask) {
        let id = view.task.id;
        let now: (Words, Status) = (Arc::clone(&view.lane).into(), view.status());
        match self.tasks.insert(id, now.clone()) {
            Some(before) => *self.counts.entry(before).or_default() -= 1,
            None => *self.present.entry(ask).or_default() += 1,
        }
        *self.counts.entry(now).or_default() += 1;
        let carry = view.carry.as_ref();
        let suspect = carry.is_some_and(|carry| carry.counts.is_suspect());
        if matches!(view.standing, Standing::Ready) && !suspect {
            self.free.insert(id, Arc::clone(&view.lane));
        } else {
            self.free.remove(&id);
        }
        for hand in self.hands.values_mut() {
            hand.remove(&id);
        }
        self.hands.retain(|_, hand| !hand.is_empty());
        if let Standing::Leased(lease) = &view.standing {
            let hand = self.hands.entry((lease.worker, lease.epoch)).or_default();
            hand.insert(id, suspect);
        }
    }

    /// Whether somebody holds it as a suspect.
    pub(crate) fn is_suspect(&self, task: TaskId) -> bool {
        self.hands
            .values()
            .any(|hand| hand.get(&task).is_some_and(|suspect| *suspect))
    }

    pub(crate) fn scheduled(&self) -> impl Iterator<Item = TaskId> {
        let tasks = self.tasks.iter();
        tasks
            .filter(|(_, (_, status))| *status == Status::Scheduled)
            .map(|(id, _)| *id)
    }

    pub(crate) fn open(&self) -> impl Iterator<Item = TaskId> {
        let tasks = self.tasks.iter();
        tasks
            .filter(|(_, (_, status))| !status.is_final())
            .map(|(id, _)| *id)
    }
}
