//! Servers that say too much, too little, or never come to an end.

use std::sync::Arc;

use serde_json::json;
use taskyard_worker::executor::{Executor as _, Stop};
use taskyard_worker::executors::http::Settings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;

use super::site::{Site, answer, http, loopback};
use super::{completed, context, detail, failed, run_of, stopped};

#[tokio::test]
async fn a_server_that_never_answers_is_left_as_soon_as_the_run_is_stopped() {
    let (asked, left) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (asks, leaves) = (Arc::clone(&asked), Arc::clone(&left));
    let site = Site::speaking(move |_, mut stream| {
        let (asks, leaves) = (Arc::clone(&asks), Arc::clone(&leaves));
        async move {
            asks.notify_one();
            let _ = stream.read(&mut [0; 1]).await;
            leaves.notify_one();
        }
    })
    .await;
    for why in [Stop::TimedOut, Stop::Cancelled] {
        let (stopper, context) = context();
        let run = run_of(&json!({"url": site.url("/")}));
        let running = tokio::spawn(async move { http(loopback()).run(run, context).await });
        asked.notified().await;

        stopper.stop(why);

        assert_eq!(stopped(running.await.unwrap()), (why, None));
        left.notified().await;
    }
}

#[tokio::test]
async fn a_body_that_never_comes_to_its_end_is_left_when_the_run_is_stopped() {
    let asked = Arc::new(Notify::new());
    let asks = Arc::clone(&asked);
    let site = Site::speaking(move |_, mut stream| {
        let asks = Arc::clone(&asks);
        async move {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")
                .await;
            asks.notify_one();
            let _ = stream.read(&mut [0; 1]).await;
        }
    })
    .await;
    let (stopper, context) = context();
    let run = run_of(&json!({"url": site.url("/")}));
    let running = tokio::spawn(async move { http(loopback()).run(run, context).await });
    asked.notified().await;

    stopper.stop(Stop::ShuttingDown);

    assert_eq!(stopped(running.await.unwrap()).0, Stop::ShuttingDown);
}

#[tokio::test]
async fn a_body_is_read_to_its_limit_and_no_further() {
    let settings = Settings {
        response_bytes_max: 1000,
        detail_bytes_max: 10,
        ..loopback()
    };
    for (length, fits) in [(999, true), (1000, true), (1001, false)] {
        let site = Site::answering(move |_| answer("200 OK", "", &vec![b'x'; length])).await;
        let input = json!({"url": site.url("/")});
        if fits {
            let output = completed(&http(settings.clone()), &input).await;
            assert_eq!(output["body"].as_str().unwrap().len(), length);
            continue;
        }

        let failure = failed(&http(settings.clone()), &input).await;

        assert_eq!(
            (failure.code.as_ref(), failure.retry),
            ("answer_too_large", false)
        );
        assert!(
            failure.message.contains("1000 bytes (--http-response-max)"),
            "{}",
            failure.message
        );
        let detail = detail(&failure);
        assert_eq!(
            (&detail["body"], &detail["truncated"]),
            (&json!("xxxxxxxxxx"), &json!(true))
        );
        assert_eq!(detail["status"], 200);
    }
}

