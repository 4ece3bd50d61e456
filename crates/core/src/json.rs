//! JSON that users hand in: scanned once where it comes in, then kept and passed on exactly as it was written.
//!
//! [`check`] is stricter than RFC 8259 wherever two readers could disagree about a text, or one of the stores could
//! not hold it: no key twice in one object, no NUL, no lone surrogate, no number that overflows its machine form, and
//! a bounded depth. What passes is read the same way by the database, by every worker and by the page.

mod keys;
mod number;
mod pointer;
mod scan;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, LazyLock};

pub use pointer::pointer_at;
use serde::de::IgnoredAny;

/// How many arrays and objects may stand within each other in a payload, unless set otherwise.
pub const DEPTH_MAX: usize = 64;

/// The deepest that can be allowed: what `serde_json` still reads, and what the scan's recursion is safe for.
pub const DEPTH_CEILING: usize = 127;

/// A JSON text that passed [`check`], as received to the byte. Cheap to clone; equal when the texts are equal.
///
/// One that comes from the store may have been damaged there, by its disk or by hand. Nobody looks at it for that: whoever
/// writes it into an answer finds it out on the way, and asks [`Json::is_whole`] then.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(Arc<str>);

impl Json {
    /// Checks the text and keeps a copy of it.
    pub fn scan(bytes: &[u8], depth_max: usize) -> Result<Self, BadJson> {
        check(bytes, depth_max).map(Self::stored)
    }

    /// A text that was checked before: it comes from the store, or is a value within a checked text.
    pub fn stored(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    pub fn null() -> Self {
        static NULL: LazyLock<Json> = LazyLock::new(|| Json::stored("null"));
        NULL.clone()
    }

    /// In place of what the store cannot even read as a text: no JSON.
    pub fn unreadable() -> Self {
        static UNREADABLE: LazyLock<Json> = LazyLock::new(|| Json::stored(""));
        UNREADABLE.clone()
    }

    /// Whether it can be written into an answer: what [`check`] refuses besides may be. Reads through all of it.
    pub fn is_whole(&self) -> bool {
        is_json(self.as_str())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The length in bytes; what limits on payloads count.
    #[expect(
        clippy::len_without_is_empty,
        reason = "no JSON text is empty, and nobody asks the one that stands for none"
    )]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// What can be written into an answer as it is, and read by whoever gets it. Says less than [`check`].
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {at}{}", Within(.pointer))]
pub struct BadJson {
    /// The place as a JSON pointer (RFC 6901); empty for the whole text. Very long keys are cut in it.
    pub pointer: String,
    /// The place in bytes from the start of the text.
    pub at: usize,
    pub reason: Reason,
}

/// What is wrong with a text; the message is fit for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("expected {expected}, found {found:?}")]
    Unexpected { expected: &'static str, found: char },
    #[error("the text ends where {expected} is expected")]
    End { expected: &'static str },
    #[error("control characters must be escaped in strings")]
    ControlCharacter,
    #[error("not UTF-8")]
    NotUtf8,
    #[error("nested deeper than {max} levels")]
    TooDeep { max: usize },
    #[error("the key {key:?} stands twice in one object")]
    DuplicateKey { key: String },
    #[error("strings must not hold the character NUL")]
    Nul,
    #[error("half of a surrogate pair is not a character")]
    LoneSurrogate,
    #[error("NaN and Infinity are not JSON numbers")]
    NotFinite,
    #[error("the number is too large for a 64-bit float")]
    NumberTooLarge,
    #[error("the integer is outside of -2^63 … 2^64-1; write it as a string or with an exponent")]
    IntegerTooLarge,
}

impl Reason {
    /// The text is not JSON at all, where the other reasons refuse a value within it.
    pub fn is_grammar(&self) -> bool {
        matches!(
            self,
            Self::Unexpected { .. } | Self::End { .. } | Self::ControlCharacter
        )
    }
}

struct Within<'a>(&'a str);

impl fmt::Display for Within<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(f, " (in {})", self.0)
        }
    }
}

/// Reads the text once and answers it as a string if all is well. `depth_max` counts the arrays and objects within
/// each other; more than [`DEPTH_CEILING`] is taken as that.
pub fn check(bytes: &[u8], depth_max: usize) -> Result<&str, BadJson> {
    let depth_max = depth_max.min(DEPTH_CEILING);
    match std::str::from_utf8(bytes) {
        Ok(text) => scan::scan(text, depth_max).map(|()| text),
        Err(broken) => Err(not_utf8(&bytes[..broken.valid_up_to()], depth_max)),
    }
}

/// The scan of what comes before the broken byte ends at its place, and so knows the pointer; or finds the first fault
/// earlier.
#[cold]
fn not_utf8(before: &[u8], depth_max: usize) -> BadJson {
    let text = std::str::from_utf8(before).expect("cut where UTF-8 was valid");
    match scan::scan(text, depth_max) {
        Ok(()) => BadJson {
            pointer: String::new(),
            at: before.len(),
            reason: Reason::NotUtf8,
        },
        Err(BadJson {
            pointer,
            reason: Reason::End { .. },
            ..
        }) => BadJson {
            pointer,
            at: before.len(),
            reason: Reason::NotUtf8,
        },
        Err(earlier) => earlier,
    }
}
