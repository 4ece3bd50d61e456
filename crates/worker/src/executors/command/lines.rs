//! What a command prints, cut into lines of its log as it comes.
//!
//! A line that is drawn again and again, with carriage returns, is told as it stands once a second, and as it stands at
//! its end: that is what a person would have seen.

use std::sync::Arc;
use std::time::Duration;

use taskyard_api::logs::Stream;
use tokio::time::Instant;

use super::capture::without_open_end;
use crate::executor::Reports;
use crate::line::{LINE_BYTES_MAX, shortened};

/// How often a line that is drawn again is told.
const DRAWN_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Lines {
    stream: Stream,
    reports: Arc<dyn Reports>,
    /// The beginning of the line that has not ended yet.
    open: Vec<u8>,
    /// Of that line, the bytes that are not kept.
    more: u64,
    /// A carriage return came last: what follows takes its place.
    is_returned: bool,
    /// When a drawn line was told last.
    drawn: Option<Instant>,
}

impl Lines {
    pub(super) fn new(stream: Stream, reports: Arc<dyn Reports>) -> Self {
        Self {
            stream,
            reports,
            open: Vec::new(),
            more: 0,
            is_returned: false,
            drawn: None,
        }
    }

    pub(super) fn push(&mut self, chunk: &[u8]) {
        let Some(end) = chunk.iter().rposition(|byte| *byte == b'\n') else {
            return self.extend(chunk);
        };
        let (mut ended, rest) = (&chunk[..end], &chunk[end + 1..]);
        if !self.is_blank()
            && let Some(first) = ended.iter().position(|byte| *byte == b'\n')
        {
            self.extend(&ended[..first]);
            self.tell();
            ended = &ended[first + 1..];
        }
        if self.is_blank() && !ended.contains(&b'\r') {
            // Whole lines, many at once as a rule: a flood is not to be handled line by line.
            self.reports
                .log(self.stream, &String::from_utf8_lossy(ended));
        } else {
            for line in ended.split(|byte| *byte == b'\n') {
                self.extend(line);
                self.tell();
            }
        }
        self.extend(rest);
    }

    /// Nothing comes any more.
    pub(super) fn end(&mut self) {
        if !self.is_blank() {
            self.tell();
        }
    }

    fn is_blank(&self) -> bool {
        self.open.is_empty() && self.more == 0
    }

    /// Goes on with the open line.
    fn extend(&mut self, bytes: &[u8]) {
        for (index, drawn) in bytes.split(|byte| *byte == b'\r').enumerate() {
            self.is_returned |= index > 0;
            if drawn.is_empty() {
                continue;
            }
            if self.is_returned && !self.is_blank() {
                self.draw();
            }
            self.is_returned = false;
            let room = LINE_BYTES_MAX.saturating_sub(self.open.len());
            let (kept, left) = drawn.split_at(room.min(drawn.len()));
            self.open.extend_from_slice(kept);
            self.more += left.len() as u64;
        }
    }

    /// The line is about to be drawn anew.
    fn draw(&mut self) {
        let now = Instant::now();
        if self.drawn.is_none_or(|drawn| drawn + DRAWN_EVERY <= now) {
            self.drawn = Some(now);
            self.tell();
        }
        self.clear();
    }

    fn tell(&mut self) {
        let kept = if self.more > 0 {
            without_open_end(&self.open)
        } else {
            &self.open
        };
        let more = self.more + (self.open.len() - kept.len()) as u64;
        let line = shortened(&String::from_utf8_lossy(kept), more, LINE_BYTES_MAX);
        self.reports.log(self.stream, &line);
        self.clear();
    }

    fn clear(&mut self) {
        self.open.clear();
        self.more = 0;
        self.is_returned = false;
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<String>>);

    impl Reports for Kept {
        fn progress(&self, _: f64, _: Option<&str>) {}

        fn checkpoint(&self, _: Box<RawValue>) {}

        fn log(&self, _: Stream, line: &str) {
            self.0.lock().extend(line.split('\n').map(str::to_owned));
        }
    }

    /// The lines are the same wherever the stream is cut in two.
    #[track_caller]
    fn check(printed: &[u8], expected: &[&str]) {
        for cut in 0..=printed.len() {
            let kept = Arc::<Kept>::default();
            let mut lines = Lines::new(Stream::Stdout, Arc::clone(&kept) as _);
            lines.push(&printed[..cut]);
            lines.push(&printed[cut..]);
            lines.end();
            assert_eq!(*kept.0.lock(), expected, "cut at {cut}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lines_end_with_their_breaks() {
        check(b"", &[]);
        check(b"\n", &[""]);
        check(b"a", &["a"]);
        check(b"a\nb", &["a", "b"]);
        check(b"a\n\n\nb\n", &["a", "", "", "b"]);
        check(b"\na\r\nb\r\n", &["", "a", "b"]);
        check("ä\nö".as_bytes(), &["ä", "ö"]);
        check(b"a\xFFb\n\xC3", &["a\u{FFFD}b", "\u{FFFD}"]);
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_line_that_is_drawn_again_the_first_and_the_last_are_told() {
        check(b"\r10%\r20%\r30%\rdone\nnext", &["10%", "done", "next"]);
        check(b"1\r2\r3", &["1", "3"]);
        check(b"1\r2\r3\r\r\n", &["1", "3"]);
        check(b"\r\r\n", &[""]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_is_drawn_for_long_is_told_once_a_second() {
        let kept = Arc::<Kept>::default();
        let mut lines = Lines::new(Stream::Stderr, Arc::clone(&kept) as _);
        for percent in 0..=20 {
            lines.push(format!("{percent}%\r").as_bytes());
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        lines.end();

        assert_eq!(*kept.0.lock(), ["0%", "4%", "8%", "12%", "16%", "20%"]);
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_than_its_beginning() {
        let kept = Arc::<Kept>::default();
        let mut lines = Lines::new(Stream::Stdout, Arc::clone(&kept) as _);
        for _ in 0..1000 {
            lines.push("ä".repeat(1000).as_bytes());
        }
        assert!(lines.open.len() <= LINE_BYTES_MAX);
        lines.push(b"\nshort\n");

        let kept = kept.0.lock();
        assert!(kept[0].len() <= LINE_BYTES_MAX, "{}", kept[0].len());
        assert!(kept[0].starts_with("ää") && kept[0].ends_with("bytes of this line left out …"));
        assert_eq!(kept[1], "short");
    }
}
