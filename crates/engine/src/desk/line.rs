//! Claims in the order in which they came, found by their worker as well.

use std::collections::BTreeMap;
use std::ops::RangeFrom;

use hashbrown::HashMap;
use taskyard_core::id::WorkerNumber;
use taskyard_core::verbs::claim::Claim;

use super::Waiting;

/// Rises with each claim of a line.
pub(super) type Number = u64;

pub(super) struct Line<C> {
    claims: BTreeMap<Number, Waiting<C>>,
    by_worker: HashMap<WorkerNumber, Vec<Number>>,
    next: Number,
}

impl<C> Default for Line<C> {
    fn default() -> Self {
        Self {
            claims: BTreeMap::new(),
            by_worker: HashMap::new(),
            next: 0,
        }
    }
}

impl<C> Line<C> {
    pub(super) fn push(&mut self, waiting: Waiting<C>) -> Number {
        let number = self.next;
        self.next += 1;
        let worker = waiting.claim.number;
        self.by_worker.entry(worker).or_default().push(number);
        self.claims.insert(number, waiting);
        number
    }

    pub(super) fn len(&self) -> usize {
        self.claims.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }

    /// The number of the next claim that comes.
    pub(super) fn end(&self) -> Number {
        self.next
    }

    pub(super) fn first(&self) -> Option<(Number, &Waiting<C>)> {
        self.from(0..).next()
    }

    pub(super) fn from(
        &self,
        numbers: RangeFrom<Number>,
    ) -> impl Iterator<Item = (Number, &Waiting<C>)> {
        let claims = self.claims.range(numbers);
        claims.map(|(number, waiting)| (*number, waiting))
    }

    pub(super) fn get(&self, number: Number) -> Option<&Waiting<C>> {
        self.claims.get(&number)
    }

    /// Those of one worker.
    pub(super) fn of(&self, worker: WorkerNumber) -> &[Number] {
        self.by_worker.get(&worker).map_or(&[], Vec::as_slice)
    }

    /// The same claim, sent before or again.
    pub(super) fn same(&self, claim: &Claim) -> Option<Number> {
        let its = self.of(claim.number).iter();
        its.copied()
            .find(|number| self.claims[number].claim.repeats(claim))
    }

    pub(super) fn take_same(&mut self, claim: &Claim) -> Option<Waiting<C>> {
        let number = self.same(claim)?;
        self.remove(number)
    }

    /// All of them, behind those of the other line.
    pub(super) fn move_to(&mut self, other: &mut Self) {
        self.by_worker.clear();
        for waiting in std::mem::take(&mut self.claims).into_values() {
            other.push(waiting);
        }
    }

    pub(super) fn remove(&mut self, number: Number) -> Option<Waiting<C>> {
        let waiting = self.claims.remove(&number)?;
        let worker = waiting.claim.number;
        if let Some(its) = self.by_worker.get_mut(&worker) {
            its.retain(|other| *other != number);
            if its.is_empty() {
                self.by_worker.remove(&worker);
            }
        }
        Some(waiting)
    }
}
