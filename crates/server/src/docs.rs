//! `/openapi.json`, and two pages that show it: Swagger UI at `/docs`, ReDoc at `/redoc`.
//!
//! Everything they load stands in this binary (`assets/docs`), packed as it is sent, so they work with no internet; the
//! policy that they are sent with lets a browser fetch nothing from elsewhere.

use std::sync::OnceLock;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderValue, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use miniz_oxide::inflate::decompress_to_vec_with_limit;
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

/// A file that a page loads.
struct File {
    name: &'static str,
    kind: &'static str,
    bytes: Stored,
}

enum Stored {
    Plain(&'static [u8]),
    /// The long ones stand packed in the binary, and go out as they are: every browser unpacks them.
    Packed {
        bytes: &'static [u8],
        /// For who does not, from the first time on that somebody did not.
        plain: OnceLock<Bytes>,
    },
}

macro_rules! file {
    ($name:literal, $kind:expr) => {
        File {
            name: $name,
            kind: $kind,
            bytes: Stored::Plain(include_bytes!(concat!("../assets/docs/", $name))),
        }
    };
    (packed $name:literal, $kind:expr) => {
        File {
            name: $name,
            kind: $kind,
            bytes: Stored::Packed {
                bytes: include_bytes!(concat!("../assets/docs/vendor/", $name, ".gz")),
                plain: OnceLock::new(),
            },
        }
    };
}

static FILES: [File; 6] = [
    file!("swagger-ui.js", SCRIPT),
    file!("redoc.js", SCRIPT),
    file!("pages.css", "text/css; charset=utf-8"),
    file!(packed "swagger-ui-bundle.js", SCRIPT),
    file!(packed "swagger-ui.css", "text/css; charset=utf-8"),
    file!(packed "redoc.standalone.js", SCRIPT),
];

/// What `gzip -n` puts around the bytes that it packs: no name and no time, a sum and a length.
const GZIP_HEAD: usize = 10;
const GZIP_END: usize = 8;
/// The longest file has a third of it.
const FILE_BYTES_MAX: usize = 6 << 20;

/// Whether the path is one of the routes below.
pub(crate) fn is_one(path: &str) -> bool {
    matches!(path, "/openapi.json" | "/docs" | "/redoc" | "/redoc/") || path.starts_with("/docs/")
}

/// `GET /openapi.json`
pub(crate) async fn description(State(app): State<App>) -> Response {
    let mut response = said("application/json", app.description().clone());
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

/// `GET /docs/`
pub(crate) async fn to_swagger_ui() -> Response {
    Redirect::permanent("/docs").into_response()
}

/// `GET /redoc/`
pub(crate) async fn to_redoc() -> Response {
    Redirect::permanent("/redoc").into_response()
}

/// `GET /redoc`
pub(crate) async fn redoc() -> Response {
    page(include_str!("../assets/docs/redoc.html"))
}

/// `GET /docs/{file}`
pub(crate) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Answer {
    let file = FILES.iter().find(|file| file.name == name);
    let Some(file) = file else {
        return Err(problem::new(Code::NotFound, NO_SUCH_ROUTE).into());
    };
    let (bytes, plain) = match &file.bytes {
        Stored::Plain(bytes) => return Ok(said(file.kind, Bytes::from_static(bytes))),
        Stored::Packed { bytes, plain } => (*bytes, plain),
    };
    let is_packed = takes_gzip(&headers);
    let mut response = if is_packed {
        said(file.kind, Bytes::from_static(bytes))
    } else {
        said(file.kind, plain.get_or_init(|| unpacked(bytes)).clone())
    };
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if is_packed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

fn unpacked(bytes: &[u8]) -> Bytes {
    let packed = &bytes[GZIP_HEAD..bytes.len() - GZIP_END];
    let plain = decompress_to_vec_with_limit(packed, FILE_BYTES_MAX);
    plain.expect("a test unpacks each of them").into()
}

/// Whether whoever asks says so (RFC 9110 §12.5.3): by its name, or by `*` where its name is not among those said.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let said = headers.get_all(ACCEPT_ENCODING).iter();
    let codings = said
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let (mut gzip, mut any) = (None, None);
    for coding in codings {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        let is_taken = weight.is_none_or(|weight| weight.parse().is_ok_and(|q: f32| q > 0.0));
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            gzip = Some(is_taken);
        } else if name == "*" {
            any = Some(is_taken);
        }
    }
    gzip.or(any).unwrap_or(false)
}

fn page(text: &'static str) -> Response {
    said(HTML, Bytes::from_static(text.as_bytes()))
}

fn said(kind: &'static str, bytes: Bytes) -> Response {
    let mut response = Body::from(bytes).into_response();
    let headers = response.headers_mut();
    let mut say = |name, value| headers.insert(name, HeaderValue::from_static(value));
    say(CONTENT_TYPE, kind);
    say(CONTENT_SECURITY_POLICY, POLICY);
    say(X_CONTENT_TYPE_OPTIONS, "nosniff");
    say(REFERRER_POLICY, "no-referrer");
    // As long as it takes to read a page; after an upgrade the next one is the new one.
    say(CACHE_CONTROL, "max-age=600");
    response
}

/// The document, rendered.
pub(crate) fn rendered(app: &App) -> Bytes {
    let policy = app.engine().policy();
    openapi::document(app.settings(), policy).to_string().into()
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
