//! What nobody means well, on every route that there is: routes come from the description, so that a new one is tried too.

use axum::body::Body;
use http::{HeaderMap, Method, Request};
use serde_json::{Value, json};
use taskyard_core::policy::Policy;
use taskyard_server::Secret;
use taskyard_server::openapi::document;
use taskyard_server::settings::{Access, Settings};

use crate::yard::{Reply, Yard, places, request};

/// An id that a task could have, and none has.
const NO_TASK: &str = "01a21162-b23c-7f2c-bbfc-ea8e6e590d9f";

/// Whoever may reach the server sees these.
const OPEN: [&str; 2] = ["/health", "/ready"];

struct Route {
    method: Method,
    path: String,
    /// Of its query.
    parameters: Vec<Value>,
}

impl Route {
    /// With this in the place of every name and id.
    fn of(&self, name: &str) -> String {
        let mut parts = self.path.split('/').map(|part| match part.as_bytes() {
            [b'{', .., b'}'] => name,
            _ => part,
        });
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |path, part| path + "/" + part)
    }

    fn has_a_name(&self) -> bool {
        self.path.contains('{')
    }

    /// Older families pass over what they do not know.
    fn is_of_a_dialect(&self) -> bool {
        !self.path.starts_with("/api/v1")
    }

    /// The names of its whole numbers in the query.
    fn numbers(&self) -> impl Iterator<Item = &str> {
        let parameters = self.parameters.iter();
        let numbers = parameters.filter(|parameter| parameter["schema"]["type"] == "integer");
        numbers.map(|parameter| parameter["name"].as_str().unwrap())
    }

    fn is_in_pages(&self) -> bool {
        let mut parameters = self.parameters.iter();
        parameters.any(|parameter| parameter["name"] == "cursor")
    }
}

fn routes() -> Vec<Route> {
    let document = document(&Settings::default(), &Policy::default());
    let resolved = |parameter: &Value| match parameter["$ref"].as_str() {
        Some(place) => document.pointer(&place[1..]).unwrap().clone(),
        None => parameter.clone(),
    };
    let paths = document["paths"].as_object().unwrap();
    let routes = paths.iter().flat_map(|(path, operations)| {
        let operations = operations.as_object().unwrap().iter();
        operations.map(move |(method, said)| {
            let parameters = said["parameters"].as_array().into_iter().flatten();
            Route {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                parameters: parameters
                    .map(resolved)
                    .filter(|parameter| parameter["in"] == "query")
                    .collect(),
            }
        })
    });
    let routes: Vec<Route> = routes.collect();
    assert!(routes.len() > 40, "{}", routes.len());
    routes
}

async fn send(
    yard: &Yard,
    route: &Route,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let mut asked = request(route.method.clone(), path, Body::from(body.to_vec()));
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().unwrap();
        asked.headers_mut().append(name, value.parse().unwrap());
    }
    yard.send(asked).await
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// A problem of the sort that the sender can mend.
#[track_caller]
fn mendable(reply: &Reply, what: &str) -> Value {
    let body = String::from_utf8_lossy(&reply.bytes);
    assert!(
        reply.status.is_client_error(),
        "{what}: {} {body}",
        reply.status
    );
    assert_eq!(
        reply.header("content-type"),
        "application/problem+json",
        "{what}"
    );
    reply.json()
}

/// Nothing was stored: neither tasks nor workers, queues or operations.
async fn is_untouched(yard: &Yard) {
    assert_eq!(yard.total().await, 0);
    for list in ["workers", "operations", "queues"] {
        let page = yard.get(&format!("/api/v1/{list}")).await.ok();
        assert_eq!(page["items"], json!([]), "{list}");
    }
}

#[tokio::test]
async fn no_route_but_the_open_ones_answers_without_the_token() {
    let yard = Yard::with(|settings| {
        settings.access = Access::Token(Secret::new("s3cret"));
        settings.limits.wrong_tokens_max = u32::MAX;
    });
    yard.app.started();
    for route in routes() {
        let path = route.of(NO_TASK);
        if OPEN.contains(&path.as_str()) {
            send(&yard, &route, &path, &[], b"").await.ok();
            continue;
        }
        let in_query = format!("{path}?token=s3cret&access_token=s3cret");
        let forged = ("x-forwarded-for", "127.0.0.1");
        for (path, headers) in [
            (&path, &[][..]),
            (&path, &[("authorization", "Bearer other")]),
            (&path, &[("cookie", "token=s3cret"), forged]),
            (&in_query, &[]),
        ] {
            let reply = send(&yard, &route, path, headers, b"{}").await;
            let problem = reply.refused(401, "unauthorized");
            assert!(!problem.to_string().contains("s3cret"), "{problem}");
        }
    }
}

