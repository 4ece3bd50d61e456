//! What there is to tell, and what was heard: where commits, the connection and the engine meet, without waiting for each
//! other. Each side gathers, so neither grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use taskyard_core::hints::{Exchanged, Hints};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::message::Message;

pub(in crate::postgres) struct Voice {
    incarnation: Arc<Mutex<[u8; 16]>>,
    unsaid: Mutex<Unsaid>,
    to_say: Notify,
    heard: Mutex<Hints>,
    news: Notify,
    times_sent: AtomicU64,
    times_heard: AtomicU64,
    hears: AtomicBool,
}

#[derive(Default)]
struct Unsaid {
    hints: Hints,
    /// Of which database all that is.
    of: [u8; 16],
    /// The others are to be told that there is this one.
    is_hello: bool,
    /// Somebody has begun to listen here, so this server takes part.
    has_begun: bool,
    /// No other server was up, which is asked again then.
    alone_until: Option<Instant>,
    /// Another one said hello since something was last taken to be said.
    is_greeted: bool,
}

impl Unsaid {
    fn is_wanted(&mut self) -> bool {
        if let Some(until) = self.alone_until {
            if Instant::now() < until {
                return false;
            }
            self.alone_until = None;
        }
        self.has_begun
    }
}

impl Voice {
    /// `incarnation`: of the database as this server knows it.
    pub(in crate::postgres) fn new(incarnation: Arc<Mutex<[u8; 16]>>) -> Self {
        Self {
            incarnation,
            unsaid: Mutex::default(),
            to_say: Notify::new(),
            heard: Mutex::default(),
            news: Notify::new(),
            times_sent: AtomicU64::new(0),
            times_heard: AtomicU64::new(0),
            hears: AtomicBool::new(false),
        }
    }

    /// Leaves with it what was committed; `note` is not called where nobody is told.
    pub(in crate::postgres) fn say(&self, note: impl FnOnce(&mut Hints)) {
        let mut unsaid = self.unsaid.lock();
        if !unsaid.is_wanted() {
            return;
        }
        let of = *self.incarnation.lock();
        if std::mem::replace(&mut unsaid.of, of) != of {
            // In another database the same numbers mean something else.
            unsaid.hints = Hints::default();
        }
        note(&mut unsaid.hints);
        let is_empty = unsaid.hints.is_empty();
        drop(unsaid);
        if !is_empty {
            self.to_say.notify_one();
        }
    }

    /// This server has joined, or under another number than before.
    pub(in crate::postgres) fn say_hello(&self) {
        self.unsaid.lock().is_hello = true;
        self.to_say.notify_one();
    }

    pub(in crate::postgres) fn exchanged(&self) -> Exchanged {
        Exchanged {
            sent: self.times_sent.load(Ordering::Relaxed),
            heard: self.times_heard.load(Ordering::Relaxed),
            hears: self.hears.load(Ordering::Relaxed),
        }
    }

    pub(super) fn begin(&self) {
        self.unsaid.lock().has_begun = true;
    }

    pub(super) async fn has_to_say(&self) {
        self.to_say.notified().await;
    }

    /// All that there is to say.
    pub(super) fn take(&self) -> Option<Message> {
        let mut unsaid = self.unsaid.lock();
        unsaid.is_greeted = false;
        let hints = std::mem::take(&mut unsaid.hints);
        let is_hello = std::mem::take(&mut unsaid.is_hello);
        (is_hello || !hints.is_empty()).then(|| Message {
            // Of those that were noted, unless there is nothing but a hello.
            incarnation: if hints.is_empty() {
                *self.incarnation.lock()
            } else {
                unsaid.of
            },
            is_hello,
            hints,
        })
    }

    pub(super) fn said(&self) {
        self.times_sent.fetch_add(1, Ordering::Relaxed);
    }

    /// No other server is up, so nothing is noted until then, or until one says hello.
    pub(super) fn nobody_hears(&self, until: Instant) {
        let mut unsaid = self.unsaid.lock();
        if !unsaid.is_greeted {
            unsaid.alone_until = Some(until);
            unsaid.hints = Hints::default();
        }
    }

    /// From here on others are heard, until the answer is dropped. Nobody knows what they said before.
    pub(super) fn hears(self: &Arc<Self>) -> Hears {
        self.hears.store(true, Ordering::Relaxed);
        self.hear(Hints::everything());
        Hears(Arc::clone(self))
    }

    /// Takes in what somebody else said. What is not understood is passed over, as a newer version may have said it.
    pub(super) fn listen(&self, text: &str) {
        let Some(message) = Message::parse(text) else {
            return;
        };
        // Of a database that was put back or emptied since, or is not known to be so yet.
        if message.incarnation != *self.incarnation.lock() {
            return;
        }
        self.times_heard.fetch_add(1, Ordering::Relaxed);
        if message.is_hello {
            let mut unsaid = self.unsaid.lock();
            unsaid.is_greeted = true;
            unsaid.alone_until = None;
        }
        self.hear(message.hints);
    }

