//! Payloads: JSON that passes through untouched.

use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;
use taskyard_core::json::Json;

/// A payload as it was read from an answer.
pub type Raw = Box<RawValue>;

/// A checked JSON text on its way out; shares the engine's copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload(pub Json);

impl From<Json> for Payload {
    fn from(json: Json) -> Self {
        Self(json)
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The only way to a borrowed `RawValue` looks at the text once more; it builds nothing.
        let raw: &RawValue = serde_json::from_str(self.0.as_str()).map_err(S::Error::custom)?;
        raw.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_goes_out_to_the_byte() {
        let text = r#"{"b": 1.0,  "a":[1e2,"\u00e9"]}"#;

        let written = serde_json::to_string(&[Payload(Json::stored(text))]).unwrap();

        assert_eq!(written, format!("[{text}]"));
    }
}
