//! Places for connections. When all are taken, who only waits makes room for who comes: first those that never sent a
//! request, then those that are idle, the longest waiting first. Whose request is being served keeps its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::{Mutex as Turns, Notify};

use crate::watch::Watch;

pub(super) struct Places {
    max: usize,
    taken: Mutex<HashMap<u64, Arc<Watch>>>,
    /// Held by who waits for a place and is next.
    next: Turns<()>,
    crowd: Arc<Crowd>,
}

/// What connections tell whoever waits for a place.
#[derive(Default)]
pub(crate) struct Crowd {
    /// Counts every time that a connection begins to wait, so that they can be told apart by how long they do.
    turns: AtomicU64,
    /// Somebody waits for a place.
    is_full: AtomicBool,
    /// A place was left, or whoever has it may leave it now.
    changed: Notify,
}

impl Crowd {
    pub(crate) fn turn(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::Relaxed)
    }

    /// Called after the change.
    pub(crate) fn changed(&self) {
        // Either the change is seen by who looks around now, or this sees that somebody waits.
        fence(Ordering::SeqCst);
        if self.is_full.load(Ordering::Relaxed) {
            self.changed.notify_one();
        }
    }
}

/// One connection's place, free again when it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    pub(super) watch: Arc<Watch>,
}

impl Places {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            taken: Mutex::default(),
            next: Turns::default(),
            crowd: Arc::default(),
        })
    }

    /// A place, once there is one. Whoever came first gets the first.
    pub(super) async fn take(self: &Arc<Self>) -> Place {
        let _turn = self.next.lock().await;
        loop {
            if let Some(place) = self.try_take() {
                self.crowd.is_full.store(false, Ordering::Relaxed);
                return place;
            }
            self.crowd.is_full.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            self.send_one_away();
            self.crowd.changed.notified().await;
        }
    }

    fn try_take(self: &Arc<Self>) -> Option<Place> {
        let mut taken = self.taken.lock();
        if taken.len() >= self.max {
            return None;
        }
        let place = self.beside();
        taken.insert(place.number, Arc::clone(&place.watch));
        Some(place)
    }

    /// A place beyond those that there are, which is never asked to make room.
    pub(super) fn beside(self: &Arc<Self>) -> Place {
        let number = self.crowd.turn();
        Place {
            places: Arc::clone(self),
            number,
            watch: Arc::new(Watch::new(Arc::clone(&self.crowd), number)),
        }
    }

    /// One at a time: who was told goes within moments, or says that it does not.
    fn send_one_away(&self) {
        let taken = self.taken.lock();
        if taken.values().any(|watch| watch.is_leaving()) {
            return;
        }
        let waiting = taken
            .values()
            .filter_map(|watch| Some((watch.waits_since()?, watch)));
        if let Some((_, watch)) = waiting.min_by_key(|(since, _)| *since) {
            watch.tell_to_leave();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.lock().remove(&self.number);
        self.places.crowd.changed();
    }
}
