//! Answers are held back until the disk has what they tell of.
//!
//! A thread of its own syncs the log for all that wait at once, while the writer runs the next batch. A lone batch
//! with nothing behind it is synced where it ran: a second thread would only cost it the way there and back.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::log::Log;
use super::threads::named;

/// How many answers are held at most; then the writer waits.
const HELD_MAX: usize = 64;

pub(super) type Answer = Box<dyn FnOnce() + Send>;

pub(super) struct Answers {
    log: Arc<Log>,
    held: Option<SyncSender<Answer>>,
    /// How many of them were not given yet.
    waiting: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Answers {
    pub(super) fn over(log: Arc<Log>) -> io::Result<Self> {
        let (held, arriving) = sync_channel(HELD_MAX);
        let waiting = Arc::new(AtomicUsize::new(0));
        let (syncing, given) = (Arc::clone(&log), Arc::clone(&waiting));
        let thread = named("sqlite-sync").spawn(move || give_all(&arriving, &syncing, &given))?;
        Ok(Self {
            log,
            held: Some(held),
            waiting,
            thread: Some(thread),
        })
    }

    /// Gives the answer once every commit before it is on the disk; answers are given in this order. An answer
    /// behind which nothing was written may still tell of what another has written just before.
    pub(super) fn give(&self, answer: Answer, wrote: bool, more_to_do: bool) {
        let nothing_held = self.waiting.load(Ordering::SeqCst) == 0;
        if nothing_held && !wrote {
            answer();
        } else if nothing_held && !more_to_do {
            if self.log.sync() {
                answer();
            }
        } else {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            let held = self.held.as_ref().expect("open until it is dropped");
            // If the thread has ended, a sync has failed; whoever waits is told when the answer is dropped.
            let _ = held.send(answer);
        }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.held = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn give_all(arriving: &Receiver<Answer>, log: &Log, waiting: &AtomicUsize) {
    while let Ok(first) = arriving.recv() {
        // Those that arrive from here on may have been committed after the sync began.
        let answers: Vec<Answer> = std::iter::once(first).chain(arriving.try_iter()).collect();
        if !log.sync() {
            return;
        }
        let given = answers.len();
        answers.into_iter().for_each(|answer| answer());
        waiting.fetch_sub(given, Ordering::SeqCst);
    }
}
