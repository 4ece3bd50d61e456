//! `/openapi.json`, and two pages that show it: Swagger UI at `/docs`, ReDoc at `/redoc`.
//!
//! Everything they load stands in this binary (`assets/docs`), packed as it is sent, so they work with no internet; the
//! policy that they are sent with lets a browser fetch nothing from elsewhere.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use serde_json::json;

use crate::app::App;
use crate::openapi;
use crate::openapi::SERVER;
use crate::openapi::operation::Routes;
use crate::problem::{self, Code};
use crate::response::Answer;
use taskyard_api::problem::NO_SUCH_ROUTE;

/// Scripts and styles from this server alone. Both pages set styles of their own while they run, show pictures that they
/// hold themselves, and ReDoc searches in a worker that it starts from its own text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; font-src 'self' data:; connect-src 'self'; \
                      worker-src 'self' blob:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file that a page loads. The long ones stand packed in the binary, and go out as they are: every browser unpacks
/// them.
struct File {
    name: &'static str,
    kind: &'static str,
    packed: bool,
    bytes: &'static [u8],
}

macro_rules! file {
    ($name:literal, $kind:expr) => {
        File {
            name: $name,
            kind: $kind,
            packed: false,
            bytes: include_bytes!(concat!("../assets/docs/", $name)),
        }
    };
    (packed $name:literal, $kind:expr) => {
        File {
            name: $name,
            kind: $kind,
            packed: true,
            bytes: include_bytes!(concat!("../assets/docs/vendor/", $name, ".gz")),
        }
    };
}

const FILES: &[File] = &[
    file!("swagger-ui.js", SCRIPT),
    file!("redoc.js", SCRIPT),
    file!("pages.css", "text/css; charset=utf-8"),
    file!(packed "swagger-ui-bundle.js", SCRIPT),
    file!(packed "swagger-ui.css", "text/css; charset=utf-8"),
    file!(packed "redoc.standalone.js", SCRIPT),
];

/// Whether the path is one of the routes below.
pub(crate) fn is_one(path: &str) -> bool {
    matches!(path, "/openapi.json" | "/docs" | "/redoc") || path.starts_with("/docs/")
}

/// `GET /openapi.json`
pub(crate) async fn description(State(app): State<App>) -> Response {
    let mut response = said("application/json", false, app.description().clone());
    // With the next version it is another one.
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// `GET /docs`
pub(crate) async fn swagger_ui() -> Response {
    page(include_str!("../assets/docs/swagger-ui.html"))
}

/// `GET /redoc`
pub(crate) async fn redoc() -> Response {
    page(include_str!("../assets/docs/redoc.html"))
}

/// `GET /docs/{file}`
pub(crate) async fn file(Path(name): Path<String>) -> Answer {
    let file = FILES.iter().find(|file| file.name == name);
    let Some(file) = file else {
        return Err(problem::new(Code::NotFound, NO_SUCH_ROUTE).into());
    };
    Ok(said(file.kind, file.packed, Bytes::from_static(file.bytes)))
}

fn page(text: &'static str) -> Response {
    said(HTML, false, Bytes::from_static(text.as_bytes()))
}

fn said(kind: &'static str, packed: bool, bytes: Bytes) -> Response {
    let mut response = Body::from(bytes).into_response();
    let headers = response.headers_mut();
    let mut say = |name, value| headers.insert(name, HeaderValue::from_static(value));
    say(CONTENT_TYPE, kind);
    say(CONTENT_SECURITY_POLICY, POLICY);
    say(X_CONTENT_TYPE_OPTIONS, "nosniff");
    say(REFERRER_POLICY, "no-referrer");
    // As long as it takes to read a page; after an upgrade the next one is the new one.
    say(CACHE_CONTROL, "max-age=600");
    if packed {
        say(CONTENT_ENCODING, "gzip");
    }
    response
}

/// The document, rendered.
pub(crate) fn rendered(app: &App) -> Bytes {
    openapi::document(app.settings()).to_string().into()
}

/// What the document says of itself. The pages are for browsers, and no part of the API.
pub(crate) fn describe(routes: &mut Routes<'_>) {
    routes.under("", SERVER);
    routes
        .get("/openapi.json", "openapi")
        .says(
            "What the API is",
            "This document, with the limits that are in force on this server.",
        )
        .answers_as(
            200,
            "OpenAPI 3.1.",
            &json!({"type": "object", "required": ["openapi", "info", "paths"]}),
            &json!({"openapi": "3.1.0", "info": {"title": "Taskyard", "version": "0.1.0"}, "paths": {}}),
        )
        .asks_nothing();
}
