//! Heads as they came, since the HTTP library hides one thing about them: of a request that says the length of its body
//! in two ways, `Content-Length` and `Transfer-Encoding`, it shows only the second. Whoever stood in between may have
//! gone by the first, and have taken for another request what was a body here.
//!
//! So the bytes of a head are kept until its request is there: a few hundred, copied once. Bodies are
//! followed to where they end, and not kept.

mod chunks;

use http::Request;
use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use memchr::memchr;

use self::chunks::{Chunks, Taken};

/// What holds more is given back between two requests.
const KEPT_MAX: usize = 4 << 10;

/// What came of one connection and belongs to no request yet.
#[derive(Default)]
pub(super) struct Heads {
    bytes: Vec<u8>,
    body: Body,
}

/// What comes next of the body of the latest request.
enum Body {
    /// So many bytes.
    Length(u64),
    Chunks(Chunks),
    /// Nobody knows, since it is none that the library takes.
    Lost,
}

impl Default for Body {
    fn default() -> Self {
        Self::Length(0)
    }
}

impl Body {
    /// How many of these are of it.
    fn take(&mut self, bytes: &[u8]) -> usize {
        match self {
            Self::Length(left) => {
                let of_body = usize::try_from(*left).unwrap_or(usize::MAX);
                let of_body = of_body.min(bytes.len());
                *left -= of_body as u64;
                of_body
            }
            Self::Chunks(chunks) => match chunks.take(bytes) {
                Taken::All => bytes.len(),
                Taken::End(of_body) => {
                    *self = Self::default();
                    of_body
                }
                Taken::Nonsense => {
                    *self = Self::Lost;
                    bytes.len()
                }
            },
            Self::Lost => bytes.len(),
        }
    }
}

impl Heads {
    /// Nothing is under way: what comes next begins a head.
    pub(super) fn begin(&mut self) {
        if matches!(self.body, Body::Lost) {
            self.body = Body::default();
        }
    }

    pub(super) fn came(&mut self, bytes: &[u8]) {
        let of_body = self.body.take(bytes);
        self.bytes.extend_from_slice(&bytes[of_body..]);
    }

    /// Takes this request's head off, and tells whether it says the length of its body in two ways; or may, where it is in
    /// chunks and it is not known how its head came.
    pub(super) fn has_two_lengths<B>(&mut self, request: &Request<B>) -> bool {
        let headers = request.headers();
        let is_chunked = headers.contains_key(TRANSFER_ENCODING);
        let has_two = match end_of_head(&self.bytes) {
            Some(end) => {
                let has_two = is_chunked && says_length(&self.bytes[..end]);
                let said = headers.get(CONTENT_LENGTH).map(HeaderValue::as_bytes);
                let said = said.and_then(|said| str::from_utf8(said).ok()?.parse().ok());
                let body = if is_chunked {
                    Body::Chunks(Chunks::default())
                } else {
                    Body::Length(said.unwrap_or(0))
                };
                self.pass(end, body);
                has_two
            }
            None => {
                self.bytes.clear();
                self.body = Body::Lost;
                is_chunked
            }
        };
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT_MAX {
            self.bytes = Vec::new();
        }
        has_two
    }

    fn pass(&mut self, head: usize, mut body: Body) {
        let of_body = body.take(&self.bytes[head..]);
        self.bytes.drain(..head + of_body);
        self.body = body;
    }
}

fn says_length(head: &[u8]) -> bool {
    let name = CONTENT_LENGTH.as_str().as_bytes();
    head.split(|byte| *byte == b'\n').any(|line| {
        line.split_at_checked(name.len())
            .is_some_and(|(said, rest)| said.eq_ignore_ascii_case(name) && rest.starts_with(b":"))
    })
}

