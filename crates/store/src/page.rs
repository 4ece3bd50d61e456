//! A page of a list on its way: the stores bring the candidates, in order, and it keeps the account of what it costs.

use taskyard_core::id::TaskId;
use taskyard_core::json::Json;
use taskyard_core::query::{LIST_BYTES_MAX, List, Listed, Standing, TaskView};
use uuid::Uuid;

const FIRST_TOGETHER: usize = 10;

pub(crate) struct Page<'a> {
    list: &'a List,
    /// How many rows may be passed over for each task that may be looked at.
    passed_for_a_look: usize,
    listed: Listed,
    /// The last one that the page is done with.
    after: Option<TaskId>,
    looked_at: usize,
    /// Rows that were passed over on the way, without a look at their tasks.
    passed: usize,
    /// Of all that was looked at, whether it was let through or not.
    bytes: usize,
    bytes_of_largest: usize,
    /// There is one more that the filter lets through, and no room for it.
    is_full: bool,
}

impl<'a> Page<'a> {
    pub(crate) fn of(list: &'a List, passed_for_a_look: usize) -> Self {
        Self {
            list,
            passed_for_a_look,
            listed: Listed::default(),
            after: list.after,
            looked_at: 0,
            passed: 0,
            bytes: 0,
            bytes_of_largest: 0,
            is_full: false,
        }
    }

    /// The ids that the next candidates can have, from the first to the last; none where there can be no more.
    pub(crate) fn ids(&self) -> Option<[Uuid; 2]> {
        let ids = self.list.filter.ids();
        let (mut first, mut last) = (*ids.start(), *ids.end());
        if let Some(after) = self.after.map(|id| id.as_uuid().as_u128()) {
            if self.list.oldest_first {
                first = first.max(after + 1);
            } else {
                last = last.min(after - 1);
            }
        }
        (first <= last).then(|| [first, last].map(Uuid::from_u128))
    }

    /// Whether the page ends before a row that there is. It has cost what it may then, or is full.
    pub(crate) fn ends(&mut self) -> bool {
        let is_over = self.is_full
            || self.looked_at == self.list.look_at_max
            || self.may_pass() == 0
            || self.bytes > LIST_BYTES_MAX;
        if is_over {
            self.listed.next = self.after;
        }
        is_over
    }

    /// How many rows may still be passed over.
    fn may_pass(&self) -> usize {
        let most = self.list.look_at_max.saturating_mul(self.passed_for_a_look);
        most.saturating_sub(self.passed)
    }

    /// How many rows are to be fetched in one go: `chunk` at first, and more where most are passed over.
    pub(crate) fn ahead(&self, chunk: usize) -> usize {
        chunk.max(self.passed * 2).min(self.may_pass()).max(1)
    }

    /// So many rows up to this one were passed over; what was to be looked at among them was. Only while the page does not
    /// end.
    pub(crate) fn pass(&mut self, rows: usize, through: TaskId) {
        self.passed += rows;
        if !self.is_full {
            self.after = Some(through);
        }
    }

    /// How many may be looked at in one go, up to `most`, before it is known what they hold: few at first, and later no
    /// more than would fit if they were like the largest so far.
    pub(crate) fn together(&self, most: usize) -> usize {
        let room = LIST_BYTES_MAX.saturating_sub(self.bytes);
        let fitting = room / self.bytes_of_largest.max(1);
        let known = self.looked_at * 2;
        known.max(FIRST_TOGETHER).min(fitting).clamp(1, most)
    }

    /// Only while the page does not end. The view is none where the task is gone.
    pub(crate) fn look_at(&mut self, id: TaskId, view: Option<TaskView>) {
        self.looked_at += 1;
        if let Some(view) = view {
            let bytes = bytes_read(&view);
            self.bytes += bytes;
            self.bytes_of_largest = self.bytes_of_largest.max(bytes);
            if self.list.filter.lets_through(&view) {
                let items = &mut self.listed.items;
                if items.len() == self.list.limit {
                    self.after = items.last().map(|last| last.task.id);
                    self.is_full = true;
                    return;
                }
                // One goes out whatever its size.
                if self.bytes > LIST_BYTES_MAX && !items.is_empty() {
                    self.is_full = true;
                    return;
                }
                items.push(view);
            }
        }
        self.after = Some(id);
    }

    /// Only while the page does not end. There is a row, and it holds what nobody wrote.
    pub(crate) fn cannot_read(&mut self, id: TaskId) {
        self.looked_at += 1;
        let items = &self.listed.items;
        if items.len() == self.list.limit {
            // The next page begins behind the last item, and comes to this one.
            self.after = items.last().map(|last| last.task.id);
            self.is_full = true;
            return;
        }
        self.listed.unreadable.push(id);
        self.after = Some(id);
    }

    pub(crate) fn listed(mut self) -> Listed {
        if self.is_full {
            self.listed.next = self.after;
        }
        self.listed
    }
}

/// What the database handed over that may be large.
fn bytes_read(view: &TaskView) -> usize {
    let json = |json: &Option<Json>| json.as_ref().map_or(0, Json::len);
    let leased = match &view.standing {
        Standing::Leased(lease) => json(&lease.checkpoint),
        Standing::Scheduled(_) | Standing::Ready | Standing::Ended(_) => 0,
    };
    let carry = view.carry.as_ref();
    view.bytes() + leased + carry.map_or(0, |carry| json(&carry.checkpoint))
}
