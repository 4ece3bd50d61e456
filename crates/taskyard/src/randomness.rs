//! Random bits that cannot be guessed: what ids and the secrets of leases are made of.

use rand::Rng as _;
use rand::rngs::StdRng;
use taskyard_core::random::Random;

/// A generator of its own, seeded by the operating system.
pub(crate) struct Unguessable(StdRng);

impl Unguessable {
    pub(crate) fn new() -> Self {
        Self(rand::make_rng())
    }
}

impl Random for Unguessable {
    fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }
}
