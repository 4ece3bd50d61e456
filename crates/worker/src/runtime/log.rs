//! What a run prints: kept in order until it is sent, and never more than so much of it.
//!
//! Whoever prints never waits. Where lines come faster than they are sent, or the server is away for long, those that
//! find no room are counted and left out, and a line says so in their place. Lines get their numbers when they are kept,
//! so a batch that is sent again is known by them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use taskyard_api::logs::{NewLine, Stream};
use taskyard_api::time::Time;
use tokio::sync::Notify;

use super::Clock;
use super::settings::Logs;
use crate::line::shortened;

/// What a line takes besides its text, here and on its way.
const FRAME_BYTES: usize = 96;

/// One run's lines.
pub(super) struct Log {
    kept: Mutex<Kept>,
    settings: Logs,
    clock: Clock,
    /// Something was kept, or no more will be.
    wake: Notify,
    /// Nobody takes lines any more.
    is_over: AtomicBool,
}

#[derive(Default)]
struct Kept {
    lines: VecDeque<NewLine>,
    /// What the lines take, those in the air included.
    bytes: usize,
    /// The number of the line before the first that is kept.
    sent: u32,
    /// Lines that found no room since the last one that did.
    dropped: u64,
    /// The run has ended.
    is_closed: bool,
}

/// Lines that go together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) first_seq: u32,
    pub(super) lines: Vec<NewLine>,
    /// None come after them.
    pub(super) is_last: bool,
}

impl Log {
    pub(super) fn new(settings: Logs, clock: Clock) -> Self {
        Self {
            kept: Mutex::default(),
            settings,
            clock,
            wake: Notify::new(),
            is_over: AtomicBool::new(false),
        }
    }

    /// Keeps a line, or several where it holds line breaks.
    pub(super) fn push(&self, stream: Stream, text: &str) {
        if self.is_over.load(Ordering::Relaxed) {
            return;
        }
        let at = Time((self.clock)());
        let mut kept = self.kept.lock();
        if kept.is_closed {
            return;
        }
        for line in text.split('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line);
            self.keep(&mut kept, at, stream, line);
        }
        drop(kept);
        self.wake.notify_one();
    }

    fn keep(&self, kept: &mut Kept, at: Time, stream: Stream, line: &str) {
        let bytes_max = self.settings.line_bytes_max;
        let room = self.settings.buffer_bytes_max.saturating_sub(kept.bytes);
        // A flood costs no more than its count.
        if line.len().min(bytes_max) + FRAME_BYTES > room {
            kept.dropped += 1;
            return;
        }
        // As text that every database can hold.
        let line = NewLine {
            at: Some(at),
            stream,
            line: shortened(&line.replace('\0', "\u{FFFD}"), 0, bytes_max),
        };
        let said = kept.dropped_line(at);
        if cost(&line) + said.as_ref().map_or(0, cost) > room {
            kept.dropped += 1;
            return;
        }
        kept.dropped = 0;
        for line in said.into_iter().chain([line]) {
            kept.bytes += cost(&line);
            kept.lines.push_back(line);
        }
    }

    /// No more lines come. What was left out last is said whatever room there is.
    pub(super) fn close(&self) {
        let at = Time((self.clock)());
        let mut kept = self.kept.lock();
        kept.is_closed = true;
        if let Some(said) = kept.dropped_line(at) {
            kept.dropped = 0;
            kept.bytes += cost(&said);
            kept.lines.push_back(said);
        }
        drop(kept);
        self.wake.notify_one();
    }

    /// Nobody takes lines any more: what is kept is let go, and what comes is not kept.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        let mut kept = self.kept.lock();
        kept.lines = VecDeque::new();
        kept.dropped = 0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.lock().lines.is_empty()
    }

    /// How many lines are kept, or have been left out without a word.
    pub(super) fn unsent(&self) -> u64 {
        let kept = self.kept.lock();
        kept.lines.len() as u64 + kept.dropped
    }

    /// Waits until there is a line to send, or none will come.
    pub(super) async fn some(&self) {
        self.until(|kept| kept.is_closed || !kept.lines.is_empty())
            .await;
    }

    /// Waits until there are lines for a whole batch, or none will come.
    pub(super) async fn many(&self, bytes: usize) {
        self.until(|kept| kept.is_closed || kept.bytes >= bytes)
            .await;
    }

    /// Waits until no more lines will come.
    pub(super) async fn closed(&self) {
        self.until(|kept| kept.is_closed).await;
    }

    async fn until(&self, is_so: impl Fn(&Kept) -> bool) {
        while !is_so(&self.kept.lock()) {
            self.wake.notified().await;
        }
    }

    /// The first lines, of so many bytes and so many in number at most, but one at least. They stay counted until they
    /// are [sent](Self::sent).
    pub(super) fn take(&self, bytes_max: usize, lines_max: usize) -> Batch {
        let mut kept = self.kept.lock();
        let mut lines = Vec::new();
        let mut bytes = 0;
        while let Some(next) = kept.lines.front() {
            bytes += cost(next);
            if !lines.is_empty() && (bytes > bytes_max || lines.len() >= lines_max) {
                break;
            }
            lines.extend(kept.lines.pop_front());
        }
        Batch {
            first_seq: kept.sent + 1,
            lines,
            is_last: kept.is_closed && kept.lines.is_empty(),
        }
    }

    /// These lines have arrived, or are of no use any more.
    pub(super) fn sent(&self, lines: &[NewLine]) {
        let mut kept = self.kept.lock();
        kept.bytes -= lines.iter().map(cost).sum::<usize>();
        kept.sent = kept
            .sent
            .saturating_add(u32::try_from(lines.len()).unwrap_or(u32::MAX));
    }

    /// A line under way has another text now.
    pub(super) fn replaced(&self, old: &str, new: &str) {
        let mut kept = self.kept.lock();
        kept.bytes = kept.bytes + new.len() - old.len();
    }
}

