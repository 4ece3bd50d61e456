//! What a command prints: the beginning and the end are kept, the middle is counted and let go.
//!
//! Reading never stops at a limit: a program that cannot write would hang.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::lines::Lines;

const READ_BYTES: usize = 64 * 1024;

/// How many bytes of a stream are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// From its beginning. Default 256 KiB.
    pub head_bytes: usize,
    /// From its end. Default 256 KiB.
    pub tail_bytes: usize,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            head_bytes: 256 * 1024,
            tail_bytes: 256 * 1024,
        }
    }
}

#[derive(Debug)]
pub(super) struct Capture {
    keep: Keep,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// Of the whole stream.
    bytes: u64,
}

impl Capture {
    pub(super) fn new(keep: Keep) -> Self {
        Self {
            keep,
            head: Vec::new(),
            tail: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Reads to the end of the stream, and tells of its lines as they come; an error is an end as well.
    pub(super) async fn read(&mut self, mut stream: impl AsyncRead + Unpin, lines: &mut Lines) {
        let mut chunk = vec![0; READ_BYTES];
        while let Ok(length @ 1..) = stream.read(&mut chunk).await {
            self.push(&chunk[..length]);
            lines.push(&chunk[..length]);
        }
    }

    fn push(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        let room = self
            .keep
            .head_bytes
            .saturating_sub(self.head.len())
            .min(chunk.len());
        let (first, rest) = chunk.split_at(room);
        self.head.extend_from_slice(first);
        // Only the last bytes of a chunk can still be among the last of the stream.
        self.tail
            .extend(&rest[rest.len().saturating_sub(self.keep.tail_bytes)..]);
        self.tail
            .drain(..self.tail.len().saturating_sub(self.keep.tail_bytes));
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn is_truncated(&self) -> bool {
        self.left_out() > 0
    }

    fn left_out(&self) -> u64 {
        self.bytes - (self.head.len() + self.tail.len()) as u64
    }

    /// The stream as text that every database can hold: what is not UTF-8 and every NUL become U+FFFD, and a line
    /// stands for what was left out.
    pub(super) fn text(&self) -> String {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        match self.left_out() {
            0 => readable(&[self.head.as_slice(), &tail].concat()),
            left_out => {
                let (head, tail) = (without_open_end(&self.head), without_open_start(&tail));
                let cut =
                    left_out + (self.head.len() - head.len() + self.tail.len() - tail.len()) as u64;
                format!(
                    "{}\n[… {cut} bytes left out …]\n{}",
                    readable(head),
                    readable(tail)
                )
            }
        }
    }
}

fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\u{FFFD}")
}

/// Without the first bytes of a character whose rest is missing.
pub(super) fn without_open_end(bytes: &[u8]) -> &[u8] {
    let last = bytes.len() - bytes.len().min(4);
    // At most the last three bytes can belong to an unfinished character.
    let start = (last..bytes.len())
        .rev()
        .find(|at| bytes[*at] & 0b1100_0000 != 0b1000_0000);
    match start.map(|start| (start, str::from_utf8(&bytes[start..]))) {
        Some((start, Err(error))) if error.error_len().is_none() => &bytes[..start],
        _ => bytes,
    }
}

/// Without the last bytes of a character whose beginning is missing.
fn without_open_start(bytes: &[u8]) -> &[u8] {
    let open = bytes
        .iter()
        .take(3)
        .take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000)
        .count();
    &bytes[open..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chunks: &[&[u8]], text: &str, truncated: bool) {
        let mut capture = Capture::new(Keep {
            head_bytes: 4,
            tail_bytes: 4,
        });
        for chunk in chunks {
            capture.push(chunk);
        }
        assert_eq!(capture.text(), text);
        assert_eq!(capture.is_truncated(), truncated);
        assert_eq!(
            capture.bytes(),
            chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>()
        );
    }

    #[test]
    fn keeps_both_ends_and_counts_the_rest() {
        check(&[], "", false);
        check(&[b"abcdefgh"], "abcdefgh", false);
        check(&[b"ab", b"cd", b"e", b"fgh"], "abcdefgh", false);
        check(&[b"abcdefghi"], "abcd\n[… 1 bytes left out …]\nfghi", true);
        check(
            &[b"abc", b"defghijk", b"lmn"],
            "abcd\n[… 6 bytes left out …]\nklmn",
            true,
        );
    }

    #[test]
    fn what_no_database_holds_as_text_is_replaced() {
        check(&[b"a\0b"], "a\u{FFFD}b", false);
        check(&[b"a\xFFb"], "a\u{FFFD}b", false);
    }

    #[test]
    fn characters_are_not_cut_in_two() {
        check(&["abcäfgh".as_bytes()], "abcäfgh", false);
        check(
            &["abcä12345".as_bytes()],
            "abc\n[… 3 bytes left out …]\n2345",
            true,
        );
        check(
            &["abcd12ä345".as_bytes()],
            "abcd\n[… 4 bytes left out …]\n345",
            true,
        );
    }
}
