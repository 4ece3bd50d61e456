//! Where the database is, how to get there, and what may be said of it: never the password.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::OpenError;
use super::error::one_line;
use super::home::Home;
use super::tls::{self, Trust};

/// Networks that swallow packets must not hold a batch for minutes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// What was sent and is not even received after so long is lost, and the connection with it.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// A connection on which nothing is said is asked after so long whether the other end is there, and again so often.
const KEEPALIVE: Duration = Duration::from_secs(5);
const KEEPALIVE_AGAIN: Duration = Duration::from_secs(2);
const KEEPALIVES: u32 = 3;

/// One or more hosts that hold the same database, of which one at a time takes writes.
#[derive(Clone)]
pub(super) struct Address {
    /// With all its hosts.
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
    /// Which of them that is; shared by all that connect by this address.
    pub(super) home: Arc<Home>,
    /// Between here and there stands a pooler that gives each transaction another connection.
    pub(super) is_pooled: bool,
}

impl Address {
    /// `postgresql://user:password@host:port/database?option=value`, or the form `host=… user=…`.
    pub(super) fn parse(url: &str) -> Result<Self, OpenError> {
        let (mut config, mode, roots) = understood(url)?;
        check_hosts(&config)?;
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
        if config.get_keepalives_interval().is_none() {
            config.keepalives_interval(KEEPALIVE_AGAIN);
        }
        if config.get_keepalives_retries().is_none() {
            config.keepalives_retries(KEEPALIVES);
        }
        Ok(Self {
            config,
            tls: MakeRustlsConnect::new(tls::client(&trust)?),
            home: Arc::default(),
            is_pooled: false,
        })
    }

    /// The same by way of a pooler that gives each transaction another connection.
    pub(super) fn pooled(mut self) -> Result<Self, OpenError> {
        // A pooler takes them for all who share its connections, refuses them, or leaves them out and says nothing.
        if self.config.get_options().is_some() {
            return Err(OpenError::PooledOptions {
                server: self.to_string(),
            });
        }
        self.is_pooled = true;
        Ok(self)
    }

    /// That of one of its hosts.
    pub(super) fn port(&self, host: usize) -> u16 {
        let ports = self.config.get_ports();
        let port = ports.get(host).or_else(|| ports.first());
        port.copied().unwrap_or(5432)
    }

    /// How many hosts it names.
    pub(super) fn hosts(&self) -> usize {
        let (names, addresses) = (self.config.get_hosts(), self.config.get_hostaddrs());
        names.len().max(addresses.len())
    }
}

fn check_hosts(config: &Config) -> Result<(), OpenError> {
    let (names, addresses) = (config.get_hosts().len(), config.get_hostaddrs().len());
    let (hosts, ports) = (names.max(addresses), config.get_ports().len());
    let fits = |count: usize| count == 0 || count == hosts;
    if !fits(names) || !fits(addresses) || !(fits(ports) || ports == 1) {
        return Err(OpenError::Hosts {
            names,
            addresses,
            ports,
        });
    }
    if config.get_target_session_attrs() == TargetSessionAttrs::ReadOnly {
        return Err(OpenError::SessionAttrs);
    }
    Ok(())
}

/// As with PostgreSQL's own clients: without roots nothing is verified, with them the issuer is.
fn trust(roots: Option<PathBuf>) -> Trust {
    roots.map_or(Trust::Anybody, Trust::Issuer)
}

/// Refuses an address that nobody could connect by.
pub fn check_address(url: &str) -> Result<(), OpenError> {
    Address::parse(url).map(drop)
}

/// Refuses an address that nobody could connect by through a pooler that gives each transaction another connection.
pub fn check_pooled(url: &str) -> Result<(), OpenError> {
    Address::parse(url)?.pooled().map(drop)
}

