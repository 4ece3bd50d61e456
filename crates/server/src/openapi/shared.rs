//! What several routes refer to: problems, parameters and headers.

use serde_json::{Map, Value, json};

use super::shapes::TASK_ID;
use crate::problem::Code;
use crate::request_id;
use crate::v1::tasks::submit::KEY_LEN_MAX;
use crate::wire::list::{LIMIT_DEFAULT, LIMIT_MAX};

/// A problem of one of these codes, which have the same status.
pub(super) fn refusal(status: u16, codes: &[Code]) -> Value {
    let words: Vec<&str> = codes.iter().map(|code| code.word()).collect();
    let lines: Vec<String> = codes
        .iter()
        .map(|code| format!("`{}`: {}.", code.word(), code.title()))
        .collect();
    let examples: Map<String, Value> = codes
        .iter()
        .map(|code| (code.word().to_owned(), json!({"value": example(*code)})))
        .collect();
    let mut headers = json!({"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}});
    if matches!(status, 429 | 503 | 507) {
        headers["Retry-After"] = json!({"$ref": "#/components/headers/Retry-After"});
    }
    if status == Code::Unauthorized.status() {
        headers["WWW-Authenticate"] = json!({"$ref": "#/components/headers/WWW-Authenticate"});
    }
    json!({
        "description": lines.join(" "),
        "headers": headers,
        "content": {taskyard_api::problem::CONTENT_TYPE: {
            "schema": {
                "allOf": [{"$ref": "#/components/schemas/Problem"}],
                "properties": {"status": {"const": status}, "code": {"enum": words}},
            },
            "examples": examples,
        }},
    })
}

fn example(code: Code) -> Value {
    json!({
        "type": format!("/problems/{}", code.word()),
        "title": code.title(),
        "status": code.status(),
        "detail": "what it was this time, in words",
        "code": code.word(),
        "errors": [],
        "request_id": REQUEST_ID,
    })
}

const REQUEST_ID: &str = "9f2c41d70000002a";

/// Parameters that several routes take.
pub(super) fn parameters() -> Value {
    json!({
        "X-Request-Id": {
            "name": "X-Request-Id", "in": "header",
            "description": format!(
                "A name for this request, for its answer and the server's log: 1 to {} of `A–Z a–z 0–9 . _ -`. For \
                 another one, or none, the server makes its own.",
                request_id::LEN_MAX
            ),
            // Not bounded: what does not fit is passed over, not refused.
            "schema": {"type": "string"},
            "example": REQUEST_ID,
        },
        "Idempotency-Key": {
            "name": "Idempotency-Key", "in": "header",
            "description": "Chosen by the caller. The same request again, with the same key, within `--key-life` (24 h) \
                            is answered with the same ids and does nothing more.",
            "schema": {"type": "string", "pattern": "^[!-~]+$", "minLength": 1, "maxLength": KEY_LEN_MAX},
            "example": "nightly-2026-01-31",
        },
        "X-Again": {
            "name": "X-Again", "in": "header",
            "description": "Of a claim with a `seq`: it was sent before and may have reached another server, which may have \
                            dealt to it. What it dealt is answered once more then.",
            "schema": {"type": "boolean", "default": false},
        },
        "limit": {
            "name": "limit", "in": "query",
            "description": "How many items the page holds at most.",
            "schema": {
                "type": "integer", "minimum": 1, "maximum": LIMIT_MAX,
                "default": LIMIT_DEFAULT,
            },
        },
        "cursor": {
            "name": "cursor", "in": "query",
            "description": "The `next_cursor` of the page before, which had the same filter and sort.",
            "schema": {"type": "string"},
        },
    })
}

/// Headers of answers.
pub(super) fn headers() -> Value {
    json!({
        "X-Request-Id": {
            "description": "Finds the request in the server's log.",
            "schema": {"type": "string", "minLength": 1, "maxLength": request_id::LEN_MAX},
            "example": REQUEST_ID,
        },
        "Location": {
            "description": "The address of what was made.",
            "schema": {"type": "string", "format": "uri-reference"},
            "example": format!("/api/v1/tasks/{}", TASK_ID),
        },
        "X-Unreadable": {
            "description": "The tasks that the page came by and that the database cannot read, the first of them.",
            "schema": {"type": "string"},
            "example": TASK_ID,
        },
        "Retry-After": {
            "description": "When to come back, in seconds.",
            "schema": {"type": "integer", "minimum": 1},
            "example": 1,
        },
        "WWW-Authenticate": {
            "description": "The scheme that the token is sent with.",
            "schema": {"const": "Bearer"},
        },
    })
}
