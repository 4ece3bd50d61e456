//! What a worker declares, and which lanes that lets it serve.

use std::sync::{Mutex, OnceLock, PoisonError};

use hashbrown::HashSet;

use crate::labels::Labels;
use crate::lane::{Heads, Lane, LaneKey, Lanes};
use crate::name::Name;
use crate::order::Position;
use crate::refused::Unfit;

/// Who serves less than one in so many of the lanes that have something looks each of them up; the others walk over
/// what has something in its order.
const LOOK_UP_BELOW: usize = 8;

/// So many names are compared one by one; more are looked up.
const NAMES_COMPARED_MAX: usize = 8;

/// What a worker can run: its kinds, queues and labels, as it registered them.
#[derive(Default)]
pub struct Profile {
    /// `None`: every kind. Nothing among them: it asks for no kind, and gets the tasks that it names.
    pub kinds: Option<Vec<Name>>,
    /// `None`: every queue.
    pub queues: Option<Vec<Name>>,
    pub labels: Labels,
    /// Of many kinds, and of many queues: the same to look one up in.
    many_kinds: OnceLock<HashSet<Name>>,
    many_queues: OnceLock<HashSet<Name>>,
    /// Which of the lanes known so far it serves; worked out once a lane.
    served: Mutex<Served>,
}

#[derive(Default)]
struct Served {
    lanes: HashSet<Lane>,
    /// How many lanes have been looked at.
    seen: usize,
    /// Of which time between two that lanes were forgotten.
    forgot: u64,
}

impl Profile {
    pub fn new(kinds: Option<Vec<Name>>, queues: Option<Vec<Name>>, labels: Labels) -> Self {
        Self {
            kinds,
            queues,
            labels,
            ..Self::default()
        }
    }

    /// Of a worker that declares nothing: it asks for no work, and takes a task by naming it, whatever the task is.
    pub fn by_name() -> Self {
        Self::new(Some(Vec::new()), None, Labels::default())
    }

    pub(crate) fn is_by_name(&self) -> bool {
        self.kinds.as_ref().is_some_and(Vec::is_empty)
    }

    /// Why no task of this lane is for such a worker, if none is, though it names one.
    pub fn unfit(&self, lane: &LaneKey) -> Option<Unfit> {
        if self.is_by_name() {
            None
        } else if !self.runs(&lane.kind) {
            Some(Unfit::Kind)
        } else if !self.serves_queue(&lane.queue) {
            Some(Unfit::Queue)
        } else if !self.serves(lane) {
            Some(Unfit::Requires)
        } else {
            None
        }
    }

    /// Whether it may be dealt what waits there.
    pub fn serves(&self, lane: &LaneKey) -> bool {
        self.runs(&lane.kind)
            && self.serves_queue(&lane.queue)
            && lane.demands.are_met_by(&self.labels)
    }

    pub fn runs(&self, kind: &Name) -> bool {
        is_among(kind, self.kinds.as_deref(), &self.many_kinds)
    }

    pub(crate) fn serves_queue(&self, queue: &Name) -> bool {
        is_among(queue, self.queues.as_deref(), &self.many_queues)
    }

    /// The lanes it serves that can have something, twins among them, lowest first.
    pub(crate) fn lanes_with_something(
        &self,
        lanes: &Lanes,
        heads: &Heads,
    ) -> Vec<(Lane, Position)> {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        if served.forgot != lanes.forgot() {
            *served = Served {
                forgot: lanes.forgot(),
                ..Served::default()
            };
        }
        let fresh = lanes
            .since(served.seen)
            .filter(|(_, key)| self.serves(key))
            .map(|(lane, _)| lane);
        served.lanes.extend(fresh);
        served.seen = lanes.len();

        if served.lanes.len() >= heads.len() / LOOK_UP_BELOW {
            let has = |(lane, _): &(Lane, _)| served.lanes.contains(&lane.plain());
            return heads.iter().filter(has).collect();
        }
        let with_twins = served.lanes.iter().flat_map(|lane| [*lane, lane.twin()]);
        let mut found: Vec<_> = with_twins
            .filter_map(|lane| Some((lane, heads.first(lane)?)))
            .collect();
        found.sort_unstable_by_key(|(lane, first)| (*first, *lane));
        found
    }
}

fn is_among(name: &Name, names: Option<&[Name]>, many: &OnceLock<HashSet<Name>>) -> bool {
    match names {
        None => true,
        Some(names) if names.len() <= NAMES_COMPARED_MAX => names.contains(name),
        Some(names) => many
            .get_or_init(|| names.iter().cloned().collect())
            .contains(name),
    }
}

impl std::hash::Hash for Profile {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.kinds, &self.queues, &self.labels).hash(state);
    }
}

impl Clone for Profile {
    fn clone(&self) -> Self {
        Self::new(self.kinds.clone(), self.queues.clone(), self.labels.clone())
    }
}

impl Eq for Profile {}

