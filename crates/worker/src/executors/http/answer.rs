//! What came back, as much of it as is kept.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// What a header costs besides its name and value: the colon, a blank, the end of the line.
const HEADER_FRAME_BYTES: usize = 4;

/// The output of a request that succeeded, the detail of any other.
#[derive(Serialize)]
pub(super) struct Answer {
    status: u16,
    headers: BTreeMap<String, Values>,
    body: String,
    encoding: &'static str,
    /// Only the beginning of the body is there.
    #[serde(skip_serializing_if = "is_false")]
    truncated: bool,
}

/// A header that came several times is a list.
#[derive(Serialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Many(Vec<String>),
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// The beginning of a body.
pub(super) struct Body {
    bytes: Vec<u8>,
    pub(super) is_whole: bool,
}

impl Body {
    /// Reads so many bytes at most, and looks whether there are more.
    pub(super) async fn read(response: &mut Response, bytes_max: usize) -> reqwest::Result<Self> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            let room = bytes_max - bytes.len();
            bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                return Ok(Self {
                    bytes,
                    is_whole: false,
                });
            }
        }
        Ok(Self {
            bytes,
            is_whole: true,
        })
    }

    /// The same, but no more than its first bytes.
    pub(super) fn shortened(mut self, bytes_max: usize) -> Self {
        self.is_whole &= self.bytes.len() <= bytes_max;
        self.bytes.truncate(bytes_max);
        self
    }
}

pub(super) fn headers_bytes(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + HEADER_FRAME_BYTES)
        .sum()
}

impl Answer {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap, body: Body) -> Self {
        let (body, encoding, truncated) = shown(body);
        let headers = headers.keys().map(|name| {
            let values = headers.get_all(name).iter();
            let mut values: Vec<String> = values
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .collect();
            let values = match values.len() {
                1 => Values::One(values.remove(0)),
                _ => Values::Many(values),
            };
            (name.as_str().to_owned(), values)
        });
        Self {
            status: status.as_u16(),
            headers: headers.collect(),
            body,
            encoding,
            truncated,
        }
    }

    pub(super) fn raw(&self) -> Option<Box<RawValue>> {
        to_raw_value(self).ok()
    }
}

/// Text where it is text that every database can hold, else base64.
fn shown(body: Body) -> (String, &'static str, bool) {
    let Body {
        mut bytes,
        is_whole,
    } = body;
    if !is_whole
        && let Err(error) = str::from_utf8(&bytes)
        && error.error_len().is_none()
    {
        // A character that was cut in two does not make text of it something else.
        bytes.truncate(error.valid_up_to());
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => (text, "utf-8", !is_whole),
        Ok(text) => (BASE64.encode(text), "base64", !is_whole),
        Err(error) => (BASE64.encode(error.as_bytes()), "base64", !is_whole),
    }
}
