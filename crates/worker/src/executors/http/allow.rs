//! Which hosts the operator lets tasks ask, and at which addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::{Host, Url};

use super::address::{Sort, sort};
use crate::executor::Failure;
use crate::executors::list::words;

/// What `--allow-http` says: which hosts, on which ports. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    any: bool,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    host: Named,
    /// None: all of them.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    Name(String),
    /// Every name that ends so, dot included.
    Below(String),
    Address(IpAddr),
}

/// The name of this machine, whose addresses it stands for.
const LOCALHOST: &str = "localhost";

/// `any`, or hosts with commas between them, or both; an empty text allows nothing.
impl FromStr for Allow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = words(text)?;
        if words.is_empty() {
            return Err("it names no host; leave it out to allow none".to_owned());
        }
        let mut allow = Self::default();
        for word in words {
            if word == "any" {
                allow.any = true;
            } else {
                allow.entries.push(word.parse()?);
            }
        }
        Ok(allow)
    }
}

impl FromStr for Entry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "{text:?} is not a host{why}; expected one such as api.example.com, *.example.com, api.example.com:8443, \
                 10.0.0.5 or [::1]:8080, or `any`"
            )
        };
        if text.contains(['/', '@', '?', '#']) {
            return Err(wrong(", and neither scheme nor path belong to one"));
        }
        if text.starts_with('[') != text.contains(']') {
            return Err(wrong(": its brackets do not match"));
        }
        let (host, port) = match text.rsplit_once(':') {
            // The colons of a bare IPv6 address.
            Some((before, _)) if before.contains(':') && !before.ends_with(']') => {
                (text.trim_matches(['[', ']']), None)
            }
            Some((host, port)) => (host.trim_matches(['[', ']']), Some(port)),
            None => (text, None),
        };
        let port = port.map(|port| match port.parse() {
            Ok(port @ 1u16..) => Ok(port),
            Ok(0) | Err(_) => Err(wrong(": its port is not a number from 1 to 65535")),
        });
        let host = match (host.strip_prefix("*."), host.parse::<IpAddr>()) {
            (_, Ok(address)) => Named::Address(address.to_canonical()),
            (Some(rest), Err(_)) => match Host::parse(rest) {
                Ok(Host::Domain(name)) => Named::Below(format!(".{}", plain(&name))),
                Ok(Host::Ipv4(_) | Host::Ipv6(_)) | Err(_) => return Err(wrong("")),
            },
            (None, Err(_)) => match Host::parse(host) {
                Ok(Host::Domain(name)) if !name.contains('*') => {
                    Named::Name(plain(&name).to_owned())
                }
                Ok(Host::Ipv4(address)) => Named::Address(address.into()),
                Ok(Host::Domain(_) | Host::Ipv6(_)) | Err(_) => return Err(wrong("")),
            },
        };
        Ok(Self {
            host,
            port: port.transpose()?,
        })
    }
}

/// Without the dot that may end a name which is whole.
fn plain(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

impl Entry {
    fn holds(&self, host: &Host<&str>, port: u16) -> bool {
        let is_host = match (&self.host, host) {
            (Named::Name(name), Host::Domain(asked)) => name == plain(asked),
            (Named::Below(end), Host::Domain(asked)) => {
                let asked = plain(asked);
                asked.len() > end.len() && asked.ends_with(end.as_str())
            }
            (Named::Address(_), _) => self.names(host, port),
            (Named::Name(_) | Named::Below(_), Host::Ipv4(_) | Host::Ipv6(_)) => false,
        };
        is_host && self.port.is_none_or(|only| only == port)
    }

    /// Whether it says this very address, or this machine's name, so that what sort it is does not matter.
    fn names(&self, host: &Host<&str>, port: u16) -> bool {
        let is_host = match (&self.host, host) {
            (Named::Address(named), Host::Ipv4(asked)) => *named == IpAddr::from(*asked),
            (Named::Address(named), Host::Ipv6(asked)) => {
                *named == IpAddr::from(*asked).to_canonical()
            }
            (Named::Name(name), Host::Domain(asked)) => name == LOCALHOST && is_localhost(asked),
            (Named::Address(_) | Named::Name(_) | Named::Below(_), _) => false,
        };
        is_host && self.port.is_none_or(|only| only == port)
    }
}

fn is_localhost(name: &str) -> bool {
    plain(name).eq_ignore_ascii_case(LOCALHOST)
}

/// Why a request is not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("{0}")]
    Scheme(String),
    #[error("{0}")]
    Host(String),
    #[error("{0}")]
    Address(String),
}