/// Whether the database that it leads to runs on this machine: over a Unix socket, or a loopback address.
pub fn is_on_this_machine(url: &str) -> bool {
    let is_loopback = |host: &str| {
        let address = host.parse().map(|address: IpAddr| address.is_loopback());
        address.unwrap_or_else(|_| host.eq_ignore_ascii_case("localhost"))
    };
    let is_here = |host: &Host| match host {
        Host::Tcp(host) => is_loopback(host),
        Host::Unix(_) => true,
    };
    understood(url).is_ok_and(|(config, ..)| match config.get_hostaddrs() {
        [] => config.get_hosts().iter().all(is_here),
        // Where these are given they are what is connected to.
        addresses => addresses.iter().all(IpAddr::is_loopback),
    })
}

/// The address as it may be shown. Of one that is not understood, nobody can tell which part is the password.
pub fn without_password(url: &str) -> String {
    let parts = match Parts::of(url) {
        Ok(Some(parts)) if understood(url).is_ok() => parts,
        _ => return "***".to_owned(),
    };
    let login = parts.login.map(|login| match login.split_once(':') {
        Some((user, _)) => format!("{user}:***@"),
        None => format!("{login}@"),
    });
    let pairs = parts.options.map(|options| {
        let pairs = options.split('&').map(|pair| match name_of(pair) {
            name if is_password(&name) => format!("{name}=***"),
            _ => pair.to_owned(),
        });
        format!("?{}", pairs.collect::<Vec<_>>().join("&"))
    });
    let (login, options) = (login.unwrap_or_default(), pairs.unwrap_or_default());
    format!("{}://{login}{}{options}", parts.scheme, parts.place)
}

/// What the driver understands of it, and the `sslmode` and `sslrootcert` that it does not.
fn understood(url: &str) -> Result<(Config, Option<String>, Option<PathBuf>), OpenError> {
    let parts = Parts::of(url)?;
    let options = parts.as_ref().and_then(|parts| parts.options);
    let (url, mode, roots) = match &parts {
        Some(parts) => parts.for_driver()?,
        None => (url.to_owned(), None, None),
    };
    let config: Config = url.parse().map_err(|error| ill_formed(&error, options))?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(OpenError::NoHost);
    }
    Ok((config, mode, roots))
}

/// What the driver has to say of a bad address may quote a part of the password, so only the name of an option is taken
/// from it, and only where an option is called so; none where a password stands among them, which may hold a & itself.
fn ill_formed(error: &tokio_postgres::Error, options: Option<&str>) -> OpenError {
    let said = one_line(error);
    let pairs = options.into_iter().flat_map(|all| all.split('&'));
    let names: Vec<String> = pairs.map(name_of).collect();
    let meant = names
        .iter()
        .find(|name| said.contains(&format!("`{name}`")));
    match meant {
        Some(name) if !names.iter().any(|name| is_password(name)) => {
            OpenError::Option(name.clone())
        }
        _ => OpenError::Address,
    }
}

/// Where the parts of a URL begin and end, for connecting and for showing alike. The driver takes the first @ for the
/// end of the password, people mean the last one, and other programs stop at a / before it: so there may be one only,
/// and nothing in front of it that could be taken for another part.
struct Parts<'a> {
    scheme: &'a str,
    /// `user` or `user:password`.
    login: Option<&'a str>,
    /// Hosts, ports and the database.
    place: &'a str,
    options: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// None for the form `host=… user=…`.
    fn of(url: &'a str) -> Result<Option<Self>, OpenError> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Ok(None);
        };
        if !scheme.chars().all(|letter| letter.is_ascii_alphanumeric()) {
            return Ok(None);
        }
        let (login, rest) = match rest.rsplit_once('@') {
            Some((login, rest)) => (Some(login), rest),
            None => (None, rest),
        };
        if login.is_some_and(|login| login.contains(['/', '?', '#', '@'])) {
            return Err(OpenError::Unescaped);
        }
        let (place, options) = match rest.split_once('?') {
            Some((place, options)) => (place, Some(options)),
            None => (rest, None),
        };
        Ok(Some(Self {
            scheme,
            login,
            place,
            options,
        }))
    }

    /// The driver does not know every `sslmode`, nor `sslrootcert`: these are taken out and kept apart. Nor every
    /// `target_session_attrs`: those that a server can do with change nothing, for it always looks for the one that takes
    /// writes.
    fn for_driver(&self) -> Result<(String, Option<String>, Option<PathBuf>), OpenError> {
        let (mut mode, mut roots, mut kept) = (None, None, Vec::new());
        for pair in self.options.into_iter().flat_map(|all| all.split('&')) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value.to_owned()),
                Some(("target_session_attrs", "any" | "read-write" | "primary")) => {}
                Some(("target_session_attrs", _)) => return Err(OpenError::SessionAttrs),
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
        let mut rest = format!("{}://", self.scheme);
        if let Some(login) = self.login {
            rest.extend([login, "@"]);
        }
        rest.push_str(self.place);
        if !kept.is_empty() {
            rest.extend(["?", &kept.join("&")]);
        }
        Ok((rest, mode, roots))
    }
}

