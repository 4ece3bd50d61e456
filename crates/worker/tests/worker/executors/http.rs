//! What is asked, and what becomes of the answer.

use serde_json::{Value, json};
use taskyard_worker::executors::http::Settings;

use super::site::{Site, answer, header, http, loopback};
use super::{completed, detail, failed, is_wrong};

async fn hello() -> Site {
    Site::answering(|_| answer("200 OK", "x-one: 1\r\nx-two: a\r\nx-two: b\r\n", b"hello")).await
}

/// The one request that a site gets of an input.
async fn asked(input: impl FnOnce(String) -> Value) -> String {
    let site = hello().await;
    completed(&http(loopback()), &input(site.url("/a?b=c"))).await;
    site.seen().remove(0)
}

#[tokio::test]
async fn an_answer_is_status_headers_and_body() {
    let site = hello().await;

    let output = completed(&http(loopback()), &json!({"url": site.url("/")})).await;

    assert_eq!(
        output,
        json!({
            "status": 200, "body": "hello", "encoding": "utf-8",
            "headers": {"content-length": "5", "x-one": "1", "x-two": ["a", "b"]},
        })
    );
}

#[tokio::test]
async fn method_headers_and_body_arrive_as_they_were_given() {
    let request = asked(|url| {
        json!({"method": "put", "url": url, "headers": {"X-Word": "ä", "accept": ["a/b", "c/d"]}, "body": "text"})
    })
    .await;

    assert!(request.starts_with("PUT /a?b=c HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\ntext"), "{request}");
    assert_eq!(header(&request, "x-word"), Some("ä"));
    assert_eq!(request.matches("accept: ").count(), 2);
    assert_eq!(header(&request, "content-type"), None);
    assert!(
        header(&request, "user-agent")
            .unwrap()
            .starts_with("taskyard/")
    );
    assert_eq!(header(&request, "accept-encoding"), None);
}