impl PartialEq for Profile {
    fn eq(&self, other: &Self) -> bool {
        (&self.kinds, &self.queues, &self.labels) == (&other.kinds, &other.queues, &other.labels)
    }
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile")
            .field("kinds", &self.kinds)
            .field("queues", &self.queues)
            .field("labels", &self.labels)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::labels::Demands;
    use crate::lane::Learned;
    use crate::order::at;

    fn lane(queue: &str, kind: &str, demand: Option<(&str, &str)>) -> LaneKey {
        LaneKey {
            queue: Name::path(queue).unwrap(),
            kind: Name::path(kind).unwrap(),
            demands: Demands::new(demand).unwrap(),
        }
    }

    #[test]
    fn a_profile_serves_its_kinds_queues_and_the_demands_its_labels_meet() {
        let labels = Labels::new([("gpu", "a100")]).unwrap();
        let resizer = Profile::new(Some(vec![Name::path("resize").unwrap()]), None, labels);

        assert!(resizer.serves(&lane("default", "resize", None)));
        assert!(resizer.serves(&lane("other", "resize", Some(("gpu", "a100")))));
        assert!(!resizer.serves(&lane("default", "crop", None)));
        assert!(!resizer.serves(&lane("default", "resize", Some(("gpu", "h100")))));
    }

    #[test]
    fn who_declares_nothing_is_dealt_nothing_and_may_name_everything() {
        let by_name = Profile::by_name();
        let demanding = lane("mail", "send", Some(("gpu", "a100")));

        assert!(!by_name.serves(&demanding));
        assert_eq!(by_name.unfit(&demanding), None);
        assert!(!Profile::default().is_by_name());
    }

    #[test]
    fn few_and_many_names_are_served_alike() {
        for count in [1, NAMES_COMPARED_MAX, NAMES_COMPARED_MAX + 1, 256] {
            let names: Vec<Name> = (0..count)
                .map(|number| Name::path(&format!("n{number}")).unwrap())
                .collect();
            let profile = Profile::new(Some(names.clone()), Some(names), Labels::default());

            for number in 0..count {
                let name = format!("n{number}");
                assert!(profile.serves(&lane(&name, &name, None)));
            }
            let beyond = format!("n{count}");
            assert!(!profile.serves(&lane("n0", &beyond, None)));
            assert!(!profile.serves(&lane(&beyond, "n0", None)));
        }
    }

    #[test]
    fn lanes_learned_later_are_served_too_and_empty_ones_left_out() {
        let profile = Profile::default();
        let mut lanes = Lanes::default();
        let mut heads = Heads::default();
        lanes.add(Lane(1), Arc::new(lane("default", "a", None)));
        heads.learn(Learned::Added(Lane(1), at(9)));
        assert_eq!(
            profile.lanes_with_something(&lanes, &heads),
            [(Lane(1), at(9))]
        );

        lanes.add(Lane(2), Arc::new(lane("default", "b", None)));
        lanes.add(Lane(3), Arc::new(lane("default", "c", None)));
        heads.learn(Learned::Added(Lane(3).twin(), at(4)));

        let found = profile.lanes_with_something(&lanes, &heads);

        assert_eq!(found, [(Lane(-3), at(4)), (Lane(1), at(9))]);
    }

    #[test]
    fn lanes_that_were_forgotten_are_served_no_more_and_others_are_learned_after_them() {
        let profile = Profile::default();
        let (mut lanes, mut heads) = (Lanes::default(), Heads::default());
        for (number, kind) in [(1, "a"), (2, "b"), (3, "c")] {
            lanes.add(Lane(number), Arc::new(lane("default", kind, None)));
            heads.learn(Learned::Added(Lane(number), at(i64::from(number))));
        }
        heads.learn(Learned::Added(Lane(-2), at(9)));
        assert_eq!(profile.lanes_with_something(&lanes, &heads).len(), 4);

        let open = HashSet::from([Lane(2)]);
        lanes.keep(&open);
        heads.keep(&open);
        lanes.add(Lane(4), Arc::new(lane("default", "a", None)));
        heads.learn(Learned::Added(Lane(4), at(4)));

        let found = profile.lanes_with_something(&lanes, &heads);
        assert_eq!(
            found,
            [(Lane(2), at(2)), (Lane(4), at(4)), (Lane(-2), at(9))]
        );
        assert_eq!(lanes.number(&lane("default", "a", None)), Some(Lane(4)));
        assert_eq!((lanes.len(), lanes.key(Lane(1))), (2, None));
    }

    #[test]
    fn a_worker_of_few_lanes_finds_them_in_order_among_many() {
        let kinds = ["kind-7", "kind-3"].map(|kind| Name::path(kind).unwrap());
        let few = Profile::new(Some(kinds.to_vec()), None, Labels::default());
        let (mut lanes, mut heads) = (Lanes::default(), Heads::default());
        for number in 1..=100 {
            let key = lane("default", &format!("kind-{number}"), None);
            lanes.add(Lane(number), Arc::new(key));
            heads.learn(Learned::Added(Lane(number), at(i64::from(100 - number))));
        }

        let found = few.lanes_with_something(&lanes, &heads);

        assert_eq!(found, [(Lane(7), at(93)), (Lane(3), at(97))]);
    }
}
