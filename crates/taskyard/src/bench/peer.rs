//! The server that the load goes to.

use anyhow::Context as _;
use hyper::header::HeaderValue;
use reqwest::Url;

use crate::settings::units;

/// Where it is, and what opens it.
#[derive(Clone)]
pub(super) struct Peer {
    /// `http://HOST:PORT`
    pub(super) url: String,
    /// `HOST:PORT`
    pub(super) address: String,
    pub(super) token: Option<String>,
}

/// The load is as lean as it can be: HTTP/1.1 as it is, to the server itself.
pub(super) fn address(text: &str) -> Result<Url, String> {
    let url = units::url(text)?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.username().is_empty();
    if url.scheme() != "http" || url.host_str().is_none() || !is_bare {
        return Err(
            "expected the address of a server itself, without TLS and without a path, such as http://127.0.0.1:8000"
                .to_owned(),
        );
    }
    Ok(url)
}

impl Peer {
    /// A server of this program's own, which asks for no token.
    pub(super) fn own(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            address: url.trim_start_matches("http://").to_owned(),
            token: None,
        }
    }

    pub(super) fn named(url: &Url, token: Option<&str>) -> anyhow::Result<Self> {
        let host = url.host_str().context("no host")?;
        let port = url.port_or_known_default().context("no port")?;
        let address = format!("{host}:{port}");
        Ok(Self {
            url: format!("http://{address}"),
            address,
            token: token.map(str::to_owned),
        })
    }

    /// What each request bears.
    pub(super) fn authorization(&self) -> anyhow::Result<Option<HeaderValue>> {
        let Some(token) = &self.token else {
            return Ok(None);
        };
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}
