//! Bodies that nobody means well with. None of them stores anything.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::Method;

use crate::yard::{Yard, json_request, request};

const TASKS: &str = "/api/v1/tasks";

/// A task with this input.
fn with(input: &str) -> Vec<u8> {
    format!(r#"{{"kind":"echo","input":{input}}}"#).into_bytes()
}

async fn check(body: impl Into<Body>, status: u16, code: &str, pointer: &str) {
    let yard = Yard::new();

    let reply = yard.post_text(TASKS, body).await;

    let problem = reply.refused(status, code);
    assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    assert_eq!(yard.total().await, 0);
}

#[tokio::test]
async fn what_is_not_json_is_refused() {
    check("", 400, "not_json", "").await;
    check("{", 400, "not_json", "").await;
    check("kind=echo", 400, "not_json", "").await;
    check(with("1}"), 400, "not_json", "").await;
    check(with("\"a\nb\""), 400, "not_json", "/input").await;
}

#[tokio::test]
async fn values_that_readers_could_disagree_about_are_refused() {
    for input in ["NaN", "-Infinity", "1e400", "18446744073709551616"] {
        check(with(input), 422, "invalid", "/input").await;
    }
    check(with(r#""\u0000""#), 422, "invalid", "/input").await;
    check(with(r#""\ud800""#), 422, "invalid", "/input").await;
    check(with(r#"{"a":1,"\u0061":2}"#), 422, "invalid", "/input/a").await;
    let latin = [&with("\"")[..with("\"").len() - 1], b"\xe9\"}"].concat();
    check(latin, 422, "invalid", "/input").await;
}

#[tokio::test]
async fn a_payload_nests_64_levels_and_no_more() {
    let nested = |depth: usize| with(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    let yard = Yard::new();

    yard.post_text(TASKS, nested(64)).await.ok();
    for depth in [65, 10_000] {
        let reply = yard.post_text(TASKS, nested(depth)).await;
        reply.refused(422, "invalid");
    }
    assert_eq!(yard.total().await, 1);
}

#[tokio::test]
async fn wrong_types_are_refused_where_they_stand() {
    check(r#"{"kind":5,"input":1}"#, 422, "invalid", "/kind").await;
    check(r#"{"kind":"a"}"#, 422, "invalid", "/input").await;
    check(
        r#"{"kind":"a","input":1,"max_attempts":1.5}"#,
        422,
        "invalid",
        "/max_attempts",
    )
    .await;
    check(
        r#"{"kind":"a","input":1,"timeout_ms":18446744073709551615}"#,
        422,
        "invalid",
        "/timeout_ms",
    )
    .await;
    check("[]", 422, "invalid", "").await;
    check(r#"["echo",{"n":1}]"#, 422, "invalid", "").await;
    check(
        r#"{"kind":"a","input":1,"retry":[1,2.0,3,0.1]}"#,
        422,
        "invalid",
        "/retry",
    )
    .await;
    check("null", 422, "invalid", "").await;
}

#[tokio::test]
async fn a_body_that_is_not_sent_as_json_is_refused() {
    let yard = Yard::new();
    for kind in [
        None,
        Some("text/plain"),
        Some("application/jsonp"),
        Some("multipart/form-data"),
    ] {
        let mut request = request(Method::POST, TASKS, with("1").into());
        if let Some(kind) = kind {
            request
                .headers_mut()
                .insert("content-type", kind.parse().unwrap());
        }
        yard.send(request)
            .await
            .refused(415, "unsupported_media_type");
    }
    for charset in ["utf-16", "iso-8859-1", "\"utf-16\"", ""] {
        let mut request = json_request(TASKS, with("1").into());
        let kind = format!("application/json; charset={charset}");
        let kind = kind.parse().unwrap();
        request.headers_mut().insert("content-type", kind);
        yard.send(request)
            .await
            .refused(415, "unsupported_media_type");
    }
    let mut packed = json_request(TASKS, with("1").into());
    packed
        .headers_mut()
        .insert("content-encoding", "gzip".parse().unwrap());
    yard.send(packed)
        .await
        .refused(415, "unsupported_media_type");
    assert_eq!(yard.total().await, 0);

    for kind in [
        "Application/JSON; charset=utf-8",
        "application/json;Charset=\"UTF-8\" ; profile=x",
        "application/json; charset=us-ascii",
        "application/json;",
    ] {
        let mut request = json_request(TASKS, with("1").into());
        request
            .headers_mut()
            .insert("content-type", kind.parse().unwrap());
        yard.send(request).await.ok();
    }
}

#[tokio::test]
async fn a_body_without_end_is_refused_while_it_is_read() {
    let yard = Yard::new();
    let endless =
        stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 4096])));

    let reply = yard.post_text(TASKS, Body::from_stream(endless)).await;

    reply.refused(413, "too_large");
}

#[tokio::test]
async fn a_body_whose_length_is_not_stated_is_taken_up_to_its_limit_to_the_byte() {
    let yard = Yard::with(|settings| settings.limits.input_max = 1000);
    let sized = |bytes: usize| {
        let mut text = with("1");
        text.resize(bytes, b' ');
        text
    };
    let in_pieces = |text: Vec<u8>, bytes: usize| {
        let pieces = text.chunks(bytes).map(Bytes::copy_from_slice);
        let pieces: Vec<_> = pieces.map(Ok::<_, std::io::Error>).collect();
        Body::from_stream(stream::iter(pieces))
    };
    // The input, and what may stand around it.
    let max = 1000 + (64 << 10);

    for piece in [max + 1, 999] {
        let fits = yard.post_text(TASKS, in_pieces(sized(max), piece));
        fits.await.ok();
        let beyond = yard.post_text(TASKS, in_pieces(sized(max + 1), piece));
        beyond.await.refused(413, "too_large");
    }

    assert_eq!(yard.total().await, 2);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let yard = Yard::new();
    let broken = stream::iter([
        Ok(Bytes::from_static(b"{\"kind\":\"echo\",")),
        Err(std::io::Error::other("reset by peer")),
    ]);

    let reply = yard.post_text(TASKS, Body::from_stream(broken)).await;

    reply.refused(400, "broken_body");
    assert_eq!(yard.total().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stands_still_is_given_up_after_half_a_minute() {
    let yard = Yard::on_model();
    let began = tokio::time::Instant::now();

    let reply = yard
        .post_text(
            TASKS,
            Body::from_stream(stream::pending::<std::io::Result<Bytes>>()),
        )
        .await;

    let problem = reply.refused(408, "body_timeout");
    assert_eq!(problem["detail"], "nothing more of the body came for 30 s");
    assert_eq!(reply.header("connection"), "close");
    assert_eq!(began.elapsed().as_secs(), 30);
}