#[tokio::test]
async fn no_route_goes_by_what_a_proxy_would_say() {
    let yard = Yard::new();
    for route in routes() {
        let path = route.of(NO_TASK);
        let forwarded = |request: Request<Body>, host: &str| {
            let (mut parts, body) = request.into_parts();
            parts.headers = HeaderMap::new();
            for (name, value) in [
                ("host", host),
                ("x-forwarded-host", "localhost:8000"),
                ("x-forwarded-for", "127.0.0.1"),
                ("forwarded", "for=127.0.0.1;host=localhost"),
            ] {
                let name: http::HeaderName = name.parse().unwrap();
                parts.headers.insert(name, value.parse().unwrap());
            }
            Request::from_parts(parts, body)
        };
        let asked = request(route.method.clone(), &path, Body::empty());
        let reply = yard.send(forwarded(asked, "evil.example")).await;
        reply.refused(421, "wrong_host");
    }
    is_untouched(&yard).await;
}

#[tokio::test]
async fn no_route_takes_a_body_that_is_none() {
    let yard = Yard::new();
    let deep = ["[".repeat(10_000), "]".repeat(10_000)].concat();
    type Sent<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8]);
    let bodies: [Sent<'_>; 13] = [
        (
            "a form",
            &[("content-type", "application/x-www-form-urlencoded")],
            b"a=b",
        ),
        ("a text", &[("content-type", "text/plain")], b"{}"),
        ("no type", &[], b"{}"),
        ("two types", &[JSON, ("content-type", "text/plain")], b"{}"),
        (
            "packed twice",
            &[
                JSON,
                ("content-encoding", "identity"),
                ("content-encoding", "gzip"),
            ],
            b"{}",
        ),
        ("half an object", &[JSON], b"{\"a\":"),
        ("no UTF-8", &[JSON], b"{\"a\":\"\xff\"}"),
        ("another field", &[JSON], b"{\"role\":\"admin\"}"),
        ("an array in its place", &[JSON], b"[1,2]"),
        ("a text in its place", &[JSON], b"\"x\""),
        ("a number that is none", &[JSON], b"{\"a\":NaN}"),
        ("a name twice", &[JSON], b"{\"a\":{\"b\":1,\"b\":2}}"),
        ("too deep", &[JSON], deep.as_bytes()),
    ];
    for route in routes() {
        // Nothing is read of a heartbeat that speaks for all.
        let reads_none = route.path == "/workers/{id}/heartbeat";
        if route.method == Method::GET || route.method == Method::DELETE || reads_none {
            continue;
        }
        let path = route.of(NO_TASK);
        for (what, headers, body) in bodies {
            let reply = send(&yard, &route, &path, headers, body).await;
            mendable(&reply, &format!("{what} to {} {path}", route.method));
        }
    }
    is_untouched(&yard).await;
}

#[tokio::test]
async fn no_route_takes_a_name_of_other_letters() {
    let yard = Yard::new();
    let names = [
        "%00".to_owned(),
        "a%0d%0aset-cookie:x".to_owned(),
        "%1b%5d0;x%07".to_owned(),
        "%ff".to_owned(),
        "..%2f..%5cetc".to_owned(),
        "';%20drop%20table%20task;--".to_owned(),
        "x".repeat(300),
    ];
    for route in routes().iter().filter(|route| route.has_a_name()) {
        for name in &names {
            let path = route.of(name);
            let reply = send(&yard, route, &path, &[JSON], b"{}").await;
            mendable(&reply, &format!("{} {path}", route.method));
        }
    }
    is_untouched(&yard).await;
}

#[tokio::test]
async fn no_route_takes_a_number_that_is_none_or_stands_twice() {
    let yard = Yard::new();
    let mut tried = 0;
    for route in routes() {
        for name in route.numbers() {
            tried += 1;
            for value in [
                "",
                "-1",
                "1.5",
                "1e3",
                "%2B5",
                "0x5",
                "many",
                "%00",
                "%D9%A3",
                "5%20",
                "18446744073709551616",
            ] {
                let path = format!("{}?{name}={value}", route.of(NO_TASK));
                let reply = send(&yard, &route, &path, &[], b"").await;
                assert_eq!(places(&reply.refused(422, "invalid")), [name], "{path}");
            }
            let path = format!("{}?{name}=1&{name}=2", route.of(NO_TASK));
            let reply = send(&yard, &route, &path, &[], b"").await;
            assert_eq!(places(&reply.refused(422, "invalid")), [name], "{path}");
        }
        let path = format!("{}?nonsense=1", route.of(NO_TASK));
        if !route.is_of_a_dialect() {
            let reply = send(&yard, &route, &path, &[JSON], b"{}").await;
            mendable(&reply, &path);
        }
    }
    assert!(tried > 9, "{tried}");
    is_untouched(&yard).await;
}

#[tokio::test]
async fn no_list_looks_for_bytes_that_are_no_text() {
    let yard = Yard::new();
    for query in ["q=%ff", "label=a%3d%ff", "kind=x&queue=%c3%28"] {
        let reply = yard.get(&format!("/api/v1/tasks?{query}")).await;
        let said = reply.refused(422, "invalid").to_string();
        assert!(said.contains("is not UTF-8"), "{said}");
    }
}

