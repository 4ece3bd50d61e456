//! Pages of queues.

use std::collections::BTreeMap;

use taskyard_core::counter::Counter;
use taskyard_core::name::Name;
use taskyard_core::query::{QueueList, QueuesListed};

use super::tables::Tables;
use crate::queues::{self, Stretch};

impl Tables {
    pub(super) fn queue_page(&self, list: &QueueList) -> QueuesListed {
        let after = queues::after(list);
        let mut lanes: Vec<&Name> = self.lanes.iter().map(|lane| &lane.queue).collect();
        lanes.retain(|queue| queue.as_str() > after);
        lanes.sort_unstable();
        let through = lanes.get(list.look_at_max).map(|beyond| {
            let before = lanes.iter().rev().find(|queue| *queue < beyond);
            Name::clone(before.unwrap_or(beyond))
        });
        let Stretch { through: to, .. } = Stretch::of(list, through.as_ref());
        let is_in = |name: &Name| name.as_str() > after && name.as_str() <= to;

        let mut tasks: BTreeMap<Name, Counter> = BTreeMap::new();
        for counted in self.counts() {
            let sum = tasks.entry(counted.lane.queue.clone()).or_default();
            sum.add(&counted.tasks);
        }
        tasks.retain(|name, _| is_in(name));
        let set = self.queues.values().filter(|queue| is_in(&queue.name));
        let mut page = queues::listed(
            list,
            through.as_ref(),
            tasks.into_iter().collect(),
            set.cloned().collect(),
        );
        let mut since = BTreeMap::new();
        for (queue, due) in self.waiting() {
            let earliest = since.entry(queue).or_insert(Some(due));
            *earliest = (*earliest).min(Some(due));
        }
        queues::wait(&mut page.items, since.into_iter().collect());
        page
    }
}
