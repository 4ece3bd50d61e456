//! Where the database is, how to get there, and what may be said of it: never the password.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::OpenError;
use super::error::{is_away, one_line};
use super::tls::{self, Trust};

/// Networks that swallow packets must not hold a batch for minutes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const GREETING_MAX: Duration = Duration::from_secs(10);
const SILENCE_MAX: Duration = Duration::from_secs(15);
const KEEPALIVE: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
}

/// What makes a connection live; to be run beside its client.
pub(super) type Connection =
    tokio_postgres::Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// Why there is no connection.
pub(super) struct NotConnected {
    /// In one line.
    pub(super) reason: String,
    /// Nobody was there, or it is still starting: later there may be one. Else it was refused.
    pub(super) is_away: bool,
}

impl Address {
    /// A connection that nobody has used yet.
    pub(super) async fn connect(&self) -> Result<(Client, Connection), NotConnected> {
        let connecting = self.config.connect(self.tls.clone());
        match timeout(GREETING_MAX, connecting).await {
            Ok(connected) => connected.map_err(|error| NotConnected {
                reason: one_line(&error),
                is_away: is_away(&error),
            }),
            Err(_) => Err(NotConnected {
                reason: format!("it let nobody in within {} s", GREETING_MAX.as_secs()),
                is_away: true,
            }),
        }
    }

    /// `postgresql://user:password@host:port/database?option=value`, or the form `host=… user=…`.
    pub(super) fn parse(url: &str) -> Result<Self, OpenError> {
        let (url, mode, roots) = without_tls(url)?;
        // What the driver has to say of a bad address may quote a part of the password.
        let mut config: Config = url.parse().map_err(|_| OpenError::Address)?;
        let (wanted, trust) = match mode.as_deref() {
            Some("disable") => (SslMode::Disable, Trust::Anybody),
            None | Some("allow" | "prefer") => (config.get_ssl_mode(), trust(roots)),
            Some("require") => (SslMode::Require, trust(roots)),
            Some("verify-ca") => (
                SslMode::Require,
                Trust::Issuer(roots.ok_or(OpenError::NoRoots)?),
            ),
            Some("verify-full") => (
                SslMode::Require,
                Trust::Name(roots.ok_or(OpenError::NoRoots)?),
            ),
            Some(_) => return Err(OpenError::SslMode),
        };
        config.ssl_mode(wanted);
        if config.get_application_name().is_none() {
            config.application_name("taskyard");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE_MAX);
        }
        config.keepalives_idle(KEEPALIVE);
        Ok(Self {
            config,
            tls: MakeRustlsConnect::new(tls::client(&trust)?),
        })
    }
}

/// As with PostgreSQL's own clients: without roots nothing is verified, with them the issuer is.
fn trust(roots: Option<PathBuf>) -> Trust {
    roots.map_or(Trust::Anybody, Trust::Issuer)
}

/// The driver does not know every `sslmode`, nor `sslrootcert`: these are taken out of a URL and kept apart.
fn without_tls(url: &str) -> Result<(String, Option<String>, Option<PathBuf>), OpenError> {
    let (mut mode, mut roots) = (None, None);
    // A password may hold any character, so options begin behind the last @.
    let host = url.rfind('@').unwrap_or(0);
    let options = url[host..].find('?').filter(|_| url.contains("://"));
    let Some((front, query)) = options.map(|at| (&url[..host + at], &url[host + at + 1..])) else {
        return Ok((url.to_owned(), None, None));
    };
    let mut kept = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value.to_owned()),
            Some(("sslrootcert", value)) => {
                // Decoded by the rules of URLs, of which this is one with nothing but a query.
                let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
                roots = Some(PathBuf::from(
                    decoded.map_or(value.into(), |(_, value)| value).as_ref(),
                ));
            }
            _ => kept.push(pair),
        }
    }
    let rest = if kept.is_empty() {
        front.to_owned()
    } else {
        format!("{front}?{}", kept.join("&"))
    };
    Ok((rest, mode, roots))
}

/// As it is shown, because the settings hold the password.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `host:port/database`, for messages.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => f.write_str(host)?,
            Some(Host::Unix(path)) => write!(f, "{}", path.display())?,
            None => f.write_str("localhost")?,
        }
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let database = self
            .config
            .get_dbname()
            .or(self.config.get_user())
            .unwrap_or("postgres");
        write!(f, ":{port}/{database}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_database_and_never_the_password() {
        let address =
            Address::parse("postgresql://me:secret@db.example:6432/yard?sslmode=require").unwrap();

        assert_eq!(address.to_string(), "db.example:6432/yard");
        assert_eq!(address.config.get_ssl_mode(), SslMode::Require);
        assert_eq!(format!("{address:?}"), "db.example:6432/yard");
        let error = Address::parse("postgresql://me:secret@db:port/yard");
        let error = error.unwrap_err();
        assert!(!format!("{error:?} {error}").contains("secret"));
    }

    #[test]
    fn a_password_may_hold_what_looks_like_options() {
        let url = "postgresql://me:a?sslmode=b@db/yard?sslmode=disable&application_name=x";
        let address = Address::parse(url).unwrap();

        let config = address.config;
        assert_eq!(config.get_password(), Some(&b"a?sslmode=b"[..]));
        assert_eq!(config.get_ssl_mode(), SslMode::Disable);
        assert_eq!(config.get_application_name(), Some("x"));
    }

    #[test]
    fn verifying_needs_roots() {
        let error = Address::parse("postgresql://db/yard?sslmode=verify-full").err();

        assert!(matches!(error, Some(OpenError::NoRoots)));
    }
}
