//! What the servers of one database tell each other of what they have committed. Hints to look, never the truth itself: one
//! that is lost, late or heard twice costs a moment, for whoever waits looks by itself as well.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{TaskId, WorkerNumber};
use crate::lane::Lane;
use crate::status::Status;
use crate::topic::Topic;

/// How many lanes are named at once; of more than that it is said that it may be any.
pub const LANES_MAX: usize = 100;
/// How many tasks that have ended: as many as a piece of an operation cancels.
pub const ENDED_MAX: usize = 500;
/// How many tasks that were cancelled while a worker had them, and how many whose logs have new lines.
pub const MARKS_MAX: usize = 200;
/// How many rows of a lane are counted: as many claims look again, and nobody has more of them waiting for one.
pub const ROWS_MAX: u32 = 9_999;
/// How many workers.
pub const WORKERS_MAX: usize = 100;

/// A task, as far as hints name it: some two have the same, and whoever looks for nothing has looked for little.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Mark(pub u16);

impl From<TaskId> for Mark {
    /// The last bits, which are random in every id, whoever made it.
    fn from(task: TaskId) -> Self {
        let [.., high, low] = *task.as_bytes();
        Self(u16::from_be_bytes([high, low]))
    }
}

/// Some of a kind; where they are too many to be named, any of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Which<T> {
    These(BTreeSet<T>),
    Any,
}

impl<T> Default for Which<T> {
    fn default() -> Self {
        Self::These(BTreeSet::new())
    }
}

impl<T: Ord> Which<T> {
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::These(these) if these.is_empty())
    }

    pub fn has(&self, one: &T) -> bool {
        match self {
            Self::These(these) => these.contains(one),
            Self::Any => true,
        }
    }

    fn add(&mut self, one: T, max: usize) {
        if let Self::These(these) = self {
            these.insert(one);
            if these.len() > max {
                *self = Self::Any;
            }
        }
    }

    fn join(&mut self, other: Self, max: usize) {
        match other {
            Self::These(others) => others.into_iter().for_each(|one| self.add(one, max)),
            Self::Any => *self = Self::Any,
        }
    }
}

impl<T: Ord> FromIterator<T> for Which<T> {
    fn from_iter<I: IntoIterator<Item = T>>(these: I) -> Self {
        Self::These(these.into_iter().collect())
    }
}

/// Where something is, or may be, ready.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ready {
    /// In these lanes, with how many rows each; so many of those who wait there look again.
    In(BTreeMap<Lane, u32>),
    Anywhere,
}

impl Default for Ready {
    fn default() -> Self {
        Self::In(BTreeMap::new())
    }
}

impl Ready {
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::In(lanes) if lanes.is_empty())
    }

    pub fn has(&self, lane: Lane) -> bool {
        match self {
            Self::In(lanes) => lanes.contains_key(&lane),
            Self::Anywhere => true,
        }
    }

    fn add(&mut self, lane: Lane, rows: u32) {
        if let Self::In(lanes) = self {
            let known = lanes.entry(lane).or_default();
            *known = known.saturating_add(rows).min(ROWS_MAX);
            if lanes.len() > LANES_MAX {
                *self = Self::Anywhere;
            }
        }
    }

    fn join(&mut self, other: Self) {
        match other {
            Self::In(lanes) => lanes
                .into_iter()
                .for_each(|(lane, rows)| self.add(lane, rows)),
            Self::Anywhere => *self = Self::Anywhere,
        }
    }
}

