//! What browsers and other clients say of where they come from and whom they call, as they write it: a setting that they
//! never write would let nobody in.

use reqwest::Url;

use crate::failure::Failure;

/// Names of hosts, of what `--allow-host` says.
pub(crate) fn hosts(words: &[String]) -> Result<Vec<String>, Failure> {
    checked("--allow-host", words, host)
}

/// Where the pages of the older systems are served while somebody works on them; they may speak to a server unless it is
/// told that none may.
const DEVELOPMENT: &str = "http://localhost:5173";

/// Origins, of what `--allow-origin` says, and with any of them the one that may come from the start.
pub(crate) fn origins(words: &[String]) -> Result<Vec<String>, Failure> {
    let mut origins = checked("--allow-origin", words, origin)?;
    if !origins.is_empty() && !origins.iter().any(|origin| origin == DEVELOPMENT) {
        origins.push(DEVELOPMENT.to_owned());
    }
    Ok(origins)
}

/// What `--token` says, a token or several with commas between. It is not said which is wrong: nothing prints a token.
pub(crate) fn token(said: Option<&str>) -> Result<Option<&str>, Failure> {
    let wrong = match said {
        Some("") => "is empty; unset it, or give it a value",
        Some(tokens) if tokens.split(',').any(str::is_empty) => {
            "has nothing before, between or behind its commas; several tokens, each of which is valid, are written NEW,OLD"
        }
        Some(token) if !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
            "holds a blank, a line break or another character that no request can send as its token; use visible ASCII \
             characters, such as those of `openssl rand -hex 32`"
        }
        Some(_) | None => return Ok(said),
    };
    Err(Failure::usage(format!("TASKYARD_TOKEN (--token) {wrong}")))
}

fn checked(
    flag: &str,
    words: &[String],
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<Vec<String>, Failure> {
    // A variable without a value stands for nobody.
    if let [only] = words
        && only.is_empty()
    {
        return Ok(Vec::new());
    }
    for word in words {
        check(word).map_err(|what| Failure::usage(format!("{flag} {word:?}: {what}")))?;
    }
    Ok(words.to_vec())
}

/// As in a `Host` header, which may have a port behind it; whatever port that is, the name counts.
fn host(word: &str) -> Result<(), String> {
    let expected =
        "expected the name of a host, such as tasks.example, without scheme, port or path";
    let parsed = Url::parse(&format!("http://{word}/")).ok();
    let written = parsed
        .filter(|url| url.port().is_none() && url.path() == "/" && url.query().is_none())
        .and_then(|url| Some(url.host_str()?.to_owned()));
    match written {
        Some(written) if written.eq_ignore_ascii_case(word) => Ok(()),
        Some(written) if !word.contains([':', '/', '@', '?', '#']) => {
            Err(format!("clients write it {written}"))
        }
        _ => Err(expected.to_owned()),
    }
}

/// As in an `Origin` header.
fn origin(word: &str) -> Result<(), String> {
    let expected =
        "expected the origin of a page, such as https://tasks.example or http://localhost:5173";
    let Ok(url) = Url::parse(word) else {
        return Err(expected.to_owned());
    };
    let origin = url.origin();
    let written = match (url.host_str(), origin.is_tuple()) {
        (Some(_), true) => origin.ascii_serialization(),
        // Of an extension, say.
        (Some(host), false) => format!("{}://{host}", url.scheme()),
        (None, _) => return Err(expected.to_owned()),
    };
    if written == word {
        Ok(())
    } else {
        Err(format!("browsers write it {written}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        read: impl Fn(&[String]) -> Result<Vec<String>, Failure>,
        word: &str,
        said: Option<&str>,
    ) {
        let refused = read(&[word.to_owned()]).err();
        match (refused, said) {
            (None, None) => {}
            (Some(failure), Some(said)) => {
                assert_eq!(failure.code, crate::failure::USAGE);
                let message = failure.message;
                assert!(
                    message.contains(word) && message.contains(said),
                    "{message}"
                );
            }
            (refused, _) => panic!("{word}: {refused:?}"),
        }
    }

    #[test]
    fn hosts_are_names_alone() {
        for word in [
            "tasks.example",
            "Tasks",
            "my_host",
            "10.0.0.1",
            "[fe80::1]",
            "xn--bcher-kva.example",
        ] {
            check(hosts, word, None);
        }
        for word in [
            "http://x", "x:8000", "x/", "x/y", "a b", "fe80::1", "u@x", "x?y",
        ] {
            check(hosts, word, Some("--allow-host"));
        }
        check(hosts, "bücher.example", Some("xn--bcher-kva.example"));
        check(hosts, "10.1", Some("10.0.0.1"));
    }

    #[test]
    fn origins_are_as_browsers_write_them() {
        for word in [
            "http://localhost:5173",
            "https://tasks.example",
            "http://[::1]:1",
            "chrome-extension://abc",
        ] {
            check(origins, word, None);
        }
        for word in [
            "foo",
            "tasks.example",
            "*",
            "null",
            "localhost:5173",
            "file:///x",
        ] {
            check(origins, word, Some("--allow-origin"));
        }
        for (word, written) in [
            ("https://tasks.example/", "https://tasks.example"),
            ("https://tasks.example:443", "https://tasks.example"),
            ("HTTP://LOCALHOST:5173", "http://localhost:5173"),
            ("http://localhost:5173/app", "http://localhost:5173"),
        ] {
            check(origins, word, Some(&format!("write it {written}")));
        }
    }

    #[test]
    fn nothing_is_nobody_and_an_empty_entry_a_mistake() {
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };

        assert!(hosts(&words(&[""])).unwrap().is_empty());
        assert!(origins(&words(&[""])).unwrap().is_empty());
        let more = origins(&words(&["https://tasks.example"])).unwrap();
        assert_eq!(more, ["https://tasks.example", DEVELOPMENT]);
        assert_eq!(origins(&words(&[DEVELOPMENT])).unwrap(), [DEVELOPMENT]);
        assert!(hosts(&words(&["a", ""])).is_err());
        assert!(origins(&words(&["http://a", ""])).is_err());
    }
}
