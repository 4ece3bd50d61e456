//! What every answer has, whatever was asked.

use axum::body::Body;
use http::Method;

use crate::yard::{Yard, request};

#[tokio::test]
async fn a_callers_own_request_id_is_echoed_if_it_is_sane() {
    let yard = Yard::new();
    let ask = async |id: &str| {
        let mut request = request(Method::GET, "/api/v1/tasks/7", Body::empty());
        request
            .headers_mut()
            .insert("x-request-id", id.parse().unwrap());
        let reply = yard.send(request).await;
        reply.refused(404, "not_found")["request_id"]
            .as_str()
            .unwrap()
            .to_owned()
    };

    assert_eq!(ask("my-id_1.2").await, "my-id_1.2");
    assert_eq!(ask(&"x".repeat(64)).await, "x".repeat(64));
    for id in ["", "a b", "<script>", &"x".repeat(65)] {
        let made = ask(id).await;
        assert_eq!(made.len(), 16, "{made}");
        assert_ne!(made, ask(id).await);
    }
}

#[tokio::test]
async fn a_problem_has_every_part() {
    let yard = Yard::new();

    let problem = yard
        .get("/api/v1/tasks?limit=0")
        .await
        .refused(422, "invalid");

    insta::assert_json_snapshot!(problem, {".request_id" => "[id]"});
}

#[tokio::test]
async fn an_unknown_route_is_a_problem_too() {
    let yard = Yard::new();
    for path in [
        "/ui/x",
        "/api",
        "/api/v1",
        "/api/v2/tasks",
        "/api/v1/tasks/",
        "//",
        "/%ff",
        "/api/v1/tasks/x/explode",
        "/health/",
    ] {
        yard.get(path).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let yard = Yard::new();
    for (method, path, allowed) in [
        (Method::DELETE, "/api/v1/tasks", "GET,HEAD,POST"),
        (Method::PUT, "/api/v1/tasks/stats", "GET,HEAD"),
        (Method::GET, "/api/v1/tasks/batch", "POST"),
        (Method::GET, "/api/v1/workers/register", "POST"),
        (Method::POST, "/health", "GET,HEAD"),
        (
            Method::from_bytes(b"BREW").unwrap(),
            "/api/v1/tasks",
            "GET,HEAD,POST",
        ),
    ] {
        let reply = yard.send(request(method, path, Body::empty())).await;
        reply.refused(405, "method_not_allowed");
        assert_eq!(reply.header("allow"), allowed, "{path}");
    }
}

#[tokio::test]
async fn options_tells_the_methods_and_head_leaves_the_body_out() {
    let yard = Yard::new();

    let options = yard
        .send(request(Method::OPTIONS, "/api/v1/tasks", Body::empty()))
        .await;
    let head = yard
        .send(request(Method::HEAD, "/api/v1/tasks", Body::empty()))
        .await;

    assert_eq!(
        (options.status.as_u16(), options.header("allow")),
        (204, "GET,HEAD,POST")
    );
    assert_eq!((head.status.as_u16(), head.bytes.len()), (200, 0));
    let length: usize = head.header("content-length").parse().unwrap();
    assert_eq!(length, yard.get("/api/v1/tasks").await.bytes.len());
}

/// So that whoever knows another server goes on there.
#[tokio::test]
async fn a_server_that_leaves_wants_no_more_on_a_connection_whatever_it_answers() {
    let yard = Yard::new();
    yard.app.started();
    let closes = async |path: &str| {
        let reply = yard.get(path).await;
        reply.headers.get("connection").cloned()
    };
    let paths = ["/ready", "/api/v1/tasks", "/api/v1/tasks/7"];
    for path in paths {
        assert_eq!(closes(path).await, None, "{path}");
    }

    yard.leaving.cancel();

    for path in paths {
        assert_eq!(closes(path).await.unwrap(), "close", "{path}");
    }
}
