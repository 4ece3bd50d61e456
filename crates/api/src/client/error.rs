//! Why a call gave no answer.

use reqwest::Url;

use crate::problem::Problem;

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
    /// The problem's stable word, if the server refused.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => Some(&problem.code),
            Self::Unreachable { .. } | Self::Unexpected { .. } | Self::Unusable(_) => None,
        }
    }

    /// Nothing is wrong with what was asked, and later it may succeed. Repeat only what is safe to do twice.
    pub fn is_worth_repeating(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Problem(problem) => matches!(problem.status, 429 | 500 | 502..=504 | 507),
            Self::Unexpected { .. } | Self::Unusable(_) => false,
        }
    }
}

/// What it came from in the end, such as "Connection refused": the layers above only say that a request failed.
fn root_of(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "the time is up".to_owned();
    }
    let mut root: &dyn std::error::Error = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}
