//! The shapes of bodies: derived from the wire types, and bounded by what the checks go by.

use std::collections::BTreeMap;
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
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::problem::Code;
use crate::settings::Limits;
use crate::v1::tasks::WAIT_MS_MAX as HOLD_MS_MAX;
use crate::v1::workers::CLAIM_MAX;
use crate::wire::faults::{COUNT_MAX, EPOCH_MAX, WAIT_MS_MAX};
use crate::wire::new_task::FACTOR_MAX;
use crate::wire::result::{CODE_LEN_MAX, MESSAGE_LEN_MAX};
use crate::wire::worker::{ANY, MESSAGE_LEN_MAX as NEWS_LEN_MAX};
use taskyard_engine::pool::COUNT_MAX as COUNT_MAX_INSIDE;

/// Beside the runs of a task that ended and are kept: the one that goes on, or ended the task; and as one all that never
/// were.
const UNDER_WAY: i32 = 1;
const UNKNOWN: i32 = 1;

/// An id for examples.
pub(crate) const TASK_ID: &str = "01a21162-b23c-7f2c-bbfc-ea8e6e590d9f";

/// Tasks in an array, and as lines.
pub(crate) const BATCH: &str = "SubmitBatch";
pub(crate) const LINES: &str = "SubmitLines";

/// What the derived name of a type has from here on, of one that carries payloads: nobody outside needs to see it.
const OF_PAYLOADS: &str = "_Payload";
const COMPONENTS: &str = "#/components/schemas/";

/// The schemas that were referred to, by name.
#[derive(Default)]
pub(crate) struct Shapes(BTreeMap<String, Value>);

impl Shapes {
    /// Refers to the schema of a type, which is there from now on with all that it refers to.
    pub(crate) fn reference<T: ToSchema>(&mut self) -> Value {
        let mut schemas = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut schemas);
        for (name, schema) in schemas {
            self.add(&name, &schema);
        }
        refer(&T::name())
    }

    /// A page of these, which says of itself what `P` does.
    pub(crate) fn page_of<T: ToSchema, P: ToSchema>(&mut self) -> Value {
        let items = self.reference::<T>();
        let name = format!("{}Page", T::name());
        self.add(&name, &P::schema());
        let page = self.0.get_mut(&name).expect("it was just added");
        page["properties"]["items"]["items"] = items;
        refer(&name)
    }

    pub(crate) fn list_of<T: ToSchema>(&mut self, name: &'static str) -> Value {
        let list = list(self.reference::<T>());
        self.0.insert(name.to_owned(), list);
        refer(name)
    }

    fn add(&mut self, name: &str, schema: &RefOr<Schema>) {
        let schema = serde_json::to_value(schema).expect("a schema is JSON");
        self.0.insert(plain(name).to_owned(), schema);
    }

    /// All of them, with the bounds that hold under these limits, and more of them.
    pub(crate) fn finish(mut self, limits: &Limits, more: Vec<(&'static str, Value)>) -> Value {
        for schema in self.0.values_mut() {
            tidy(schema);
        }
        let asked = self.retry_as_asked();
        self.0.insert(ASKED_RETRY.to_owned(), asked);
        for (name, schema) in &mut self.0 {
            if schema["additionalProperties"] == false {
                take_null_for_absent(schema);
            } else {
                require_all_but_optional(name, schema);
            }
        }
        for (place, bound) in bounds(limits).into_iter().chain(more) {
            self.bound(place, bound);
        }
        self.newer_fields_in_the_older_form();
        json!(self.0)
    }

    /// Puts what the bound says onto the schema, or onto the property, which must be there.
    fn bound(&mut self, place: &str, bound: Value) {
        let (name, property) = place.split_once('/').unwrap_or((place, ""));
        let schema = self.0.get_mut(name);
        let mut schema = schema.unwrap_or_else(|| panic!("there is no schema {name}"));
        if !property.is_empty() {
            schema = schema["properties"]
                .get_mut(property)
                .unwrap_or_else(|| panic!("there is no property {place}"));
        }
        let (Value::Object(schema), Value::Object(bound)) = (schema, bound) else {
            panic!("{place} is no object")
        };
        schema.extend(bound);
    }

    /// They are bounded as in the newer one; what stands for kind and input is said otherwise.
    fn newer_fields_in_the_older_form(&mut self) {
        let mut newer = self.0.get("Submit").cloned().unwrap_or_default();
        let (Some(older), Value::Object(newer)) =
            (self.0.get_mut("SubmitProblem"), newer["properties"].take())
        else {
            return;
        };
        for (name, property) in newer {
            match name.as_str() {
                "kind" => {}
                "input" => older["properties"][&name] = json!({"type": "null"}),
                _ => older["properties"][&name] = property,
            }
        }
    }

    /// In a request every setting of a retry may be left out.
    fn retry_as_asked(&self) -> Value {
        let mut retry = self.0.get("Retry").cloned().unwrap_or_default();
        if let Value::Object(retry) = &mut retry {
            retry.remove("required");
        }
        retry["additionalProperties"] = json!(false);
        retry
    }
}

