//! Reading a request's body, with errors that name the place.
//!
//! The body is checked once as a whole, then read into borrowed types. The pointer of a wrong field is worked out from
//! where the reader stopped, after the fact: a good request pays nothing for it.

mod fields;
mod strict;

use serde::Deserialize;
use taskyard_core::json::{self, BadJson, Reason};

pub(crate) use self::fields::{nearest, nearest_if_any, null_is_absent, one_or_several};
use self::strict::{Strict, TOO_MANY};
use crate::problem::FieldError;

/// A request's body.
pub trait Request {
    /// How many objects and arrays stand around the payload, which may nest as deep as it may on its own.
    const LEVELS: usize;
}

/// Other fields nest no deeper than this, whatever a payload may, which may nest so deep at least.
pub const LEVELS_MIN: usize = 4;

/// Every list may have so many elements as far as reading goes; the rules may allow fewer, and say so better.
pub const ELEMENTS_MIN: usize = 1_000;

/// How much is said of a wrong value, in characters: enough for the names of all fields that there could be.
const DETAIL_CHARS_MAX: usize = 500;

/// Why a body could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// The bytes are not JSON: 400.
    #[error("the body is not JSON: {}", .0.detail)]
    NotJson(FieldError),
    /// A field that no one knows: 422.
    #[error("{0}")]
    UnknownField(FieldError),
    /// A value that does not fit its field: 422.
    #[error("{0}")]
    Invalid(FieldError),
    /// A list with more elements than any may have: 413. Those behind them were not looked at.
    #[error("{0}")]
    TooMany(FieldError),
}

impl BadRequest {
    pub fn field(&self) -> &FieldError {
        match self {
            Self::NotJson(field)
            | Self::UnknownField(field)
            | Self::Invalid(field)
            | Self::TooMany(field) => field,
        }
    }
}

/// Reads a body whose payloads may nest `depth_max` levels, and whose lists may have `elements_max` elements, or
/// [`ELEMENTS_MIN`] if that is more. What it answers borrows from the body and was checked with
/// it, so [`json::Json::stored`] may keep a payload.
pub fn read<'a, T: Request + Deserialize<'a>>(
    body: &'a [u8],
    depth_max: usize,
    elements_max: usize,
) -> Result<T, BadRequest> {
    let depth_max = depth_max.max(LEVELS_MIN);
    let text = json::check(body, T::LEVELS + depth_max).map_err(|mut bad| {
        // What stands around the payload is not its sender's affair.
        if let Reason::TooDeep { max } = &mut bad.reason {
            *max = depth_max;
        }
        from_scan(bad)
    })?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let strict = Strict {
        inner: &mut reader,
        elements_max: elements_max.max(ELEMENTS_MIN),
    };
    T::deserialize(strict)
        .and_then(|request| reader.end().map(|()| request))
        .map_err(|error| from_serde(text, &error))
}

#[cold]
fn from_scan(bad: BadJson) -> BadRequest {
    let field = FieldError {
        detail: format!("{} at byte {}", bad.reason, bad.at),
        pointer: bad.pointer,
    };
    if bad.reason.is_grammar() {
        BadRequest::NotJson(field)
    } else {
        BadRequest::Invalid(field)
    }
}

/// Only what the types refuse is left: the text is JSON.
#[cold]
fn from_serde(text: &str, error: &serde_json::Error) -> BadRequest {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = message.strip_suffix(&place).unwrap_or(&message);
    let mut pointer = json::pointer_at(text, byte_at_fault(text, error));
    // The reader stopped at the end of the object that lacks it.
    if let Some(name) = message.strip_prefix("missing field `") {
        pointer = format!("{pointer}/{}", name.trim_end_matches('`'));
    }
    let field = FieldError {
        pointer,
        detail: cut(&plain(message)),
    };
    if field.detail.starts_with("unknown field") {
        BadRequest::UnknownField(field)
    } else if field.detail.starts_with(TOO_MANY) {
        BadRequest::TooMany(field)
    } else {
        BadRequest::Invalid(field)
    }
}

