//! The way in, where a new connection waits for its place, but not for long: while all places are taken by requests
//! that are being served, a probe is answered beside them, and whoever else waited its time is told to come again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::net::TcpStream;
use tokio::pin;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use super::places::{Place, Places};
use crate::health;
use crate::settings::Limits;

pub(super) struct Door {
    places: Arc<Places>,
    spare: Arc<Semaphore>,
    within: Duration,
    /// Who has been here longest is to go, since another one has come.
    hurry: Notify,
}

/// Room for one connection beside those that have a place.
pub(super) type Spare = OwnedSemaphorePermit;

pub(super) enum Entry {
    In(Place),
    /// A probe, to be answered this once.
    Beside(Place),
    /// There was no place in time.
    Late,
    /// It had to make room for another one.
    Hurried,
    /// It went away while it waited.
    Gone,
}

impl Door {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            places: Places::new(limits.connections_max),
            spare: Arc::new(Semaphore::new(limits.connections_spare)),
            within: limits.place_within,
            hurry: Notify::new(),
        })
    }

    /// Room to wait in. Where there is none, it is made by who has been here the longest.
    pub(super) async fn spare(&self) -> Spare {
        if let Ok(spare) = Arc::clone(&self.spare).try_acquire_owned() {
            return spare;
        }
        self.hurry.notify_one();
        let spare = Arc::clone(&self.spare).acquire_owned().await;
        // Where nobody heard, since somebody went by themselves meanwhile: it was not for whoever comes next.
        let _ = self.hurry.notified().now_or_never();
        spare.expect("it is never closed")
    }

    /// Whoever has no business here but to be polite leaves then.
    pub(super) async fn hurried(&self) {
        self.hurry.notified().await;
    }

    pub(super) async fn enter(&self, stream: &TcpStream) -> Entry {
        let (place, hurry, late) = (
            self.places.take(),
            self.hurry.notified(),
            sleep(self.within),
        );
        pin!(place, hurry, late);
        let mut has_spoken = false;
        loop {
            tokio::select! {
                biased;
                place = &mut place => return Entry::In(place),
                first = first_words(stream), if !has_spoken => match first {
                    First::Probe => return Entry::Beside(self.places.beside()),
                    First::Other => has_spoken = true,
                    First::End => return Entry::Gone,
                },
                () = &mut hurry => return Entry::Hurried,
                () = &mut late => return Entry::Late,
            }
        }
    }
}

enum First {
    Probe,
    Other,
    End,
}

/// A probe whose head is longer, or does not come in one piece, is like any other request: nobody shall stand here for
/// long with half of one.
const PROBE_HEAD_MAX: usize = 2048;

/// What the first bytes look like, which stay where they are.
async fn first_words(stream: &TcpStream) -> First {
    let mut bytes = [0; PROBE_HEAD_MAX];
    match stream.peek(&mut bytes).await {
        Ok(0) | Err(_) => First::End,
        Ok(read) if is_probe(&bytes[..read]) => First::Probe,
        Ok(_) => First::Other,
    }
}

/// Whoever looks like one and is none is answered as what it is, once.
fn is_probe(first: &[u8]) -> bool {
    let mut words = first.split(|byte| b" ?".contains(byte));
    let (method, path) = (words.next(), words.next());
    let is_path = |path| health::PROBES.iter().any(|probe| probe.as_bytes() == path);
    matches!(method, Some(b"GET" | b"HEAD"))
        && path.is_some_and(is_path)
        && first.windows(4).any(|end| end == b"\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_comes_after_a_rush_is_not_hurried() {
        let door = Door::new(&Limits {
            connections_spare: 1,
            ..Limits::default()
        });
        let first = door.spare().await;
        let second = door.spare();
        pin!(second);
        assert!(second.as_mut().now_or_never().is_none());

        drop(first);
        let second = second.await;

        assert!(door.hurried().now_or_never().is_none());
        drop(second);
    }

    #[tokio::test]
    async fn who_waits_the_longest_makes_room() {
        let door = Door::new(&Limits {
            connections_spare: 1,
            ..Limits::default()
        });
        let first = door.spare().await;
        let hurried = door.hurried();
        pin!(hurried);
        assert!(hurried.as_mut().now_or_never().is_none());
        let second = door.spare();
        pin!(second);

        assert!(second.as_mut().now_or_never().is_none());
        hurried.await;
        drop(first);
        drop(second.await);
    }

    #[test]
    fn probes_are_known_by_their_whole_head() {
        for head in [
            "GET /health HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET /ready?verbose=1 HTTP/1.1\r\n\r\n",
            "HEAD /ready HTTP/1.1\r\n\r\nmore",
        ] {
            assert!(is_probe(head.as_bytes()), "{head}");
        }
        for head in [
            "POST /health HTTP/1.1\r\n\r\n",
            "GET /healthy HTTP/1.1\r\n\r\n",
            "GET /api/v1/tasks/health HTTP/1.1\r\n\r\n",
            "GET /health HTTP/1.1\r\nhost: a\r\n",
            "GE",
        ] {
            assert!(!is_probe(head.as_bytes()), "{head}");
        }
    }
}
