//! Whom no request goes to, whatever leads there.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use taskyard_worker::executors::Http;
use taskyard_worker::executors::http::{Resolver, Settings};

use super::site::{Site, answer, http, with_tls};
use super::{completed, failed};

/// Names that stand for whatever the test says, the next of these each time.
struct Names {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

#[async_trait::async_trait]
impl Resolver for Names {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers.get(turn).or(self.answers.last());
        answer
            .cloned()
            .ok_or_else(|| io::Error::other("there is no such name"))
    }
}

fn names(answers: &[&[&str]]) -> Arc<Names> {
    let addresses = |texts: &&[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Arc::new(Names {
        answers: answers.iter().map(addresses).collect(),
        asked: AtomicUsize::new(0),
    })
}

fn allowing(allow: &str) -> Settings {
    Settings {
        allow: allow.parse().unwrap(),
        ..Settings::default()
    }
}

fn with_names(settings: Settings, names: &Arc<Names>) -> Http {
    with_tls();
    Http::with_resolver(settings, Arc::clone(names) as _)
}

#[tokio::test]
async fn a_host_that_is_not_allowed_is_not_asked() {
    let site = Site::answering(|_| answer("200 OK", "", b"")).await;

    let failure = failed(
        &http(allowing("example.com")),
        &json!({"url": site.url("/")}),
    )
    .await;

    assert_eq!(
        (failure.code.as_ref(), failure.retry),
        ("host_not_allowed", false)
    );
    assert!(
        failure.message.contains("--allow-http 127.0.0.1"),
        "{}",
        failure.message
    );
    assert!(site.seen().is_empty());
}

#[tokio::test]
async fn an_address_that_is_not_public_is_not_asked_unless_that_is_said() {
    let site = Site::answering(|_| answer("200 OK", "", b"in")).await;
    let port = site.address.port();
    let input = json!({"url": site.url("/")});

    let failure = failed(&http(allowing("any")), &input).await;

    assert_eq!(
        (failure.code.as_ref(), failure.retry),
        ("address_not_allowed", false)
    );
    assert!(
        failure.message.contains("--allow-http-private"),
        "{}",
        failure.message
    );
    let by_name = json!({"url": format!("http://localhost:{port}/")});
    assert_eq!(
        failed(&http(allowing("any")), &by_name).await.code,
        "address_not_allowed"
    );
    assert!(site.seen().is_empty());
    let private = Settings {
        allow_private: true,
        ..allowing("any")
    };
    for (settings, input) in [
        (private.clone(), &input),
        (private, &by_name),
        (allowing(&format!("127.0.0.1:{port}")), &input),
        (allowing(&format!("localhost:{port}")), &by_name),
    ] {
        assert_eq!(completed(&http(settings), input).await["body"], "in");
    }
}

#[tokio::test]
async fn however_an_address_is_written_it_is_the_same_one() {
    let site = Site::answering(|_| answer("200 OK", "", b"in")).await;
    let port = site.address.port();
    for host in [
        "127.1",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "127.0.0.1.",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "%31%32%37.0.0.1",
        "example.com@127.0.0.1",
        "LOCALHOST",
        "localhost.",
        "0",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ] {
        let input = json!({"url": format!("http://{host}:{port}/")});

        let failure = failed(&http(allowing("any")), &input).await;

        assert_eq!(
            (failure.code.as_ref(), failure.retry),
            ("address_not_allowed", false),
            "{host}"
        );
    }
    assert!(site.seen().is_empty());
}

#[tokio::test]
async fn a_name_is_judged_by_the_addresses_that_it_stands_for() {
    for addresses in [
        &["127.0.0.1"][..],
        &["10.0.0.1", "192.168.0.1"],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["169.254.169.254"],
        &["64:ff9b::a9fe:a9fe"],
        &["0.0.0.0"],
    ] {
        let names = names(&[addresses]);

        let failure = failed(
            &with_names(allowing("any,127.0.0.1"), &names),
            &json!({"url": "http://inner.test:9/"}),
        )
        .await;

        assert_eq!(
            failure.code, "address_not_allowed",
            "{addresses:?}: {}",
            failure.message
        );
        assert!(!failure.retry);
        let its = format!(
            "inner.test is not asked: its address {} is",
            addresses.last().unwrap()
        );
        assert!(failure.message.starts_with(&its), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_name_whose_addresses_change_is_looked_up_once_and_connected_to_what_was_judged() {
    let site = Site::answering(|_| answer("200 OK", "", b"in")).await;
    let url = format!("http://turning.test:{}/", site.address.port());
    let private = Settings {
        allow_private: true,
        ..allowing("*.test,turning.test")
    };

    // What is judged first would pass, and what comes after it is never asked for.
    let turning = names(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let http = with_names(private.clone(), &turning);
    assert_eq!(completed(&http, &json!({"url": url})).await["body"], "in");
    assert_eq!(turning.asked.load(Ordering::SeqCst), 1);
    assert_eq!(
        failed(&http, &json!({"url": url})).await.code,
        "address_not_allowed"
    );

    // And the other way round.
    let turning = names(&[&["169.254.169.254"], &["127.0.0.1"]]);
    let failure = failed(&with_names(private.clone(), &turning), &json!({"url": url})).await;
    assert_eq!(failure.code, "address_not_allowed");
    assert_eq!(turning.asked.load(Ordering::SeqCst), 1);

    // Of several, those that may be asked are.
    let both = names(&[&["169.254.169.254", "127.0.0.1"]]);
    assert_eq!(
        completed(&with_names(private, &both), &json!({"url": url})).await["body"],
        "in"
    );
}

#[tokio::test]
async fn a_redirect_leads_nowhere_that_could_not_be_asked_at_once() {
    let inner = Site::answering(|_| answer("200 OK", "", b"in")).await;
    let port = inner.address.port();
    for (to, code) in [
        (format!("http://127.0.0.1:{port}/"), "address_not_allowed"),
        (
            format!("http://[::ffff:127.0.0.1]:{port}/"),
            "address_not_allowed",
        ),
        (format!("http://2130706433:{port}/"), "address_not_allowed"),
        (format!("//localhost:{port}/"), "address_not_allowed"),
        (format!("http://inner.test:{port}/"), "address_not_allowed"),
        (
            "http://169.254.169.254/latest/meta-data/".to_owned(),
            "address_not_allowed",
        ),
        ("http://[fd00:ec2::254]/".to_owned(), "address_not_allowed"),
        ("file:///etc/passwd".to_owned(), "scheme_not_allowed"),
        ("gopher://127.0.0.1/".to_owned(), "scheme_not_allowed"),
        ("http://".to_owned(), "bad_redirect"),
    ] {
        let location = format!("location: {to}\r\n");
        let site = Site::answering(move |_| answer("302 Go", &location, b"")).await;
        let names = names(&[&["127.0.0.1"]]);
        let settings = allowing(&format!("any,{}", site.address));

        let failure = failed(
            &with_names(settings, &names),
            &json!({"url": site.url("/")}),
        )
        .await;

        assert_eq!(
            (failure.code.as_ref(), failure.retry),
            (code, false),
            "{to}: {}",
            failure.message
        );
    }
    assert!(inner.seen().is_empty());
}

#[tokio::test]
async fn a_redirect_to_a_host_that_is_not_allowed_is_not_followed() {
    let other = Site::answering(|_| answer("200 OK", "", b"")).await;
    let location = format!("location: {}\r\n", other.url("/"));
    let site = Site::answering(move |_| answer("302 Go", &location, b"")).await;

    let failure = failed(
        &http(allowing(&site.address.to_string())),
        &json!({"url": site.url("/")}),
    )
    .await;

    assert_eq!(failure.code, "host_not_allowed");
    assert!(
        failure.message.contains("after 1 redirects"),
        "{}",
        failure.message
    );
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn a_name_that_is_not_found_may_be_found_later() {
    let failure = failed(
        &with_names(allowing("any"), &names(&[])),
        &json!({"url": "http://me:secret@nobody.test/"}),
    )
    .await;

    assert_eq!(
        (failure.code.as_ref(), failure.retry),
        ("unreachable", true)
    );
    assert!(
        failure.message.contains("http://nobody.test"),
        "{}",
        failure.message
    );
    assert!(
        failure.message.contains("there is no such name"),
        "{}",
        failure.message
    );
    assert!(!failure.message.contains("secret"), "{}", failure.message);
}
