//! What tells a slow machine from slow code.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

/// How long the chain of digests is.
const CHAIN: usize = 1_000_000;
/// How many appends the disk is asked for, and of how many bytes.
const APPENDS: usize = 200;
const APPEND_BYTES: usize = 4096;

#[derive(Clone, Copy)]
pub(super) struct Calibration {
    /// A million chained SHA-256 digests on one thread.
    pub(super) chain_ms: f64,
    /// The median of 200 appends of 4 KiB, each synced (`fdatasync`).
    pub(super) fsync_us: f64,
}

impl Calibration {
    pub(super) fn take(directory: &Path) -> std::io::Result<Self> {
        Ok(Self {
            chain_ms: millis(chain()),
            fsync_us: millis(append(directory)?) * 1000.0,
        })
    }

    /// The mean of before and after.
    pub(super) fn and(self, after: Self) -> Self {
        let mean = |one: f64, other: f64| ((one + other) * 50.0).round() / 100.0;
        Self {
            chain_ms: mean(self.chain_ms, after.chain_ms),
            fsync_us: mean(self.fsync_us, after.fsync_us),
        }
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn chain() -> Duration {
    let begun = Instant::now();
    let mut digest = [0_u8; 32];
    for _ in 0..CHAIN {
        digest = Sha256::digest(digest).into();
    }
    std::hint::black_box(digest);
    begun.elapsed()
}

fn append(directory: &Path) -> std::io::Result<Duration> {
    let mut file = tempfile::tempfile_in(directory)?;
    let block = [0x5a_u8; APPEND_BYTES];
    let mut times = Vec::with_capacity(APPENDS);
    for _ in 0..APPENDS {
        let begun = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Ok(times[APPENDS / 2])
}
