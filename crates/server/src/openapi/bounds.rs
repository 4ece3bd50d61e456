//! What holds of the values in bodies and queries, by the constants and settings that they are held against.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};
use taskyard_api::worker::NAMES_MAX;
use taskyard_core::filter::Search;
use taskyard_core::labels::{LABELS_MAX, VALUE_LEN_MAX};
use taskyard_core::log::SEQ_MAX;
use taskyard_core::name::{NAME_LEN_MAX, Name};
use taskyard_core::order::Priority;
use taskyard_core::policy::HISTORY_MOST;
use taskyard_core::retry::Retry;
use taskyard_core::rows::UniqueKey;
use taskyard_engine::pool::COUNT_MAX as COUNT_MAX_INSIDE;

use super::shapes::{ASKED_RETRY, BATCH, LINES, refer};
use crate::problem::Code;
use crate::settings::Limits;
use crate::v1::tasks::WAIT_MS_MAX as HOLD_MS_MAX;
use crate::v1::workers::CLAIM_MAX;
use crate::wire::faults::{COUNT_MAX, EPOCH_MAX, WAIT_MS_MAX};
use crate::wire::new_task::FACTOR_MAX;
use crate::wire::result::{CODE_LEN_MAX, MESSAGE_LEN_MAX};
use crate::wire::worker::{ANY, MESSAGE_LEN_MAX as NEWS_LEN_MAX};

/// Beside the runs of a task that ended and are kept: the one that goes on, or ended the task; and as one all that never
/// were.
const UNDER_WAY: i32 = 1;
const UNKNOWN: i32 = 1;

