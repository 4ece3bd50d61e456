//! A client by the variables that this machine's programs are told their server with.

use std::env::{self, VarError};

use reqwest::Url;

use super::error::Error;
use super::transport::Client;

const URLS: &str = "TASKYARD_URL";
const TOKENS: &str = "TASKYARD_TOKEN";
/// Where a server listens if nothing else is said.
const DEFAULT_URL: &str = "http://127.0.0.1:8000";

impl Client {
    /// A client of the servers that `TASKYARD_URL` names, with commas between them (default: `http://127.0.0.1:8000`), which
    /// bears the token in `TASKYARD_TOKEN`, of several the first.
    ///
    /// # Errors
    ///
    /// A variable that cannot be what it is for.
    pub fn from_environment() -> Result<Self, Error> {
        let (servers, token) = read(|name| env::var(name))?;
        Self::new(&servers, token.as_deref())
    }
}

fn read(
    variable: impl Fn(&str) -> Result<String, VarError>,
) -> Result<(Vec<Url>, Option<String>), Error> {
    let value = |name: &str| match variable(name) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(wrong(name, "is no text; set it to one, or unset it")),
    };
    let urls = value(URLS)?.unwrap_or_else(|| DEFAULT_URL.to_owned());
    let servers = urls.split(',').map(|url| url.trim().parse());
    let servers = servers.collect::<Result<_, _>>().map_err(|_| {
        // What stands before an @ may be a password.
        let holds = match urls.contains('@') {
            true => "no address".to_owned(),
            false => format!("{urls:?}"),
        };
        wrong(
            URLS,
            &format!("holds {holds}; expected an address such as {DEFAULT_URL}"),
        )
    })?;
    // Its value is not quoted: nothing prints a token.
    let Some(tokens) = value(TOKENS)? else {
        return Ok((servers, None));
    };
    let first = tokens.split_once(',').map_or(&*tokens, |(first, _)| first);
    if first.is_empty() {
        return Err(wrong(TOKENS, "is empty; unset it, or give it a value"));
    }
    Ok((servers, Some(first.to_owned())))
}

fn wrong(name: &str, what: &str) -> Error {
    Error::Unusable(format!("{name} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        urls: Option<&str>,
        tokens: Option<&str>,
        expected: Result<(&[&str], Option<&str>), &str>,
    ) {
        let read = read(|name| {
            let value = if name == URLS { urls } else { tokens };
            value.map(str::to_owned).ok_or(VarError::NotPresent)
        });
        let read = read.map_err(|error| error.to_string());
        let read = read.as_ref().map(|(servers, token)| {
            let servers: Vec<&str> = servers.iter().map(Url::as_str).collect();
            (servers, token.as_deref())
        });
        let expected = expected.map(|(servers, token)| (servers.to_vec(), token));
        assert_eq!(read.map_err(String::as_str), expected);
    }

    #[test]
    fn the_environment_names_servers_and_a_token() {
        check(None, None, Ok((&["http://127.0.0.1:8000/"], None)));
        check(
            Some("http://a:1,https://b"),
            Some("new,old"),
            Ok((&["http://a:1/", "https://b/"], Some("new"))),
        );
        check(
            Some("a"),
            None,
            Err(r#"TASKYARD_URL holds "a"; expected an address such as http://127.0.0.1:8000"#),
        );
        check(
            None,
            Some(""),
            Err("TASKYARD_TOKEN is empty; unset it, or give it a value"),
        );
    }
}
