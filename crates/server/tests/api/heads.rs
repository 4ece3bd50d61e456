//! Heads of requests as they should not be.

use std::time::Duration;

use crate::wire::Server;

#[tokio::test]
async fn half_a_head_is_not_waited_for() {
    let server = Server::with(|limits| limits.head_within = Duration::from_millis(100)).await;
    let mut silent = server.connect().await;
    let mut half = server.connect().await;
    half.say("GET /health HTTP/1.1\r\nhost: local").await;

    assert_eq!(silent.rest().await, "");
    half.is_told(408, "head_timeout").await;
}

#[tokio::test]
async fn malformed_heads_are_refused_and_the_connection_closed() {
    let server = Server::with(|_| {}).await;
    let many: String = (0..10_000).fold(String::new(), |text, n| text + &format!("x{n}: y\r\n"));
    let long = format!("x: {}\r\n", "y".repeat(200_000));
    for (what, head, status) in [
        ("no HTTP", "hello\r\n\r\n".to_owned(), 400),
        (
            "10,000 headers",
            format!("GET / HTTP/1.1\r\nhost: localhost\r\n{many}\r\n"),
            431,
        ),
        (
            "a long header",
            format!("GET / HTTP/1.1\r\nhost: localhost\r\n{long}\r\n"),
            431,
        ),
        (
            "a long address",
            format!(
                "GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n",
                "y".repeat(65_534)
            ),
            414,
        ),
        (
            "a NUL",
            "GET /\0 HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
            400,
        ),
        (
            "a bare CR",
            "GET / HTTP/1.1\r\nhost: localhost\r\nx: a\rb: c\r\n\r\n".to_owned(),
            400,
        ),
        (
            "a space in a name",
            "GET / HTTP/1.1\r\nhost : localhost\r\n\r\n".to_owned(),
            400,
        ),
        (
            "two lengths",
            "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"
                .to_owned(),
            400,
        ),
        (
            "a signed length",
            "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: +1\r\n\r\n".to_owned(),
            400,
        ),
    ] {
        let mut wire = server.connect().await;
        wire.say(&head).await;
        let code = match status {
            414 => "address_too_long",
            431 => "head_too_large",
            _ => "malformed",
        };
        eprintln!("{what}");
        wire.is_told(status, code).await;
    }
    server.yard.get("/health").await.ok();
}

#[tokio::test]
async fn what_is_malformed_behind_a_request_is_told_too() {
    let server = Server::with(|_| {}).await;
    let mut wire = server.connect().await;
    wire.say("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\nnonsense\r\n\r\n")
        .await;

    let (head, _) = wire.answer().await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    wire.is_told(400, "malformed").await;
}

#[tokio::test]
async fn a_head_is_taken_up_to_its_limit_to_the_byte() {
    let server = Server::with(|limits| limits.head_bytes_max = 10_000).await;
    let head = |bytes: usize| {
        let start = "GET /health HTTP/1.1\r\nhost: localhost\r\nx: ";
        let end = "\r\n\r\n";
        format!(
            "{start}{}{end}",
            "y".repeat(bytes - start.len() - end.len())
        )
    };
    let mut wire = server.connect().await;

    wire.say(&head(10_000)).await;
    let (answer, _) = wire.answer().await;
    assert!(answer.starts_with("http/1.1 200"), "{answer}");
    wire.say(&head(10_001)).await;
    wire.is_told(431, "head_too_large").await;
}

#[tokio::test]
async fn a_request_cannot_be_smuggled_behind_another() {
    let server = Server::with(|_| {}).await;
    let mut wire = server.connect().await;
    let hidden = "POST /api/v1/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 25\r\n\r\n{\"kind\":\"echo\",\"input\":1}";
    wire.say(&format!(
        "POST /api/v1/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
    ))
    .await;

    // The chunks count: the first body is empty, and a connection with such a head is not used for another request.
    let rest = wire.rest().await;

    assert!(rest.starts_with("HTTP/1.1 400"), "{rest}");
    assert_eq!(rest.matches("HTTP/1.1").count(), 1, "{rest}");
    assert_eq!(server.yard.total().await, 0);
}

#[tokio::test]
async fn a_body_in_another_coding_than_chunks_is_refused_and_the_connection_closed() {
    let server = Server::with(|_| {}).await;
    for codings in [
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
    ] {
        let mut wire = server.connect().await;
        wire.say(&format!(
            "POST /api/v1/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{codings}\r\n"
        ))
        .await;
        wire.is_told(400, "malformed").await;
    }

    let mut wire = server.connect().await;
    wire.say(
        "POST /api/v1/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         transfer-encoding: Chunked\r\n\r\n19\r\n{\"kind\":\"echo\",\"input\":1}\r\n0\r\n\r\n",
    )
    .await;
    let (head, body) = wire.answer().await;
    assert!(head.starts_with("http/1.1 201"), "{head}\n{body}");
}
