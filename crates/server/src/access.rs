//! Who may come in: names and origins on loopback, a bearer token elsewhere.
//!
//! On loopback nobody logs in, so the danger is a page in a browser on this machine: one of another origin, or one
//! whose name was made to lead to 127.0.0.1. Both show in what the browser sends by itself.

mod guesses;

use std::fmt;
use std::hint::black_box;
use std::net::IpAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use sha2::{Digest, Sha256};
use taskyard_api::problem::Problem;

pub(crate) use self::guesses::Guesses;
use crate::app::App;
use crate::docs;
use crate::front::Peer;
use crate::health::PROBES;
use crate::page;
use crate::problem::{self, Code};
use crate::settings::{Access, Settings};

/// The tokens that were handed out, each as good as the others; only their digests are kept, and nothing prints them.
#[derive(Clone)]
pub struct Secret(Vec<[u8; 32]>);

impl Secret {
    /// One token, or several with commas between them.
    pub fn new(tokens: &str) -> Self {
        let digests = tokens.split(',').map(|token| Sha256::digest(token).into());
        Self(digests.collect())
    }

    /// Takes as long wherever two differ, and whichever it is.
    fn is(&self, token: &[u8]) -> bool {
        let other: [u8; 32] = Sha256::digest(token).into();
        let is_one = |known: &[u8; 32]| {
            let pairs = known.iter().zip(&other);
            pairs.fold(0, |sum, (a, b)| black_box(sum | (a ^ b))) == 0
        };
        self.0.iter().fold(false, |is, known| is | is_one(known))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Refuses who may not come in.
pub(crate) fn check<B>(app: &App, request: &Request<B>, peer: Peer) -> Result<(), Box<Problem>> {
    let settings = app.settings();
    let headers = request.headers();
    match &settings.access {
        Access::Loopback => {
            check_host(settings, request)?;
            check_origin(settings, headers)
        }
        // A page whose name was made to lead to 127.0.0.1 would find it open here as well; so it would where a port of
        // this machine leads to an address of its own, as with containers, for which names are given.
        Access::None if peer.is_local || !settings.hosts.is_empty() => {
            check_host(settings, request)?;
            check_origin(settings, headers)
        }
        Access::None => check_origin(settings, headers),
        // A page cannot send a token it does not know, so its origin does not matter.
        Access::Token(_) if PROBES.contains(&request.uri().path()) => Ok(()),
        Access::Token(_) if is_preflight(request) => Ok(()),
        Access::Token(secret) => match check_token(secret, request.method(), headers) {
            Told::Right => Ok(()),
            Told::Wrong => Err(wrong_token(app, peer.address)),
            Told::Nothing => Err(problem::new(
                Code::Unauthorized,
                "this server wants a token: Authorization: Bearer …; a browser that looks may give it as the password, \
                 with any name",
            )),
        },
    }
}

/// What looks at a server in a browser, which sends no token by itself: it asks whoever sits before it.
fn is_for_browsers(path: &str) -> bool {
    page::PATHS.contains(&path) || docs::is_one(path) || problem::page::is_one(path)
}

/// Has a browser ask for a name and a password, which is the token, where one of these was refused.
pub(crate) fn challenge<B>(path: &str, response: &mut Response<B>) {
    if response.status() == StatusCode::UNAUTHORIZED && is_for_browsers(path) {
        let basic = HeaderValue::from_static("Basic realm=\"Taskyard\", charset=\"UTF-8\"");
        response.headers_mut().append(WWW_AUTHENTICATE, basic);
    }
}

/// A browser asks beforehand, without the token, whether a page of another origin may call.
pub(crate) fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(ORIGIN)
}

/// What a request says of the token.
enum Told {
    Right,
    Wrong,
    Nothing,
}

fn check_token(secret: &Secret, method: &Method, headers: &HeaderMap) -> Told {
    let said = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let bearer = said.and_then(|said| behind(said, b"bearer ").map(<[u8]>::to_vec));
    let token = bearer.or_else(|| said.and_then(|said| password(method, said)));
    match token {
        Some(token) if secret.is(token.trim_ascii()) => Told::Right,
        Some(_) => Told::Wrong,
        None => Told::Nothing,
    }
}

/// Whoever sends many is told to come back later. The right token is looked at first and always lets in, so nobody is
/// kept out by others who come from the same address.
fn wrong_token(app: &App, from: Option<IpAddr>) -> Box<Problem> {
    app.metrics().wrong_tokens.inc();
    if let Some(others) = app.guesses().tell(from) {
        tracing::warn!(
            address = from.map(tracing::field::display),
            others,
            "a token was refused that is not known here"
        );
    }
    let max = app.limits().wrong_tokens_max;
    match app.guesses().wrong(from, max) {
        None => problem::new(Code::Unauthorized, "this token is not known here"),
        Some(left) => {
            let detail = format!(
                "more than {max} wrong tokens came from this address within a minute; mend the token before the next try"
            );
            let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            problem::later(Code::TooManyWrongTokens, detail, left)
        }
    }
}

/// What a browser was told when it asked a person. It sends that by itself from then on, also where a foreign page had it
/// ask: so it may look, of which a foreign page sees nothing, and change nothing.
fn password(method: &Method, said: &[u8]) -> Option<Vec<u8>> {
    if ![Method::GET, Method::HEAD].contains(method) {
        return None;
    }
    let pair = BASE64_STANDARD.decode(behind(said, b"basic ")?.trim_ascii());
    let pair = pair.ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair[colon + 1..].to_vec())
}

