//! A page of queues on its way: the stores say how far it looks and what they found so far, and it says what is on it.

use std::collections::BTreeMap;

use taskyard_core::counter::Counter;
use taskyard_core::name::Name;
use taskyard_core::query::{QueueList, QueueView, QueuesListed};
use taskyard_core::queue::Queue;
use taskyard_core::time::Timestamp;

/// No name goes beyond a tilde.
const END: &str = "~";

/// Queues behind one, up to another.
#[derive(Clone, Copy)]
pub(crate) struct Stretch<'a> {
    pub(crate) after: &'a str,
    pub(crate) through: &'a str,
}

impl<'a> Stretch<'a> {
    /// All that the page looks at: without end unless too many lanes come first.
    pub(crate) fn of(list: &'a QueueList, through: Option<&'a Name>) -> Self {
        Self {
            after: after(list),
            through: through.map_or(END, Name::as_str),
        }
    }
}

/// Every name is behind the empty one.
pub(crate) fn after(list: &QueueList) -> &str {
    list.after.as_ref().map_or("", Name::as_str)
}

/// What is on the page, of the queues that have or had tasks, and those of which something is set, one more of each than
/// fit on it, if there are as many. It looked `through` this one, if not to the end.
pub(crate) fn listed(
    list: &QueueList,
    through: Option<&Name>,
    tasks: Vec<(Name, Counter)>,
    set: Vec<Queue>,
) -> QueuesListed {
    let mut found: BTreeMap<Name, QueueView> = BTreeMap::new();
    let view = |queue| QueueView {
        queue,
        tasks: Counter::default(),
        since: None,
    };
    for queue in set {
        found.insert(queue.name.clone(), view(queue));
    }
    for (name, tasks) in tasks {
        let known = found.entry(name.clone());
        known.or_insert_with(|| view(Queue::new(name))).tasks = tasks;
    }
    let is_cut = found.len() > list.limit;
    let items: Vec<QueueView> = found.into_values().take(list.limit).collect();
    let last = items.last().filter(|_| is_cut);
    QueuesListed {
        next: last.map(|view| &view.queue.name).or(through).cloned(),
        items,
    }
}

/// What is left to ask of a page: since when something waits in its queues.
pub(crate) fn wait(items: &mut [QueueView], since: Vec<(Name, Option<Timestamp>)>) {
    let since: BTreeMap<Name, Option<Timestamp>> = since.into_iter().collect();
    for view in items {
        view.since = since.get(&view.queue.name).copied().flatten();
    }
}