/// By the place of each in a schema.
pub(super) fn bounds(limits: &Limits) -> Vec<(&'static str, Value)> {
    let wait = || range(0..=WAIT_MS_MAX);
    let count = || range(1..=COUNT_MAX);
    let epoch = || range(1..=EPOCH_MAX);
    let labels = || labels(text(value()));
    vec![
        ("Submit/kind", path_name()),
        ("Submit/queue", path_name()),
        (
            "Submit/priority",
            range(i64::from(Priority::MIN)..=i64::from(Priority::MAX)),
        ),
        ("Submit/delay_ms", wait()),
        ("Submit/timeout_ms", range(1..=WAIT_MS_MAX)),
        ("Submit/max_attempts", count()),
        ("Submit/max_losses", count()),
        (
            "Submit/unique_key",
            json!({"minLength": 1, "maxLength": UniqueKey::LEN_MAX, "pattern": no_controls()}),
        ),
        ("Patch", not_both("run_at", "delay_ms")),
        (
            "Patch/priority",
            range(i64::from(Priority::MIN)..=i64::from(Priority::MAX)),
        ),
        ("Patch/delay_ms", wait()),
        ("PatchQueue/max_attempts", count()),
        ("PatchQueue/timeout_ms", range(1..=WAIT_MS_MAX)),
        ("Retention/completed_ms", wait()),
        ("Retention/failed_ms", wait()),
        ("Retention/timeout_ms", wait()),
        ("Retention/cancelled_ms", wait()),
        (
            "PatchQueue/retry",
            json!({"oneOf": [refer(ASKED_RETRY), {"type": "null"}]}),
        ),
        (
            "TasksFilter/status",
            json!({"oneOf": [refer("Status"), list(refer("Status")), {"type": "null"}]}),
        ),
        ("TasksFilter/kind", path_name()),
        ("TasksFilter/queue", path_name()),
        (
            "TasksFilter/worker_id",
            with(plain_name(), "type", json!(["string", "null"])),
        ),
        (
            "TasksFilter/label",
            json!({"maxItems": LABELS_MAX, "items": {"type": "string", "pattern": label_pattern()}}),
        ),
        ("TasksFilter/q", search()),
        ("Submit/labels", labels()),
        ("Submit/requires", self::labels(text(demand()))),
        (
            "Submit/retry",
            json!({"oneOf": [refer(ASKED_RETRY), {"type": "null"}]}),
        ),
        ("Submit", not_both("run_at", "delay_ms")),
        (
            "SubmitProblem",
            json!({"not": there(&["kind"]), "allOf": [not_both("run_at", "delay_ms")]}),
        ),
        (BATCH, length(limits.tasks_max)),
        (LINES, length(limits.stream_tasks_max)),
        ("RetryAsked/backoff_ms", with_default(wait(), "backoff_ms")),
        ("RetryAsked/max_ms", with_default(wait(), "max_ms")),
        (
            "RetryAsked/factor",
            with_default(json!({"minimum": 1.0, "maximum": FACTOR_MAX}), "factor"),
        ),
        ("RetryAsked/jitter", with_default(share(), "jitter")),
        ("Progress/fraction", share()),
        ("Progress/message", json!({"maxLength": NEWS_LEN_MAX})),
        (
            "TaskError/code",
            json!({"minLength": 1, "maxLength": CODE_LEN_MAX, "pattern": no_controls()}),
        ),
        ("TaskError/message", json!({"maxLength": MESSAGE_LEN_MAX})),
        ("AppendLogs/first_seq", range(1..=i64::from(SEQ_MAX))),
        ("AppendLogs/lines", json!({"maxItems": limits.tasks_max})),
        // Neither a line break nor NUL.
        ("NewLine/line", json!({"pattern": "^[^\\n\\u0000]*$"})),
        ("Snooze/delay_ms", wait()),
        (
            "Attempts/items",
            json!({"maxItems": HISTORY_MOST + UNDER_WAY}),
        ),
        (
            "Attempts/late_results",
            json!({"maxItems": HISTORY_MOST + UNDER_WAY + UNKNOWN}),
        ),
        ("RunResult/delay_ms", wait()),
        ("Report/results", json!({"maxItems": limits.tasks_max})),
        ("Report/epoch", epoch()),
        ("Heartbeat/held", json!({"maxItems": limits.tasks_max})),
        ("Heartbeat/epoch", epoch()),
        ("Claim/limit", range(1..=CLAIM_MAX)),
        ("Claim/wait_ms", range(0..=HOLD_MS_MAX.cast_signed())),
        ("Claim/seq", range(1..=i64::MAX)),
        ("Claim/epoch", epoch()),
        ("Scale/count", range(0..=i64::from(COUNT_MAX_INSIDE))),
        ("Register/worker_id", plain_name()),
        ("Register/kinds", kinds()),
        ("Register/queues", names()),
        ("Register/labels", labels()),
        ("Register/capacity", count()),
        (
            "Problem/code",
            json!({"enum": Code::ALL.iter().map(|code| code.word()).collect::<Vec<_>>()}),
        ),
    ]
}

fn range(range: RangeInclusive<i64>) -> Value {
    json!({"minimum": range.start(), "maximum": range.end()})
}

/// Of what must not be empty.
fn length(max: usize) -> Value {
    json!({"minItems": 1, "maxItems": max})
}

fn share() -> Value {
    json!({"minimum": 0.0, "maximum": 1.0})
}

/// A schema of its own, where there is no derived one that says as much.
pub(crate) fn text(bound: Value) -> Value {
    with(bound, "type", json!("string"))
}

fn with(mut bound: Value, keyword: &str, value: Value) -> Value {
    bound[keyword] = value;
    bound
}

fn with_default(bound: Value, setting: &str) -> Value {
    let default = taskyard_api::task::Retry::from(Retry::default());
    with(bound, "default", json!(default)[setting].take())
}

fn not_both(one: &str, other: &str) -> Value {
    json!({"not": there(&[one, other])})
}

/// All of them are there and not null.
fn there(names: &[&str]) -> Value {
    let properties: Map<String, Value> = names
        .iter()
        .map(|name| ((*name).to_owned(), json!({"not": {"type": "null"}})))
        .collect();
    json!({"required": names, "properties": properties})
}

fn kinds() -> Value {
    json!({"anyOf": [
        with(length(NAMES_MAX), "items", path_name()),
        {"const": [ANY]},
    ]})
}

pub(super) fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

fn names() -> Value {
    with(length(NAMES_MAX), "items", text(path_name()))
}

