//! What the servers of one database tell each other of what they committed, by NOTIFY and LISTEN.
//!
//! It goes over one connection of its own, outside of every batch: whoever notifies holds a lock while its transaction
//! commits, for which all others who notify wait. A commit leaves what it changed with [`Voice`] and goes on. It is sent at
//! once where nothing was for [`PAUSE`], else at the end of that, all of it together: an idle system is told at once, a busy
//! one pays for 200 messages a second at most. Where no other server says that it is up, nothing is sent, which is asked
//! once a second while there is something to say; a server that has just joined tells the others so, that they speak.
//!
//! Nothing depends on it. While there is no connection nobody here is told anything, and finds it by looking; what was
//! said meanwhile is gone. So a new connection is heard as if everything had happened.

mod lanes;
mod message;
mod session;
mod voice;

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use taskyard_core::hints::Hints;
use taskyard_core::id::ServerNumber;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};

pub(super) use self::lanes::learn;
use self::session::Session;
pub(super) use self::voice::Voice;
use super::address::Address;
use crate::Clock;

/// No two messages go out within less than this.
pub(super) const PAUSE: Duration = Duration::from_millis(5);
/// For so long it is believed that others are up, or that none is.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A connection over which nothing was said for so long is tried: it may be cut, and nobody has told.
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// How long to wait before a connection is made anew: longer each time, until one has stood for a while.
const BACK_OFF_LEAST: Duration = Duration::from_millis(100);
const BACK_OFF_MOST: Duration = Duration::from_secs(5);

/// Ends with its value.
pub(super) struct Exchange {
    voice: Arc<Voice>,
    /// None once it works.
    keeper: Mutex<Option<Keeper>>,
    work: Mutex<Option<AbortHandle>>,
}

impl Exchange {
    /// Connects when somebody first listens. `time`: the store's.
    pub(super) fn new(
        address: Address,
        voice: Arc<Voice>,
        server: Arc<AtomicI32>,
        time: Clock,
    ) -> Self {
        let keeper = Keeper {
            address,
            voice: Arc::clone(&voice),
            server,
            time,
            others_seen: None,
            spoke: None,
        };
        Self {
            voice,
            keeper: Mutex::new(Some(keeper)),
            work: Mutex::default(),
        }
    }

    /// What was heard since this was asked last, once there is something.
    pub(super) async fn heard(&self) -> Hints {
        self.begin();
        self.voice.heard().await
    }

    fn begin(&self) {
        if let Some(keeper) = self.keeper.lock().take() {
            self.voice.begin();
            let work = tokio::spawn(keeper.work());
            *self.work.lock() = Some(work.abort_handle());
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(work) = self.work.lock().take() {
            work.abort();
        }
    }
}

/// Keeps a connection, and speaks over it.
struct Keeper {
    address: Address,
    voice: Arc<Voice>,
    /// Which this one is.
    server: Arc<AtomicI32>,
    time: Clock,
    /// When others were last seen to be up.
    others_seen: Option<Instant>,
    /// When the last message was sent.
    spoke: Option<Instant>,
}

impl Keeper {
    async fn work(mut self) {
        let mut pause = BACK_OFF_LEAST;
        let mut is_told = false;
        loop {
            let begun = Instant::now();
            let why = match Session::open(&self.address, &self.voice).await {
                Ok(session) => {
                    if std::mem::take(&mut is_told) {
                        tracing::info!("other servers are heard again");
                    }
                    self.live(session).await
                }
                Err(why) => why,
            };
            if begun.elapsed() > BACK_OFF_MOST {
                pause = BACK_OFF_LEAST;
            }
            if std::mem::replace(&mut is_told, true) {
                tracing::debug!(error = why, "other servers cannot be heard yet");
            } else {
                tracing::warn!(
                    error = why,
                    "other servers cannot be heard at present; what they do is found later, by looking"
                );
            }
            sleep(pause).await;
            pause = (pause * 2).min(BACK_OFF_MOST);
        }
    }

    /// Until the connection ends; answers why.
    async fn live(&mut self, mut session: Session) -> String {
        let _hears = self.voice.hears();
        loop {
            let done = tokio::select! {
                why = session.ended() => return why,
                () = self.voice.has_to_say() => self.speak(&session).await,
                () = sleep(PROBE_EVERY) => self.look_for_others(&session).await.map(drop),
            };
            if let Err(why) = done {
                return why;
            }
        }
    }

    async fn speak(&mut self, session: &Session) -> Result<(), String> {
        if let Some(spoke) = self.spoke {
            sleep_until(spoke + PAUSE).await;
        }
        let Some(message) = self.voice.take() else {
            return Ok(());
        };
        if !message.is_hello && !self.may_be_heard(session).await? {
            self.voice.nobody_hears(Instant::now() + LOOK_EVERY);
            return Ok(());
        }
        self.spoke = Some(Instant::now());
        session.tell(&message.text()).await?;
        self.voice.said();
        Ok(())
    }

    async fn may_be_heard(&mut self, session: &Session) -> Result<bool, String> {
        let was_seen = |seen: Instant| seen.elapsed() < LOOK_EVERY;
        Ok(self.others_seen.is_some_and(was_seen) || self.look_for_others(session).await?)
    }

    async fn look_for_others(&mut self, session: &Session) -> Result<bool, String> {
        let own = ServerNumber(self.server.load(Ordering::Relaxed));
        let are_up = session.others_are_up((self.time)(), own).await?;
        self.others_seen = are_up.then(Instant::now);
        Ok(are_up)
    }
}