#[tokio::test]
async fn no_list_goes_on_from_a_cursor_of_another() {
    let yard = Yard::new();
    for number in 0..2 {
        yard.worker(&format!("w{number}")).await;
        yard.post("/api/v1/tasks/cancel", &json!({"filter": {"kind": "none"}}))
            .await
            .ok();
    }
    let (id, token) = yard.leased().await;
    yard.submit("other").await;
    yard.post_text("/api/v1/queues/other/pause", "").await.ok();
    let line = json!({"at": "2026-01-31T12:00:00Z", "stream": "stdout", "line": "a"});
    let log = json!({"lease_token": token, "first_seq": 1, "lines": [line, line]});
    yard.post(&format!("/api/v1/tasks/{id}/logs"), &log)
        .await
        .ok();
    let mut queries: Vec<String> = routes()
        .iter()
        .filter(|route| route.is_in_pages())
        .map(|route| format!("{}?limit=1", route.of(&id)))
        .collect();
    assert_eq!(queries.len(), 5, "{queries:?}");
    for filter in ["sort=created", "queue=default", "q=echo"] {
        queries.push(format!("/api/v1/tasks?limit=1&{filter}"));
    }
    let mut cursors = Vec::new();
    for query in &queries {
        // One that found nothing has no further page.
        let page = yard.get(query).await.ok();
        if let Some(cursor) = page["next_cursor"].as_str() {
            cursors.push((query, cursor.to_owned()));
        }
    }
    assert!(cursors.len() > 5, "{cursors:?}");

    for query in &queries {
        for (of, cursor) in &cursors {
            let reply = yard.get(&format!("{query}&cursor={cursor}")).await;
            if query == *of {
                reply.ok();
            } else {
                assert_eq!(
                    places(&reply.refused(422, "invalid")),
                    ["cursor"],
                    "{query} {of}"
                );
            }
        }
        for cursor in ["", "x", "%00", "%ff", &"A".repeat(32), &"A".repeat(60_000)] {
            let reply = yard.get(&format!("{query}&cursor={cursor}")).await;
            assert_eq!(
                places(&reply.refused(422, "invalid")),
                ["cursor"],
                "{query} {cursor}"
            );
        }
    }
    for (of, cursor) in &cursors {
        for cut in [
            &cursor[1..],
            &cursor[..cursor.len() - 1],
            &format!("{cursor}A"),
        ] {
            let reply = yard.get(&format!("{of}&cursor={cut}")).await;
            assert_eq!(
                places(&reply.refused(422, "invalid")),
                ["cursor"],
                "{of} {cut}"
            );
        }
    }
}

/// What a database, a page or a shell could take for more than a text.
const TEXTS: [&str; 4] = [
    "'; DROP TABLE task;--",
    "\"); delete from task; --",
    "<img src=x onerror=alert(1)>",
    "$(id) `id` %s {{7*7}} ${7*7}",
];

#[tokio::test]
async fn whatever_text_comes_in_goes_out_as_it_was() {
    let yard = Yard::new();
    yard.worker("w").await;
    for (number, text) in TEXTS.iter().enumerate() {
        let label = &text[..text.len().min(64)];
        let body = json!({
            "kind": "echo", "input": {"text": text, *text: 1}, "labels": {"l": label}, "unique_key": text,
        });
        let made = yard.post("/api/v1/tasks", &body).await.ok();
        let id = made["id"].as_str().unwrap();
        let run = yard.claim("w").await.unwrap();
        let token = &run["lease_token"];
        let path = |verb: &str| format!("/api/v1/tasks/{id}/{verb}");
        let lines = json!([{"at": "2026-01-31T12:00:00Z", "stream": "stdout", "line": text}]);
        let log = json!({"lease_token": token, "first_seq": 1, "lines": lines});
        yard.post(&path("logs"), &log).await.ok();
        let error = json!({"code": "bad", "message": text, "detail": {"text": text}});
        let failed = json!({"lease_token": token, "error": error, "retry": false});
        yard.post(&path("fail"), &failed).await.ok();

        let task = yard.task(id).await;

        assert_eq!(task["input"], body["input"]);
        assert_eq!(task["labels"]["l"], json!(label));
        assert_eq!(task["unique_key"], json!(text));
        assert_eq!(task["error"], error);
        let logged = yard.get(&path("logs")).await.ok();
        assert_eq!(logged["items"][0]["line"], json!(text));
        let form = [("label", format!("l={label}")), ("q", (*text).to_owned())];
        let query = serde_urlencoded::to_string(&form[..1]).unwrap();
        let found = yard.get(&format!("/api/v1/tasks?{query}")).await.ok();
        assert_eq!(found["items"].as_array().unwrap().len(), 1, "{query}");
        let query = serde_urlencoded::to_string(&form[1..]).unwrap();
        yard.get(&format!("/api/v1/tasks?{query}")).await.ok();
        assert_eq!(yard.total().await, number as u64 + 1);
    }
}
