//! A name for each request: the caller's own, or one made here. It stands in the answer, in problems and in the log.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// How long a caller's own id may be.
pub(crate) const LEN_MAX: usize = 64;

pub(crate) fn of(headers: &HeaderMap) -> HeaderValue {
    let sane = |id: &&HeaderValue| {
        let bytes = id.as_bytes();
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        (1..=LEN_MAX).contains(&bytes.len()) && bytes.iter().all(plain)
    };
    // Copied, since the head lies in its connection's buffer, which need not be held until the answer.
    let copied = |id: &HeaderValue| HeaderValue::from_bytes(id.as_bytes()).ok();
    let own = headers.get(HEADER).filter(sane);
    own.and_then(copied).unwrap_or_else(make)
}

/// Sixteen hexadecimal digits: eight of this process, eight that count.
pub(crate) fn make() -> HeaderValue {
    static PROCESS: LazyLock<u32> =
        LazyLock::new(|| RandomState::new().build_hasher().finish() as u32);
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const DIGITS: &[u8; 16] = b"0123456789abcdef";

    let number = u64::from(*PROCESS) << 32 | u64::from(NEXT.fetch_add(1, Ordering::Relaxed));
    let mut text = [0; 16];
    for (place, digit) in text.iter_mut().rev().enumerate() {
        *digit = DIGITS[(number >> (4 * place)) as usize & 15];
    }
    HeaderValue::from_bytes(&text).expect("hexadecimal digits are visible ASCII")
}

pub(crate) fn text(id: &HeaderValue) -> &str {
    id.to_str().expect("only plain characters are taken")
}
