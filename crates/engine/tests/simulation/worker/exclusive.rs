//! Exclusive runs: their worker ends them before their leases end, as far as it can know.

use std::time::Duration;

use taskyard_core::id::TaskId;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::heartbeat::{Beaten, Heartbeat};

use super::Worker;
use super::hand::Mine;
use crate::surroundings::Surroundings;

/// So much before two thirds of an exclusive run's lease are over it is ended: longer than between two turns.
const UNCONFIRMED_MARGIN: Duration = Duration::from_millis(500);
impl Worker {
    /// An exclusive run must have ended before its lease does, as far as its worker can know.
    pub(super) fn end_unconfirmed(&mut self, around: &mut Surroundings) {
        let within = around.policy.renew_below() - UNCONFIRMED_MARGIN;
        let now = around.now;
        let is_late = |mine: &Mine| mine.run.is_exclusive && mine.confirmed + within <= now;
        let before = self.hand.len();
        self.hand.retain(|_, mine| !is_late(mine));
        for _ in self.hand.len()..before {
            around.tally.count("exclusive_run_is_ended_unconfirmed");
        }
    }

    /// The exclusive runs that it is at.
    pub(crate) fn exclusive(&self, now: Timestamp) -> impl Iterator<Item = TaskId> {
        let is_at_work = self.alive && self.paused_until <= now;
        let runs = self.hand.values().filter(move |_| is_at_work);
        let exclusive = runs.filter(|mine| mine.run.is_exclusive && mine.is_under_way());
        exclusive.map(|mine| mine.run.slot.task)
    }

    /// These it still has, as of when it asked.
    pub(super) fn confirm(&mut self, heartbeat: &Heartbeat, beaten: &Beaten, asked: Timestamp) {
        for held in &heartbeat.held {
            let task = held.token.slot.task;
            let told = [
                &beaten.lost,
                &beaten.cancel,
                &beaten.ending,
                &beaten.unknown,
            ];
            let is_told = told.iter().any(|tasks| tasks.contains(&task));
            let mine = self.hand.get_mut(&task);
            let mine = mine.filter(|mine| mine.run.fence == held.token.fence && !is_told);
            if let Some(mine) = mine {
                mine.confirmed = mine.confirmed.max(asked);
            }
        }
    }
}
