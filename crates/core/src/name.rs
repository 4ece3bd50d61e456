//! Names that users give: kinds, queues, labels, workers. Checked once, where they come in.

use std::fmt;
use std::sync::Arc;

/// How long a name may be, in bytes (names are ASCII).
pub const NAME_LEN_MAX: usize = 64;

/// 1–64 of `A–Z a–z 0–9 . _ -`, but not `.` or `..`; kinds and queues also take `:` and `/`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error("must not be empty")]
    Empty,
    #[error("must have at most {NAME_LEN_MAX} characters")]
    TooLong,
    #[error("must not be `.` or `..`, which addresses leave out")]
    Dots,
    #[error("may hold only A-Z a-z 0-9 . _ -")]
    Character,
    #[error("may hold only A-Z a-z 0-9 . _ - : /")]
    PathCharacter,
}

impl Name {
    /// A label's or worker's name.
    pub fn plain(text: &str) -> Result<Self, BadName> {
        Self::checked(text, is_plain, BadName::Character)
    }

    /// A kind's or queue's name.
    pub fn path(text: &str) -> Result<Self, BadName> {
        Self::checked(
            text,
            |byte| is_plain(byte) || byte == b':' || byte == b'/',
            BadName::PathCharacter,
        )
    }

    /// A name that passed the check before it was stored.
    pub fn stored(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    fn checked(text: &str, fits: impl Fn(u8) -> bool, otherwise: BadName) -> Result<Self, BadName> {
        if text.is_empty() {
            Err(BadName::Empty)
        } else if matches!(text, "." | "..") {
            // Names of queues and workers stand in addresses, and one rule for all is easier to remember.
            Err(BadName::Dots)
        } else if text.len() > NAME_LEN_MAX {
            Err(BadName::TooLong)
        } else if text.bytes().all(fits) {
            Ok(Self(text.into()))
        } else {
            Err(otherwise)
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_what_is_listed_and_no_more() {
        assert!(Name::plain("worker-1_a.b").is_ok());
        assert_eq!(Name::plain("a/b"), Err(BadName::Character));
        assert_eq!(Name::plain("."), Err(BadName::Dots));
        assert_eq!(Name::plain(".."), Err(BadName::Dots));
        assert!(Name::plain("...").is_ok());
        assert!(Name::path("ml/gpu:a100").is_ok());
        assert_eq!(Name::path("."), Err(BadName::Dots));
        assert_eq!(Name::path(".."), Err(BadName::Dots));
        assert!(Name::path("../a").is_ok());
        assert_eq!(Name::path("a b"), Err(BadName::PathCharacter));
        assert_eq!(Name::path(""), Err(BadName::Empty));
        assert_eq!(Name::path("größe"), Err(BadName::PathCharacter));
        assert!(Name::plain(&"a".repeat(64)).is_ok());
        assert_eq!(Name::plain(&"a".repeat(65)), Err(BadName::TooLong));
    }
}