/// What stands behind the name of this scheme.
fn behind<'a>(said: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (named, rest) = said.split_at_checked(scheme.len())?;
    named.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn check_host<B>(settings: &Settings, request: &Request<B>) -> Result<(), Box<Problem>> {
    let Some(named) = host(request) else {
        // Checks of load balancers speak HTTP/1.0, which need say no name; browsers always say one.
        if PROBES.contains(&request.uri().path()) {
            return Ok(());
        }
        let detail =
            "the request does not say what it calls this server; send it in the header Host";
        return Err(problem::new(Code::WrongHost, detail));
    };
    let named = without_port(named);
    let is_ours = named.eq_ignore_ascii_case("localhost")
        || is_loopback(named)
        || settings
            .hosts
            .iter()
            .any(|host| host.eq_ignore_ascii_case(named));
    if is_ours {
        return Ok(());
    }
    let detail = "this server answers to localhost and to the names given with --allow-host";
    Err(problem::new(Code::WrongHost, detail))
}

/// What the request calls this server; none where it does not say.
fn host<B>(request: &Request<B>) -> Option<&str> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.as_str());
    }
    let host = request.headers().get(HOST)?;
    // What is no text is nobody's name.
    Some(host.to_str().unwrap_or_default())
}

fn without_port(host: &str) -> &str {
    if host.starts_with('[') {
        return host.split_inclusive(']').next().unwrap_or(host);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn is_loopback(host: &str) -> bool {
    let address = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    address
        .parse::<IpAddr>()
        .is_ok_and(|address| address.is_loopback())
}

fn check_origin(settings: &Settings, headers: &HeaderMap) -> Result<(), Box<Problem>> {
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    if is_listed(settings, origin) || is_own(origin, headers) {
        return Ok(());
    }
    let detail = "pages of this origin may not call this server; --allow-origin lets them";
    Err(problem::new(Code::WrongOrigin, detail))
}

/// A page that this server gave out itself.
fn is_own(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let origin = origin.as_bytes();
    let authority = origin
        .strip_prefix(b"http://")
        .or_else(|| origin.strip_prefix(b"https://"));
    let host = headers.get(HOST).map(HeaderValue::as_bytes);
    authority
        .zip(host)
        .is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
}

fn is_listed(settings: &Settings, origin: &HeaderValue) -> bool {
    let listed = |allowed: &String| allowed.as_bytes() == origin.as_bytes();
    settings.origins.iter().any(listed)
}

/// The origin that the answer is for, where it is one of those allowed from elsewhere; none where two are named.
pub(crate) fn allowed_origin(settings: &Settings, headers: &HeaderMap) -> Option<HeaderValue> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let origin = origins.next().filter(|_| origins.next().is_none())?;
    is_listed(settings, origin).then(|| origin.clone())
}
