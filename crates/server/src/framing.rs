//! Which request says twice where its body ends: by a length and by chunks (RFC 9112 §6.3). The HTTP library goes by the
//! chunks, as it may, and drops the length before anybody can see it. But a proxy in front that goes by the length takes
//! for a request what is part of a body here, or the other way round (§11.2), so such a request is refused.
//!
//! Bodies are followed no further than it takes to find the next head. Where something makes no sense nothing is followed
//! any more: the HTTP library refuses it, and closes the connection.

/// Longer than what is looked for: a name with its colon, and a length or a size. Of longer lines the rest says nothing.
const LINE_MAX: usize = 48;

/// Beside a request that says both.
#[derive(Clone, Copy)]
pub(crate) struct SaysBoth;

/// Follows one connection.
pub(crate) struct Framing {
    at: At,
    /// The beginning of the line that is under way.
    line: [u8; LINE_MAX],
    line_len: usize,
    head: Head,
    /// How many heads there were.
    heads: u32,
}

#[derive(Clone, Copy)]
enum At {
    Head,
    /// So many bytes before the next head.
    Body(u64),
    ChunkSize,
    /// So many bytes, with the end of the line behind the chunk.
    Chunk(u64),
    Trailers,
    Lost,
}

/// What a head said so far.
#[derive(Default)]
struct Head {
    has_begun: bool,
    states_length: bool,
    /// Zero where none is stated.
    length: Option<u64>,
    is_coded: bool,
}

impl Framing {
    pub(crate) fn new() -> Self {
        Self {
            at: At::Head,
            line: [0; LINE_MAX],
            line_len: 0,
            head: Head::default(),
            heads: 0,
        }
    }

    /// Follows what came. Answers, counted from 1, the first head that says both, behind which nothing matters any more.
    pub(crate) fn follow(&mut self, mut bytes: &[u8]) -> Option<u32> {
        while !bytes.is_empty() {
            match self.at {
                At::Body(left) | At::Chunk(left) => {
                    let skipped = left.min(bytes.len() as u64);
                    bytes = &bytes[usize::try_from(skipped).unwrap_or(bytes.len())..];
                    self.skipped(left - skipped);
                }
                At::Head | At::ChunkSize | At::Trailers => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    self.gather(&bytes[..end.unwrap_or(bytes.len())]);
                    bytes = &bytes[end? + 1..];
                    if self.line_ended() {
                        return Some(self.heads);
                    }
                }
                At::Lost => return None,
            }
        }
        None
    }

    fn skipped(&mut self, left: u64) {
        self.at = match self.at {
            At::Body(_) if left > 0 => At::Body(left),
            At::Body(_) => At::Head,
            At::Chunk(_) if left > 0 => At::Chunk(left),
            At::Chunk(_) => At::ChunkSize,
            other @ (At::Head | At::ChunkSize | At::Trailers | At::Lost) => other,
        };
    }

    fn gather(&mut self, bytes: &[u8]) {
        let room = &mut self.line[self.line_len..];
        let taken = room.len().min(bytes.len());
        room[..taken].copy_from_slice(&bytes[..taken]);
        self.line_len += taken;
    }

    /// Whether a head ended that says both.
    fn line_ended(&mut self) -> bool {
        let line = &self.line[..std::mem::take(&mut self.line_len)];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match self.at {
            At::Head if !line.is_empty() => self.head.take(line),
            // Empty lines before a head mean nothing.
            At::Head if !self.head.has_begun => {}
            At::Head => return self.head_ended(),
            At::ChunkSize => self.at = chunk(line),
            At::Trailers if line.is_empty() => self.at = At::Head,
            At::Trailers | At::Body(_) | At::Chunk(_) | At::Lost => {}
        }
        false
    }

    fn head_ended(&mut self) -> bool {
        let head = std::mem::take(&mut self.head);
        self.heads = self.heads.wrapping_add(1);
        let says_both = head.states_length && head.is_coded;
        self.at = match (head.is_coded, head.length) {
            _ if says_both => At::Lost,
            (true, _) => At::ChunkSize,
            (false, _) if !head.states_length => At::Head,
            (false, Some(0)) => At::Head,
            (false, Some(length)) => At::Body(length),
            (false, None) => At::Lost,
        };
        says_both
    }
}

impl Head {
    fn take(&mut self, line: &[u8]) {
        self.has_begun = true;
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            self.states_length = true;
            self.length = number(value, 10);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.is_coded = true;
        }
    }
}

/// What is behind the line with a chunk's size.
fn chunk(line: &[u8]) -> At {
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit());
    match number(&line[..end.unwrap_or(line.len())], 16) {
        None => At::Lost,
        Some(0) => At::Trailers,
        Some(size) => size.checked_add(2).map_or(At::Lost, At::Chunk),
    }
}

fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let text = str::from_utf8(digits).ok()?;
    u64::from_str_radix(text, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str =
        "POST / HTTP/1.1\r\nContent-Length: 5\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";

    /// What is answered for these bytes in pieces of this length.
    fn followed(text: &str, piece: usize) -> Option<u32> {
        let mut framing = Framing::new();
        text.as_bytes()
            .chunks(piece)
            .find_map(|piece| framing.follow(piece))
    }

    #[track_caller]
    fn check(text: &str, expected: Option<u32>) {
        for piece in 1..=text.len() {
            assert_eq!(followed(text, piece), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_head_that_says_both_is_found_in_either_order() {
        let other_order =
            "POST / HTTP/1.1\nTRANSFER-ENCODING:chunked\ncontent-length:  nonsense\n\n";

        check(BOTH, Some(1));
        check(other_order, Some(1));
        check(&BOTH.replace("chunked", "gzip"), Some(1));
    }

    #[test]
    fn the_heads_before_it_are_counted_whatever_their_bodies_look_like() {
        let none = "\r\nGET /a HTTP/1.1\r\nhost: content-length: 7\r\n\r\n";
        let sized = format!(
            "POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n{BOTH}",
            BOTH.len()
        );
        let chunks = format!(
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{:X};a=b\r\n{BOTH}\r\n1\r\n\n\r\n0\r\n{}\r\n",
            BOTH.len(),
            "content-length: 1\r\n"
        );
        let long = format!(
            "GET /{} HTTP/1.1\r\nx: {}\r\n\r\n",
            "y".repeat(90),
            "z".repeat(90)
        );

        check(&format!("{none}{sized}{chunks}{long}"), None);
        check(&format!("{none}{sized}{chunks}{long}{BOTH}"), Some(5));
    }

    #[test]
    fn nothing_is_followed_behind_what_makes_no_sense() {
        let no_size = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nx\r\n";
        let no_length = "POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n";
        let too_long = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n";
        for nonsense in [no_size, no_length, too_long] {
            check(&format!("{nonsense}{BOTH}"), None);
        }
    }
}
