//! The schemas of types that no macro can look into. Those of the others are derived, with their comments.

use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{KnownFormat, Object, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::payload::Payload;
use crate::time::Time;

impl PartialSchema for Payload {
    fn schema() -> RefOr<Schema> {
        Object::builder()
            .schema_type(SchemaType::AnyValue)
            .description(Some(
                "Any JSON, handed on to the byte. No NUL, no lone surrogate, no name twice in an object.",
            ))
            .into()
    }
}

impl ToSchema for Payload {}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        Object::builder()
            .schema_type(Type::String)
            .description(Some(
                "RFC 3339. Answers write UTC with milliseconds; requests may write any offset.",
            ))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl ToSchema for Time {}
