//! Keys that callers give to what they send, and digests that tell whether two of them sent the same.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::id::TaskId;
use crate::labels::is_word;
use crate::name::Name;
use crate::time::Timestamp;

/// The first 128 bits of a SHA-256: tells whether two requests, or two reports, were the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Digest(pub [u8; 16]);

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        let mut digesting = Digesting::default();
        digesting.update(bytes);
        digesting.finish()
    }
}

/// A digest whose bytes are still coming.
#[derive(Clone, Default)]
pub struct Digesting(Sha256);

impl Digesting {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// With its length, so that no two lists of parts look alike.
    pub fn part(&mut self, bytes: &[u8]) {
        self.update(&(bytes.len() as u64).to_be_bytes());
        self.update(bytes);
    }

    pub fn finish(self) -> Digest {
        let mut first = [0; 16];
        first.copy_from_slice(&self.0.finalize()[..16]);
        Digest(first)
    }
}

/// Who repeats what: the caller's scope (token and route) and the key it sent.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IdempotencyKey {
    pub scope: Arc<str>,
    pub key: Arc<str>,
}

/// What an idempotency key stood for the first time.
#[derive(Clone, PartialEq, Debug)]
pub struct Idempotency {
    pub key: IdempotencyKey,
    pub digest: Digest,
    /// The ids of the tasks that it made; of a bulk act, that of its operation alone.
    pub made: Arc<[TaskId]>,
    pub created_at: Timestamp,
}

/// What stands once in a queue among the tasks that have not ended.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UniqueKey {
    pub queue: Name,
    pub key: Arc<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {} bytes with no control characters", UniqueKey::LEN_MAX)]
pub struct BadUniqueKey;

impl UniqueKey {
    /// In bytes.
    pub const LEN_MAX: usize = 255;

    /// A key, if it can be one.
    pub fn read(text: &str) -> Result<Arc<str>, BadUniqueKey> {
        let fits = is_word(text, Self::LEN_MAX);
        fits.then(|| Arc::from(text)).ok_or(BadUniqueKey)
    }
}

/// The latest task with a key. Once that has ended the key is free, though the row may still stand.
#[derive(Clone, PartialEq, Debug)]
pub struct Unique {
    pub key: UniqueKey,
    pub task: TaskId,
}