/// Where the empty line ends that ends it. As the library reads it, a line may end with a line feed alone, and empty lines
/// may stand in front.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let is_of_line = |byte: &u8| !matches!(byte, b'\r' | b'\n');
    let mut at = bytes.iter().position(is_of_line)?;
    loop {
        at += memchr(b'\n', &bytes[at..])? + 1;
        match bytes[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "GET /a HTTP/1.1\r\nhost: a\r\n\r\n";
    const BOTH: &str =
        "POST /b HTTP/1.1\r\nContent-Length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    const CHUNKED: &str = "POST /b HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    const CHUNKS: &str = "POST /b HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4;x\r\n\r\n\r\n\r\n0\r\nx: y\r\n\r\n";
    const LONG: &str = "POST /c HTTP/1.1\r\ncontent-length: 9\r\n\r\n\r\n\r\nbody!";

    /// As the library would show it.
    fn request(text: &str) -> Request<()> {
        let mut request = Request::builder();
        if text.contains("chunked") {
            request = request.header(TRANSFER_ENCODING, "chunked");
        } else if text.contains("content-length") {
            request = request.header(CONTENT_LENGTH, "9");
        }
        request.body(()).unwrap()
    }

    /// The requests, sent in pieces of so many bytes, each read as soon as its head is there.
    fn check(requests: &[&str], piece: usize, expected: &[bool]) {
        let all = requests.concat();
        let mut heads = Heads::default();
        let mut sent = 0;
        let mut begins = 0;
        let found = requests.iter().map(|text| {
            let head = begins + text.find("\r\n\r\n").unwrap() + 4;
            while sent < head {
                let end = (sent + piece).min(all.len());
                heads.came(&all.as_bytes()[sent..end]);
                sent = end;
            }
            begins += text.len();
            heads.has_two_lengths(&request(text))
        });
        assert_eq!(
            found.collect::<Vec<_>>(),
            expected,
            "{requests:?} by {piece}"
        );
    }

    #[test]
    fn two_lengths_are_seen_however_the_head_comes_and_whatever_stands_before_it() {
        for piece in [1, 7, 64, 10_000] {
            check(&[BOTH], piece, &[true]);
            check(&[CHUNKED], piece, &[false]);
            check(&[PLAIN, BOTH], piece, &[false, true]);
            check(
                &[LONG, PLAIN, LONG, BOTH],
                piece,
                &[false, false, false, true],
            );
            check(&[PLAIN, LONG, CHUNKED], piece, &[false, false, false]);
            check(&[CHUNKED, BOTH], piece, &[false, true]);
            check(
                &[CHUNKS, CHUNKED, PLAIN, BOTH],
                piece,
                &[false, false, false, true],
            );
        }
    }

    #[test]
    fn two_lengths_are_seen_behind_empty_lines_and_with_bare_line_feeds() {
        let feeds = "POST /b HTTP/1.1\ncontent-length: 4\ntransfer-encoding: chunked\n\n";
        for text in [&format!("\r\n\r\n\n{BOTH}"), feeds] {
            let mut heads = Heads::default();
            heads.came(text.as_bytes());
            assert!(heads.has_two_lengths(&request(BOTH)), "{text:?}");
        }
    }

    #[test]
    fn behind_nonsense_chunks_are_not_trusted_until_something_begins_anew() {
        let mut heads = Heads::default();
        heads.came(CHUNKED.as_bytes());
        assert!(!heads.has_two_lengths(&request(CHUNKED)));
        heads.came(CHUNKED.replace("0\r\n", "x\r\n").as_bytes());
        assert!(!heads.has_two_lengths(&request(CHUNKED)));
        heads.came(PLAIN.as_bytes());
        assert!(!heads.has_two_lengths(&request(PLAIN)));
        heads.came(CHUNKED.as_bytes());
        assert!(heads.has_two_lengths(&request(CHUNKED)));
        heads.begin();
        heads.came(CHUNKED.as_bytes());
        assert!(!heads.has_two_lengths(&request(CHUNKED)));
    }

    #[test]
    fn nothing_is_kept_of_a_body() {
        let mut heads = Heads::default();
        for text in [LONG, CHUNKS] {
            heads.came(text.as_bytes());
            assert!(!heads.has_two_lengths(&request(text)));
            assert!(heads.bytes.is_empty());
        }
    }

    #[test]
    fn a_head_ends_with_its_empty_line() {
        for (text, end) in [
            ("a\r\n\r\nb", Some(5)),
            ("ab\r\n\r\n", Some(6)),
            ("abcd\r\r\n\r\n\r\n", Some(9)),
            ("a\r\nb\r\n\r\n", Some(8)),
            ("a\n\nb\r\n", Some(3)),
            ("a\nb\n\r\n", Some(6)),
            ("\r\n\r\na\r\n\r\n", Some(9)),
            ("a\r\n\r", None),
            ("a\r\nb", None),
            ("\r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(end_of_head(text.as_bytes()), end, "{text:?}");
        }
    }
}
