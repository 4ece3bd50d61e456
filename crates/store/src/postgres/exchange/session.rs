//! The connection that hears and speaks.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use futures_util::future::try_join3;
use taskyard_core::id::ServerNumber;
use taskyard_core::time::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, Client, Error, Statement};

use super::voice::Voice;
use crate::postgres::address::Address;
use crate::postgres::error::one_line;
use crate::postgres::home::Connection;
use crate::postgres::sql;

/// A hint that takes longer comes too late for everybody.
const ANSWER_MAX: Duration = Duration::from_secs(5);

pub(super) struct Session {
    client: Client,
    send: Statement,
    server_up: Statement,
    connection: JoinHandle<String>,
}

impl Session {
    /// Listens when it is there.
    pub(super) async fn open(address: &Address, voice: &Arc<Voice>) -> Result<Self, String> {
        let connected = address.connect().await;
        let (client, connection) = connected.map_err(|not| not.reason)?;
        let own = Arc::new(AtomicI32::new(0));
        let hearing = hear(connection, Arc::clone(&own), Arc::clone(voice));
        // Given up wherever this fails.
        let connection = Running(Some(tokio::spawn(hearing)));
        let (send, server_up) = within(async {
            client.batch_execute(sql::HINT_SETTINGS).await?;
            let (process, send, server_up) = try_join3(
                client.query_one(sql::HINT_OWN, &[]),
                client.prepare(sql::HINT_SEND),
                client.prepare(sql::SERVER_UP),
            )
            .await?;
            own.store(process.try_get(0)?, Ordering::Relaxed);
            client.batch_execute(sql::HINT_LISTEN).await?;
            Ok((send, server_up))
        })
        .await?;
        Ok(Self {
            client,
            send,
            server_up,
            connection: connection.goes_on(),
        })
    }

    /// Resolves when the connection has broken, with why.
    pub(super) async fn ended(&mut self) -> String {
        let ended = (&mut self.connection).await;
        ended.unwrap_or_else(|error| error.to_string())
    }

    pub(super) async fn tell(&self, text: &str) -> Result<(), String> {
        let told = async { self.client.execute(&self.send, &[&text]).await };
        within(told).await.map(drop)
    }

    /// Whether any server but this one says that it is up.
    pub(super) async fn others_are_up(
        &self,
        now: Timestamp,
        own: ServerNumber,
    ) -> Result<bool, String> {
        within(async {
            let (now, own) = (now.as_micros(), own.0);
            let up = self
                .client
                .query_one(&self.server_up, &[&now, &own])
                .await?;
            let count: i64 = up.try_get(0)?;
            Ok(count > 0)
        })
        .await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// A connection that ends with its value, unless it is to go on.
struct Running(Option<JoinHandle<String>>);

impl Running {
    fn goes_on(mut self) -> JoinHandle<String> {
        self.0.take().expect("it is taken once")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.abort();
        }
    }
}

/// Makes the connection live, and takes in what others say over it. Answers why it ended.
async fn hear(mut connection: Connection, own: Arc<AtomicI32>, voice: Arc<Voice>) -> String {
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notification(said))) => {
                if said.process_id() != own.load(Ordering::Relaxed) {
                    voice.listen(said.payload());
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return one_line(&error),
            None => return "it was closed".to_owned(),
        }
    }
}

async fn within<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
    match timeout(ANSWER_MAX, answer).await {
        Ok(answer) => answer.map_err(|error| one_line(&error)),
        Err(_) => Err(format!(
            "the database did not answer within {} s",
            ANSWER_MAX.as_secs()
        )),
    }
}
