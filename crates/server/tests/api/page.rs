//! `/` and `/ui/`.

use std::time::Duration;

use axum::body::Body;
use http::Method;
use serde_json::json;
use taskyard_server::Secret;
use taskyard_server::settings::Access;

use crate::trouble::Stuck;
use crate::yard::{Clock, Reply, Yard, request};

#[track_caller]
fn text(reply: &Reply) -> &str {
    assert_eq!(reply.status.as_u16(), 200);
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    std::str::from_utf8(&reply.bytes).unwrap()
}

#[tokio::test]
async fn the_page_tells_what_runs_here_and_what_there_is_to_do() {
    let yard = Yard::new();
    yard.worker("w").await;
    let id = yard.submit("resize").await;
    yard.submit("crop").await;
    yard.claim("w").await;

    let at_root = yard.get("/").await;
    let page = yard.get("/ui/").await;

    assert_eq!(at_root.bytes, page.bytes);
    let page = text(&page);
    for shown in [
        "Version 1.2.3 on sqlite, at localhost:8000, up for 0 s.",
        "<th class=\"number\">pending</th>",
        "<td class=\"name\">default</td>",
        "1 online (0 internal), 0 offline.",
        "<td class=\"plain\">busy</td><td class=\"number\">1/1</td>",
        "<td class=\"plain\">open</td>",
        "<td class=\"name\">w</td>",
        &format!("<a href=\"/api/v1/tasks/{id}\">"),
        "<td class=\"name\">resize</td>",
        "href=\"/docs\"",
        "href=\"/redoc\"",
        "href=\"/openapi.json\"",
        "href=\"/metrics\"",
    ] {
        assert!(page.contains(shown), "{shown} in {page}");
    }
    assert!(!page.contains("<script"), "{page}");
    assert!(!page.contains("http-equiv"), "it stays as it is");
}

#[tokio::test]
async fn whatever_others_wrote_is_shown_as_text() {
    let yard = Yard::new();
    let (id, token) = yard.leased().await;
    let message = "<script>alert(1)</script>\u{202e}\u{7}\" onload='x'";
    let body = json!({
        "lease_token": token,
        "error": {"code": "bad", "message": message},
        "retry": false
    });
    yard.post(&format!("/api/v1/tasks/{id}/fail"), &body)
        .await
        .ok();

    let mut asks = request(Method::GET, "/", Body::empty());
    let host = "localhost:80".parse().unwrap();
    asks.headers_mut().insert("host", host);
    let page = yard.send(asks).await;

    let page = text(&page);
    assert!(!page.contains("<script"), "{page}");
    let shown =
        "bad: &lt;script&gt;alert(1)&lt;/script&gt;\u{fffd}\u{fffd}&quot; onload=&#39;x&#39;";
    assert!(page.contains(shown), "{page}");
}

#[tokio::test]
async fn a_long_message_is_shown_in_part() {
    let yard = Yard::new();
    for (letters, whole) in [(200, true), (201, false)] {
        let (id, token) = yard.leased().await;
        let error = json!({"code": "bad", "message": "x".repeat(letters)});
        let body = json!({"lease_token": token, "error": error, "retry": false});
        yard.post(&format!("/api/v1/tasks/{id}/fail"), &body)
            .await
            .ok();

        let page = yard.get("/").await;

        assert_eq!(!text(&page).contains('…'), whole, "{letters}");
    }
}

#[tokio::test]
async fn a_browser_may_do_nothing_with_it_but_show_it() {
    let yard = Yard::new();

    let reply = yard.get("/ui/").await;

    let policy = reply.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
    for forbidden in [
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(forbidden), "{policy}");
    }
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(reply.header(name), value);
    }
}

#[tokio::test]
async fn it_loads_itself_again_where_it_is_asked_to() {
    let yard = Yard::new();

    let page = yard.get("/?refresh=5").await;

    let again = "<meta http-equiv=\"refresh\" content=\"5\">";
    assert!(text(&page).contains(again));
    text(&yard.get("/?refresh=3600").await);
    yard.get("/?refresh=3601").await.wrong_at(&["refresh"]);
    yard.get("/?refresh=often").await.wrong_at(&["refresh"]);
}

#[tokio::test]
async fn its_head_and_its_shorter_name_are_answered() {
    let yard = Yard::new();

    let head = yard.send(request(Method::HEAD, "/", Body::empty())).await;
    let lead = yard.get("/ui").await;

    assert_eq!((head.status.as_u16(), head.bytes.len()), (200, 0));
    assert_eq!(lead.status.as_u16(), 308);
    assert_eq!(lead.header("location"), "/ui/");
}

#[tokio::test(start_paused = true)]
async fn a_database_that_takes_too_long_is_said_and_waited_for_no_longer() {
    let yard = Yard::around(Stuck::store(), Clock::new(), |settings| {
        settings.limits.metrics_within = Duration::from_secs(3);
    });
    let began = tokio::time::Instant::now();

    let page = yard.get("/").await;

    assert_eq!(began.elapsed(), Duration::from_secs(3));
    assert!(text(&page).contains("The database does not answer in time"));
}

#[tokio::test]
async fn a_browser_is_asked_for_the_token_and_may_then_look_and_change_nothing() {
    let yard = Yard::with(|settings| settings.access = Access::Token(Secret::new("s3:cret")));
    let with_password = |method: Method, path: &str, pair: &str| {
        let mut asks = request(method, path, Body::empty());
        let basic = format!("Basic {pair}").parse().unwrap();
        asks.headers_mut().insert("authorization", basic);
        asks
    };
    // `me:s3:cret`, and `me:wrong`.
    let (right, wrong) = ("bWU6czM6Y3JldA==", "bWU6d3Jvbmc=");

    let refused = yard.get("/ui/").await;
    refused.refused(401, "unauthorized");
    let asked: Vec<_> = refused.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(
        asked,
        ["Bearer", "Basic realm=\"Taskyard\", charset=\"UTF-8\""]
    );
    let programs = yard.get("/api/v1/tasks").await;
    assert_eq!(
        programs.headers.get_all("www-authenticate").iter().count(),
        1
    );

    text(&yard.send(with_password(Method::GET, "/ui/", right)).await);
    yard.send(with_password(Method::GET, "/api/v1/tasks", right))
        .await
        .ok();
    for (method, path, pair) in [
        (Method::GET, "/ui/", wrong),
        (Method::GET, "/ui/", "%%%"),
        (Method::POST, "/api/v1/tasks", right),
    ] {
        yard.send(with_password(method, path, pair))
            .await
            .refused(401, "unauthorized");
    }
}
