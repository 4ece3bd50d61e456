//! What is true of PostgreSQL alone. The rules are tried by the conformance suite.

mod breaking;
mod changing_tables;
mod checking;
mod counting;
mod failing_over;
mod hanging;
mod holding;
mod inbox;
mod opening;
mod plans;
mod pooling;
mod renewing;
mod resetting;
mod setting_clocks;
mod settings;
mod sharing;
mod telling;
mod tls;

use taskyard_core::random::Seeded;
use taskyard_store::postgres::Options;
use tokio_postgres::Client;

fn options() -> Options {
    Options {
        clock: None,
        hints: true,
        pooled: false,
        random: Box::new(Seeded::new(1)),
        within: taskyard_store::postgres::WITHIN,
    }
}

/// Until somebody on this database waits for a lock, in a statement with this word in it: its process.
async fn who_waits(beside: &Client, database: &str, word: &str) -> i32 {
    let waiting = "select pid from pg_stat_activity
        where datname = $1 and wait_event_type = 'Lock' and query like '%' || $2 || '%' and state = 'active'";
    for _ in 0..100_000 {
        if let Some(row) = beside
            .query_opt(waiting, &[&database, &word])
            .await
            .unwrap()
        {
            return row.get(0);
        }
        tokio::task::yield_now().await;
    }
    panic!("nobody waits for a lock");
}
