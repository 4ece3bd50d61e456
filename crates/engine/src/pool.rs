//! The workers inside of a server, as those see them who look after them. What they are is for the program to say that
//! starts the server; one that embeds it without has none.

use async_trait::async_trait;
use taskyard_core::name::Name;

/// How many workers a server may have inside.
pub const COUNT_MAX: u16 = 50;

/// Any of these may be called at any time, by several at once, and again: what was asked for last holds.
#[async_trait]
pub trait InternalPool: Send + Sync {
    async fn status(&self) -> PoolStatus;

    /// From here on so many are wanted, at most [`COUNT_MAX`]. More begin at once; those that are too many finish what they
    /// hold and leave. While the pool is stopped this is what [`start`](Self::start) brings.
    async fn scale(&self, count: u16) -> PoolStatus;

    /// As many begin as are wanted, if they were stopped.
    async fn start(&self) -> PoolStatus;

    /// All of them finish what they hold and leave. How many are wanted stays.
    async fn stop(&self) -> PoolStatus;

    /// Ends this one at once, with the processes of its runs, and wants one less; nothing where it has none of that name.
    /// That its leases end is for the rules to see to.
    async fn kill(&self, worker: &Name) -> PoolStatus;
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolStatus {
    /// How many are wanted; kept while it is stopped.
    pub desired: u16,
    /// How many take tasks.
    pub running: u16,
    /// All that are there, by number.
    pub workers: Vec<PoolWorker>,
    /// What they run, be there any or not.
    pub kinds: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolWorker {
    pub name: Name,
    /// It finishes what it holds and leaves.
    pub is_draining: bool,
}
