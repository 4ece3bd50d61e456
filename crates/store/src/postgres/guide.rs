//! The guide: looks once a second, over a connection of its own, whether the database is where it was and answers, and
//! now and then whether another host has become the primary. It finds a way while nobody else needs one, and says that
//! nobody answers so that those who come need not find out one by one.

use std::time::Duration;

use taskyard_core::store::Cause;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Client;

use super::address::Address;
use super::error::one_line;
use super::home::{Need, NotConnected};
use super::standing::Standing;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// While nobody answers.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// How long it may take to tell where it stands.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// After so long without a word from the database to anybody, and none for whoever connects anew, it is silent.
const SILENT: Duration = Duration::from_secs(3);
/// The hosts that are not the primary are asked so often whether they have become it.
const LOOK_AROUND_EVERY: Duration = Duration::from_secs(3);

pub(super) struct Guide {
    address: Address,
    watch: Option<Watch>,
    looked_around: Instant,
}

/// A connection to the primary.
struct Watch {
    client: Client,
    connection: AbortHandle,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// Ends what it guides with it.
pub(super) struct Guiding(AbortHandle);

impl Drop for Guiding {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Guide {
    /// A task of the runtime that this runs on.
    pub(super) fn start(address: Address) -> Guiding {
        let guide = Self {
            address,
            watch: None,
            looked_around: Instant::now(),
        };
        Guiding(tokio::spawn(guide.work()).abort_handle())
    }

    async fn work(mut self) {
        loop {
            self.look().await;
            let is_down = self.address.home.down().is_some();
            sleep(if is_down { LOOK_AGAIN } else { LOOK_EVERY }).await;
        }
    }

    async fn look(&mut self) {
        if self.is_well().await {
            self.address.home.heard();
            if self.looked_around.elapsed() >= LOOK_AROUND_EVERY {
                self.address.look_around().await;
                self.looked_around = Instant::now();
            }
            return;
        }
        self.watch = None;
        match self.address.connect_though_down(Need::Reads).await {
            Ok((client, connection)) => {
                let connection = tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        let error = one_line(&error);
                        tracing::debug!(
                            error,
                            "the connection that looks after the database broke"
                        );
                    }
                });
                let connection = connection.abort_handle();
                self.watch = Some(Watch { client, connection });
                self.address.home.heard();
            }
            Err(not) => self.not_found(not),
        }
    }

    /// The connection that there is shows a primary that can go on.
    async fn is_well(&self) -> bool {
        let (Some(watch), Some(spot)) = (&self.watch, self.address.home.spot()) else {
            return false;
        };
        let standing = timeout(ANSWER_MAX, Standing::of(&watch.client)).await;
        let Ok(Ok(standing)) = standing else {
            return false;
        };
        // By way of a pooler the same connection may lead to another host than before.
        let home = &self.address.home;
        home.is_at(&standing) && home.judge(&spot, &standing, self.address.hosts()).is_ok()
    }

    fn not_found(&self, not: NotConnected) {
        let home = &self.address.home;
        let is_fresh = |at: Instant| at.elapsed() < SILENT;
        let is_silent = not.is_silence && !home.last_heard().is_some_and(is_fresh);
        // Connections to an old primary are not to be used, well as they are.
        let is_left = not.cause == Cause::Superseded;
        if is_silent || is_left || home.down().is_some() {
            home.give_up(not.into());
        }
    }
}
