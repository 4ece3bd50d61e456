//! Heads as they came, since the HTTP library hides one thing about them: of a request that says the length of its body
//! in two ways, `Content-Length` and `Transfer-Encoding`, it shows only the second. Whoever stood in between may have
//! gone by the first, and have taken for another request what was a body here.
//!
//! So the bytes of a head are kept until its request is there: a few hundred, copied once. Bodies are not kept.

use http::Request;
use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};

/// What holds more is given back between two requests.
const KEPT_MAX: usize = 4 << 10;

/// What came of one connection and belongs to no request yet.
#[derive(Default)]
pub(super) struct Heads {
    bytes: Vec<u8>,
    /// So much of what comes next is the rest of a body.
    body: u64,
    /// What comes is of a body in chunks, which only the library can tell from what follows.
    is_lost: bool,
}

impl Heads {
    /// Nothing is under way: what comes next begins a head.
    pub(super) fn begin(&mut self) {
        self.is_lost = false;
    }

    pub(super) fn came(&mut self, bytes: &[u8]) {
        if self.is_lost {
            return;
        }
        let of_body = usize::try_from(self.body).unwrap_or(usize::MAX);
        let of_body = of_body.min(bytes.len());
        self.body -= of_body as u64;
        self.bytes.extend_from_slice(&bytes[of_body..]);
    }

    /// Takes this request's head off, and tells whether it says the length of its body in two ways.
    ///
    /// Not known, and answered with no, of what was sent right behind a body in chunks without waiting for the answer to
    /// that, or with bare line feeds. Its connection ends with it all the same, which the library sees to.
    pub(super) fn has_two_lengths<B>(&mut self, request: &Request<B>) -> bool {
        let headers = request.headers();
        let is_chunked = headers.contains_key(TRANSFER_ENCODING);
        let end = end_of_head(&self.bytes);
        let has_two = is_chunked && end.is_some_and(|end| says_length(&self.bytes[..end]));
        match (end, is_chunked) {
            (Some(end), false) => {
                let said = headers.get(CONTENT_LENGTH).map(HeaderValue::as_bytes);
                let said = said.and_then(|said| str::from_utf8(said).ok()?.parse().ok());
                self.pass(end, said.unwrap_or(0));
            }
            (None, _) | (Some(_), true) => {
                self.bytes.clear();
                self.is_lost = true;
            }
        }
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT_MAX {
            self.bytes = Vec::new();
        }
        has_two
    }

    fn pass(&mut self, head: usize, body: u64) {
        let came = (self.bytes.len() - head) as u64;
        let of_body = body.min(came);
        self.body = body - of_body;
        let of_body = usize::try_from(of_body).expect("so many bytes are there");
        self.bytes.drain(..head + of_body);
    }
}

fn says_length(head: &[u8]) -> bool {
    let name = CONTENT_LENGTH.as_str().as_bytes();
    head.split(|byte| *byte == b'\n').any(|line| {
        line.split_at_checked(name.len())
            .is_some_and(|(said, rest)| said.eq_ignore_ascii_case(name) && rest.starts_with(b":"))
    })
}

/// Where the empty line ends.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let mut last = 3;
    while let Some(byte) = bytes.get(last) {
        last += match byte {
            b'\n' if bytes[..=last].ends_with(b"\r\n\r\n") => return Some(last + 1),
            b'\n' => 2,
            b'\r' => 1,
            _ => 4,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "GET /a HTTP/1.1\r\nhost: a\r\n\r\n";
    const BOTH: &str =
        "POST /b HTTP/1.1\r\nContent-Length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    const CHUNKED: &str = "POST /b HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
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
        }
    }

    #[test]
    fn behind_chunks_heads_are_known_again_once_these_were_answered() {
        let mut heads = Heads::default();
        heads.came(CHUNKED.as_bytes());
        assert!(!heads.has_two_lengths(&request(CHUNKED)));
        heads.came(b"0\r\n\r\n");
        heads.begin();
        heads.came(BOTH.as_bytes());
        assert!(heads.has_two_lengths(&request(BOTH)));
    }

    #[test]
    fn nothing_is_kept_of_a_body() {
        let mut heads = Heads::default();
        heads.came(LONG.as_bytes());
        assert!(!heads.has_two_lengths(&request(LONG)));
        assert!(heads.bytes.is_empty());
    }

    #[test]
    fn a_head_ends_with_its_empty_line() {
        for (text, end) in [
            ("\r\n\r\n", Some(4)),
            ("a\r\n\r\nb", Some(5)),
            ("ab\r\n\r\n", Some(6)),
            ("abc\r\n\r\n", Some(7)),
            ("abcd\r\r\n\r\n\r\n", Some(9)),
            ("a\r\nb\r\n\r\n", Some(8)),
            ("a\n\nb\r\n", None),
            ("\r\n\r", None),
            ("", None),
        ] {
            assert_eq!(end_of_head(text.as_bytes()), end, "{text:?}");
        }
    }
}