/// Writes for as long as somebody reads.
async fn endless() -> (Site, Arc<Notify>) {
    let left = Arc::new(Notify::new());
    let leaves = Arc::clone(&left);
    let site = Site::speaking(move |request, mut stream| {
        let leaves = Arc::clone(&leaves);
        async move {
            let status = if request.contains("/failed") {
                "500 No"
            } else {
                "200 OK"
            };
            let head = format!("HTTP/1.1 {status}\r\ntransfer-encoding: chunked\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            while stream.write_all(chunk.as_bytes()).await.is_ok() {}
            leaves.notify_one();
        }
    })
    .await;
    (site, left)
}

#[tokio::test]
async fn an_endless_body_is_cut_off() {
    let (site, left) = endless().await;

    let failure = failed(&http(loopback()), &json!({"url": site.url("/")})).await;

    assert_eq!(failure.code, "answer_too_large");
    assert_eq!(detail(&failure)["body"].as_str().unwrap().len(), 16 << 10);
    left.notified().await;

    let failure = failed(&http(loopback()), &json!({"url": site.url("/failed")})).await;

    assert_eq!(
        (failure.code.as_ref(), failure.retry),
        ("http_status", true)
    );
    assert_eq!(detail(&failure)["truncated"], true);
    left.notified().await;
}

#[tokio::test]
async fn a_body_that_is_sent_has_a_limit() {
    let site = Site::answering(|_| answer("200 OK", "", b"")).await;
    let settings = Settings {
        request_bytes_max: 10,
        ..loopback()
    };
    let http = http(settings);

    completed(&http, &json!({"url": site.url("/"), "body": "0123456789"})).await;
    let failure = failed(&http, &json!({"url": site.url("/"), "body": "0123456789a"})).await;

    assert_eq!(failure.code, "invalid_input");
    assert!(
        failure.message.contains("`body` is 11 bytes"),
        "{}",
        failure.message
    );
    assert!(
        failure.message.contains("--http-request-max"),
        "{}",
        failure.message
    );
    assert_eq!(site.seen().len(), 1);
}

#[tokio::test]
async fn headers_have_a_limit_either_way() {
    let settings = Settings {
        headers_bytes_max: 1000,
        ..loopback()
    };
    // "content-length: 0" and "x: …", each with the end of its line.
    for (length, fits) in [(1000 - 19 - 5, true), (1000 - 19 - 4, false)] {
        let header = format!("x: {}\r\n", "y".repeat(length));
        let site = Site::answering(move |_| answer("200 OK", &header, b"")).await;
        let input = json!({"url": site.url("/")});
        if fits {
            completed(&http(settings.clone()), &input).await;
            continue;
        }

        let failure = failed(&http(settings.clone()), &input).await;

        assert_eq!(
            (failure.code.as_ref(), failure.retry),
            ("answer_too_large", false)
        );
        assert!(
            failure.message.contains("--http-headers-max"),
            "{}",
            failure.message
        );
    }

    let site = Site::answering(|_| answer("200 OK", "", b"")).await;
    for (length, fits) in [(999, true), (1000, false)] {
        let input = json!({"url": site.url("/"), "headers": {"x": "y".repeat(length)}});
        if fits {
            completed(&http(settings.clone()), &input).await;
        } else {
            let failure = failed(&http(settings.clone()), &input).await;
            assert!(
                failure.message.contains("`headers` are 1001 bytes"),
                "{}",
                failure.message
            );
        }
    }
}

#[tokio::test]
async fn floods_of_headers_are_cut_off() {
    for (header, times) in [
        ("a: b\r\n", usize::MAX),
        ("a", usize::MAX),
        ("x: y\r\n", 2000),
    ] {
        let site = Site::speaking(move |_, mut stream| async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
            let chunk = header.repeat(times.min(10_000));
            for _ in 0..times.div_ceil(10_000) {
                if stream.write_all(chunk.as_bytes()).await.is_err() {
                    break;
                }
            }
            let _ = stream.write_all(b"\r\n").await;
        })
        .await;

        let failure = failed(&http(loopback()), &json!({"url": site.url("/")})).await;

        assert_eq!(
            (failure.code.as_ref(), failure.retry),
            ("answer_too_large", false),
            "{}",
            failure.message
        );
        assert!(
            failure.message.contains("--http-headers-max"),
            "{}",
            failure.message
        );
    }
}

#[tokio::test]
async fn trouble_on_the_way_may_have_passed_by_the_next_run() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let failure = failed(
        &http(loopback()),
        &json!({"url": format!("http://{nobody}/")}),
    )
    .await;
    assert_eq!(
        (failure.code.as_ref(), failure.retry),
        ("unreachable", true),
        "{}",
        failure.message
    );

    for said in ["", "HTTP/1.1 200 OK\r\ncontent-le", "SSH-2.0-OpenSSH\r\n"] {
        let site = Site::answering(|_| said.as_bytes().to_vec()).await;
        let failure = failed(&http(loopback()), &json!({"url": site.url("/")})).await;
        assert_eq!(
            (failure.code.as_ref(), failure.retry),
            ("unreachable", true),
            "{said}: {}",
            failure.message
        );
    }

    for half in [
        "content-length: 10\r\n\r\nabc",
        "transfer-encoding: chunked\r\n\r\n5\r\nab",
    ] {
        let site =
            Site::answering(move |_| format!("HTTP/1.1 200 OK\r\n{half}").into_bytes()).await;
        let failure = failed(&http(loopback()), &json!({"url": site.url("/")})).await;
        assert_eq!(
            (failure.code.as_ref(), failure.retry),
            ("broken_off", true),
            "{half}: {}",
            failure.message
        );
    }
}