#[tokio::test]
async fn a_body_that_is_no_text_goes_as_the_json_that_it_is() {
    let request = asked(|url| json!({"url": url, "body": {"b": 1.5, "a": [null]}})).await;

    assert!(request.starts_with("POST /"), "{request}");
    assert!(request.ends_with(r#"{"a":[null],"b":1.5}"#), "{request}");
    assert_eq!(header(&request, "content-type"), Some("application/json"));

    let request =
        asked(|url| json!({"url": url, "body": 5, "headers": {"Content-Type": "a/b"}})).await;
    assert_eq!(header(&request, "content-type"), Some("a/b"));
}

#[tokio::test]
async fn a_body_may_be_given_as_base64() {
    let request = asked(|url| json!({"url": url, "body": "aGVsbG8=", "encoding": "base64"})).await;

    assert!(request.ends_with("\r\n\r\nhello"), "{request}");
}

#[tokio::test]
async fn a_login_in_the_address_becomes_its_header() {
    let request = asked(|url| json!({"url": url.replace("//", "//me:p%40ss@")})).await;

    // "me:p@ss"
    assert_eq!(
        header(&request, "authorization"),
        Some("Basic bWU6cEBzcw==")
    );
}

#[tokio::test]
async fn a_body_that_no_database_holds_as_text_is_base64() {
    for (body, expected) in [
        (&b"\xFF\x00"[..], json!(["base64", "/wA="])),
        (b"a\0b", json!(["base64", "YQBi"])),
        (b"", json!(["utf-8", ""])),
        ("ä".as_bytes(), json!(["utf-8", "ä"])),
    ] {
        let site = Site::answering(|_| answer("200 OK", "", body)).await;

        let output = completed(&http(loopback()), &json!({"url": site.url("/")})).await;

        assert_eq!(json!([output["encoding"], output["body"]]), expected);
    }
}

#[tokio::test]
async fn what_is_compressed_stays_so() {
    // Ten bytes of head, and what would unpack to more than there is.
    let bomb = b"\x1F\x8B\x08\x00\x00\x00\x00\x00\x00\x03\xED\xC1";
    let site = Site::answering(|_| answer("200 OK", "content-encoding: gzip\r\n", bomb)).await;

    let output = completed(&http(loopback()), &json!({"url": site.url("/")})).await;

    assert_eq!(output["headers"]["content-encoding"], "gzip");
    assert_eq!(
        (&output["encoding"], &output["body"]),
        (&json!("base64"), &json!("H4sIAAAAAAAAA+3B"))
    );
}

#[tokio::test]
async fn the_head_of_an_answer_alone_has_no_body() {
    let site =
        Site::answering(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec())
            .await;

    let output = completed(
        &http(loopback()),
        &json!({"url": site.url("/"), "method": "HEAD"}),
    )
    .await;

    assert_eq!(output["body"], "");
    assert_eq!(output["headers"]["content-length"], "99999999999");
}

#[tokio::test]
async fn a_chunked_body_is_put_together() {
    let site = Site::answering(|_| {
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nt: 1\r\n\r\n".to_vec()
    })
    .await;

    let output = completed(&http(loopback()), &json!({"url": site.url("/")})).await;

    assert_eq!(output["body"], "hello");
}

#[tokio::test]
async fn a_status_of_400_or_more_fails_and_shows_the_answer() {
    for (status, retry) in [
        ("400 Bad Request", false),
        ("404 Not Found", false),
        ("408 Request Timeout", true),
        ("425 Too Early", true),
        ("429 Too Many Requests", true),
        ("500 Internal Server Error", true),
        ("503 Service Unavailable", true),
        ("600 <unknown status code>", true),
        ("999 <unknown status code>", true),
    ] {
        let site = Site::answering(move |_| answer(status, "retry-after: 7\r\n", b"no luck")).await;

        let url = site.url("/a/page?key=secret#secret");
        let url = url.replace("//", "//me:secret@");
        let failure = failed(&http(loopback()), &json!({ "url": url })).await;

        assert_eq!(
            (failure.code.as_ref(), failure.retry),
            ("http_status", retry),
            "{status}"
        );
        let said = format!("/a/page answered {status}");
        assert!(failure.message.contains(&said), "{}", failure.message);
        assert!(!failure.message.contains("secret"), "{}", failure.message);
        let detail = detail(&failure);
        assert_eq!(detail["body"], "no luck");
        assert_eq!(detail["headers"]["retry-after"], "7");
        assert_eq!(json!(detail["status"].to_string()), status[..3]);
    }
    for status in ["204 No Content", "304 Not Modified", "300 Multiple Choices"] {
        let site = Site::answering(move |_| answer(status, "", b"")).await;

        let output = completed(&http(loopback()), &json!({"url": site.url("/")})).await;

        assert_eq!(json!(output["status"].to_string()), status[..3]);
    }
}

#[tokio::test]
async fn a_redirect_is_followed_with_what_belongs_to_the_request() {
    let site = Site::answering(|request| {
        let path = request.split(' ').nth(1).unwrap();
        match path {
            "/end" => answer("200 OK", "", request.as_bytes()),
            _ => answer(&format!("{} Go", &path[1..]), "location: end\r\n", b"gone"),
        }
    })
    .await;
    for (method, status, becomes, keeps) in [
        ("POST", 301, "GET", false),
        ("POST", 302, "GET", false),
        ("PUT", 302, "PUT", true),
        ("PUT", 303, "GET", false),
        ("HEAD", 303, "HEAD", false),
        ("POST", 307, "POST", true),
        ("DELETE", 308, "DELETE", true),
    ] {
        let mut input = json!({"method": method, "url": site.url(&format!("/{status}")), "headers": {"x-key": "k"}});
        if method != "HEAD" {
            input["body"] = json!({"a": 1});
        }

        completed(&http(loopback()), &input).await;

        let last = site.seen().pop().unwrap();
        assert!(
            last.starts_with(&format!("{becomes} /end ")),
            "{method} {status}: {last}"
        );
        assert_eq!(
            last.ends_with(r#"{"a":1}"#),
            keeps,
            "{method} {status}: {last}"
        );
        assert_eq!(
            header(&last, "content-type").is_some(),
            keeps,
            "{method} {status}: {last}"
        );
        assert_eq!(header(&last, "x-key"), Some("k"));
    }
}

#[tokio::test]
async fn another_host_is_not_told_what_the_first_one_was() {
    let other = hello().await;
    let to = other.url("/");
    let site =
        Site::answering(move |_| answer("307 Go", &format!("location: {to}\r\n"), b"")).await;
    let input = json!({
        "url": site.url("/").replace("//", "//me:secret@"), "body": "text",
        "headers": {"x-api-key": "secret", "cookie": "secret", "accept": "a/b"},
    });

    completed(&http(loopback()), &input).await;

    assert!(header(&site.seen()[0], "authorization").is_some());
    let told = other.seen().remove(0);
    assert!(!told.contains("secret"), "{told}");
    assert_eq!(header(&told, "authorization"), None);
    assert_eq!(header(&told, "accept"), Some("a/b"));
    assert_eq!(
        header(&told, "host"),
        Some(other.address.to_string().as_str())
    );
}

#[tokio::test]
async fn so_many_redirects_are_followed_as_are_allowed() {
    let site = Site::answering(|request| {
        let left: u32 = request.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
        match left {
            0 => answer("200 OK", "", b"end"),
            _ => answer("302 Go", &format!("location: /{}\r\n", left - 1), b""),
        }
    })
    .await;
    let at_most = |redirects_max| {
        http(Settings {
            redirects_max,
            ..loopback()
        })
    };

    assert_eq!(
        completed(&at_most(3), &json!({"url": site.url("/3")})).await["body"],
        "end"
    );
    let failure = failed(&at_most(3), &json!({"url": site.url("/4")})).await;
    assert_eq!(
        (failure.code.as_ref(), failure.retry),
        ("too_many_redirects", false)
    );
    assert!(
        failure.message.contains("--http-redirects-max"),
        "{}",
        failure.message
    );
    // With none allowed the redirect is what was asked for.
    let output = completed(&at_most(0), &json!({"url": site.url("/1")})).await;
    assert_eq!(
        (&output["status"], &output["headers"]["location"]),
        (&json!(302), &json!("/0"))
    );
}

#[tokio::test]
async fn an_input_that_cannot_be_asked_fails_for_good_and_names_its_field() {
    let long = format!("http://127.0.0.1/{}", "a".repeat(100_000));
    for (input, said) in [
        (json!(null), "the input is not an object"),
        (json!("http://127.0.0.1"), "the input is not an object"),
        (json!({}), "`url` is missing"),
        (json!({"url": null}), "`url` is missing"),
        (json!({"url": 5}), "`url` is not a text"),
        (json!({"url": ""}), "`url` is not one"),
        (json!({"url": "/path"}), "`url` is not one"),
        (json!({"url": "http://"}), "`url` is not one"),
        (json!({"url": "mailto:a@b"}), "`url` has no host"),
        (json!({"url": long}), "cannot be sent"),
        (
            json!({"url": "http://127.0.0.1", "uri": 1}),
            "unknown field `uri`",
        ),
        (
            json!({"url": "http://127.0.0.1", "method": 1}),
            "`method` is not a text",
        ),
        (
            json!({"url": "http://127.0.0.1", "method": ""}),
            "`method` is none",
        ),
        (
            json!({"url": "http://127.0.0.1", "method": "GET /x"}),
            "`method` is none",
        ),
        (
            json!({"url": "http://127.0.0.1", "method": "CONNECT"}),
            "`method` is none",
        ),
        (
            json!({"url": "http://127.0.0.1", "method": "trace"}),
            "`method` is none",
        ),
        (
            json!({"url": "http://127.0.0.1", "headers": []}),
            "`headers` is not an object",
        ),
        (
            json!({"url": "http://127.0.0.1", "headers": {"a b": "c"}}),
            "`headers` has \"a b\"",
        ),
        (
            json!({"url": "http://127.0.0.1", "headers": {"": "c"}}),
            "`headers` has \"\"",
        ),
        (
            json!({"url": "http://127.0.0.1", "headers": {"a": 1}}),
            "`headers.a` is neither",
        ),
        (
            json!({"url": "http://127.0.0.1", "headers": {"a": "b\r\nc: d"}}),
            "`headers.a` holds a line break",
        ),
        (
            json!({"url": "http://127.0.0.1", "headers": {"Host": "b"}}),
            "`headers.host` is not a task's",
        ),
        (
            json!({"url": "http://127.0.0.1", "headers": {"transfer-encoding": "b"}}),
            "`headers.transfer-encoding`",
        ),
        (
            json!({"url": "http://127.0.0.1", "body": 1, "encoding": "base64"}),
            "`body` is not a text",
        ),
        (
            json!({"url": "http://127.0.0.1", "body": "?", "encoding": "base64"}),
            "`body` is not base64",
        ),
        (
            json!({"url": "http://127.0.0.1", "encoding": "latin1"}),
            "`encoding` is neither",
        ),
    ] {
        is_wrong(&http(loopback()), &input, &[said]).await;
    }
}
