//! Reading a task's input as the object its kind expects.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::executor::Failure;

/// The code of every failure that the submitter can mend by sending another input.
pub(super) const INVALID: &str = "invalid_input";

/// The input as a `T`, or a failure that shows `example` beside what is wrong.
pub(super) fn object<T: DeserializeOwned>(input: &RawValue, example: &str) -> Result<T, Failure> {
    // serde takes a list for a struct as well, field by field; nobody who sends one means that.
    if !input.get().trim_start().starts_with('{') {
        return Err(Failure::lasting(
            INVALID,
            format!("the input is not an object; expected one such as {example}"),
        ));
    }
    let mut reader = serde_json::Deserializer::from_str(input.get());
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = error.path().to_string();
        let error = error.into_inner();
        let what = match field.as_str() {
            "." => error.to_string(),
            field => format!("`{field}`: {error}"),
        };
        Failure::lasting(
            INVALID,
            format!("{what}; expected an object such as {example}"),
        )
    })
}