const ASKED_RETRY: &str = "RetryAsked";

/// Fields of answers that are left out where there is nothing to say, and of requests of the dialects that may be; all
/// others are always there.
const OPTIONAL: &[&str] = &[
    "Task/input",
    "Task/output",
    "TaskPage/unreadable",
    "Problem/task_id",
    "Problem/task_status",
    "Problem/retry_after_ms",
    "Reported/tasks",
    "Reported/drain",
    "Reported/lease_ms",
    "Reported/heartbeat_ms",
    "Claimed/drain",
    "Worker/running",
    "Run/checkpoint",
    "Run/cancel",
    "Run/exclusive",
    "Heard/unconfirmed",
    "Task/problem_id",
    "Task/parameters",
    "SubmitProblem/parameters",
    "SimpleSubmit/kind",
    "SimpleComplete/result",
    "SimpleHeartbeat/drain",
];

fn require_all_but_optional(name: &str, schema: &mut Value) {
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    let always = |property: &&String| !OPTIONAL.contains(&format!("{name}/{property}").as_str());
    let required: Vec<&String> = properties.keys().filter(always).collect();
    schema["required"] = json!(required);
}

fn take_null_for_absent(schema: &mut Value) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let Some(properties) = schema["properties"].as_object_mut() else {
        return;
    };
    for (name, property) in properties {
        if let Some(kind @ Value::String(_)) = property.get_mut("type")
            && !required.contains(&json!(name))
        {
            *kind = json!([kind, "null"]);
        }
    }
}

/// What holds of the values, by the constants and settings that they are held against.
fn bounds(limits: &Limits) -> Vec<(&'static str, Value)> {
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

fn list(items: Value) -> Value {
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

/// A value, or a comparison with a number.
fn demand() -> Value {
    let controls = class(char::is_control);
    json!({
        "minLength": 1,
        "maxLength": VALUE_LEN_MAX,
        "pattern": format!("^(?:[^<>=!{controls}\\s][^{controls}]*|!(?:[^={controls}][^{controls}]*)?|(?:<|>)=?-?[0-9]+(?:\\.[0-9]+)?)$"),
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

fn refer(name: &str) -> Value {
    json!({"$ref": format!("{COMPONENTS}{}", plain(name))})
}

fn plain(name: &str) -> &str {
    name.split_once(OF_PAYLOADS)
        .map_or(name, |(plain, _)| plain)
}

/// Takes out of a derived schema what would say more, or other things, than is meant.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            // A payload may be null by itself, so that of "a payload or null" it would be both.
            if let Some(payload) = payload_or_null(object) {
                *object = payload;
            }
            if let Some(Value::String(reference)) = object.get_mut("$ref") {
                plain(reference).to_owned().clone_into(reference);
            }
            // Names of Rust's integers, with their sign left out.
            if object
                .get("type")
                .is_some_and(|kind| kind.to_string().contains("integer"))
            {
                object.remove("format");
            }
            if let Some(Value::String(text)) = object.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            object.values_mut().for_each(tidy);
        }
        Value::Array(elements) => elements.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn payload_or_null(object: &Map<String, Value>) -> Option<Map<String, Value>> {
    let first = object.get("oneOf")?.get(0)?;
    let is_payload = first["$ref"] == format!("{COMPONENTS}Payload");
    is_payload.then(|| first.as_object().cloned())?
}
