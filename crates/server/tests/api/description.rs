//! `/openapi.json`, and the pages that show it.

mod examples;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use http::Method;
use serde_json::Value;
use taskyard_core::policy::Policy;
use taskyard_server::Secret;
use taskyard_server::openapi::document;
use taskyard_server::problem::Code;
use taskyard_server::settings::{Access, Limits, Settings};

use crate::yard::{Yard, request};

const ROUTER: &str = include_str!("../../src/router.rs");
/// Pages for browsers, and what they load: no part of the API.
const PAGES: [&str; 9] = [
    "/",
    "/ui",
    "/ui/",
    "/docs",
    "/docs/{file}",
    "/docs/",
    "/redoc",
    "/redoc/",
    "/problems/{code}",
];
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The routes of the router's page, such as `get /api/v1/tasks`.
fn routed() -> BTreeSet<String> {
    let (_, listed) = ROUTER.split_once("fn of_v1(").unwrap();
    let mut routed = BTreeSet::new();
    for route in listed.split(".route(").skip(1) {
        let (path, handlers) = route.split_once(',').unwrap();
        let ours = path.trim().strip_prefix("v1!(");
        let prefix = if ours.is_some() { "/api/v1" } else { "" };
        let path = ours.unwrap_or(path).trim_matches(|c| " \n\")".contains(c));
        let handlers = handlers.split("\n        .").next().unwrap();
        for method in METHODS {
            let called = [format!(" {method}("), format!(").{method}(")];
            if called.iter().any(|called| handlers.contains(called)) && !PAGES.contains(&path) {
                routed.insert(format!("{method} {prefix}{path}"));
            }
        }
    }
    routed
}

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, operations)| {
        let operations = operations.as_object().unwrap().iter();
        operations.map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    operations.collect()
}

/// Everything that stands anywhere in the document under this name.
fn every<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                if key == name {
                    found.push(value);
                }
                every(value, name, found);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|value| every(value, name, found)),
        _ => {}
    }
}

#[test]
fn every_route_is_described_and_no_other() {
    let document = document(&Settings::default(), &Policy::default());

    let described: BTreeSet<String> = operations(&document)
        .into_iter()
        .map(|(route, _)| route)
        .collect();

    assert!(routed().len() > 15, "the router's page was not understood");
    assert_eq!(
        described,
        routed(),
        "left what is described, right what router.rs lists"
    );
}

#[test]
fn every_route_says_what_it_does_under_a_name_of_its_own() {
    let document = document(&Settings::default(), &Policy::default());
    let mut names = BTreeSet::new();

    for (route, operation) in operations(&document) {
        assert!(operation["summary"].is_string(), "{route}");
        assert!(operation["description"].is_string(), "{route}");
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name), "{route}: {name} is taken");
        let has_success = operation["responses"]
            .as_object()
            .unwrap()
            .keys()
            .any(|status| status.starts_with('2'));
        assert!(has_success, "{route}");
    }
}