impl Refused {
    /// It stands, though another worker may allow more: whether one does is for operators to say.
    pub(super) fn failure(&self) -> Failure {
        let code = match self {
            Self::Scheme(_) => "scheme_not_allowed",
            Self::Host(_) => "host_not_allowed",
            Self::Address(_) => "address_not_allowed",
        };
        Failure::lasting(code, self.to_string())
    }
}

/// What may be asked, and where.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) allow: Allow,
    pub(super) allow_private: bool,
}

impl Rules {
    /// Whether an address may be asked for at all; a name's are judged when they are known.
    pub(super) fn check(&self, url: &Url) -> Result<(), Refused> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::Scheme(format!(
                "only http and https are asked, and {url} is neither"
            )));
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(Refused::Scheme(format!("{url} has no host")));
        };
        let Allow { any, entries } = &self.allow;
        if !any && !entries.iter().any(|entry| entry.holds(&host, port)) {
            return Err(Refused::Host(format!(
                "this worker may not ask {host}:{port}; its operator can allow it with --allow-http {host}"
            )));
        }
        let is_named = entries.iter().any(|entry| entry.names(&host, port));
        match host {
            _ if is_named => Ok(()),
            Host::Ipv4(address) => self.check_address(address.into(), &Asked::Host(&host)),
            Host::Ipv6(address) => self.check_address(address.into(), &Asked::Host(&host)),
            // Another port of it may be allowed, and the resolver knows of no ports.
            Host::Domain(name) if is_localhost(name) && !self.allow_private => {
                Err(not_public("it is this machine", &Asked::Host(&host)))
            }
            Host::Domain(_) => Ok(()),
        }
    }

    /// Whether a name may be asked at this address.
    pub(super) fn check_found(&self, name: &str, address: IpAddr) -> Result<(), Refused> {
        let is_own = address.to_canonical().is_loopback() && is_localhost(name);
        let names_own = |entry: &Entry| entry.host == Named::Name(LOCALHOST.to_owned());
        if is_own && self.allow.entries.iter().any(names_own) {
            return Ok(());
        }
        self.check_address(address, &Asked::Name(name))
    }

    fn check_address(&self, address: IpAddr, asked: &Asked<'_>) -> Result<(), Refused> {
        match sort(address) {
            Sort::Public => Ok(()),
            Sort::Private if self.allow_private => Ok(()),
            Sort::Private => Err(not_public(
                &format!("{} of a private network", asked.what(address)),
                asked,
            )),
            Sort::Special => Err(Refused::Address(format!(
                "{asked} is not asked: {} reserved, or a cloud's metadata service, which only --allow-http with that very \
                 address allows",
                asked.what(address)
            ))),
        }
    }
}

/// What a request is about, as messages say it.
enum Asked<'a> {
    Host(&'a Host<&'a str>),
    /// It stands for addresses, one of which is judged.
    Name(&'a str),
}

impl Asked<'_> {
    fn what(&self, address: IpAddr) -> String {
        match self {
            Self::Host(_) => "it is".to_owned(),
            Self::Name(_) => format!("its address {address} is"),
        }
    }
}

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => host.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

fn not_public(why: &str, asked: &Asked<'_>) -> Refused {
    let this_one = match asked {
        Asked::Host(host) => format!(" it with --allow-http {host}, or"),
        Asked::Name(_) => String::new(),
    };
    Refused::Address(format!(
        "{asked} is not asked: {why}; the worker's operator can allow{this_one} all such with --allow-http-private"
    ))
}

impl Allow {
    pub fn is_nothing(&self) -> bool {
        !self.any && self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(flag: &str, allow_private: bool, url: &str) -> Option<&'static str> {
        let rules = Rules {
            allow: match flag {
                "" => Allow::default(),
                flag => flag.parse().unwrap(),
            },
            allow_private,
        };
        match rules.check(&url.parse().unwrap()) {
            Ok(()) => None,
            Err(Refused::Scheme(_)) => Some("scheme"),
            Err(Refused::Host(_)) => Some("host"),
            Err(Refused::Address(_)) => Some("address"),
        }
    }