    fn hear(&self, hints: Hints) {
        if !hints.is_empty() {
            self.heard.lock().join(hints);
            self.news.notify_one();
        }
    }

    pub(super) async fn heard(&self) -> Hints {
        loop {
            let heard = std::mem::take(&mut *self.heard.lock());
            if !heard.is_empty() {
                return heard;
            }
            self.news.notified().await;
        }
    }
}

pub(super) struct Hears(Arc<Voice>);

impl Drop for Hears {
    fn drop(&mut self) {
        self.0.hears.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use taskyard_core::lane::Lane;
    use taskyard_core::topic::Topic;

    use super::*;

    const LATER: Duration = Duration::from_hours(1);

    fn voice() -> (Arc<Voice>, Arc<Mutex<[u8; 16]>>) {
        let incarnation = Arc::new(Mutex::new([1; 16]));
        let voice = Arc::new(Voice::new(Arc::clone(&incarnation)));
        voice.begin();
        (voice, incarnation)
    }

    fn ready(voice: &Voice, lane: i32) {
        voice.say(|hints| hints.note(&Topic::Ready(Lane(lane))));
    }

    /// What there is to say of lanes.
    fn said(voice: &Voice) -> Option<Hints> {
        voice.take().map(|message| message.hints)
    }

    fn lanes<const N: usize>(lanes: [i32; N]) -> Hints {
        Hints {
            ready: lanes.into_iter().map(|lane| (Lane(lane), 1)).collect(),
            ..Hints::default()
        }
    }

    #[test]
    fn what_is_left_before_it_is_sent_goes_together() {
        let (voice, _) = voice();

        ready(&voice, 1);
        ready(&voice, 2);

        assert_eq!(said(&voice), Some(lanes([1, 2])));
        assert_eq!(said(&voice), None);
    }

    #[test]
    fn nothing_is_noted_while_nobody_listens_here() {
        let voice = Voice::new(Arc::default());

        voice.say(|_| panic!("nobody is told"));

        assert_eq!(said(&voice), None);
    }

    #[test]
    fn who_is_alone_notes_nothing_until_it_asks_again() {
        let (voice, _) = voice();
        voice.nobody_hears(Instant::now() + LATER);

        ready(&voice, 1);
        assert_eq!(said(&voice), None);
        voice.nobody_hears(Instant::now());
        ready(&voice, 2);

        assert_eq!(said(&voice), Some(lanes([2])));
    }

    #[test]
    fn who_is_alone_speaks_once_another_says_hello() {
        let (voice, _) = voice();
        let hello = Message {
            incarnation: [1; 16],
            is_hello: true,
            hints: Hints::default(),
        };
        voice.nobody_hears(Instant::now() + LATER);

        voice.listen(&hello.text());
        ready(&voice, 1);
        assert_eq!(said(&voice), Some(lanes([1])));

        // Also where it came while it was asked whether anybody is up.
        voice.listen(&hello.text());
        voice.nobody_hears(Instant::now() + LATER);
        ready(&voice, 2);
        assert_eq!(said(&voice), Some(lanes([2])));
    }

    #[test]
    fn what_another_database_was_about_is_neither_said_nor_heard() {
        let (voice, incarnation) = voice();
        ready(&voice, 1);
        let before = voice.take().unwrap();
        ready(&voice, 1);

        *incarnation.lock() = [2; 16];
        ready(&voice, 5);
        voice.listen(&before.text());

        let message = voice.take().unwrap();
        assert_eq!((message.incarnation, message.hints), ([2; 16], lanes([5])));
        assert_eq!(voice.exchanged().heard, 0);
        assert!(voice.heard.lock().is_empty());
    }

    #[tokio::test]
    async fn what_is_heard_before_it_is_asked_for_comes_together() {
        let (voice, _) = voice();
        let (other, _) = self::voice();
        for lane in [4, 7] {
            ready(&other, lane);
            voice.listen(&other.take().unwrap().text());
        }

        assert_eq!(voice.heard().await, lanes([4, 7]));
        assert_eq!(voice.exchanged().heard, 2);
    }

    #[tokio::test]
    async fn a_new_connection_is_heard_as_if_everything_had_happened() {
        let (voice, _) = voice();

        let hears = voice.hears();

        assert!(voice.exchanged().hears);
        assert_eq!(voice.heard().await, Hints::everything());
        drop(hears);
        assert!(!voice.exchanged().hears);
    }
}