#[test]
fn every_code_that_a_request_can_meet_is_among_the_refusals() {
    let document = document(&Settings::default(), &Policy::default());
    let responses = &document["components"]["responses"];
    let mut refused = Vec::new();
    every(&document["paths"], "$ref", &mut refused);
    let told: BTreeSet<&str> = refused
        .iter()
        .filter_map(|to| to.as_str().unwrap().strip_prefix("#/components/responses/"))
        .flat_map(|name| name.split('.'))
        .collect();

    for code in Code::ALL {
        // A worker inside a server meets it, never over HTTP.
        let is_told = *code == Code::WorkerIsExternal || *code == Code::MethodNotAllowed;
        assert!(is_told || told.contains(code.word()), "{}", code.word());
    }
    for name in responses.as_object().unwrap().keys() {
        assert!(name.split('.').all(|code| told.contains(code)), "{name}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document(&Settings::default(), &Policy::default());
    let mut references = Vec::new();
    every(&document, "$ref", &mut references);

    let mut links = Vec::new();
    every(&document, "links", &mut links);
    let operations = operations(&document);
    for to in links
        .iter()
        .flat_map(|links| links.as_object().unwrap().keys())
    {
        let leads = |(_, operation): &(String, &Value)| operation["operationId"] == **to;
        assert!(operations.iter().any(leads), "{to}");
    }
    assert!(references.len() > 100);
    for reference in references {
        let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn the_printed_description_is_what_the_server_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let said = document(&Settings::default(), &Policy::default());
    let said = format!("{}\n", serde_json::to_string_pretty(&said).unwrap());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &said).unwrap();
    }

    let printed = std::fs::read_to_string(&file).unwrap_or_default();

    assert!(
        printed == said,
        "docs/openapi.json is another one: run with UPDATE=1 and look at the difference"
    );
}

#[tokio::test]
async fn every_parameter_of_a_query_is_described() {
    let yard = Yard::new();
    yard.worker("w").await;
    let task = yard.submit("echo").await;
    let document = yard.get("/openapi.json").await.ok();

    for (route, operation) in operations(&document) {
        let Some(path) = route.strip_prefix("get /api/v1/") else {
            continue;
        };
        let parameters = operation["parameters"].as_array().unwrap().iter();
        let described: BTreeSet<&str> = parameters
            .map(|parameter| match parameter["$ref"].as_str() {
                Some(reference) => document.pointer(&reference[1..]).unwrap(),
                None => parameter,
            })
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();

        let path = format!("/api/v1/{}?none=1", path.replace("{id}", &task));
        let problem = yard.get(&path).await.refused(422, "unknown_field");

        // The refusal names those that there are.
        let detail = problem["detail"].as_str().unwrap();
        let known = detail.split_once("one of ").map(|(_, known)| known);
        let known: BTreeSet<&str> = known
            .map(|known| known.split(", ").collect())
            .unwrap_or_default();
        assert_eq!(described, known, "{route}: {detail}");
    }
}

#[tokio::test]
async fn the_limits_are_those_in_force() {
    let yard = Yard::with(|settings| settings.limits.tasks_max = 7);

    let document = yard.get("/openapi.json").await.ok();

    let report = &document["components"]["schemas"]["Report"];
    assert_eq!(report["properties"]["results"]["maxItems"], 7);
    assert_eq!(document["info"]["version"], "1.2.3");
}

/// The flags that a text gives the values of, such as "`--input-max` (1 MiB)".
fn values_in(text: &str) -> Vec<(&str, &str)> {
    let parts = text.split("`--").skip(1);
    parts
        .filter_map(|part| {
            let (flag, rest) = part.split_once("` (")?;
            let is_flag = !flag.contains('`');
            Some((flag, rest.split_once(')')?.0)).filter(|_| is_flag)
        })
        .collect()
}

#[test]
fn texts_give_the_values_that_are_set() {
    let defaults = document(&Settings::default(), &Policy::default());
    let settings = Settings {
        limits: Limits {
            input_max: 3 << 10,
            output_max: 5 << 20,
            attempt_detail_max: 1 << 10,
            checkpoint_max: 1_000,
            depth_max: 3,
            tasks_max: 3,
            matching_max: 12_345,
            ..Limits::default()
        },
        ..Settings::default()
    };
    let policy = Policy {
        clock_skew: Duration::from_mins(90),
        history_max: 3,
        key_life: Duration::from_hours(1),
        log_line_bytes_max: 1 << 10,
        max_attempts: 3,
        max_losses: 3,
        operation_life: Duration::from_secs(7),
        timeout: Duration::from_millis(1_500),
        ..Policy::default()
    };
    let set = document(&settings, &policy);

    let (mut before, mut after) = (Vec::new(), Vec::new());
    every(&defaults, "description", &mut before);
    every(&set, "description", &mut after);
    assert_eq!(before.len(), after.len());
    let texts = before.iter().zip(&after);
    let values = texts.filter_map(|(before, after)| {
        let [before, after] = [before, after].map(|text| text.as_str().map(values_in));
        Some((before?, after?))
    });
    let mut count = 0;
    for (before, after) in values {
        assert_eq!(before.len(), after.len(), "{before:?} {after:?}");
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before.0, after.0);
            assert_ne!(before.1, after.1, "--{}", before.0);
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
    for (property, said) in [
        (
            "input",
            "`--input-max` (3 KiB) and `--depth-max` (3) levels.",
        ),
        ("id", "`--key-life` (1 h)"),
        ("id", "`--clock-skew` (90 min)"),
        ("timeout_ms", "`--timeout` (1,500 ms)."),
    ] {
        let property = &set["components"]["schemas"]["Submit"]["properties"][property];
        assert!(property.to_string().contains(said), "{property}");
    }
}

#[tokio::test]
async fn the_pages_load_what_this_server_has_and_nothing_else() {
    let yard = Yard::new();

    for page in ["/docs", "/redoc"] {
        let reply = yard.get(page).await;
        assert_eq!(reply.status, 200);
        let policy = reply.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
        let text = String::from_utf8(reply.bytes.to_vec()).unwrap();
        let loaded: Vec<&str> = ["src=\"", "rel=\"stylesheet\" href=\""]
            .iter()
            .flat_map(|mark| text.split(mark).skip(1))
            .map(|rest| rest.split('"').next().unwrap())
            .collect();
        assert!(loaded.len() >= 3, "{loaded:?}");
        for file in loaded {
            let reply = yard.get(file).await;
            assert_eq!(reply.status, 200, "{file}");
            assert_eq!(reply.header("x-content-type-options"), "nosniff");
        }
    }
    yard.get("/docs/none.js").await.refused(404, "not_found");
    for page in ["/docs", "/redoc"] {
        let reply = yard.get(&format!("{page}/")).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("location")),
            (308, page)
        );
    }
}

