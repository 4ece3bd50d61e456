//! What a store says about what it found.

use super::{Brief, Picked, View};
use crate::id::{SlotKey, TaskId, WorkerNumber};
use crate::lane::Lane;
use crate::name::Name;
use crate::needs::{Hold, Needs, Pick};
use crate::order::Position;
use crate::rows::{Idempotency, Lease, Ready, Scheduled};

impl View {
    /// Every row that `needs` names by key counts as missing until a store says otherwise.
    pub fn asked(&mut self, needs: &Needs) {
        self.lanes.asked(&needs.lanes);
        self.operations.asked(&needs.operations);
        self.workers
            .asked(needs.workers.iter().map(|(name, _)| name));
        self.scheduled
            .asked(needs.scheduled.iter().map(|key| &key.slot));
        self.ready.asked(needs.ready.iter().map(|key| &key.slot));
        self.leases.asked(needs.leases.iter().map(|(slot, _)| slot));
        self.uniques.asked(&needs.uniques);
        self.idempotency.asked(&needs.idempotency);
        self.minutes.asked(&needs.minutes);
        self.relics.asked(&needs.relics);
        self.tasks.asked(&needs.tasks);
        self.carries.asked(&needs.carries);
        self.outcomes.asked(&needs.outcomes);
        self.leases_of.extend(&needs.leases_of);
        let locked = |(key, hold): &(_, Hold)| (*hold == Hold::Lock).then(|| SlotKey::clone(key));
        self.locked_leases
            .extend(needs.leases.iter().filter_map(locked));
        let locked = needs.workers.iter().filter(|(_, hold)| *hold == Hold::Lock);
        self.locked_workers
            .extend(locked.map(|(name, _)| name.clone()));
    }

    /// The answer to one pick, in order. A slot that was picked is nobody's: a lease of it that was read before, and
    /// not locked, is gone.
    pub fn picked(&mut self, pick: Pick, rows: Vec<(Ready, Brief)>) {
        let slots = rows.iter().map(|(row, _)| row.slot).collect();
        for (row, brief) in rows {
            self.stands_here(row.slot, row.has_carry);
            self.briefs.insert(row.slot.task, brief);
            self.ready.loaded(row.slot, row);
        }
        self.picked.push(Picked { pick, slots });
    }

    /// What a store knows of a lane besides the rows that it picked: where the next one is, or that there is none.
    /// A store may say nothing.
    pub fn lane_goes_on(&mut self, lane: Lane, next: Option<Position>) {
        let known = self.goes_on.entry(lane).or_insert(next);
        // Of two picks over the same lane, one may have taken more of it than the other.
        *known = match (*known, next) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    /// What was read before this place row was, and not locked, may be older than it: the lease is gone, and the carry,
    /// which changes together with the place, has to be read again.
    fn stands_here(&mut self, slot: SlotKey, has_carry: bool) {
        if self.leases.knows(&slot) {
            self.leases.asked([&slot]);
        }
        if has_carry {
            self.carries.forget(&slot);
        } else if self.carries.knows(&slot) {
            self.carries.asked([&slot]);
        }
        self.is_torn |= self.was_missing(slot.task);
    }

    /// It was looked for and was not there.
    fn was_missing(&self, task: TaskId) -> bool {
        self.tasks.knows(&task) && self.tasks.get(&task).is_none()
    }

    /// A task was not there when it was looked for, and then stood somewhere: another server put it in between. The
    /// batch has to be loaded again.
    pub fn is_torn(&self) -> bool {
        self.is_torn
    }

    /// One of the leases asked for by worker. What was said of it when it was to be locked counts: one that was not there
    /// then is another server's since, and nothing keeps that one from changing it.
    pub fn lease_of(&mut self, lease: Lease) {
        self.is_torn |= self.was_missing(lease.slot.task);
        if !self.holds_lease(lease.slot) {
            self.leases.loaded(lease.slot, lease);
        }
    }

    /// The rows whose time has come, earliest first.
    pub fn found_due(&mut self, rows: Vec<Scheduled>) {
        for row in rows {
            self.stands_here(row.slot, row.has_carry);
            self.due.push(row.slot);
            self.scheduled.loaded(row.slot, row);
        }
    }

    /// The keys that are old enough to go.
    pub fn found_old_keys(&mut self, rows: Vec<Idempotency>) {
        for row in rows {
            self.old_keys.push(row.key.clone());
            self.idempotency.loaded(row.key.clone(), row);
        }
    }

    /// The highest worker number of those that are there, 0 if there are none; and the number up to which all numbers and
    /// epochs were given out before the database was emptied, 0 if it never was.
    pub fn found_last_worker(&mut self, number: WorkerNumber, given_before: i32) {
        self.last_worker = Some(number.max(WorkerNumber(given_before)));
        self.workers_from = given_before;
    }

    /// The queues that are paused.
    pub fn found_paused(&mut self, names: impl IntoIterator<Item = Name>) {
        self.paused = Some(names.into_iter().collect());
    }

    /// How many workers are not forgotten, as far as was to be counted.
    pub fn found_live_workers(&mut self, count: usize) {
        self.live_workers = Some(count);
    }

    /// How many operations have not ended, as far as was to be counted.
    pub fn found_open_operations(&mut self, count: usize) {
        self.open_operations = Some(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Epoch, Fence};
    use crate::time::Timestamp;

    fn lease(task: TaskId) -> Lease {
        Lease {
            slot: SlotKey::only(task),
            fence: Fence(1),
            secret: 0,
            worker: WorkerNumber(1),
            epoch: Epoch(1),
            seq: 1,
            is_told_again: false,
            lane: Lane(1),
            has_carry: false,
            claimed_at: Timestamp::default(),
            started_at: None,
            expires_at: Timestamp::default(),
            deadline: None,
            progress: None,
            checkpoint: None,
            is_exclusive: false,
        }
    }

    #[test]
    fn a_lease_of_a_task_that_was_not_there_came_in_between() {
        let task = TaskId::new(Timestamp::default(), 1);
        let mut view = View::default();
        view.asked(&Needs {
            tasks: vec![task],
            leases_of: vec![WorkerNumber(1)],
            ..Needs::default()
        });
        assert!(!view.is_torn());

        view.lease_of(lease(task));

        assert!(view.is_torn());
    }

    #[test]
    fn a_lease_that_was_to_be_locked_and_was_not_there_is_not_found_by_its_worker() {
        let lease = lease(TaskId::new(Timestamp::default(), 1));
        let mut view = View::default();
        view.asked(&Needs {
            leases: vec![(lease.slot, Hold::Lock)],
            leases_of: vec![lease.worker],
            ..Needs::default()
        });

        view.lease_of(lease.clone());

        assert_eq!(view.leases.get(&lease.slot), None);
    }
}