impl FromIterator<(Lane, u32)> for Ready {
    fn from_iter<I: IntoIterator<Item = (Lane, u32)>>(lanes: I) -> Self {
        Self::In(lanes.into_iter().collect())
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Hints {
    pub ready: Ready,
    /// These tasks have ended.
    pub ended: Which<Mark>,
    /// Somebody cancelled these while a worker had them. They have ended, too.
    pub cancelled: Which<Mark>,
    /// There are new lines in the logs of these.
    pub printed: Which<Mark>,
    /// There is something that these workers should hear at once: their claims wait no longer.
    pub told: Which<WorkerNumber>,
}

impl Hints {
    /// Nobody knows what happened.
    pub fn everything() -> Self {
        Self {
            ready: Ready::Anywhere,
            ended: Which::Any,
            cancelled: Which::Any,
            printed: Which::Any,
            told: Which::Any,
        }
    }

    /// What another server may have somebody waiting for, of what a commit changed. What waits for its time is looked for
    /// by all, and what goes back changes the hand of a worker whose claims wait where its runs are reported.
    pub fn note(&mut self, topic: &Topic) {
        match topic {
            Topic::Ready(lane) => self.ready.add(*lane, 1),
            Topic::Ended(outcome) => {
                let mark = Mark::from(outcome.task);
                self.ended.add(mark, ENDED_MAX);
                if outcome.status == Status::Cancelled && outcome.worker.is_some() {
                    self.cancelled.add(mark, MARKS_MAX);
                }
            }
            Topic::Told(worker) => self.told.add(*worker, WORKERS_MAX),
            Topic::Scheduled(_) | Topic::GivenBack { .. } => {}
        }
    }

    pub fn note_all(&mut self, topics: &[Topic]) {
        topics.iter().for_each(|topic| self.note(topic));
    }

    pub fn note_lines(&mut self, task: TaskId) {
        self.printed.add(task.into(), MARKS_MAX);
    }

    pub fn join(&mut self, other: Self) {
        self.ready.join(other.ready);
        self.ended.join(other.ended, ENDED_MAX);
        self.cancelled.join(other.cancelled, MARKS_MAX);
        self.printed.join(other.printed, MARKS_MAX);
        self.told.join(other.told, WORKERS_MAX);
    }

    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
            && self.ended.is_empty()
            && self.cancelled.is_empty()
            && self.printed.is_empty()
            && self.told.is_empty()
    }

    /// Too many of something to be named.
    pub fn is_vague(&self) -> bool {
        matches!(self.ready, Ready::Anywhere)
            || matches!(self.ended, Which::Any)
            || matches!(self.cancelled, Which::Any)
            || matches!(self.printed, Which::Any)
            || matches!(self.told, Which::Any)
    }
}

/// How much of it a server has exchanged with others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Exchanged {
    /// Messages that went out.
    pub sent: u64,
    /// Messages that came in of others.
    pub heard: u64,
    /// It hears others at present.
    pub hears: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn task(random: u128) -> TaskId {
        TaskId::new(Timestamp::from_micros(1_790_000_000_000_000), random)
    }

    #[test]
    fn a_task_is_marked_by_its_random_end() {
        assert_eq!(Mark::from(task(0xabcd)), Mark(0xabcd));
        assert_eq!(Mark::from(task(0x7_abcd)), Mark(0xabcd));
    }

    #[test]
    fn lanes_are_told_with_how_much_is_ready() {
        let mut hints = Hints::default();
        assert!(hints.is_empty());

        for lane in [3, -3, 3, 7] {
            hints.note(&Topic::Ready(Lane(lane)));
        }

        let lanes = [(Lane(-3), 1), (Lane(3), 2), (Lane(7), 1)];
        assert_eq!(hints.ready, lanes.into_iter().collect());
        assert!(!hints.is_empty() && !hints.is_vague());
        for _ in 0..20 {
            hints.join(hints.clone());
        }
        let lanes = [-3, 3, 7].map(|lane| (Lane(lane), ROWS_MAX));
        assert_eq!(hints.ready, lanes.into_iter().collect());
    }

    #[test]
    fn too_many_of_one_kind_are_any_of_that_kind_alone() {
        let mut hints = Hints::default();
        let lanes = i32::try_from(LANES_MAX).unwrap();
        (1..=lanes).for_each(|lane| hints.note(&Topic::Ready(Lane(lane))));
        assert!(!hints.is_vague(), "as many as may be");

        hints.join([Topic::Ready(Lane(lanes + 1))].iter().fold(
            Hints::default(),
            |mut one, topic| {
                one.note(topic);
                one
            },
        ));
        hints.note_lines(task(1));

        assert_eq!(hints.ready, Ready::Anywhere);
        assert!(hints.ready.has(Lane(-999)));
        assert_eq!(hints.printed, [Mark(1)].into_iter().collect());
    }

    #[test]
    fn what_waits_for_its_time_is_told_to_nobody() {
        let mut hints = Hints::default();
        hints.note(&Topic::Scheduled(Timestamp::default()));

        assert!(hints.is_empty());
    }
}
