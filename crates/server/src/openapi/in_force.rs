//! What is set, in the texts that name it: the value that stands behind the name of a flag, as in "`--input-max` (1 MiB)",
//! is that of the defaults where it was written, and that of this server where it is read.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use taskyard_core::policy::Policy;

use crate::settings::Limits;

/// Has every description say the values of these.
pub(super) fn say(document: &mut Value, limits: &Limits, policy: &Policy) {
    put(document, &values(limits, policy));
}

fn values(limits: &Limits, policy: &Policy) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("--attempt-detail-max", bytes(limits.attempt_detail_max)),
        ("--batch-max", count(limits.tasks_max)),
        ("--checkpoint-max", bytes(limits.checkpoint_max)),
        ("--clock-skew", time(policy.clock_skew)),
        ("--depth-max", count(limits.depth_max)),
        ("--history-max", count(policy.history_max)),
        ("--input-max", bytes(limits.input_max)),
        ("--key-life", time(policy.key_life)),
        ("--log-line-max", bytes(policy.log_line_bytes_max)),
        ("--matching-max", count(limits.matching_max)),
        ("--max-attempts", count(policy.max_attempts)),
        ("--max-losses", count(policy.max_losses)),
        ("--operation-life", time(policy.operation_life)),
        ("--output-max", bytes(limits.output_max)),
        ("--timeout", time(policy.timeout)),
    ])
}

fn put(value: &mut Value, values: &BTreeMap<&str, String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                match value {
                    Value::String(text) if name == "description" => *text = with(text, values),
                    value => put(value, values),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|value| put(value, values)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The text with these values behind the names of the flags. Those that are not among them stay as they are.
fn with(text: &str, values: &BTreeMap<&str, String>) -> String {
    let mut parts = text.split("` (");
    let mut said = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let flag = said.rsplit('`').next().unwrap_or_default();
        let value = values.get(flag).zip(part.split_once(')'));
        said.push_str("` (");
        match value {
            Some((value, (_, rest))) => {
                said.push_str(value);
                said.push(')');
                said.push_str(rest);
            }
            None => said.push_str(part),
        }
    }
    said
}

/// In the largest unit that leaves nothing over.
fn bytes(bytes: usize) -> String {
    match bytes {
        0 => "0 bytes".to_owned(),
        mib if mib.is_multiple_of(1 << 20) => format!("{} MiB", count(mib >> 20)),
        kib if kib.is_multiple_of(1 << 10) => format!("{} KiB", count(kib >> 10)),
        bytes => format!("{} bytes", count(bytes)),
    }
}

/// The same.
fn time(time: Duration) -> String {
    let ms = time.as_millis();
    let units = [(3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    match units
        .into_iter()
        .find(|(unit, _)| ms > 0 && ms.is_multiple_of(*unit))
    {
        Some((unit, name)) => format!("{} {name}", count(ms / unit)),
        None => format!("{} ms", count(ms)),
    }
}

/// With a comma before each three of its digits.
fn count(number: impl ToString) -> String {
    let digits = number.to_string();
    let mut said = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            said.push(',');
        }
        said.push(digit);
    }
    said
}
