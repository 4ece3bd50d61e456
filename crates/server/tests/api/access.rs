//! Who may come in.

use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, Version};
use taskyard_server::Secret;
use taskyard_server::settings::Access;

use crate::yard::{Reply, Yard};

const TASKS: &str = "/api/v1/tasks";

async fn get(yard: &Yard, path: &str, headers: &[(&str, &str)]) -> Reply {
    send(yard, Method::GET, path, headers).await
}

async fn send(yard: &Yard, method: Method, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    yard.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn on_loopback_a_request_names_this_machine() {
    let yard = Yard::with(|settings| settings.hosts = vec!["yard.test".to_owned()]);
    for host in [
        "localhost",
        "LOCALHOST:8000",
        "127.0.0.1:8000",
        "127.8.8.8",
        "[::1]:8000",
        "[::1]",
        "yard.test:1",
    ] {
        get(&yard, TASKS, &[("host", host)]).await.ok();
    }
    for host in [
        "evil.test",
        "localhost.evil.test:8000",
        "10.0.0.1",
        "",
        "[::1",
        "127.0.0.1.evil.test",
    ] {
        let reply = get(&yard, TASKS, &[("host", host)]).await;
        reply.refused(421, "wrong_host");
    }
    get(&yard, "/health", &[("host", "evil.test")])
        .await
        .refused(421, "wrong_host");
}

#[tokio::test]
async fn what_decides_who_may_come_in_is_said_once() {
    let token = || Access::Token(Secret::new("s3cret"));
    for (access, said) in [
        (Access::Loopback, ("origin", "http://localhost")),
        (Access::None, ("origin", "https://page.test")),
        (token(), ("origin", "https://page.test")),
        (token(), ("authorization", "Bearer s3cret")),
        (Access::Loopback, ("authorization", "Bearer s3cret")),
    ] {
        let yard = Yard::with(|settings| {
            settings.access = access;
            settings.origins = vec!["https://page.test".to_owned()];
        });
        for path in [TASKS, "/health"] {
            let headers = [("host", "localhost"), said, said];
            let reply = get(&yard, path, &headers).await;

            let problem = reply.refused(400, "malformed");
            let pointer = problem["errors"][0]["pointer"].as_str().unwrap();
            assert_eq!(pointer.to_lowercase(), said.0);
            assert_eq!(reply.header("connection"), "close");
            let allowed = "access-control-allow-origin";
            assert!(!reply.headers.contains_key(allowed), "{:?}", reply.headers);
        }
    }
}

async fn get_1_0(yard: &Yard, path: &str) -> Reply {
    let request = Request::builder().version(Version::HTTP_10).uri(path);
    yard.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_request_names_the_server_once_wherever_it_comes_in() {
    for access in [
        Access::Loopback,
        Access::None,
        Access::Token(Secret::new("s3cret")),
    ] {
        let yard = Yard::with(|settings| settings.access = access);
        for path in [TASKS, "/health"] {
            let twice = [("host", "localhost"), ("host", "localhost")];
            for headers in [&[][..], &twice] {
                let reply = get(&yard, path, headers).await;
                let problem = reply.refused(400, "malformed");
                assert_eq!(problem["errors"][0]["pointer"], "Host");
                assert_eq!(reply.header("connection"), "close");
            }
        }
    }
}

#[tokio::test]
async fn before_http_1_1_a_name_may_be_left_out_where_none_is_looked_at() {
    let local = Yard::new();
    let open = Yard::with(|settings| settings.access = Access::None);
    for yard in [&local, &open] {
        yard.app.started();
        for path in ["/health", "/ready"] {
            get_1_0(yard, path).await.ok();
        }
    }

    get_1_0(&open, TASKS).await.ok();
    get_1_0(&local, TASKS).await.refused(421, "wrong_host");
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused_unless_it_is_allowed() {
    let yard = Yard::new();
    let from = |origin| [("host", "localhost:8000"), ("origin", origin)];

    let own = get(&yard, TASKS, &from("http://localhost:8000")).await;
    let listed = get(&yard, TASKS, &from("http://localhost:5173")).await;
    for origin in [
        "http://evil.test",
        "null",
        "http://localhost:3000",
        "http://localhost:5173.evil.test",
    ] {
        let reply = get(&yard, TASKS, &from(origin)).await;
        reply.refused(403, "wrong_origin");
        assert!(!reply.headers.contains_key("access-control-allow-origin"));
    }

    own.ok();
    listed.ok();
    assert_eq!(
        listed.header("access-control-allow-origin"),
        "http://localhost:5173"
    );
    assert_eq!(listed.header("vary"), "origin");
    assert!(!own.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn a_browser_may_ask_beforehand() {
    let yard = Yard::new();
    let headers = [
        ("host", "localhost:8000"),
        ("origin", "http://localhost:5173"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
    ];

    let reply = send(&yard, Method::OPTIONS, TASKS, &headers).await;

    assert_eq!(reply.status, 204);
    assert!(
        reply
            .header("access-control-allow-methods")
            .contains("POST")
    );
    assert!(
        reply
            .header("access-control-allow-headers")
            .contains("content-type")
    );
}

#[tokio::test]
async fn where_a_token_is_wanted_only_probes_go_without() {
    let yard = Yard::with(|settings| settings.access = Access::Token(Secret::new("s3cret")));
    yard.app.started();

    let with = |value| [("host", "tasks.example"), ("authorization", value)];
    get(&yard, TASKS, &with("Bearer s3cret")).await.ok();
    get(&yard, TASKS, &with("bearer s3cret")).await.ok();
    for value in [
        "Bearer s3cre",
        "Bearer s3cret2",
        "Bearer ",
        "Basic s3cret",
        "s3cret",
        "",
    ] {
        let reply = get(&yard, TASKS, &with(value)).await;
        reply.refused(401, "unauthorized");
        assert_eq!(reply.header("www-authenticate"), "Bearer");
    }
    for path in [TASKS, "/nowhere"] {
        let reply = get(&yard, path, &[("host", "a")]).await;
        reply.refused(401, "unauthorized");
    }
    for path in ["/health", "/ready"] {
        get(&yard, path, &[("host", "a")]).await.ok();
    }
}

/// A request with this token, and without one.
async fn with_token(yard: &Yard, token: &str) -> Reply {
    let bearer = format!("Bearer {token}");
    get(yard, TASKS, &[("host", "a"), ("authorization", &bearer)]).await
}

#[tokio::test(start_paused = true)]
async fn whoever_sends_wrong_tokens_is_told_to_come_back_later_and_the_right_one_lets_in() {
    let yard = Yard::on_model_with(|settings| {
        settings.access = Access::Token(Secret::new("s3cret"));
    });

    for n in 0..1_000 {
        let reply = with_token(&yard, &format!("s3cret{n}")).await;
        if n < 100 {
            reply.refused(401, "unauthorized");
        } else {
            reply.refused(429, "too_many_wrong_tokens");
            assert_eq!(reply.header("retry-after"), "60");
        }
    }
    with_token(&yard, "s3cret").await.ok();
    get(&yard, TASKS, &[("host", "a")])
        .await
        .refused(401, "unauthorized");

    tokio::time::advance(Duration::from_secs(45)).await;
    let late = with_token(&yard, "other").await;
    late.refused(429, "too_many_wrong_tokens");
    assert_eq!(late.header("retry-after"), "15");
    tokio::time::advance(Duration::from_secs(15)).await;
    with_token(&yard, "other")
        .await
        .refused(401, "unauthorized");
}

#[tokio::test(start_paused = true)]
async fn how_many_wrong_tokens_are_taken_is_set_and_passwords_count_too() {
    let yard = Yard::on_model_with(|settings| {
        settings.access = Access::Token(Secret::new("s3cret"));
        settings.limits.wrong_tokens_max = 1;
    });
    // `me:wrong`
    let basic = [("host", "a"), ("authorization", "Basic bWU6d3Jvbmc=")];

    get(&yard, "/ui/", &basic)
        .await
        .refused(401, "unauthorized");
    get(&yard, "/ui/", &basic)
        .await
        .refused(429, "too_many_wrong_tokens");
    with_token(&yard, "wrong")
        .await
        .refused(429, "too_many_wrong_tokens");
}

#[tokio::test]
async fn of_several_tokens_each_is_good() {
    let yard = Yard::with(|settings| settings.access = Access::Token(Secret::new("new,old")));

    let with = |value| [("host", "tasks.example"), ("authorization", value)];
    for value in ["Bearer new", "Bearer old"] {
        get(&yard, TASKS, &with(value)).await.ok();
    }
    for value in ["Bearer new,old", "Bearer ne", "Bearer ,", "Bearer "] {
        let reply = get(&yard, TASKS, &with(value)).await;
        reply.refused(401, "unauthorized");
    }
}

#[tokio::test]
async fn a_secret_is_not_printed() {
    let yard = Yard::with(|settings| settings.access = Access::Token(Secret::new("s3cret")));

    assert!(format!("{:?}", yard.app.settings()).contains("Token(Secret(…))"));
}

#[tokio::test]
async fn without_any_check_names_do_not_matter_but_foreign_pages_do() {
    let yard = Yard::with(|settings| settings.access = Access::None);

    get(&yard, TASKS, &[("host", "tasks.example")]).await.ok();
    let foreign = [("host", "tasks.example"), ("origin", "http://evil.test")];
    get(&yard, TASKS, &foreign)
        .await
        .refused(403, "wrong_origin");
}

/// As where a port of this machine leads into a container, to which no caller is on the same machine.
#[tokio::test]
async fn without_any_check_the_names_that_are_given_are_the_only_ones() {
    let yard = Yard::with(|settings| {
        settings.access = Access::None;
        settings.hosts = vec!["server".to_owned()];
    });

    for name in ["server", "server:8000", "localhost:8000", "127.0.0.1:8000"] {
        get(&yard, TASKS, &[("host", name)]).await.ok();
    }
    // A page whose name was made to lead here is of the same origin to itself.
    let rebound = [
        ("host", "evil.test:8000"),
        ("origin", "http://evil.test:8000"),
    ];
    get(&yard, TASKS, &rebound).await.refused(421, "wrong_host");
}
