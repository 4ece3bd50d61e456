//! `GET /problems/{code}`.

use axum::body::Body;
use http::Method;
use taskyard_server::Secret;
use taskyard_server::settings::Access;

use crate::yard::{Yard, request};

#[tokio::test]
async fn the_type_of_a_problem_leads_to_what_it_means() {
    let yard = Yard::with(|settings| settings.access = Access::Token(Secret::new("t0ken")));
    let refused = yard.get("/api/v1/tasks").await.refused(401, "unauthorized");

    let mut asks = request(
        Method::GET,
        refused["type"].as_str().unwrap(),
        Body::empty(),
    );
    let bearer = "Bearer t0ken".parse().unwrap();
    asks.headers_mut().insert("authorization", bearer);
    let told = yard.send(asks).await;

    assert_eq!(told.status.as_u16(), 200);
    assert_eq!(told.header("content-type"), "text/plain; charset=utf-8");
    let text = std::str::from_utf8(&told.bytes).unwrap();
    assert!(
        text.starts_with("unauthorized: 401 No valid token\n"),
        "{text}"
    );
    assert!(
        text.contains("What to do: send `Authorization: Bearer"),
        "{text}"
    );
}

#[tokio::test]
async fn what_is_no_code_leads_nowhere() {
    let yard = Yard::new();
    for path in ["/problems/gone", "/problems/%7C", "/problems/"] {
        yard.get(path).await.refused(404, "not_found");
    }
    let posted = request(Method::POST, "/problems/invalid", Body::empty());
    yard.send(posted).await.refused(405, "method_not_allowed");
}
