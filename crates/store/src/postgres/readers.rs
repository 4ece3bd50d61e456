//! The connections that read. One that somebody went away from before its answer was there is not used again: whoever
//! came next would wait for that answer.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Client, Connect, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError,
    RecyclingMethod, Runtime, Timeouts,
};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use taskyard_core::store::{Away, Cause, Error};
use tokio::task::JoinHandle;
use tokio_postgres::{Config, NoTls};

use super::READERS;
use super::address::Address;
use super::asking::Reader;
use super::error::{away, one_line};
use super::home::{Need, NotConnected};
use super::pooled::Opening;
use super::sql;

/// How long it is waited for one of them, and for a new connection.
const WAIT_MAX: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(super) struct Readers {
    pool: Pool,
    address: Address,
    /// Why there was no connection when one was last asked for: the pool knows the driver's errors alone.
    refused: Arc<Mutex<Option<NotConnected>>>,
    within: Duration,
}

impl Readers {
    /// `within`: how long a question may take.
    pub(super) fn of(address: &Address, within: Duration) -> Result<Self, String> {
        let refused = Arc::default();
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let connect = ReaderConnect {
            address: address.clone(),
            refused: Arc::clone(&refused),
        };
        let manager = Manager::from_connect(address.config.clone(), connect, recycling);
        let wait = Some(WAIT_MAX);
        let is_pooled = address.is_pooled;
        let settings = Hook::async_fn(move |client, _| {
            Box::pin(async move {
                if is_pooled {
                    return Ok(());
                }
                let set = client.batch_execute(sql::READER_SETTINGS).await;
                set.map_err(HookError::Backend)
            })
        });
        let pool = Pool::builder(manager)
            .max_size(READERS)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait,
                create: wait,
                recycle: wait,
            })
            .post_create(settings)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            pool,
            address: address.clone(),
            refused,
            within,
        })
    }

    pub(super) fn within(&self) -> Duration {
        self.within
    }

    pub(super) async fn lend(&self) -> Result<Lent, Error> {
        // Those that are left from before would be waited for in vain.
        if let Some(away) = self.address.home.down() {
            return Err(Error::Unavailable(away));
        }
        match self.pool.get().await {
            Ok(client) => Ok(Lent {
                client: Some(client),
                opening: self.address.opening(sql::READER_SETTINGS),
            }),
            Err(error) => Err(Error::Unavailable(self.explain(&error))),
        }
    }

    fn explain(&self, error: &PoolError) -> Away {
        match error {
            PoolError::Backend(error) => match self.refused.lock().take() {
                Some(not) => not.into(),
                None => away(error),
            },
            other => Cause::Silent.with(other.to_string()),
        }
    }
}

pub(super) fn too_late(within: Duration) -> Error {
    let why = format!("it did not answer within {} s", within.as_secs_f32());
    Error::Unavailable(Cause::Silent.with(why))
}

/// A connection of the pool, which goes back there only when it is given back.
pub(super) struct Lent {
    client: Option<Client>,
    opening: Option<Opening>,
}

impl Lent {
    pub(super) fn reader(&mut self) -> Reader<'_> {
        let client = self.client.as_mut().expect("it was not given back");
        Reader::of(client, self.opening.as_ref())
    }

    /// Where it may be broken, or be set as the database no longer is, to read only for one, whoever comes next gets a
    /// fresh one.
    pub(super) fn back_unless_away<T>(mut self, answer: Result<T, Error>) -> Result<T, Error> {
        if !matches!(answer, Err(Error::Unavailable(_))) {
            drop(self.client.take());
        }
        answer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            // Its connection ends with it, whatever the database still does there.
            drop(Object::take(client));
        }
    }
}

/// As the pool would by itself, but at home, and it is told in the log why a connection broke.
struct ReaderConnect {
    address: Address,
    refused: Arc<Mutex<Option<NotConnected>>>,
}

impl Connect for ReaderConnect {
    fn connect(
        &self,
        _: &Config,
    ) -> BoxFuture<'_, Result<(tokio_postgres::Client, JoinHandle<()>), tokio_postgres::Error>>
    {
        Box::pin(async move {
            let (client, connection) = match self.address.connect_for(Need::Reads).await {
                Ok(connected) => connected,
                Err(not) => {
                    *self.refused.lock() = Some(not);
                    return Err(some_error().await);
                }
            };
            let connection = tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::warn!(error = one_line(&error), "a connection that reads broke");
                }
            });
            Ok((client, connection))
        })
    }
}

/// The driver makes its errors itself, and this one without a try: it has no host.
async fn some_error() -> tokio_postgres::Error {
    match Config::new().connect(NoTls).await {
        Err(error) => error,
        Ok(_) => unreachable!("there is no host to connect to"),
    }
}