impl Kept {
    /// What says that lines were left out, if some were.
    fn dropped_line(&self, at: Time) -> Option<NewLine> {
        let line = match self.dropped {
            0 => return None,
            1 => "… 1 line dropped: the worker had no room to keep it …".to_owned(),
            n => format!("… {n} lines dropped: the worker had no room to keep them …"),
        };
        Some(NewLine {
            at: Some(at),
            stream: Stream::Worker,
            line,
        })
    }
}

fn cost(line: &NewLine) -> usize {
    FRAME_BYTES + line.line.len()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use taskyard_core::time::Timestamp;

    use super::*;

    fn log(buffer_bytes_max: usize) -> Log {
        let settings = Logs {
            buffer_bytes_max,
            line_bytes_max: 50,
            ..Logs::default()
        };
        Log::new(settings, Arc::new(|| Timestamp::from_micros(0)))
    }

    fn texts(batch: &Batch) -> Vec<&str> {
        batch.lines.iter().map(|line| line.line.as_str()).collect()
    }

    #[test]
    fn lines_are_numbered_in_the_order_they_came() {
        let log = log(1 << 20);
        log.push(Stream::Stdout, "a");
        log.push(Stream::Stderr, "b\r\nc\n");
        let first = log.take(usize::MAX, 2);
        log.push(Stream::Stdout, "d\0");

        assert_eq!((first.first_seq, texts(&first)), (1, vec!["a", "b"]));
        log.sent(&first.lines);
        let second = log.take(usize::MAX, usize::MAX);
        assert_eq!(
            (second.first_seq, texts(&second)),
            (3, vec!["c", "", "d\u{FFFD}"])
        );
    }

    #[test]
    fn a_batch_has_one_line_at_least_and_its_bytes_at_most() {
        let log = log(1 << 20);
        for line in ["a", "b", "c"] {
            log.push(Stream::Stdout, line);
        }

        assert_eq!(log.take(1, 10).lines.len(), 1);
        assert_eq!(log.take(2 * (FRAME_BYTES + 1), 10).lines.len(), 2);
    }

    #[test]
    fn lines_that_find_no_room_are_counted_in_their_place() {
        // Just so that two lines fit.
        let log = log(2 * (FRAME_BYTES + 1));
        for line in ["a", "b", "c", "d"] {
            log.push(Stream::Stdout, line);
        }
        let first = log.take(usize::MAX, usize::MAX);
        assert_eq!(texts(&first), ["a", "b"]);
        // Those in the air still take their room.
        log.push(Stream::Stdout, "e");
        log.sent(&first.lines);
        assert_eq!(log.unsent(), 3);

        log.close();
        log.push(Stream::Stdout, "too late");

        let second = log.take(usize::MAX, usize::MAX);
        let said = "… 3 lines dropped: the worker had no room to keep them …";
        assert_eq!((second.first_seq, texts(&second)), (3, vec![said]));
        assert!(second.is_last);
    }

    #[test]
    fn a_line_behind_dropped_ones_says_so_first() {
        let log = log(3 * FRAME_BYTES);
        log.push(Stream::Stdout, &"a".repeat(40));
        log.push(Stream::Stdout, &"b".repeat(50));
        log.push(Stream::Stdout, &"c".repeat(50));
        let first = log.take(usize::MAX, usize::MAX);
        log.sent(&first.lines);

        log.push(Stream::Stdout, "d");

        let second = log.take(usize::MAX, usize::MAX);
        assert_eq!(
            texts(&second)[..],
            ["… 1 line dropped: the worker had no room to keep it …", "d"]
        );
    }

    #[test]
    fn nothing_is_kept_once_it_is_over() {
        let log = log(1 << 20);
        log.push(Stream::Stdout, "a");

        log.end();
        log.push(Stream::Stdout, "b");

        assert!(log.is_empty());
        assert_eq!(log.unsent(), 0);
    }
}
