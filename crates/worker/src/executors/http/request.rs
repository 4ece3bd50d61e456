//! What a task asks for, and whether it can be asked.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::Settings;
use crate::executor::Failure;
use crate::executors::input::{self, INVALID};

const EXAMPLE: &str = r#"{"method": "POST", "url": "https://api.example.com/v1", "headers": {"accept": "*/*"}, "body": {"a": 1}}"#;

/// Headers that are the connection's, or say who is asked: a task that set them could ask another host than its URL says,
/// or hide a second request in its first.
const NOT_SETTABLE: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The longest name of a method; those that exist have 17 at most.
const METHOD_CHARS_MAX: usize = 32;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct Input {
    method: Option<Box<RawValue>>,
    url: Option<Box<RawValue>>,
    headers: Option<Box<RawValue>>,
    body: Option<Box<RawValue>>,
    encoding: Option<Box<RawValue>>,
}

pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
}

pub(super) fn read(input: &RawValue, settings: &Settings) -> Result<Request, Failure> {
    let input: Input = input::object(input, EXAMPLE)?;
    let url = url(input.url.as_deref())?;
    let mut headers = headers(input.headers.as_deref(), settings.headers_bytes_max)?;
    let body = body(
        input.body.as_deref(),
        input.encoding.as_deref(),
        &mut headers,
    )?;
    let length = body.as_ref().map_or(0, Bytes::len);
    if length > settings.request_bytes_max {
        return Err(wrong(format!(
            "`body` is {length} bytes long and this worker sends {} at most (--http-request-max)",
            settings.request_bytes_max
        )));
    }
    let method = match input.method {
        Some(method) => self::method(&method)?,
        None if body.is_some() => Method::POST,
        None => Method::GET,
    };
    Ok(Request {
        method,
        url: with_login(url, &mut headers),
        headers,
        body,
    })
}

fn wrong(what: String) -> Failure {
    Failure::lasting(
        INVALID,
        format!("{what}; expected an object such as {EXAMPLE}"),
    )
}

fn text(field: &str, value: &RawValue) -> Result<String, Failure> {
    serde_json::from_str(value.get()).map_err(|_| wrong(format!("`{field}` is not a text")))
}

fn method(value: &RawValue) -> Result<Method, Failure> {
    // Methods are told apart by case, but nobody has one that differs from another in that alone.
    let method = text("method", value)?.to_uppercase();
    let is_word = !method.is_empty()
        && method.len() <= METHOD_CHARS_MAX
        && method
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    match Method::from_bytes(method.as_bytes()) {
        // The one makes a tunnel of the connection, the other shows what else is sent along.
        Ok(method) if is_word && method != Method::CONNECT && method != Method::TRACE => Ok(method),
        Ok(_) | Err(_) => Err(wrong(
            "`method` is none such as GET, POST or DELETE".to_owned(),
        )),
    }
}

fn url(value: Option<&RawValue>) -> Result<Url, Failure> {
    let Some(value) = value else {
        return Err(wrong("`url` is missing".to_owned()));
    };
    let url: Url = text("url", value)?
        .parse()
        .map_err(|error| wrong(format!("`url` is not one: {error}")))?;
    if url.has_host() {
        Ok(url)
    } else {
        Err(wrong("`url` has no host".to_owned()))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Many(Vec<String>),
}

fn headers(value: Option<&RawValue>, bytes_max: usize) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    let Some(value) = value else {
        return Ok(headers);
    };
    let named: BTreeMap<String, Box<RawValue>> = serde_json::from_str(value.get())
        .map_err(|_| wrong("`headers` is not an object of texts".to_owned()))?;
    let mut bytes = 0;
    for (name, value) in named {
        let header: HeaderName = name.parse().map_err(|_| {
            wrong(format!(
                "`headers` has {name:?}, which no header can be called"
            ))
        })?;
        if NOT_SETTABLE.contains(&header.as_str()) {
            return Err(wrong(format!(
                "`headers.{header}` is not a task's to set: the request has its own"
            )));
        }
        let values = match serde_json::from_str(value.get()) {
            Ok(Values::One(value)) => vec![value],
            Ok(Values::Many(values)) => values,
            Err(_) => {
                return Err(wrong(format!(
                    "`headers.{header}` is neither a text nor a list of them"
                )));
            }
        };
        for value in values {
            bytes += header.as_str().len() + value.len();
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
                wrong(format!(
                    "`headers.{header}` holds a line break or another control character"
                ))
            })?;
            headers.append(&header, value);
        }
    }
    if bytes > bytes_max {
        return Err(wrong(format!(
            "`headers` are {bytes} bytes long and this worker sends {bytes_max} at most (--http-headers-max)"
        )));
    }
    Ok(headers)
}

/// A text as it is, anything else as JSON, which the request says then.
fn body(
    value: Option<&RawValue>,
    encoding: Option<&RawValue>,
    headers: &mut HeaderMap,
) -> Result<Option<Bytes>, Failure> {
    let encoding = encoding
        .map(|encoding| text("encoding", encoding))
        .transpose()?;
    let is_base64 = match encoding.as_deref() {
        None | Some("utf-8") => false,
        Some("base64") => true,
        Some(_) => {
            return Err(wrong(
                "`encoding` is neither \"utf-8\" nor \"base64\"".to_owned(),
            ));
        }
    };
    let Some(value) = value else {
        return Ok(None);
    };
    if is_base64 {
        let body = BASE64
            .decode(text("body", value)?)
            .map_err(|error| wrong(format!("`body` is not base64, as `encoding` says: {error}")))?;
        return Ok(Some(body.into()));
    }
    if value.get().starts_with('"') {
        return Ok(Some(text("body", value)?.into()));
    }
    headers
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/json"));
    Ok(Some(value.get().to_owned().into()))
}

/// The name and password of an address go into the header that they mean, so that no message shows them.
fn with_login(mut url: Url, headers: &mut HeaderMap) -> Url {
    let (name, password) = (url.username().to_owned(), url.password().map(str::to_owned));
    // Neither fails where there is a host.
    let (_, _) = (url.set_username(""), url.set_password(None));
    if name.is_empty() && password.is_none() {
        return url;
    }
    let mut login = unescaped(&name);
    login.push(b':');
    login.extend(unescaped(password.as_deref().unwrap_or_default()));
    let value = format!("Basic {}", BASE64.encode(login));
    if let Ok(mut value) = HeaderValue::from_str(&value) {
        value.set_sensitive(true);
        headers.entry(AUTHORIZATION).or_insert(value);
    }
    url
}

/// The bytes that `%41` and its like stand for.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let hex = behind
            .get(..2)
            .filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let hex = hex.and_then(|hex| str::from_utf8(hex).ok());
        match hex.map(|hex| u8::from_str_radix(hex, 16)) {
            Some(Ok(byte)) if *first == b'%' => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    bytes
}
