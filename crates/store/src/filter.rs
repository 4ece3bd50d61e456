//! How an operation's filter is kept: as JSON, with what is not given left out.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use taskyard_core::filter::{Filter, Search};
use taskyard_core::name::Name;
use taskyard_core::status::Status;
use taskyard_core::time::Timestamp;

use crate::columns::BadColumn;

pub(crate) fn text(filter: &Filter) -> String {
    // Each by name, for a condition that is left out here would be forgotten, and more tasks be acted on.
    let Filter {
        statuses,
        kind,
        queue,
        worker,
        labels,
        search,
        created_after,
        created_before,
    } = filter;
    let name = |name: &Option<Name>| name.as_ref().map(|name| json!(name.as_str()));
    let time = |time: Option<Timestamp>| time.map(|time| json!(time.as_micros()));
    let statuses: Vec<i16> = statuses.iter().map(|status| status.code()).collect();
    let labels: Vec<[&str; 2]> = labels
        .iter()
        .map(|(name, value)| [name.as_str(), value])
        .collect();
    let entries = [
        ("statuses", (!statuses.is_empty()).then(|| json!(statuses))),
        ("kind", name(kind)),
        ("queue", name(queue)),
        ("worker", name(worker)),
        ("labels", (!labels.is_empty()).then(|| json!(labels))),
        (
            "search",
            search.as_ref().map(|search| json!(search.as_str())),
        ),
        ("created_after", time(*created_after)),
        ("created_before", time(*created_before)),
    ];
    let given = entries
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect()).to_string()
}

pub(crate) fn filter(text: &str) -> Result<Filter, BadColumn> {
    let read = || -> Option<Filter> {
        let mut entries: Map<String, Value> = serde_json::from_str(text).ok()?;
        let mut filter = Filter::default();
        for (name, value) in &mut entries {
            match name.as_str() {
                "statuses" => filter.statuses = each(value, status)?,
                "kind" => filter.kind = Some(self::name(value)?),
                "queue" => filter.queue = Some(self::name(value)?),
                "worker" => filter.worker = Some(self::name(value)?),
                "labels" => filter.labels = each(value, label)?,
                "search" => filter.search = Some(Search::read(value.as_str()?).ok()?),
                "created_after" => filter.created_after = Some(time(value)?),
                "created_before" => filter.created_before = Some(time(value)?),
                // A condition that this program does not know must not be passed over.
                _ => return None,
            }
        }
        Some(filter)
    };
    read().ok_or_else(|| BadColumn::new("operation.filter", text))
}

fn each<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    value.as_array()?.iter().map(read).collect()
}

fn status(value: &Value) -> Option<Status> {
    Status::from_code(i16::try_from(value.as_i64()?).ok()?)
}

fn name(value: &Value) -> Option<Name> {
    value.as_str().map(Name::stored)
}

fn label(value: &Value) -> Option<(Name, Arc<str>)> {
    let [name, value] = value.as_array()?.as_slice() else {
        return None;
    };
    Some((self::name(name)?, value.as_str()?.into()))
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_i64().map(Timestamp::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_as_it_was_written() {
        let name = |text| Some(Name::stored(text));
        let full = Filter {
            statuses: vec![Status::Failed, Status::Timeout],
            kind: name("k/1"),
            queue: name("q"),
            worker: name("w"),
            labels: vec![(Name::stored("l"), "a\u{0}=,\"b".into())],
            search: Some(Search::read("Some words").unwrap()),
            created_after: Some(Timestamp::from_micros(1)),
            created_before: Some(Timestamp::from_micros(2)),
        };
        for wanted in [Filter::default(), full] {
            let text = text(&wanted);
            assert_eq!(filter(&text).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn a_condition_that_nobody_knows_is_not_passed_over() {
        for bad in [r#"{"colour":"red"}"#, r#"{"kind":1}"#, "[]", ""] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }
}