#[tokio::test]
async fn the_description_and_its_pages_need_the_token_which_a_browser_asks_for() {
    let closed = Yard::with(|settings| settings.access = Access::Token(Secret::new("s3cret")));
    let local = Yard::new();
    // `me:s3cret`
    let (basic, bearer) = ("Basic bWU6czNjcmV0", "Bearer s3cret");

    for path in [
        "/openapi.json",
        "/docs",
        "/redoc",
        "/docs/redoc.js",
        "/docs/redoc.standalone.js",
        "/problems/invalid",
    ] {
        let refused = closed.get(path).await;
        refused.refused(401, "unauthorized");
        let asked = refused.headers.get_all("www-authenticate").iter();
        let asked: Vec<_> = asked.collect();
        let basic_is_asked_for = "Basic realm=\"Taskyard\", charset=\"UTF-8\"";
        assert_eq!(asked, ["Bearer", basic_is_asked_for], "{path}");
        for authorization in [basic, bearer] {
            let mut asks = request(Method::GET, path, Body::empty());
            let headers = asks.headers_mut();
            headers.insert("authorization", authorization.parse().unwrap());
            assert_eq!(closed.send(asks).await.status, 200, "{path}");
        }
        let mut foreign = request(Method::GET, path, Body::empty());
        foreign
            .headers_mut()
            .insert("host", "evil.example".parse().unwrap());
        local.send(foreign).await.refused(421, "wrong_host");
    }
}

#[tokio::test]
async fn long_files_are_sent_packed_to_who_takes_them_so() {
    let yard = Yard::new();
    for file in [
        "swagger-ui-bundle.js",
        "swagger-ui.css",
        "redoc.standalone.js",
    ] {
        let mut lengths = Vec::new();
        for (accepted, is_packed) in [
            (None, false),
            (Some("gzip"), true),
            (Some("deflate, GZip;q=0.5"), true),
            (Some("br, x-gzip"), true),
            (Some("*"), true),
            (Some("gzip;q=0"), false),
            (Some("gzip; q=0.000, *"), false),
            (Some("*;q=0"), false),
            (Some("identity"), false),
            (Some(""), false),
            (Some("gzip;q=much"), false),
        ] {
            let mut asks = request(Method::GET, &format!("/docs/{file}"), Body::empty());
            if let Some(accepted) = accepted {
                let headers = asks.headers_mut();
                headers.insert("accept-encoding", accepted.parse().unwrap());
            }
            let reply = yard.send(asks).await;

            let coding = reply.headers.get("content-encoding");
            let coding = coding.map(|coding| coding.to_str().unwrap());
            assert_eq!(coding, is_packed.then_some("gzip"), "{file}: {accepted:?}");
            assert_eq!(reply.header("vary"), "accept-encoding");
            assert_eq!(reply.bytes.starts_with(&[0x1f, 0x8b]), is_packed);
            let is_text = std::str::from_utf8(&reply.bytes).is_ok();
            assert_eq!(is_text, !is_packed, "{file}: {accepted:?}");
            lengths.push((is_packed, reply.bytes.len()));
        }
        lengths.sort_unstable();
        lengths.dedup();
        assert!(
            matches!(lengths[..], [(false, plain), (true, packed)] if packed < plain),
            "{file}: {lengths:?}"
        );
    }
}
