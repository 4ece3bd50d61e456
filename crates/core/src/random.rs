//! Randomness comes in as an argument, so that a seed replays everything.

/// A source of random bits. The server passes the operating system's; tests and the simulation pass [`Seeded`].
pub trait Random: Send {
    fn bits(&mut self) -> u64;

    /// Evenly from 0 up to, not including, 1.
    fn fraction(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A small generator that repeats itself from a seed (`SplitMix64`, Steele, Lea and Flood 2014). Not for secrets.
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Evenly below `bound`, which must not be 0; the bias is beyond notice at the sizes tests use.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound
    }
}

impl Random for Seeded {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
