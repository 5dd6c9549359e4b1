//! The description of a merge patch: every field of what a POST takes, none of them required.

use std::borrow::Cow;

use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

/// The schema of a JSON merge patch (RFC 7396) of an input.
pub fn schema<T: ToSchema>() -> RefOr<Schema> {
    let whole = serde_json::to_value(T::schema()).unwrap_or_default();
    serde_json::from_value(relaxed(whole)).unwrap_or_else(|_| T::schema())
}

/// Its name: that of the input with another ending.
pub fn name<T: ToSchema>() -> Cow<'static, str> {
    Cow::Owned(format!("{}Patch", T::name().trim_end_matches("Input")))
}

fn relaxed(mut schema: Value) -> Value {
    if let Some(object) = schema.as_object_mut() {
        object.remove("required");
        object.insert(
            "description".to_owned(),
            json!("A JSON merge patch (RFC 7396): `null` takes a field back."),
        );
    }
    schema
}
