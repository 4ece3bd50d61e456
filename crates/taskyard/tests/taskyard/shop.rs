//! A database of somebody's own, beside Taskyard's.

use taskyard_api::task::Task;
use taskyard_core::id::TaskId;
use taskyard_store::postgres::{inbox, scratch};
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};

use crate::yard::{PATIENCE, Server, postgres_server};

/// Somebody's database, with an inbox in it.
pub(crate) struct Shop {
    /// The PostgreSQL server that it is on.
    pub(crate) server: String,
    pub(crate) url: String,
    pub(crate) client: Client,
}

impl Shop {
    /// None where there is no PostgreSQL server and none has to be.
    pub(crate) async fn open(name: &str) -> Option<Self> {
        let server = postgres_server()?;
        let name = format!("taskyard_shop_{}_{name}", std::process::id());
        let url = scratch::create(&server, &name).await.unwrap();
        inbox::apply(&url).await.unwrap();
        let client = connect(&url).await;
        Some(Self {
            server,
            url,
            client,
        })
    }

    pub(crate) async fn submit(&self, arguments: &str) -> TaskId {
        let submit = format!("select taskyard.submit({arguments})");
        let id: uuid::Uuid = self.client.query_one(&submit, &[]).await.unwrap().get(0);
        id.try_into().unwrap()
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    pub(crate) async fn count(&self, of: &str) -> i64 {
        let count = format!("select count(*) from taskyard.inbox where {of}");
        self.client.query_one(&count, &[]).await.unwrap().get(0)
    }

    /// Until there are so many of these.
    pub(crate) async fn until(&self, of: &str, rows: i64) {
        let counted = async { while self.count(of).await != rows {} };
        if timeout(PATIENCE, counted).await.is_err() {
            panic!("{} rows are {of}, not {rows}", self.count(of).await);
        }
    }

    pub(crate) async fn close(self) {
        drop(self.client);
        scratch::remove(&self.url).await.unwrap();
    }
}

pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    // Ends with the client; that it is cut off is what some tests are about.
    tokio::spawn(async move { connection.await.ok() });
    client
}

impl Server {
    /// The task, once it was taken over.
    pub(crate) async fn taken(&self, id: TaskId) -> Task {
        let looks = async {
            loop {
                if let Ok(task) = self.client.task(id, None).await {
                    return task;
                }
            }
        };
        let task = timeout(PATIENCE, looks).await;
        task.unwrap_or_else(|_| panic!("it was not taken over: {}", self.process.log()))
    }

    /// How many there are.
    pub(crate) async fn tasks(&self) -> u64 {
        self.client.stats().await.unwrap().total
    }
}
