//! What those do who look after the workers, and what it promises.

use std::sync::Arc;

use taskyard_core::command::{Command, Done};
use taskyard_core::id::{ServerNumber, SlotKey, WorkerNumber};
use taskyard_core::labels::Labels;
use taskyard_core::name::Name;
use taskyard_core::rows::{Carry, Lease, Worker};
use taskyard_core::slot::Counts;
use taskyard_core::verbs::claim::{Claims, Dealt, Run};
use taskyard_core::verbs::drain::Drain;
use taskyard_core::verbs::forget::Forget;
use taskyard_core::verbs::kill::{Kill, Killed, Part};
use taskyard_core::verbs::register::Register;
use taskyard_core::worker::Profile;

use super::World;
use crate::acts::{Act, KINDS, NAMES};

/// The command, where it is one of these.
pub(super) fn command(act: &Act) -> Option<Command> {
    let named = |name: &str| Name::plain(name).unwrap();
    Some(match act {
        Act::Drain(name) => Drain {
            worker: named(name),
        }
        .into(),
        // The sweep takes away what it holds.
        Act::Kill(name) => Kill {
            worker: named(name),
            runs: Vec::new(),
            part: Part::First,
        }
        .into(),
        Act::Delete(name) => Forget {
            workers: vec![named(name)],
            is_asked_for: true,
        }
        .into(),
        _ => return None,
    })
}

impl World {
    fn worker(&self, name: &str) -> Worker {
        self.tables.workers[&Name::plain(name).unwrap()].clone()
    }

    fn leases_of(&self, worker: WorkerNumber) -> Vec<Lease> {
        let leases = self.tables.leases.values();
        leases
            .filter(|lease| lease.worker == worker)
            .cloned()
            .collect()
    }

    fn counts(&self, slot: SlotKey) -> Counts {
        let carry = self.tables.carries.get(&slot);
        let lease = self.tables.leases.get(&slot);
        lease.map_or_else(|| Carry::counts(carry), |lease| lease.as_slot(carry).counts)
    }

    /// A kill with nothing beside it: what it takes costs no task anything, and what is exclusive stays.
    pub(super) fn kill_alone(&mut self, name: &str) {
        let before = self.worker(name);
        let was_online = !before.is_offline(self.now);
        let held = self.leases_of(before.number);
        let counts: Vec<Counts> = held.iter().map(|lease| self.counts(lease.slot)).collect();
        let kill = Kill {
            worker: before.name.clone(),
            runs: held.iter().map(Lease::run).collect(),
            part: Part::First,
        };

        let reply = self.run(&[kill.into()]).remove(0);

        let after = self.worker(name);
        if !was_online {
            assert_eq!(after, before, "nothing happens to one that is offline");
            return;
        }
        assert!(after.is_killed && after.is_offline(self.now));
        assert_eq!(after.epoch, before.epoch.next());
        let stay: Vec<Lease> = held.iter().filter(|it| it.is_exclusive).cloned().collect();
        let goes = held.iter().filter(|it| !it.is_exclusive);
        let tasks = goes.map(|it| it.slot.task).collect();
        let epoch = Some(after.epoch);
        assert_eq!(reply, Ok(Done::Kill(Killed { epoch, tasks })));
        assert_eq!(self.leases_of(before.number), stay);
        for (lease, counts) in held.iter().zip(counts) {
            assert_eq!(self.counts(lease.slot), counts, "it costs nothing");
            let is_ready = self.tables.ready.contains_key(&lease.slot);
            assert_eq!(is_ready, !lease.is_exclusive, "it waits for another worker");
        }
    }

    /// Who drains gets nothing that it had not got before, and who was killed gets nothing at all.
    pub(super) fn check_hands(&self, claims: &Claims, dealt: &Dealt) {
        for (claim, hand) in claims.claims.iter().zip(&dealt.hands) {
            let row = &self.tables.workers[&claim.worker];
            let Ok(Ok(hand)) = hand else { continue };
            assert!(!row.is_killed, "nobody is {row:?}");
            assert_eq!(hand.drain, row.is_draining);
            let was_given = |run: &Run| {
                let mut given = self.runs.iter();
                given.any(|it| (it.slot, it.fence) == (run.slot, run.fence))
            };
            let is_old = hand.runs.iter().all(was_given);
            assert!(is_old || !row.is_draining, "{row:?} was dealt to");
        }
    }
}

/// The first serves everything, the second one kind, the third is an internal one of a server.
pub(super) fn register(name: &str, if_new: bool) -> Command {
    let kinds = (name == NAMES[1]).then(|| vec![Name::path(KINDS[0]).unwrap()]);
    let server = (name == NAMES[2]).then_some(ServerNumber(1));
    Register {
        name: Name::plain(name).unwrap(),
        server,
        profile: Arc::new(Profile::new(kinds, None, Labels::default())),
        capacity: 1,
        if_new,
    }
    .into()
}
