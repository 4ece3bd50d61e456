//! The client against a server that answers as written down here.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io;
use std::net::SocketAddr;
use std::sync::Once;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Bytes as Body;
use axum::extract::{Path, RawQuery};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use taskyard_api::client::{Client, Error, Url};
use taskyard_api::page::TasksQuery;
use taskyard_api::submit::Submit;
use taskyard_api::task::Status;
use taskyard_api::worker::Claim;
use taskyard_core::id::TaskId;
use tokio::net::TcpListener;

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn id() -> TaskId {
    ID.parse().unwrap()
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    address
}

fn client_of(addresses: &[SocketAddr], token: Option<&str>) -> Client {
    static TLS: Once = Once::new();
    TLS.call_once(|| {
        // Refused only if there is one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let urls: Vec<Url> = addresses
        .iter()
        .map(|address| format!("http://{address}").parse().unwrap())
        .collect();
    Client::new(&urls, token).unwrap()
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

fn problem(status: StatusCode, body: Value) -> (StatusCode, HeaderMap, String) {
    let mut headers = HeaderMap::new();
    let kind = "application/problem+json".parse().unwrap();
    headers.insert(header::CONTENT_TYPE, kind);
    (status, headers, body.to_string())
}

#[tokio::test]
async fn a_submit_carries_the_token_and_only_what_was_said() {
    let router = Router::new().route(
        "/api/v1/tasks",
        post(|headers: HeaderMap, body: String| async move {
            assert_eq!(headers[header::AUTHORIZATION], "Bearer secret");
            assert_eq!(headers[header::CONTENT_TYPE], "application/json");
            assert_eq!(body, r#"{"kind":"echo","input":[1],"priority":3}"#);
            (
                StatusCode::CREATED,
                Json(json!({"id": ID, "status": "pending"})),
            )
        }),
    );
    let client = client_of(&[serve(router).await], Some("secret"));
    let task = Submit {
        priority: Some(3),
        ..Submit::new("echo", [1])
    };

    let submitted = client.submit(&task).await.unwrap();

    assert_eq!((submitted.id, submitted.status), (id(), Status::Pending));
}

#[tokio::test]
async fn lines_are_streamed_with_their_type_and_key() {
    let router = Router::new().route(
        "/api/v1/tasks/batch",
        post(|headers: HeaderMap, body: Body| async move {
            assert_eq!(headers[header::CONTENT_TYPE], "application/x-ndjson");
            assert_eq!(headers["idempotency-key"], "k1");
            assert_eq!(body.as_ref(), b"{\"kind\":\"a\",\"input\":1}\n");
            Json(json!({"ids": [ID]}))
        }),
    );
    let client = client_of(&[serve(router).await], None);
    let pieces = [&b"{\"kind\":\"a\","[..], b"\"input\":1}\n"];
    let lines = stream::iter(pieces.map(|piece| Ok::<_, io::Error>(Bytes::from_static(piece))));

    let batch = client.submit_ndjson(lines, Some("k1")).await.unwrap();

    assert_eq!(batch.ids, [id()]);
}

#[tokio::test]
async fn filters_go_into_the_query() {
    let router = Router::new().route(
        "/api/v1/tasks",
        get(|RawQuery(query): RawQuery| async move {
            assert_eq!(
                query.unwrap(),
                "status=pending%2Crunning&limit=2&label=a%3Db%26c&label=t%3Da%2Cb"
            );
            Json(json!({"items": [], "next_cursor": "on"}))
        }),
    );
    let client = client_of(&[serve(router).await], None);
    let query = TasksQuery {
        labels: vec!["a=b&c".to_owned(), "t=a,b".to_owned()],
        limit: Some(2),
        ..TasksQuery::default()
    };

    let page = client
        .list(&query.with_status(&[Status::Pending, Status::Running]))
        .await
        .unwrap();

    assert_eq!(page.next_cursor.as_deref(), Some("on"));
}

#[tokio::test]
async fn a_worker_name_stays_within_its_place_in_the_path() {
    let router = Router::new().route(
        "/api/v1/workers/{name}/claim",
        post(|Path(name): Path<String>| async move {
            assert_eq!(name, "a/b c");
            Json(json!({"tasks": []}))
        }),
    );
    let client = client_of(&[serve(router).await], None);

    let claimed = client.claim("a/b c", &Claim::default()).await.unwrap();

    assert!(claimed.tasks.is_empty());
}

#[tokio::test]
async fn a_refusal_is_a_problem_with_its_code() {
    let router = Router::new().route(
        "/api/v1/tasks/{id}/cancel",
        post(|| async {
            problem(
                StatusCode::CONFLICT,
                json!({"type": "/problems/already_ended", "title": "Already ended", "status": 409,
                       "code": "already_ended", "detail": "the task is already failed", "task_status": "failed"}),
            )
        }),
    );
    let client = client_of(&[serve(router).await], None);

    let error = client.cancel(id()).await.unwrap_err();

    assert_eq!(error.code(), Some("already_ended"));
    assert!(!error.is_worth_repeating());
    assert_eq!(
        error.to_string(),
        "Already ended (409): the task is already failed"
    );
    let Error::Problem(problem) = error else {
        panic!("no problem")
    };
    assert_eq!(problem.task_status, Some(Status::Failed));
}

#[tokio::test]
async fn what_is_no_taskyard_is_quoted() {
    let router = Router::new().fallback(|| async { (StatusCode::BAD_GATEWAY, "<html>no</html>") });
    let client = client_of(&[serve(router).await], None);

    let error = client.stats().await.unwrap_err();

    assert!(matches!(error, Error::Unexpected { .. }));
    assert!(error.to_string().contains("502 Bad Gateway"), "{error}");
    assert!(error.to_string().contains("<html>no</html>"), "{error}");
}

#[tokio::test]
async fn readiness_is_read_also_when_it_is_503() {
    let answer = || async {
        let body = json!({"ready": false, "message": "the server is stopping"});
        (StatusCode::SERVICE_UNAVAILABLE, Json(body))
    };
    let client = client_of(
        &[serve(Router::new().route("/ready", get(answer))).await],
        None,
    );

    let readiness = client.ready().await.unwrap();

    assert_eq!(readiness.message.as_deref(), Some("the server is stopping"));
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_is_away_and_kept() {
    let answer = || async { Json(json!({"ready": true, "message": null})) };
    let up = serve(Router::new().route("/ready", get(answer))).await;
    let client = client_of(&[nobody().await, up], None);

    for _ in 0..2 {
        assert!(client.ready().await.unwrap().ready);
    }
}

#[tokio::test]
async fn nobody_there_is_said_with_the_address_and_the_cause() {
    let away = nobody().await;
    let client = client_of(&[away], None);

    let error = client
        .task(id(), Some(Duration::from_secs(1)))
        .await
        .unwrap_err();

    assert!(error.is_worth_repeating());
    let said = error.to_string();
    assert!(
        said.starts_with(&format!(
            "no answer from http://{away}/api/v1/tasks/{ID}?wait_ms=1000: "
        )),
        "{said}"
    );
    assert!(said.contains("refused"), "{said}");
}

#[test]
fn an_address_or_token_of_no_use_is_refused_at_once() {
    let ftp: Url = "ftp://example.org".parse().unwrap();
    let http: Url = "http://example.org".parse().unwrap();

    assert!(Client::new(&[], None).is_err());
    assert!(Client::new(&[ftp], None).is_err());
    let error = Client::new(&[http], Some("se\ncret")).unwrap_err();
    assert!(!error.to_string().contains("cret"));
}