fn is_password(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("password")
}

/// An option's name, decoded.
fn name_of(pair: &str) -> String {
    let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
    decoded.map_or(String::new(), |(name, _)| name.into_owned())
}

/// As it is shown, because the settings hold the password.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `host:port/database`, for messages; of several hosts all.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for index in 0..self.hosts() {
            if index > 0 {
                f.write_str(",")?;
            }
            match (
                self.config.get_hosts().get(index),
                self.config.get_hostaddrs().get(index),
            ) {
                (Some(Host::Tcp(host)), _) => f.write_str(host)?,
                (Some(Host::Unix(path)), _) => write!(f, "{}", path.display())?,
                (None, Some(ip)) => write!(f, "{ip}")?,
                (None, None) => f.write_str("localhost")?,
            }
            write!(f, ":{}", self.port(index))?;
        }
        let database = self
            .config
            .get_dbname()
            .or(self.config.get_user())
            .unwrap_or("postgres");
        write!(f, "/{database}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
    fn an_option_that_is_not_understood_is_named() {
        for (url, said) in [
            ("postgres://u:hunter2@h/d?colour=red", "an option colour,"),
            (
                "postgres://h/d?connect_timeout=soon",
                "an option connect_timeout,",
            ),
            ("postgres://h/d?password=hun&ter2=1", "is not understood"),
        ] {
            let error = Address::parse(url).unwrap_err().to_string();
            assert!(error.contains(said), "{url}: {error}");
            assert!(
                !error.contains("hunter2") && !error.contains("ter2"),
                "{error}"
            );
        }
    }

    #[test]
    fn several_hosts_are_all_named() {
        let address = Address::parse("postgresql://me:secret@a:5433,b/yard").unwrap();
        assert_eq!(address.to_string(), "a:5433,b:5432/yard");
        let address = Address::parse("host=a,b port=6000 dbname=yard").unwrap();
        assert_eq!(address.to_string(), "a:6000,b:6000/yard");
        let address = Address::parse("hostaddr=10.0.0.1,10.0.0.2 user=me").unwrap();
        assert_eq!(address.to_string(), "10.0.0.1:5432,10.0.0.2:5432/me");

        for (url, says) in [
            ("host=a,b,c port=1,2", "3 hosts"),
            ("host=a,b hostaddr=10.0.0.1", "1 hostaddr"),
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn what_is_asked_of_a_session_is_that_it_writes() {
        for attrs in ["any", "read-write", "primary"] {
            let url = format!("postgresql://a,b/yard?target_session_attrs={attrs}");
            assert!(Address::parse(&url).is_ok(), "{attrs}");
        }
        for attrs in ["read-only", "standby", "prefer-standby"] {
            let url = format!("postgresql://a,b/yard?target_session_attrs={attrs}");
            let error = Address::parse(&url).unwrap_err();
            assert!(matches!(error, OpenError::SessionAttrs), "{error}");
        }
    }

    #[test]
    fn a_password_may_hold_what_looks_like_options() {
        let url = "postgresql://me:a%3Fsslmode=b@db/yard?sslmode=disable&application_name=x";
        let address = Address::parse(url).unwrap();

        let config = address.config;
        assert_eq!(config.get_password(), Some(&b"a?sslmode=b"[..]));
        assert_eq!(config.get_ssl_mode(), SslMode::Disable);
        assert_eq!(config.get_application_name(), Some("x"));
    }

    #[test]
    fn what_could_be_taken_for_another_part_is_refused_with_how_it_is_written() {
        for url in [
            "postgres://u:p/ss@h/d",
            "postgres://u:p#ss@h/d",
            "postgres://u:p?ss@h/d",
            "postgres://u:p@ss@h/d",
            "postgres://h/d?password=p@ss",
        ] {
            let error = Address::parse(url).unwrap_err();

            assert!(matches!(error, OpenError::Unescaped), "{url}: {error:?}");
            assert!(error.to_string().contains("%40"), "{error}");
            assert_eq!(without_password(url), "***");
        }
    }

    #[test]
    fn an_address_is_shown_as_it_is_but_for_passwords() {
        for (url, shown) in [
            ("postgres://h/d", "postgres://h/d"),
            ("postgres://u@h:1,i:2/d", "postgres://u@h:1,i:2/d"),
            ("postgresql://u:p:q@h", "postgresql://u:***@h"),
            ("postgres://u:p@h/d?sslmode=verify-full&Password=x", "***"),
            (
                "postgres://u@%2Frun/d?password=p&sslmode=disable&connect_timeout=2",
                "postgres://u@%2Frun/d?password=***&sslmode=disable&connect_timeout=2",
            ),
            (
                "postgres://u@h/d?pass%77ord=p",
                "postgres://u@h/d?password=***",
            ),
            ("postgres://u:p", "***"),
            ("host=h password=p", "***"),
        ] {
            assert_eq!(without_password(url), shown, "{url}");
        }
    }

    #[test]
    fn what_runs_on_this_machine_is_told_by_all_its_hosts() {
        for here in [
            "postgres://localhost/t",
            "postgres://u:p@127.0.0.2:99/t",
            "postgres://u@%2Frun%2Fpostgresql:5432/t",
            "postgres://[::1]/t",
            "postgres://db/t?hostaddr=127.0.0.1",
        ] {
            assert!(is_on_this_machine(here), "{here}");
        }
        for elsewhere in [
            "postgres://db/t",
            "postgres://10.0.0.1/t",
            "postgres://localhost,db/t",
            "postgres://localhost/t?hostaddr=10.0.0.1",
        ] {
            assert!(!is_on_this_machine(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn an_address_names_a_host() {
        for url in [
            "postgres://",
            "postgres:///db",
            "postgres://u:p@/db",
            "user=u",
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(matches!(error, OpenError::NoHost), "{url}: {error:?}");
        }
        for url in [
            "postgres://h",
            "postgres://?host=%2Frun",
            "hostaddr=127.0.0.1",
        ] {
            assert!(Address::parse(url).is_ok(), "{url}");
        }
    }

    /// Stands in every piece of a password, so that no piece is shown where this is not.
    const MARK: &str = "Zq9";

    fn shows_nothing(url: &str) {
        let said = match Address::parse(url) {
            Ok(address) => format!("{address} {address:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        let shown = without_password(url);
        assert!(!said.contains(MARK), "{url}: {said}");
        assert!(!shown.contains(MARK), "{url}: {shown}");
    }

    proptest! {
        #[test]
        fn no_password_is_shown(a in any::<String>(), b in "[ -~]{0,8}", separator in "[/?#@:&=%+ ]") {
            let password = format!("{MARK}{a}{MARK}{separator}{MARK}{b}{MARK}");
            let encoded: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
            for password in [&password, &encoded] {
                for url in [
                    format!("postgres://u:{password}@h/d"),
                    format!("postgresql://u:{password}@h:5432/d?sslmode=disable"),
                    format!("postgres://u@h/d?password={password}"),
                    format!("postgres://u:{password}@h/d?password={password}&connect_timeout=1"),
                ] {
                    shows_nothing(&url);
                }
            }

            let url = format!("postgres://u:{encoded}@h/d");
            let address = Address::parse(&url).unwrap();
            prop_assert_eq!(address.config.get_password(), Some(password.as_bytes()));
        }
    }

    #[test]
    fn verifying_needs_roots() {
        let error = Address::parse("postgresql://db/yard?sslmode=verify-full").err();

        assert!(matches!(error, Some(OpenError::NoRoots)));
    }
}
