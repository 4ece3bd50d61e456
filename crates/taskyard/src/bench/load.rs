//! Closed loops: so many connections, each of which asks again as soon as it is answered.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::http::Connection;
use super::peer::Peer;

/// How long a loop runs before it counts.
const WARM_UP: Duration = Duration::from_millis(500);

/// How much work was done in how much time.
pub(super) struct Pace {
    pub(super) done: u64,
    pub(super) took: Duration,
}

impl Pace {
    pub(super) fn per_second(&self) -> f64 {
        self.done as f64 / self.took.as_secs_f64()
    }
}

/// Runs `step` over and over on each connection; it answers how much work it did. Counts for `length` after a
/// warm-up.
pub(super) async fn closed_loop<S, F>(
    connections: Vec<Connection>,
    length: Duration,
    step: S,
) -> anyhow::Result<Pace>
where
    S: Fn(usize, Connection) -> F + Clone + Send + 'static,
    F: Future<Output = anyhow::Result<(Connection, u64)>> + Send,
{
    let from = Instant::now() + WARM_UP;
    let until = from + length;
    let mut callers = JoinSet::new();
    for (number, mut connection) in connections.into_iter().enumerate() {
        let step = step.clone();
        callers.spawn(async move {
            let mut counted = 0;
            loop {
                let (again, done) = step(number, connection).await?;
                connection = again;
                let now = Instant::now();
                if now > until {
                    return anyhow::Ok(counted);
                }
                counted += if now > from { done } else { 0 };
            }
        });
    }
    let mut done = 0;
    while let Some(counted) = callers.join_next().await {
        done += counted??;
    }
    Ok(Pace { done, took: length })
}

pub(super) async fn connect(peer: &Peer, count: usize) -> anyhow::Result<Vec<Connection>> {
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        connections.push(Connection::open(peer).await?);
    }
    Ok(connections)
}
