//! Why a call gave no answer.

use std::error::Error as StdError;
use std::io;

use reqwest::Url;

use crate::problem::{Problem, is_passing};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer came: the server is away, the network is, or the time is up. What was asked may have been done.
    #[error("no answer from {url}: {}", root_of(source))]
    Unreachable { url: Url, source: reqwest::Error },
    /// The server refused, and says why.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// An answer that no Taskyard server gives; perhaps something else listens there.
    #[error("unexpected answer from {url}: {what}")]
    Unexpected {
        url: Url,
        /// The HTTP status.
        status: u16,
        what: String,
    },
    /// The client cannot be made, or a request not be written, as asked.
    #[error("{0}")]
    Unusable(String),
}

impl Error {
    /// Somebody was there, but what came back to the beginning of TLS was something else: most likely plain HTTP.
    pub fn is_not_tls(&self) -> bool {
        matches!(self, Self::Unreachable { source, .. } if is_not_tls(source))
    }

    /// The problem's stable word, if the server refused.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => Some(&problem.code),
            Self::Unreachable { .. } | Self::Unexpected { .. } | Self::Unusable(_) => None,
        }
    }

    /// Nothing is wrong with what was asked, and later it may succeed: the server, or a proxy on the way to it, cannot
    /// serve now. Repeat only what is safe to do twice.
    pub fn is_worth_repeating(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Problem(problem) => problem.is_worth_repeating(),
            Self::Unexpected { status, .. } => is_passing(*status),
            Self::Unusable(_) => false,
        }
    }
}

fn is_not_tls(error: &reqwest::Error) -> bool {
    let mut layer: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(error) = layer {
        if let Some(rustls::Error::InvalidMessage(_)) = error.downcast_ref() {
            return true;
        }
        let wrapped = error.downcast_ref().and_then(io::Error::get_ref);
        // An I/O error that wraps another one passes it over and answers its source.
        layer = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    false
}

/// What it came from in the end, such as "Connection refused": the layers above only say that a request failed.
fn root_of(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "the time is up".to_owned();
    }
    if is_not_tls(error) {
        return "what listens there does not speak TLS (https)".to_owned();
    }
    let mut root: &dyn StdError = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str) -> Error {
        let text = format!(r#"{{"status": {status}, "code": "{code}"}}"#);
        Error::Problem(serde_json::from_str(&text).unwrap())
    }

    fn quoted(status: u16) -> Error {
        Error::Unexpected {
            url: Url::parse("http://127.0.0.1").unwrap(),
            status,
            what: "<html>".to_owned(),
        }
    }

    #[test]
    fn what_only_the_moment_is_in_the_way_of_is_worth_repeating() {
        for (status, code) in [
            (400, "broken_body"),
            (408, "body_timeout"),
            (429, "queue_full"),
            (429, "too_many_operations"),
            (500, "internal"),
            (503, "stopping"),
            (507, "disk_full"),
        ] {
            assert!(refused(status, code).is_worth_repeating(), "{code}");
        }
        for (status, code) in [
            (400, "not_json"),
            (401, "unauthorized"),
            (404, "not_found"),
            (409, "stale_lease"),
            (413, "too_large"),
            (422, "invalid"),
            (500, "unreadable"),
            (503, "logs_unavailable"),
        ] {
            assert!(!refused(status, code).is_worth_repeating(), "{code}");
        }
        for (status, expected) in [(200, false), (404, false), (408, true), (502, true)] {
            assert_eq!(quoted(status).is_worth_repeating(), expected, "{status}");
        }
        assert!(!Error::Unusable(String::new()).is_worth_repeating());
    }
}