    #[test]
    fn hosts_are_allowed_by_name_ending_address_and_port() {
        for (flag, url, expected) in [
            ("", "http://example.com/", Some("host")),
            ("any", "http://example.com/", None),
            ("any", "ftp://example.com/", Some("scheme")),
            ("any", "file:///etc/passwd", Some("scheme")),
            ("example.com", "https://example.com/a?b", None),
            ("Example.COM.", "http://EXAMPLE.com./", None),
            ("example.com", "http://www.example.com/", Some("host")),
            ("example.com", "http://example.com.evil.test/", Some("host")),
            ("example.com", "http://example.com@evil.test/", Some("host")),
            ("*.example.com", "http://a.example.com/", None),
            ("*.example.com", "http://b.a.example.com/", None),
            ("*.example.com", "http://example.com/", Some("host")),
            ("*.example.com", "http://badexample.com/", Some("host")),
            ("example.com:8443", "https://example.com:8443/", None),
            ("example.com:8443", "https://example.com/", Some("host")),
            ("example.com:443", "https://example.com/", None),
            ("*.example.com:80", "http://a.example.com/", None),
            ("bücher.example", "http://xn--bcher-kva.example/", None),
            ("a.test,b.test", "http://b.test/", None),
            ("1.1.1.1", "http://1.1.1.1/", None),
            ("a.test", "http://1.1.1.1/", Some("host")),
        ] {
            assert_eq!(refusal(flag, false, url), expected, "{flag} {url}");
        }
    }

    #[test]
    fn addresses_that_are_not_public_are_asked_only_where_that_is_said() {
        for (flag, private, url, expected) in [
            ("any", false, "http://127.0.0.1/", Some("address")),
            ("any", false, "http://127.1/", Some("address")),
            ("any", false, "http://2130706433/", Some("address")),
            ("any", false, "http://0x7f.0.0.1/", Some("address")),
            ("any", false, "http://0177.0.0.1/", Some("address")),
            ("any", false, "http://127.0.0.1./", Some("address")),
            ("any", false, "http://[::1]/", Some("address")),
            ("any", false, "http://[::ffff:10.0.0.1]/", Some("address")),
            ("any", false, "http://0.0.0.0/", Some("address")),
            ("any", false, "http://localhost/", Some("address")),
            ("any", false, "http://LOCALHOST./", Some("address")),
            ("any", true, "http://127.0.0.1/", None),
            ("any", true, "http://localhost/", None),
            ("any", true, "http://169.254.169.254/", Some("address")),
            ("any", true, "http://[fd00:ec2::254]/", Some("address")),
            ("any", true, "http://0.0.0.0/", Some("address")),
            ("169.254.169.254", false, "http://169.254.169.254/", None),
            ("10.0.0.5", false, "http://10.0.0.5:81/", None),
            ("10.0.0.5:80", false, "http://10.0.0.5:81/", Some("host")),
            (
                "any,10.0.0.5:80",
                false,
                "http://10.0.0.5:81/",
                Some("address"),
            ),
            ("10.0.0.5", false, "http://[::ffff:10.0.0.5]/", None),
            ("::1", false, "http://[::1]:8080/", None),
            ("[::1]:8080", false, "http://[::1]:8080/", None),
            ("[::1]:8080", false, "http://[::1]:8081/", Some("host")),
            ("localhost:8080", false, "http://localhost:8080/", None),
            (
                "any,localhost:8080",
                false,
                "http://localhost:22/",
                Some("address"),
            ),
        ] {
            assert_eq!(
                refusal(flag, private, url),
                expected,
                "{flag} {private} {url}"
            );
        }
    }

    #[test]
    fn what_is_no_host_is_refused_with_the_form_of_one() {
        for flag in [
            "https://example.com",
            "example.com/path",
            "*",
            "*.",
            "a*.example.com",
            "*.10.0.0.1",
            "example.com:0",
            "example.com:http",
            "example.com:70000",
            "user@example.com",
            "a b",
            "[::1",
        ] {
            let error = flag.parse::<Allow>().unwrap_err();
            assert!(
                error.contains(flag) && error.contains("*.example.com"),
                "{error}"
            );
        }
        for text in ["", "a.test,,b.test"] {
            assert!(text.parse::<Allow>().is_err(), "{text:?}");
        }
    }
}
