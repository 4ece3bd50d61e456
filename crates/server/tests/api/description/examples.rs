//! Examples of answers, and values of requests, held against their schemas.

use regex::Regex;
use serde_json::Value;
use taskyard_core::labels::Demands;
use taskyard_core::policy::Policy;
use taskyard_server::openapi::document;
use taskyard_server::settings::Settings;

use super::operations;

/// What this value lacks that its schema demands to be there, by its place.
fn lacking(document: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    if let Some(to) = schema["$ref"].as_str() {
        return lacking(document, document.pointer(&to[1..]).unwrap(), value, place);
    }
    let forms = schema["anyOf"].as_array().or(schema["oneOf"].as_array());
    if let Some(forms) = forms {
        let lacks = forms
            .iter()
            .map(|form| lacking(document, form, value, place));
        return lacks.min_by_key(Vec::len).unwrap_or_default();
    }
    let inner = |(name, value): (String, &Value)| {
        let schema = match value_schema(schema, &name) {
            Some(schema) => schema,
            None => return Vec::new(),
        };
        lacking(document, schema, value, &format!("{place}/{name}"))
    };
    match value {
        Value::Object(fields) => {
            let required = schema["required"].as_array().into_iter().flatten();
            let missing = required.filter(|name| !fields.contains_key(name.as_str().unwrap()));
            let missing = missing.map(|name| format!("{place}/{}", name.as_str().unwrap()));
            let fields = fields.iter().map(|(name, value)| (name.clone(), value));
            missing.chain(fields.flat_map(inner)).collect()
        }
        Value::Array(elements) => {
            let elements = elements.iter().enumerate();
            let elements = elements.map(|(index, value)| (index.to_string(), value));
            elements.flat_map(inner).collect()
        }
        _ => Vec::new(),
    }
}

fn value_schema<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    let property = schema["properties"].get(name);
    property.or_else(|| schema.get("items").filter(|items| items.is_object()))
}

#[test]
fn every_example_of_an_answer_has_all_that_its_schema_demands() {
    let document = document(&Settings::default(), &Policy::default());
    let mut count = 0;
    for (route, operation) in operations(&document) {
        for answer in operation["responses"].as_object().unwrap().values() {
            for (media_type, content) in answer["content"].as_object().into_iter().flatten() {
                let Some(example) = content.get("example") else {
                    continue;
                };
                let place = format!("{route} {media_type} ");
                let lacks = lacking(&document, &content["schema"], example, &place);
                assert_eq!(lacks, [] as [&str; 0]);
                count += 1;
            }
        }
    }
    assert!(count > 30, "{count}");
    let logs = &document["paths"]["/api/v1/tasks/{id}/logs"]["get"]["responses"]["200"];
    let followed = &logs["content"]["application/x-ndjson"];
    assert_eq!(followed["example"][1]["status"], "completed");
}

#[test]
fn a_demand_fits_its_pattern_where_it_is_taken() {
    let document = document(&Settings::default(), &Policy::default());
    let at = "/components/schemas/Submit/properties/requires/additionalProperties/pattern";
    let pattern = Regex::new(document.pointer(at).unwrap().as_str().unwrap()).unwrap();
    for (text, is_taken) in [
        ("a100", true),
        (" x ", true),
        ("!16", true),
        (">=16", true),
        (">=1e5", true),
        ("< -2.5E-3 ", true),
        ("> +7.", true),
        (" ", false),
        ("=16", false),
        ("!=16", false),
        (">=", false),
        (">=lots", false),
        (">=1e400", true),
        (">=1e99999999999", false),
    ] {
        assert_eq!(Demands::new([("x", text)]).is_ok(), is_taken, "{text:?}");
        assert_eq!(pattern.is_match(text), is_taken, "{text:?}");
    }
}
