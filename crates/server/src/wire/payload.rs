//! Payloads on their way in.

use serde_json::value::RawValue;
use taskyard_core::json::{BadJson, Json};

/// Where a payload comes from, and so whether anybody has looked at it.
pub trait Source: Sync + Send {
    fn text(&self) -> &str;

    /// The payload to keep.
    fn keep(&self, depth_max: usize) -> Result<Json, BadJson>;
}

/// Part of a body that was checked as a whole.
impl Source for &RawValue {
    fn text(&self) -> &str {
        self.get()
    }

    fn keep(&self, _depth_max: usize) -> Result<Json, BadJson> {
        Ok(Json::stored(self.get()))
    }
}

/// Made within this process, by an executor that may know less of JSON than we ask.
impl Source for Box<RawValue> {
    fn text(&self) -> &str {
        self.get()
    }

    fn keep(&self, depth_max: usize) -> Result<Json, BadJson> {
        Json::scan(self.get().as_bytes(), depth_max)
    }
}
