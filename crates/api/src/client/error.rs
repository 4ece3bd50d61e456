//! Why a call gave no answer.

use std::error::Error as StdError;
use std::time::Duration;
use std::{fmt, io};

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
    /// Of several servers none serves; each that was asked, in that order. Two at least. Where one may have done what can
    /// be done only once, those behind it were not asked.
    #[error("{}", Told(.0))]
    Several(Vec<Tried>),
}

/// A server that was asked, and why it did not serve.
#[derive(Debug)]
pub struct Tried {
    /// Its address, as the client was given it.
    pub server: String,
    pub error: Error,
}

/// What is told of several.
struct Told<'a>(&'a [Tried]);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "none of {} servers serves", self.0.len())?;
        for (number, Tried { server, error }) in self.0.iter().enumerate() {
            f.write_str(if number == 0 { ": " } else { "; " })?;
            match error {
                // These name the address that was asked.
                Error::Unreachable { .. } | Error::Unexpected { .. } => write!(f, "{error}")?,
                Error::Problem(_) | Error::Unusable(_) | Error::Several(_) => {
                    write!(f, "{server} answers: {error}")?;
                }
            }
        }
        Ok(())
    }
}

impl Error {
    /// Of one server, why it does not serve; of several, all of it.
    pub(super) fn of_all(mut tried: Vec<Tried>) -> Self {
        match (tried.pop(), tried.is_empty()) {
            (Some(only), true) => only.error,
            (last, _) => {
                tried.extend(last);
                Self::Several(tried)
            }
        }
    }

    /// Somebody was there, but what came back to the beginning of TLS was something else: most likely plain HTTP.
    pub fn is_not_tls(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => is_not_tls(source),
            Self::Several(tried) => tried.iter().all(|tried| tried.error.is_not_tls()),
            Self::Problem(_) | Self::Unexpected { .. } | Self::Unusable(_) => false,
        }
    }

    /// Nobody answered, of several none of them.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Several(tried) => tried.iter().all(|tried| tried.error.is_unreachable()),
            Self::Problem(_) | Self::Unexpected { .. } | Self::Unusable(_) => false,
        }
    }

    /// No connection could be made, of several to none of them, so nobody was told anything.
    pub fn reached_nobody(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => source.is_connect(),
            Self::Several(tried) => tried.iter().all(|tried| tried.error.reached_nobody()),
            Self::Problem(_) | Self::Unexpected { .. } | Self::Unusable(_) => false,
        }
    }

    /// What was asked may have been done all the same. What a server refuses was not; of what it does not know, or who is
    /// between does not, nobody knows.
    pub fn may_be_done(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => !source.is_connect(),
            Self::Unexpected { .. } => true,
            Self::Problem(problem) => {
                problem.code == "outcome_unknown" || matches!(problem.status, 500 | 502 | 504)
            }
            Self::Unusable(_) => false,
            Self::Several(tried) => tried.iter().any(|tried| tried.error.may_be_done()),
        }
    }

    /// When the server wants to be asked again; of several, the first of them to want it, if each says when.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Problem(problem) => problem.retry_after_ms.map(Duration::from_millis),
            Self::Several(tried) => {
                let asked = tried.iter().map(|tried| tried.error.retry_after());
                asked.min().flatten()
            }
            Self::Unreachable { .. } | Self::Unexpected { .. } | Self::Unusable(_) => None,
        }
    }

    /// The problem's stable word, if the server refused.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => Some(&problem.code),
            Self::Unreachable { .. }
            | Self::Unexpected { .. }
            | Self::Unusable(_)
            | Self::Several(_) => None,
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
            Self::Several(tried) => tried.iter().any(|tried| tried.error.is_worth_repeating()),
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

    fn several(errors: Vec<Error>) -> Error {
        let tried = (1..).zip(errors).map(|(number, error)| Tried {
            server: format!("http://s{number}"),
            error,
        });
        Error::of_all(tried.collect())
    }

    fn later(retry_after_ms: Option<u64>) -> Error {
        let mut error = refused(503, "stopping");
        if let Error::Problem(problem) = &mut error {
            problem.retry_after_ms = retry_after_ms;
        }
        error
    }

    #[test]
    fn of_several_servers_each_is_named_with_its_reason() {
        let alone = several(vec![refused(503, "stopping")]);
        assert_eq!(alone.to_string(), "stopping (503)");

        let two = several(vec![refused(503, "stopping"), quoted(502)]);
        assert_eq!(
            two.to_string(),
            "none of 2 servers serves: http://s1 answers: stopping (503); unexpected answer from http://127.0.0.1/: <html>"
        );
        assert!(two.is_worth_repeating() && two.may_be_done());
        assert!(!two.is_unreachable() && !two.reached_nobody());
    }

    #[test]
    fn several_want_to_be_asked_again_when_the_first_of_them_does() {
        for (asked, expected) in [
            ([Some(2_000), Some(1_000)], Some(1_000)),
            ([Some(2_000), None], None),
        ] {
            let error = several(asked.into_iter().map(later).collect());
            assert_eq!(error.retry_after(), expected.map(Duration::from_millis));
        }
    }
}