fn labels(value: Value) -> Value {
    json!({"maxProperties": LABELS_MAX, "propertyNames": plain_name(), "additionalProperties": value})
}

/// A label's value. Its limit is in bytes, which a schema cannot count.
fn value() -> Value {
    json!({"minLength": 1, "maxLength": VALUE_LEN_MAX, "pattern": no_controls()})
}

/// A value, or a comparison with a number. Of those with an exponent the pattern knows the ones whose normal form is never
/// longer than a value.
fn demand() -> Value {
    let controls = class(char::is_control);
    let plain = format!("[^<>=!{controls}\\s][^{controls}]*|!(?:[^={controls}][^{controls}]*)?");
    let number = "[+-]?(?:[0-9]+(?:\\.[0-9]*)?|[0-9]{1,15}(?:\\.[0-9]{0,15})?[eE][+-]?[0-9]{1,9})";
    json!({
        "minLength": 1,
        "maxLength": VALUE_LEN_MAX,
        "pattern": format!("^ *(?:{plain}|[<>]=? *{number} *)$"),
    })
}

/// Words or the beginning of an id, in a query or a body.
pub(crate) fn search() -> Value {
    // Of more than blanks, and of so many words at most.
    let (most, controls) = (Search::WORDS_MAX - 1, class(char::is_control));
    json!({
        "minLength": 1,
        "maxLength": Search::LEN_MAX,
        "pattern": format!("^ *[^ {controls}]+(?: +[^ {controls}]+){{0,{most}}} *$"),
    })
}

fn no_controls() -> String {
    format!("^[^{}]*$", class(char::is_control))
}

/// `name=value`, as a filter names a label.
pub(crate) fn label_pattern() -> String {
    format!("^(?!\\.\\.?=)[{}]{{1,{NAME_LEN_MAX}}}=", plain_letters())
}

fn plain_letters() -> String {
    class(|letter| Name::plain(&format!("a{letter}")).is_ok())
}

/// The name of a worker or a label.
pub(crate) fn plain_name() -> Value {
    let pattern = format!("^(?!\\.\\.?$)[{}]+$", plain_letters());
    text(json!({"minLength": 1, "maxLength": NAME_LEN_MAX, "pattern": pattern}))
}

/// The name of a kind or a queue.
pub(crate) fn path_name() -> Value {
    let letters = class(|letter| Name::path(&format!("a{letter}")).is_ok());
    let pattern = format!("^(?!\\.\\.?$)[{letters}]+$");
    json!({"minLength": 1, "maxLength": NAME_LEN_MAX, "pattern": pattern})
}

/// The inside of a character class, of the letters up to U+00FF that the check lets through.
fn class(fits: impl Fn(char) -> bool) -> String {
    let letters = (0..=u8::MAX).map(char::from);
    let mut runs: Vec<(char, char)> = Vec::new();
    for letter in letters.filter(|letter| fits(*letter)) {
        match runs.last_mut() {
            Some((start, end)) if follows(*end, letter) && is_alike(*start, letter) => {
                *end = letter;
            }
            _ => runs.push((letter, letter)),
        }
    }
    let mut class = String::new();
    for (start, end) in runs {
        class.push_str(&escaped(start));
        if start != end {
            write!(class, "-{}", escaped(end)).expect("writing to a string");
        }
    }
    class
}

fn follows(one: char, other: char) -> bool {
    u32::from(one) + 1 == u32::from(other)
}

/// So that a run reads like one: no `--9`, and signs each for itself.
fn is_alike(one: char, other: char) -> bool {
    let both = |is: fn(&char) -> bool| is(&one) && is(&other);
    both(char::is_ascii_alphanumeric) || !one.is_ascii_graphic() && !other.is_ascii_graphic()
}

fn escaped(letter: char) -> String {
    match letter {
        '-' | '[' | ']' | '\\' | '^' => format!("\\{letter}"),
        letter if letter.is_ascii_graphic() => letter.to_string(),
        letter => format!("\\x{:02x}", u32::from(letter)),
    }
}
