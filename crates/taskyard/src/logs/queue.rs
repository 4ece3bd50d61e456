//! What waits to be written: one thread writes, so that a reader that stops reading holds up nobody else. Lines wait for
//! it as long as there is room; further ones are dropped and counted.
//!
//! `tracing-appender` does nearly this. It brings a handful of crates, a second one for times among them; its queue is drained
//! only by a drop at the very end, which a second signal does not come to, and nobody is told where lines are missing.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// A handle, cheap to clone. What is written to it in one piece is one line.
#[derive(Clone)]
pub(super) struct Queue(Arc<Shared>);

struct Shared {
    bytes_max: usize,
    waiting: Mutex<Waiting>,
    has_come: Condvar,
    is_written: Condvar,
    dropped: Arc<AtomicU64>,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<Vec<u8>>,
    bytes: usize,
    /// Lines that have found no room since the last ones were taken out.
    dropped: u64,
    /// What was taken out is still being written.
    is_writing: bool,
}

impl Queue {
    /// With room for so many bytes, and once more for those that are being written. `tell` says in the log how many lines
    /// were dropped, as soon as there is room again: behind what came before them, and before what comes after them.
    pub(super) fn start(
        bytes_max: usize,
        to: impl Write + Send + 'static,
        tell: impl Fn(&Self, u64) + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Self(Arc::new(Shared {
            bytes_max,
            waiting: Mutex::default(),
            has_come: Condvar::new(),
            is_written: Condvar::new(),
            dropped: Arc::default(),
        }));
        let of_thread = queue.clone();
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || of_thread.write_to(to, tell))?;
        Ok(queue)
    }

    /// Returns at once, whether there was room or not.
    pub(super) fn push(&self, line: &[u8]) {
        let mut waiting = self.0.waiting.lock();
        if waiting.bytes + line.len() > self.0.bytes_max {
            waiting.dropped += 1;
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.add(&mut waiting, line);
    }

    /// There is always room for what is said last.
    pub(super) fn push_last(&self, line: &[u8]) {
        self.add(&mut self.0.waiting.lock(), line);
    }

    fn add(&self, waiting: &mut Waiting, line: &[u8]) {
        waiting.bytes += line.len();
        waiting.lines.push(line.to_vec());
        self.0.has_come.notify_one();
    }

    /// Waits until all is written, if the reader takes it by then.
    pub(super) fn wait_until_written(&self, within: Duration) {
        let mut waiting = self.0.waiting.lock();
        let is_left = |waiting: &mut Waiting| waiting.is_writing || !waiting.lines.is_empty();
        self.0
            .is_written
            .wait_while_for(&mut waiting, is_left, within);
    }

    /// How many lines were dropped by now.
    pub(super) fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.0.dropped)
    }

    fn write_to(&self, mut to: impl Write, tell: impl Fn(&Self, u64)) {
        loop {
            let (lines, dropped) = self.take();
            if dropped > 0 {
                tell(self, dropped);
            }
            // Each at once, so that those of several processes do not mix. What cannot be written is lost: a full disk
            // or a reader that has gone must not take the work along.
            for line in lines {
                let _ = to.write_all(&line);
            }
            let _ = to.flush();
        }
    }

    fn take(&self) -> (Vec<Vec<u8>>, u64) {
        let mut waiting = self.0.waiting.lock();
        waiting.is_writing = false;
        while waiting.lines.is_empty() {
            self.0.is_written.notify_all();
            self.0.has_come.wait(&mut waiting);
        }
        waiting.is_writing = true;
        waiting.bytes = 0;
        (
            mem::take(&mut waiting.lines),
            mem::take(&mut waiting.dropped),
        )
    }
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// Takes a line only when somebody reads it.
    struct Pipe(SyncSender<String>);

    impl Write for Pipe {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let sent = self.0.send(String::from_utf8_lossy(line).into_owned());
            sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// With room for three letters.
    fn queue() -> (Queue, Receiver<String>) {
        let (pipe, read) = sync_channel(0);
        let tell = |queue: &Queue, lines| queue.push(format!("-{lines}").as_bytes());
        (Queue::start(3, Pipe(pipe), tell).unwrap(), read)
    }

    impl Queue {
        /// Once the thread has taken out all there is, and holds it until somebody reads.
        fn until_taken(&self) {
            while !self.0.waiting.lock().lines.is_empty() {
                thread::yield_now();
            }
        }

        /// Once the thread has taken out what was waiting, and told what was dropped.
        fn until_told(&self) {
            while self.0.waiting.lock().lines != [b"-2"] {
                thread::yield_now();
            }
        }
    }

    #[test]
    fn what_nobody_reads_is_dropped_and_told_where_it_is_missing() {
        let (queue, read) = queue();
        queue.push(b"a");
        queue.until_taken();

        for line in [b"b", b"c", b"d", b"e", b"f"] {
            queue.push(line);
        }
        assert_eq!(queue.dropped().load(Ordering::Relaxed), 2);

        let next = || read.recv_timeout(PATIENCE).unwrap();
        assert_eq!(next(), "a");
        queue.until_told();
        queue.push(b"g");
        let rest: Vec<String> = std::iter::repeat_with(next).take(5).collect();
        assert_eq!(rest, ["b", "c", "d", "-2", "g"]);
    }

    #[test]
    fn what_is_said_last_has_room_and_is_waited_for_as_long_as_was_said() {
        let (queue, read) = queue();
        queue.push(b"a");
        queue.until_taken();
        queue.push(b"bcd");

        queue.push_last(b"the end");
        // Nobody reads.
        queue.wait_until_written(Duration::ZERO);

        let reader = thread::spawn(move || read.iter().take(3).collect::<Vec<_>>());
        queue.wait_until_written(PATIENCE);
        assert_eq!(reader.join().unwrap(), ["a", "bcd", "the end"]);
    }

    #[test]
    fn a_reader_that_has_gone_loses_the_lines_and_holds_up_nobody() {
        let (queue, read) = queue();
        drop(read);

        queue.push(b"a");
        queue.wait_until_written(PATIENCE);
        queue.push(b"bcd");
        queue.wait_until_written(PATIENCE);

        assert_eq!(queue.dropped().load(Ordering::Relaxed), 0);
    }
}
