//! An inbox, in a database of somebody's own.

mod making;
mod picking;

use std::time::Duration;

use taskyard_store::postgres::inbox::{self, FIRST, Inbox, Picked, Wanted};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::database::Database;

const PATIENCE: Duration = Duration::from_secs(60);

const ALL: Wanted = Wanted {
    from: FIRST,
    rows_max: 1_000,
    input_max: 1 << 20,
    options_max: 1 << 16,
    bytes_max: 8 << 20,
};

/// Somebody's database with an inbox in it.
struct Shop {
    database: Database,
    client: Client,
}

impl Shop {
    async fn open() -> Option<Self> {
        let database = Database::empty().await?;
        inbox::apply(&database.url()).await.unwrap();
        let client = database.client().await;
        Some(Self { database, client })
    }

    fn inbox(&self) -> Inbox {
        Inbox::at(&self.database.url()).unwrap()
    }

    async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    async fn submit(&self, arguments: &str) -> Uuid {
        let submit = format!("select taskyard.submit({arguments})");
        self.client.query_one(&submit, &[]).await.unwrap().get(0)
    }

    async fn count(&self, of: &str) -> i64 {
        let count = format!("select count(*) from taskyard.inbox where {of}");
        self.client.query_one(&count, &[]).await.unwrap().get(0)
    }

    /// What a server that comes now finds, and lets go of.
    async fn picked(&self, wanted: &Wanted) -> Vec<Picked> {
        let mut inbox = self.inbox();
        let rows = inbox.pick(wanted).await.unwrap();
        if !rows.is_empty() {
            inbox.settle(&[], &[]).await.unwrap();
        }
        rows
    }

    async fn rows(&self) -> Vec<Picked> {
        self.picked(&ALL).await
    }

    async fn kinds(&self) -> Vec<String> {
        self.rows().await.into_iter().map(|row| row.kind).collect()
    }
}

fn ids(rows: &[Picked]) -> Vec<Uuid> {
    rows.iter().map(|row| row.id).collect()
}
