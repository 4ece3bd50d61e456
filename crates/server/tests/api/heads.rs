//! Heads of requests as they should not be.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::wire::Server;
use crate::yard::Yard;

#[tokio::test(start_paused = true)]
async fn half_a_head_is_not_waited_for() {
    let server = Server::on_model_with(|limits| limits.head_within = Duration::from_secs(1)).await;
    let mut silent = server.connect().await;
    let mut half = server.connect().await;
    half.say("GET /health HTTP/1.1\r\nhost: local").await;

    assert_eq!(silent.rest().await, "");
    half.is_told(408, "head_timeout").await;
}

#[tokio::test(start_paused = true)]
async fn half_a_head_is_given_up_when_its_time_is_over_whenever_it_began() {
    let server = Server::around(Yard::on_model()).await;
    for after in [0, 1, 2_499, 2_500, 2_501, 9_999] {
        let mut silent = server.connect().await;
        let mut half = server.connect().await;
        let mut second = server.connect().await;
        let came = Instant::now();
        second.get("/nowhere").await;
        second.answer().await;

        sleep(Duration::from_millis(after)).await;
        for wire in [&mut half, &mut second] {
            wire.say("GET /health HTTP/1.1\r\nhost: local").await;
        }
        let began = Instant::now();

        assert_eq!(silent.rest().await, "");
        near(came.elapsed(), 10_000);
        half.is_told(408, "head_timeout").await;
        near(began.elapsed(), 10_000);
        second.is_told(408, "head_timeout").await;
        near(began.elapsed(), 10_000);
    }
}

/// Timers go by whole milliseconds.
#[track_caller]
fn near(took: Duration, millis: u64) {
    let expected = Duration::from_millis(millis);
    let late = took.checked_sub(expected);
    assert!(
        late.is_some_and(|late| late <= Duration::from_millis(5)),
        "{took:?}"
    );
}

