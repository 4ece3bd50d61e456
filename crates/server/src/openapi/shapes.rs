//! The shapes of bodies: derived from the wire types, and bounded by what the checks go by ([`super::bounds`]).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::bounds::{bounds, list};
use crate::settings::Limits;

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

pub(super) const ASKED_RETRY: &str = "RetryAsked";

/// Fields of answers that are left out where there is nothing to say, and of requests of the dialects that may be; all
/// others are always there.
const OPTIONAL: &[&str] = &[
    "Task/input",
    "Task/output",
    "Task/unreadable",
    "TaskPage/unreadable",
    "Attempts/unreadable",
    "SimpleTask/unreadable",
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
    "Run/exclusive",
    "Heard/unconfirmed",
    "LogLine/cursor",
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

pub(super) fn refer(name: &str) -> Value {
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
