//! Reading what someone wishes: JSON into a checked type, with errors that name the field, and merge patches.

use seawall_core::rule::RuleError;
use seawall_store::StoreError;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::super::unfit::{without_digits, without_values};

/// Why a change was not made, or a thing not shown.
#[derive(Debug)]
pub enum Wrong {
    /// A field cannot be as it is.
    Field {
        /// Which; a path such as `match.country`.
        field: String,
        /// What is wrong with it and what would be right.
        problem: String,
    },
    /// A condition cannot be a rule's: in which field, what is wrong, and at which character.
    Expression {
        /// Which.
        field: &'static str,
        /// What is wrong, with its place.
        problem: String,
        /// From 1.
        line: u32,
        /// From 1, in characters.
        column: u32,
    },
    /// There is no such thing.
    Missing(String),
    /// The name is taken.
    Taken(String),
    /// A list has the value already: as which entry.
    Present(String),
    /// Something else stands against it: what, and what to do.
    InUse(String),
    /// Others change the same thing all the time.
    Busy,
    /// Stored, but the gateway goes on with what it had: why.
    NotInForce(String),
    /// A store did not answer.
    Store(StoreError),
}

impl Wrong {
    /// A field cannot be as it is.
    pub fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Wrong::Field { field: field.into(), problem: problem.into() }
    }

    /// A condition cannot be a rule's.
    pub fn expression(field: &'static str, error: &RuleError) -> Self {
        Wrong::Expression { field, problem: error.to_string(), line: error.line, column: error.column }
    }

    /// There is no such thing.
    pub fn missing(collection: &str, id: &str) -> Self {
        // What was asked for may be anything, even a key that someone pasted: only harmless words are repeated.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_. ".contains(&b);
        let short = id.len() <= 64 && id.bytes().all(plain) && !super::super::secrets::checksum_ok(id);
        let what = if short { format!("`{id}`") } else { "such an entry".to_owned() };
        Wrong::Missing(format!("{collection} has no {what}; give its id or its name"))
    }
}

impl From<StoreError> for Wrong {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Duplicate(name) => Wrong::Taken(name),
            StoreError::Conflict => Wrong::Busy,
            other => Wrong::Store(other),
        }
    }
}

/// RFC 7396: objects are merged, `null` removes, anything else replaces.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(into) = target {
        for (name, value) in fields {
            if value.is_null() {
                into.remove(name);
            } else {
                merge(into.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
    }
}

/// Reads a typed wish; the error names the field.
pub fn read<T: DeserializeOwned>(body: Value) -> Result<T, Wrong> {
    if !body.is_object() {
        return Err(Wrong::field("(body)", "must be a JSON object"));
    }
    serde_path_to_error::deserialize::<_, T>(body).map_err(|error| {
        let (path, problem) = (without_digits(&error.path().to_string()), error.inner().to_string());
        let inner = ["missing field `", "unknown field `"].iter().find_map(|prefix| named(&problem, prefix));
        Wrong::Field { field: place(&path, inner), problem: words(&problem) }
    })
}

fn named<'e>(problem: &'e str, prefix: &str) -> Option<&'e str> {
    problem.strip_prefix(prefix)?.split('`').next()
}

/// Serde names a missing field in words only, an unknown one also in the path.
fn place(path: &str, named: Option<&str>) -> String {
    match (path, named) {
        (".", None) => "(body)".to_owned(),
        (".", Some(named)) => named.to_owned(),
        (path, Some(named)) if path != named && !path.ends_with(&format!(".{named}")) => {
            format!("{path}.{named}")
        }
        (path, _) => path.to_owned(),
    }
}

/// Serde's words, without the value: it may be a secret in the wrong place.
fn words(error: &str) -> String {
    match error.strip_prefix("invalid type: string \"").and_then(|rest| rest.rsplit_once("\", expected ")) {
        Some((_, expected)) => format!("is text, expected {expected}"),
        None => without_values(error).replace("unknown field", "no such field"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[test]
    fn merges_like_the_examples_of_rfc_7396() {
        for (target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut merged = target;
            merge(&mut merged, &patch);
            assert_eq!(merged, result);
        }
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read")]
    struct Inner {
        country: u8,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read")]
    struct Thing {
        name: String,
        quota: u32,
        inner: Option<Inner>,
    }

    #[test]
    fn an_error_names_its_field() {
        for (body, field) in [
            (json!({"name": "a", "quota": "10"}), "quota"),
            (json!({"name": "a", "quota": -1}), "quota"),
            (json!({"name": "a"}), "quota"),
            (json!({"name": "a", "quota": 1, "windw": "30m"}), "windw"),
            (json!({"name": "a", "quota": 1, "inner": {"country": "x"}}), "inner.country"),
            (json!({"name": "a", "quota": 1, "inner": {"county": 1}}), "inner.county"),
            (json!({"name": "a", "quota": 1, "inner": {}}), "inner.country"),
            (json!([1]), "(body)"),
        ] {
            let Err(Wrong::Field { field: found, problem }) = read::<Thing>(body.clone()) else {
                panic!("{body}")
            };
            assert_eq!(found, field, "{body}: {problem}");
        }
        let secret = json!({"name": "a", "quota": "hunter2"});
        let Err(Wrong::Field { problem, .. }) = read::<Thing>(secret) else { panic!() };
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}