#[tokio::test]
async fn malformed_heads_are_refused_and_the_connection_closed() {
    let server = Server::with(|_| {}).await;
    let many: String = (0..10_000).fold(String::new(), |text, n| text + &format!("x{n}: y\r\n"));
    let long = format!("x: {}\r\n", "y".repeat(200_000));
    for (what, head, status) in [
        ("no HTTP", "hello\r\n\r\n".to_owned(), 400),
        (
            "HTTP/2",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0".to_owned(),
            400,
        ),
        ("half of HTTP/2", "PRI * HTTP/2.0\r\n\r\n".to_owned(), 400),
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
            "no name of the server",
            "GET /health HTTP/1.1\r\nx: localhost\r\n\r\n".to_owned(),
            400,
        ),
        (
            "no name of the server but in the address",
            "GET http://localhost/health HTTP/1.1\r\n\r\n".to_owned(),
            400,
        ),
        (
            "two names of the server",
            "GET / HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n".to_owned(),
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

#[tokio::test(start_paused = true)]
async fn what_never_became_a_request_is_counted_by_its_status() {
    let server = Server::around(Yard::on_model()).await;
    let long = "y".repeat(200_000);
    for (head, status, code) in [
        ("hello\r\n\r\n".to_owned(), 400, "malformed"),
        ("GET / HT".to_owned(), 408, "head_timeout"),
        (
            format!("GET /{} HTTP/1.1\r\n\r\n", &long[..65_534]),
            414,
            "address_too_long",
        ),
        (
            format!("GET / HTTP/1.1\r\nx: {long}\r\n\r\n"),
            431,
            "head_too_large",
        ),
    ] {
        let mut wire = server.connect().await;
        wire.say(&head).await;
        wire.is_told(status, code).await;

        let counted = server.yard.get("/metrics").await;

        let counted = String::from_utf8(counted.bytes.to_vec()).unwrap();
        let sample = format!(
            "taskyard_http_requests_total{{route=\"unread\",method=\"other\",status=\"{status}\"}} 1\n"
        );
        assert!(counted.contains(&sample), "{sample} in {counted}");
    }
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
async fn a_body_whose_length_is_said_in_two_ways_is_refused_and_the_connection_closed() {
    let server = Server::with(|_| {}).await;
    let task = r#"{"kind":"echo","input":1}"#;
    let submit = |headers: &str, body: &str| {
        format!(
            "POST /api/v1/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{headers}\r\n{body}"
        )
    };
    let hidden = submit("content-length: 25\r\n", task);
    let chunks = format!("19\r\n{task}\r\n0\r\n\r\n");
    for headers in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
        "Transfer-Encoding: Chunked\r\nx: y\r\nCONTENT-LENGTH: 4\r\n",
        "transfer-encoding: chunked\r\nContent-Length:\r\n",
    ] {
        for body in [&chunks, "0\r\n\r\n"] {
            let mut wire = server.connect().await;
            wire.say(&(submit(headers, body) + &hidden)).await;
            wire.is_told(400, "malformed").await;

            // Nor does it pass behind others, all at once or byte by byte.
            let before = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
            let all = format!("{before}{before}") + &submit(headers, body) + &hidden;
            let mut wire = server.connect().await;
            wire.say(&all).await;
            wire.answer().await;
            wire.answer().await;
            wire.is_told(400, "malformed").await;
            let mut wire = server.connect().await;
            wire.0.set_nodelay(true).unwrap();
            for byte in submit(headers, body).chars() {
                wire.say(&byte.to_string()).await;
            }
            wire.is_told(400, "malformed").await;
        }
    }
    assert_eq!(server.yard.total().await, 0);

    // Either alone is taken, one behind the other.
    let mut wire = server.connect().await;
    for headers in ["transfer-encoding: chunked\r\n", "content-length: 25\r\n"] {
        let body = if headers.starts_with('t') {
            &*chunks
        } else {
            task
        };
        wire.say(&submit(headers, body)).await;
        let (head, _) = wire.answer().await;
        assert!(head.starts_with("http/1.1 201"), "{head}");
    }
    let both =
        submit("content-length: 25\r\n", task) + &submit("transfer-encoding: chunked\r\n", &chunks);
    wire.say(&both).await;
    for _ in 0..2 {
        let (head, _) = wire.answer().await;
        assert!(head.starts_with("http/1.1 201"), "{head}");
    }
    assert_eq!(server.yard.total().await, 4);
}

#[tokio::test]
async fn two_lengths_do_not_pass_behind_chunks_nor_behind_empty_lines_nor_with_bare_line_feeds() {
    let server = Server::with(|_| {}).await;
    let task = r#"{"kind":"echo","input":1}"#;
    let (first, rest) = task.split_at(5);
    let to_tasks =
        "POST /api/v1/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let chunked = format!("{to_tasks}transfer-encoding: chunked\r\n\r\n");
    let two = format!(
        "{to_tasks}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n19\r\n{task}\r\n0\r\n\r\n"
    );
    let whole = format!("19\r\n{task}\r\n0\r\n\r\n");
    let in_pieces = format!("5\r\n{first}\r\n014 ;a=\"b\"\r\n{rest}\r\n0\r\nx: y\r\n\r\n");

    for body in [whole, in_pieces] {
        for behind in [&two, &format!("\r\n\r\n{two}")] {
            let mut wire = server.connect().await;
            wire.say(&format!("{chunked}{body}{chunked}{body}{behind}"))
                .await;
            for _ in 0..2 {
                let (head, _) = wire.answer().await;
                assert!(head.starts_with("http/1.1 201"), "{head}");
            }
            wire.is_told(400, "malformed").await;
        }
    }
    let (head, body) = two.split_once("\r\n\r\n").unwrap();
    let feeds = format!("{}\n\n{body}", head.replace("\r\n", "\n"));
    for two in [format!("\r\n\r\n{two}"), feeds] {
        let mut wire = server.connect().await;
        wire.say(&two).await;
        wire.is_told(400, "malformed").await;
    }
    assert_eq!(server.yard.total().await, 8);
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