/// Says what a number may be in words for who does not write Rust.
fn plain(message: &str) -> String {
    let Some((found, expected)) = message.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    let words = match expected {
        "i64" => "a whole number",
        "u64" => "a whole number that is not negative",
        "f64" => "a number",
        other => other,
    };
    format!("{found}, expected {words}")
}

/// The reader quotes what it found, however long that is.
fn cut(message: &str) -> String {
    match message.char_indices().nth(DETAIL_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

/// The last byte that was read; or the next one where it begins an array or object that has no business there, which
/// is refused before it is read. serde counts lines from 1, and in them the bytes it has read.
fn byte_at_fault(text: &str, error: &serde_json::Error) -> usize {
    let before: usize = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum();
    let next = before + error.column();
    match text.as_bytes().get(next) {
        Some(b'[' | b'{') => next,
        _ => next.saturating_sub(1),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::report::Report;
    use crate::submit::Submit;
    use crate::worker::{Claim, Register};

    type Batch<'a> = Vec<Submit<&'a RawValue>>;

    fn refused<'a, T: Request + Deserialize<'a>>(body: &'a str) -> BadRequest {
        match read::<T>(body.as_bytes(), 64, 0) {
            Ok(_) => panic!("{body} was read"),
            Err(bad) => bad,
        }
    }

    #[test]
    fn payloads_are_borrowed_as_written() {
        let body = br#"[{"kind":"echo","input": {"a": [1.0]} },{"kind":"echo","input":null}]"#;

        let batch: Batch<'_> = read(body, 64, 0).unwrap();

        assert_eq!(batch[0].input.get(), r#"{"a": [1.0]}"#);
        assert_eq!(batch[1].input.get(), "null");
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_name() {
        let body = r#"[{"kind":"a","input":1},
                       {"kind":"a","input":1,"role":"admin"}]"#;
        let BadRequest::UnknownField(field) = refused::<Batch<'_>>(body) else {
            panic!("not refused as unknown")
        };

        assert_eq!(field.pointer, "/1/role");
        assert!(
            field
                .detail
                .starts_with("unknown field `role`, expected one of `kind`")
        );
    }

    #[test]
    fn a_wrong_value_is_refused_where_it_stands() {
        let submit = |field: &str| format!(r#"{{"kind":"a", "input":[2],{field}}}"#);
        for (body, pointer) in [
            (submit(r#""priority":"high""#), "/priority"),
            (submit(r#""priority":1.5 , "queue":"q""#), "/priority"),
            (submit(r#""retry":{"factor":"x"}"#), "/retry/factor"),
            (submit(r#""retry":{"facto":1}"#), "/retry/facto"),
            (submit(r#""run_at":"soon","queue":"q""#), "/run_at"),
            (submit(r#""run_at":"soon""#), "/run_at"),
            (submit(r#""labels":{"a":1}"#), "/labels/a"),
            (submit(r#""labels":["a"]"#), "/labels"),
            (submit(r#""queue":{}"#), "/queue"),
            (submit(r#""id":7"#), "/id"),
            (submit(r#""id":"7""#), "/id"),
            (submit(r#""queue":"q","queue":"q""#), "/queue"),
            (r#"{"kind":"a"}"#.to_owned(), "/input"),
            ("[]".to_owned(), ""),
        ] {
            let bad = refused::<Submit<&RawValue>>(&body);
            assert_eq!(bad.field().pointer, pointer, "{body}: {bad}");
        }
        let bad = refused::<Report<&RawValue>>(
            r#"{"results":[{"task_id":"01890a5d-ac96-774b-bcce-b302099a8057","lease_token":"t","outcome":"won"}]}"#,
        );
        assert_eq!(bad.field().pointer, "/results/0/outcome");
    }

    #[test]
    fn what_is_missing_is_named_where_it_should_stand() {
        let submit = refused::<Submit<&RawValue>>(r#"{"input":{"kind":1}}"#);
        let batch = refused::<Batch<'_>>(r#"[{"kind":"a","input":1}, {"kind":"a" } ]"#);
        let report = refused::<Report<&RawValue>>(
            r#"{"results":[{"task_id":"01890a5d-ac96-774b-bcce-b302099a8057","outcome":"released"}]}"#,
        );
        let claim = refused::<Report<&RawValue>>(r#"{"results":[],"claim":{"seq":1}}"#);

        for (bad, pointer) in [
            (&submit, "/kind"),
            (&batch, "/1/input"),
            (&report, "/results/0/lease_token"),
            (&claim, "/claim/limit"),
        ] {
            assert_eq!(bad.field().pointer, pointer, "{bad}");
        }
        assert_eq!(submit.to_string(), "/kind: missing field `kind`");
    }

    #[test]
    fn a_wrong_value_is_not_quoted_at_any_length() {
        let long = "x".repeat(100_000);
        for field in [format!(r#""priority":"{long}""#), format!(r#""{long}":1"#)] {
            let body = format!(r#"{{"kind":"a","input":1,{field}}}"#);
            let bad = refused::<Submit<&RawValue>>(&body);
            assert!(bad.field().detail.chars().count() <= DETAIL_CHARS_MAX + 1);
        }
    }

    #[test]
    fn what_a_number_may_be_is_said_in_plain_words() {
        let submit = |field: &str| {
            let body = format!(r#"{{"kind":"a","input":1,{field}}}"#);
            refused::<Submit<&RawValue>>(&body).field().detail.clone()
        };
        for (said, expected) in [
            (submit(r#""priority":"high""#), "a whole number"),
            (submit(r#""max_attempts":1.5"#), "a whole number"),
            (
                submit(r#""retry":{"backoff_ms":-1}"#),
                "a whole number that is not negative",
            ),
            (
                submit(r#""retry":{"factor":"x, expected f64"}"#),
                "a number",
            ),
            (
                refused::<Claim>(r#"{"limit":1.5}"#).field().detail.clone(),
                "a whole number",
            ),
        ] {
            let expected = format!(", expected {expected}");
            assert!(said.ends_with(&expected), "{said}");
        }
    }

    #[test]
    fn a_body_that_is_not_json_is_told_apart_from_a_wrong_one() {
        let body = r#"{"kind":"a","input":}"#;
        assert!(matches!(
            refused::<Submit<&RawValue>>(body),
            BadRequest::NotJson(_)
        ));

        let body = r#"{"kind":"a","input":{"n":NaN}}"#;
        let BadRequest::Invalid(field) = refused::<Submit<&RawValue>>(body) else {
            panic!("refused as no JSON")
        };
        assert_eq!(field.pointer, "/input/n");
    }

    #[test]
    fn a_payload_may_nest_as_deep_as_it_may_on_its_own() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let batch = |depth| format!(r#"[{{"kind":"a","input":{}}}]"#, nested(depth));

        assert!(read::<Batch<'_>>(batch(64).as_bytes(), 64, 0).is_ok());
        let bad = read::<Batch<'_>>(batch(65).as_bytes(), 64, 0).unwrap_err();
        let said = bad.to_string();
        assert!(said.contains("nested deeper than 64 levels"), "{said}");
    }

    #[test]
    fn what_is_left_out_or_null_takes_its_default() {
        let body =
            br#"{"worker_id":"w","kinds":["*"],"queues":null,"labels":null,"capacity":null}"#;
        let register: Register = read(body, 64, 0).unwrap();
        assert_eq!((register.queues, register.capacity), (None, None));
        assert!(register.labels.is_empty());

        let all = [
            "queue",
            "priority",
            "run_at",
            "delay_ms",
            "max_attempts",
            "timeout_ms",
            "max_losses",
            "labels",
            "requires",
            "retry",
            "id",
        ];
        let nulls: String = all
            .iter()
            .map(|name| format!(r#","{name}":null"#))
            .collect();
        let body = format!(r#"{{"kind":"a","input":null{nulls}}}"#);
        let submit: Submit<&RawValue> = read(body.as_bytes(), 64, 0).unwrap();
        assert_eq!(
            serde_json::to_string(&submit).unwrap(),
            r#"{"kind":"a","input":null}"#
        );

        let body = br#"{"kind":"a","input":1,"retry":{"backoff_ms":null,"factor":null,"max_ms":null,"jitter":null}}"#;
        let submit: Submit<&RawValue> = read(body, 64, 0).unwrap();
        assert_eq!(submit.retry, Some(crate::task::Retry::default()));

        let body = br#"{"limit":1,"wait_ms":null,"begin":null,"seq":null,"epoch":null}"#;
        let claim: Claim = read(body, 64, 0).unwrap();
        assert_eq!(
            claim,
            Claim {
                limit: 1,
                ..Claim::default()
            }
        );
    }

    #[test]
    fn numbers_that_are_out_of_range_are_left_to_the_rules() {
        for (limit, read_as) in [(-1, 0), (0, 0), (5, 5), (i64::MAX, u32::MAX)] {
            let body = format!(r#"{{"limit":{limit},"epoch":{limit}}}"#);
            let claim: Claim = read(body.as_bytes(), 64, 0).unwrap();
            assert_eq!((claim.limit, claim.epoch), (read_as, Some(read_as)));
        }
    }

    #[test]
    fn an_array_is_no_object_and_an_object_no_word() {
        let submit = |field: &str| format!(r#"[{{"kind":"a","input":[],{field}}}]"#);
        for (body, pointer) in [
            (r#"[["a",{}]]"#.to_owned(), "/0"),
            (submit(r#""retry":[1,2.0,3,0.1]"#), "/0/retry"),
            (submit(r#""retry":"soon""#), "/0/retry"),
        ] {
            let bad = refused::<Batch<'_>>(&body);
            assert!(matches!(bad, BadRequest::Invalid(_)), "{bad}");
            assert_eq!(bad.field().pointer, pointer, "{body}: {bad}");
            assert!(bad.field().detail.contains("an object"), "{bad}");
        }
        let result = |rest: &str| {
            format!(
                r#"{{"results":[{{"task_id":"01890a5d-ac96-774b-bcce-b302099a8057","lease_token":"t",{rest}}}]}}"#
            )
        };
        for (body, pointer) in [
            (
                result(r#""outcome":{"completed":null}"#),
                "/results/0/outcome",
            ),
            (
                result(r#""outcome":"failed","error":["c","m"]"#),
                "/results/0/error",
            ),
            (r#"{"results":[],"claim":[1]}"#.to_owned(), "/claim"),
            ("[[]]".to_owned(), ""),
        ] {
            let bad = refused::<Report<&RawValue>>(&body);
            assert!(matches!(bad, BadRequest::Invalid(_)), "{bad}");
            assert_eq!(bad.field().pointer, pointer, "{body}: {bad}");
        }
    }

    #[test]
    fn a_list_is_read_up_to_its_limit() {
        let batch =
            |count: usize| format!("[{}]", vec![r#"{"kind":"a","input":1}"#; count].join(","));
        let read = |count: usize, max: usize| {
            read::<Batch<'_>>(batch(count).as_bytes(), 64, max).map(|batch| batch.len())
        };

        assert_eq!(read(1001, 1001), Ok(1001));
        assert_eq!(read(1000, 5), Ok(1000));
        for (count, max) in [(1001, 5), (1002, 1001)] {
            let Err(BadRequest::TooMany(field)) = read(count, max) else {
                panic!("{count} were read")
            };
            let most = max.max(ELEMENTS_MIN);
            assert_eq!(field.detail, format!("holds more than {most} elements"));
        }
        // Nothing behind the limit is looked at.
        let body = format!("[{},5]", vec![r#"{"kind":"a","input":1}"#; 1001].join(","));
        assert!(matches!(
            refused::<Batch<'_>>(&body),
            BadRequest::TooMany(_)
        ));
    }

    #[test]
    fn an_object_of_free_names_is_read_up_to_its_limit() {
        let labels = |count: usize| {
            let labels: Vec<String> = (0..count).map(|n| format!(r#""n{n}":"x""#)).collect();
            format!(
                r#"{{"kind":"a","input":1,"labels":{{{}}}}}"#,
                labels.join(",")
            )
        };

        assert!(read::<Submit<&RawValue>>(labels(100).as_bytes(), 64, 0).is_ok());
        let body = labels(101);
        let BadRequest::TooMany(field) = refused::<Submit<&RawValue>>(&body) else {
            panic!("not refused as too many")
        };
        assert_eq!(field.detail, "holds more than 100 entries");
    }
}
