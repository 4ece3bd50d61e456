//! The client against a server that answers as written down here.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fake;
mod several;

use std::io;
use std::net::SocketAddr;
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
use taskyard_api::logs::{AppendLogs, FollowEnd, Followed, LogsQuery, NewLine, Stream};
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
async fn lines_of_a_run_are_handed_in_with_their_number_and_only_what_was_said() {
    let router = Router::new().route(
        "/api/v1/tasks/{id}/logs",
        post(|body: String| async move {
            assert_eq!(
                body,
                r#"{"lease_token":"t","first_seq":7,"lines":[{"stream":"stderr","line":"oh"}]}"#
            );
            Json(json!({"next_seq": 8, "full": false}))
        }),
    );
    let client = client_of(&[serve(router).await], None);
    let append = AppendLogs {
        lease_token: "t".to_owned(),
        first_seq: Some(7),
        lines: vec![NewLine {
            at: None,
            stream: Stream::Stderr,
            line: "oh".to_owned(),
        }],
    };

    let appended = client.append_logs(id(), &append).await.unwrap();

    assert_eq!((appended.next_seq, appended.full), (8, false));
}

/// A server that answers a follow with these pieces, and then ends.
async fn following(pieces: &'static [&'static str]) -> Client {
    let router = Router::new().route(
        "/api/v1/tasks/{id}/logs",
        get(move |RawQuery(query): RawQuery| async move {
            assert_eq!(query.unwrap(), "stream=stdout&cursor=c&follow=true");
            let pieces = pieces
                .iter()
                .map(|piece| Ok::<_, io::Error>(Bytes::from_static(piece.as_bytes())));
            axum::body::Body::from_stream(stream::iter(pieces))
        }),
    );
    client_of(&[serve(router).await], None)
}

fn behind_c() -> LogsQuery {
    LogsQuery {
        stream: Some(Stream::Stdout),
        limit: Some(5),
        cursor: Some("c".to_owned()),
        ..LogsQuery::default()
    }
}

#[tokio::test]
async fn a_log_is_followed_to_its_end_however_it_is_cut_into_pieces() {
    let client = following(&[
        r#"{"seq":1,"at":"2026-01-31T12:00:00.000Z","attempt":1,"#,
        "\"stream\":\"stdout\",\"line\":\"a\",\"cursor\":\"d\"}\n\n\n{\"seq\"",
        ":2,\"at\":\"2026-01-31T12:00:00.000Z\",\"attempt\":1,\"stream\":\"stdout\",\"line\":\"\"}\n",
        "{\"status\":\"completed\",\"next_cursor\":null}\n",
    ])
    .await;

    let mut following = client.follow_logs(id(), &behind_c()).await.unwrap();
    let mut lines = Vec::new();
    let end = loop {
        match following.next().await.unwrap().unwrap() {
            Followed::Line(line) => lines.push((line.seq, line.line, line.cursor)),
            Followed::End(end) => break end,
        }
    };

    let expected = [
        (1, "a".to_owned(), Some("d".to_owned())),
        (2, String::new(), None),
    ];
    assert_eq!(lines, expected);
    let expected = FollowEnd {
        status: Some(Status::Completed),
        next_cursor: None,
    };
    assert_eq!(end, expected);
}

#[tokio::test]
async fn a_stream_that_breaks_off_says_so_and_not_half_a_line() {
    let client = following(&["\n{\"status\":\"compl"]).await;

    let mut following = client.follow_logs(id(), &behind_c()).await.unwrap();

    assert_eq!(following.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_follow_that_is_refused_is_a_problem() {
    let router = Router::new().route(
        "/api/v1/tasks/{id}/logs",
        get(|| async {
            problem(
                StatusCode::NOT_FOUND,
                json!({"status": 404, "code": "not_found"}),
            )
        }),
    );
    let client = client_of(&[serve(router).await], None);

    let error = client.follow_logs(id(), &behind_c()).await.unwrap_err();

    assert_eq!(error.code(), Some("not_found"));
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
