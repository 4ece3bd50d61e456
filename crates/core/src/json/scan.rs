//! The scan itself: recursive descent over the bytes, nothing built, no allocation for an ordinary text.
//!
//! The recursion is bounded by the depth that is allowed. The pointer of a fault is put together while the fault
//! travels outwards, so that a good text pays nothing for it.

use super::keys::Keys;
use super::pointer::{cut, decoded, join, segment};
use super::{BadJson, Reason};

pub(super) fn scan(text: &str, depth_max: usize) -> Result<(), BadJson> {
    let mut scanner = Scanner {
        text,
        at: 0,
        depth: 0,
        depth_max,
    };
    scanner.document().map_err(|fault| BadJson {
        pointer: join(&fault.inside_out),
        at: fault.at,
        reason: fault.reason,
    })
}

/// A fault on its way outwards. Boxed, so that the results of a good text stay small.
pub(super) struct Fault {
    at: usize,
    reason: Reason,
    inside_out: Vec<String>,
}

impl Fault {
    #[cold]
    fn within(mut self: Box<Self>, step: String) -> Box<Self> {
        self.inside_out.push(step);
        self
    }
}

pub(super) type Scanned<T = ()> = Result<T, Box<Fault>>;

pub(super) struct Scanner<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    depth: usize,
    depth_max: usize,
}

impl<'a> Scanner<'a> {
    fn document(&mut self) -> Scanned {
        self.value()?;
        self.skip_space();
        if self.at < self.text.len() {
            Err(self.unexpected("the end"))
        } else {
            Ok(())
        }
    }

    fn value(&mut self) -> Scanned {
        self.skip_space();
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            Some(b'N' | b'I')
                if self.rest().starts_with("NaN") || self.rest().starts_with("Infinity") =>
            {
                Err(self.fault(self.at, Reason::NotFinite))
            }
            _ => Err(self.unexpected("a value")),
        }
    }

    fn nested(&mut self, container: fn(&mut Self) -> Scanned) -> Scanned {
        if self.depth == self.depth_max {
            return Err(self.fault(
                self.at,
                Reason::TooDeep {
                    max: self.depth_max,
                },
            ));
        }
        self.depth += 1;
        self.at += 1;
        container(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn array(&mut self) -> Scanned {
        self.skip_space();
        if self.eat(b']') {
            return Ok(());
        }
        let mut index = 0;
        loop {
            self.value()
                .map_err(|fault| fault.within(index.to_string()))?;
            self.skip_space();
            if self.eat(b']') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err(self.unexpected("`,` or `]`"));
            }
            index += 1;
        }
    }

    fn object(&mut self) -> Scanned {
        self.skip_space();
        if self.eat(b'}') {
            return Ok(());
        }
        let mut keys = Keys::new();
        loop {
            self.skip_space();
            let start = self.at;
            let raw = self.key()?;
            if !keys.insert(decoded(raw)) {
                return Err(self.duplicate(start, raw));
            }
            self.skip_space();
            if !self.eat(b':') {
                return Err(self.unexpected("`:`"));
            }
            self.value()
                .map_err(|fault| fault.within(segment(&decoded(raw))))?;
            self.skip_space();
            if self.eat(b'}') {
                break;
            }
            if !self.eat(b',') {
                return Err(self.unexpected("`,` or `}`"));
            }
        }
        match keys.twice() {
            Some(key) => Err(self.duplicate(self.at, &key)),
            None => Ok(()),
        }
    }

    fn key(&mut self) -> Scanned<&'a str> {
        match self.peek() {
            Some(b'"') => self.string(),
            _ => Err(self.unexpected("a key in double quotes")),
        }
    }

    /// What stands between the quotes, as written.
    fn string(&mut self) -> Scanned<&'a str> {
        self.at += 1;
        let start = self.at;
        loop {
            self.at += plain_bytes(&self.text.as_bytes()[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(&self.text[start..self.at - 1]);
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.fault(self.at, Reason::ControlCharacter)),
                None => return Err(self.unexpected("`\"`")),
            }
        }
    }

    fn escape(&mut self) -> Scanned {
        let start = self.at;
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => match self.code_unit()? {
                0 => Err(self.fault(start, Reason::Nul)),
                0xD800..=0xDBFF if self.rest().starts_with("\\u") => {
                    self.at += 1;
                    match self.code_unit()? {
                        0xDC00..=0xDFFF => Ok(()),
                        _ => Err(self.fault(start, Reason::LoneSurrogate)),
                    }
                }
                0xD800..=0xDFFF => Err(self.fault(start, Reason::LoneSurrogate)),
                _ => Ok(()),
            },
            _ => Err(self.unexpected("an escape such as \\n or \\u00e9")),
        }
    }

    /// Four hexadecimal digits after a `u`.
    fn code_unit(&mut self) -> Scanned<u32> {
        self.at += 1;
        let mut unit = 0;
        for _ in 0..4 {
            match self.peek().and_then(|byte| char::from(byte).to_digit(16)) {
                Some(digit) => unit = unit * 16 + digit,
                None => return Err(self.unexpected("a hexadecimal digit")),
            }
            self.at += 1;
        }
        Ok(unit)
    }

    fn word(&mut self, word: &'static str) -> Scanned {
        for expected in word.bytes() {
            if !self.eat(expected) {
                return Err(self.unexpected(word));
            }
        }
        Ok(())
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Only called with `at` on the first byte of a character.
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    #[cold]
    pub(super) fn unexpected(&self, expected: &'static str) -> Box<Fault> {
        let reason = match self.rest().chars().next() {
            Some(found) => Reason::Unexpected { expected, found },
            None => Reason::End { expected },
        };
        self.fault(self.at, reason)
    }

    #[cold]
    fn duplicate(&self, at: usize, key: &str) -> Box<Fault> {
        self.fault(at, Reason::DuplicateKey { key: cut(key) })
            .within(segment(key))
    }

    #[cold]
    pub(super) fn fault(&self, at: usize, reason: Reason) -> Box<Fault> {
        Box::new(Fault {
            at,
            reason,
            inside_out: Vec::new(),
        })
    }
}

/// How many bytes from the start of a string's inside need no look: up to a quote, a backslash or a control
/// character. Eight at a time, since most bytes of most texts stand in strings.
#[inline]
fn plain_bytes(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    // Marks the bytes below `limit`, exactly for the lowest marked one, which is all that counts.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGH;

    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let marked = below(word, 0x20) | quote | backslash;
        if marked != 0 {
            return index * 8 + marked.trailing_zeros() as usize / 8;
        }
    }
    let plain = |byte: &&u8| **byte >= 0x20 && **byte != b'"' && **byte != b'\\';
    words.len() * 8 + tail.iter().take_while(plain).count()
}
