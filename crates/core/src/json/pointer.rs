//! JSON pointers (RFC 6901) to places in a text, for errors.

use std::borrow::Cow;

/// A key longer than this is cut in errors, so that they stay small whatever was sent.
const KEY_CHARS_MAX: usize = 64;

/// A key as errors name it.
pub(super) fn cut(key: &str) -> String {
    match key.char_indices().nth(KEY_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &key[..end]),
        None => key.to_owned(),
    }
}

/// A key as one step of a pointer.
pub(super) fn segment(key: &str) -> String {
    cut(key).replace('~', "~0").replace('/', "~1")
}

/// The pointer for steps that were collected from the inside out.
pub(super) fn join(inside_out: &[String]) -> String {
    inside_out
        .iter()
        .rev()
        .flat_map(|segment| ["/", segment])
        .collect()
}

enum Open<'a> {
    /// Its last key as written, between the quotes.
    Object(Option<&'a str>),
    /// The place of its current element; none before the first.
    Array(Option<usize>),
}

/// The pointer of what stands at byte `at` of a checked text: the value that this byte belongs to, or the value of the
/// key that it belongs to. Made for errors of a second reader, such as serde, which knows only where it stopped.
pub fn pointer_at(text: &str, at: usize) -> String {
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut next = 0;
    while next < text.len() && next <= at {
        let byte = text.as_bytes()[next];
        if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b']')
            && let Some(Open::Array(index @ None)) = open.last_mut()
        {
            *index = Some(0);
        }
        match (byte, open.last_mut()) {
            (b'{', _) => open.push(Open::Object(None)),
            (b'[', _) => open.push(Open::Array(None)),
            (b'}' | b']', _) => drop(open.pop()),
            (b',', Some(Open::Object(key))) => *key = None,
            (b',', Some(Open::Array(Some(index)))) => *index += 1,
            (b'"', within) => {
                let end = end_of_string(text, next);
                if let Some(Open::Object(key @ None)) = within {
                    *key = text.get(next + 1..end);
                }
                next = end;
            }
            _ => {}
        }
        next += 1;
    }
    open.iter()
        .filter_map(|open| match open {
            Open::Object(key) => key.map(|key| format!("/{}", segment(&decoded(key)))),
            Open::Array(index) => index.map(|index| format!("/{index}")),
        })
        .collect()
}

/// Where the quote stands that closes the string opened at `quote`.
fn end_of_string(text: &str, quote: usize) -> usize {
    let mut escaped = false;
    text.bytes()
        .enumerate()
        .skip(quote + 1)
        .find(|&(_, byte)| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        })
        .map_or(text.len(), |(at, _)| at)
}

/// A string of a checked text without its escapes; `raw` is what stands between the quotes.
pub(super) fn decoded(raw: &str) -> Cow<'_, str> {
    if raw.contains('\\') {
        let decoded = serde_json::from_str(&format!("\"{raw}\""));
        Cow::Owned(decoded.unwrap_or_else(|_| raw.to_owned()))
    } else {
        Cow::Borrowed(raw)
    }
}
