//! Who works: those who drain, were killed or were replaced get nothing, and what they say as who they were is refused.

use std::collections::BTreeMap;

use taskyard_core::id::{Epoch, WorkerNumber};
use taskyard_core::name::Name;
use taskyard_core::query::{Standing, WorkerView};
use taskyard_core::rows::{Lease, Worker};
use taskyard_core::verbs::kill::Killed;

use crate::invariants::Moment;
use crate::ledger::Ledger;

#[derive(Default)]
pub(crate) struct Staff {
    members: BTreeMap<WorkerNumber, Member>,
    numbers: BTreeMap<Name, WorkerNumber>,
}

/// As it was last seen.
struct Member {
    row: Worker,
    /// It is listed.
    is_there: bool,
    /// With which commit each epoch came.
    epochs: Vec<(u64, Epoch)>,
    /// With which commit it was told to go, if it is.
    draining: Option<u64>,
    /// With which commit it was killed, if it is.
    killed: Option<u64>,
}

impl Member {
    /// When commit number `since` was the last.
    fn epoch_at(&self, since: u64) -> Option<Epoch> {
        let epochs = self.epochs.iter().rev();
        let mut then = epochs.filter(|(commit, _)| *commit <= since);
        then.next().map(|(_, epoch)| *epoch)
    }
}

/// Looks at all of them, once what the commit did to tasks is known. `row_of` tells of those too that are not listed.
pub(crate) fn see(
    rows: &[WorkerView],
    row_of: impl Fn(&Name) -> Option<Worker>,
    ledger: &mut Ledger,
    moment: &Moment<'_>,
) {
    for row in rows.iter().map(|view| &view.worker) {
        let was_killed = ledger.staff.note(row, moment.commit);
        if was_killed {
            ledger.tally.count("worker_is_killed");
        }
    }
    let is_listed = |number: WorkerNumber| rows.iter().any(|view| view.worker.number == number);
    for member in ledger.staff.members.values_mut() {
        let is_there = is_listed(member.row.number);
        let leaves = member.is_there && !is_there;
        member.is_there = is_there;
        if !leaves {
            continue;
        }
        // As it is now: the commit may have killed it as well.
        let row = row_of(&member.row.name);
        assert!(
            row.is_some_and(|row| row.is_offline(moment.now)),
            "nobody who is heard is forgotten, at {}: {:?}",
            moment.now,
            member.row
        );
    }
}

/// What went back when its worker was killed is that worker's no more; unless it was given to it once more, by a batch that
/// had begun before. The kill's own began after commit number `since`.
pub(crate) fn check_killed(killed: &Killed, since: u64, ledger: &Ledger) {
    let Some(epoch) = killed.epoch else { return };
    for task in &killed.tasks {
        let standing = ledger.known.tasks.get(task).map(|view| &view.standing);
        let Some(Standing::Leased(lease)) = standing else {
            continue;
        };
        let began = ledger.began_with.get(&(*task, lease.fence));
        let was_there = began.is_some_and(|commit| *commit <= since);
        let is_left = ledger.staff.is_killed(lease.worker) && lease.epoch < epoch && was_there;
        assert!(!is_left, "what a killed worker held goes back: {lease:?}");
    }
}

impl Staff {
    /// Whether the worker was killed since it was last seen.
    fn note(&mut self, row: &Worker, commit: u64) -> bool {
        self.numbers.insert(row.name.clone(), row.number);
        let member = self.members.entry(row.number).or_insert_with(|| Member {
            row: row.clone(),
            is_there: true,
            epochs: Vec::new(),
            draining: None,
            killed: None,
        });
        let last = member.epochs.last().map(|(_, epoch)| *epoch);
        assert!(last <= Some(row.epoch), "epochs rise: {last:?} {row:?}");
        let is_new = last != Some(row.epoch);
        if is_new {
            member.epochs.push((commit, row.epoch));
            (member.draining, member.killed) = (None, None);
        }
        let is_since = |before: Option<u64>, is: bool| is.then(|| before.unwrap_or(commit));
        member.draining = is_since(member.draining, row.is_draining);
        let was_killed = member.killed.is_none() && row.is_killed;
        member.killed = is_since(member.killed, row.is_killed);
        member.row = row.clone();
        member.is_there = true;
        was_killed
    }

    fn is_killed(&self, number: WorkerNumber) -> bool {
        let member = self.members.get(&number);
        member.is_some_and(|member| member.killed.is_some())
    }

    /// A lease came, by a batch that began after commit number `since`.
    pub(crate) fn check_dealt(&self, lease: &Lease, since: u64) {
        let Some(member) = self.members.get(&lease.worker) else {
            return;
        };
        let is_told = |told: Option<u64>| told.is_some_and(|commit| commit <= since);
        assert!(
            !is_told(member.draining) && !is_told(member.killed),
            "who drains or was killed gets nothing: {:?} got {lease:?}",
            member.row
        );
        let epoch = member.epoch_at(since);
        assert!(
            epoch.is_none_or(|epoch| lease.epoch >= epoch),
            "who was replaced gets nothing: {:?} got {lease:?}",
            member.row
        );
    }

    /// What this process said was taken, by a batch that began after commit number `since`.
    pub(crate) fn check_heard(&self, worker: &Name, epoch: Option<Epoch>, since: u64) {
        let number = self.numbers.get(worker);
        let Some(member) = number.and_then(|number| self.members.get(number)) else {
            return;
        };
        assert!(
            member.killed.is_none_or(|commit| commit > since),
            "a killed worker is refused: {:?}",
            member.row
        );
        let known = member.epoch_at(since);
        assert!(
            epoch.is_none_or(|epoch| known.is_none_or(|known| epoch >= known)),
            "a process that was replaced is refused: {epoch:?} of {:?}",
            member.row
        );
    }
}
