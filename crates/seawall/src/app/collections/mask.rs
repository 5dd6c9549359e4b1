//! Secrets among the settings of a provider: shown as `***`, or as the reference that they are, and kept
//! when the mask comes back.

use serde_json::Value;

/// What stands for a secret.
pub const MASK: &str = "***";

/// Settings fit to be shown: `secret` names the keys whose texts, however deep, are secret.
pub fn masked(settings: &Value, secret: &[&str]) -> Value {
    let Value::Object(fields) = settings else { return settings.clone() };
    let shown = fields.iter().map(|(key, value)| {
        let hidden = secret.contains(&key.as_str());
        (key.clone(), if hidden { hide(value) } else { value.clone() })
    });
    Value::Object(shown.collect())
}

fn hide(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), hide(value))).collect(),
        Value::Array(items) => items.iter().map(hide).collect(),
        Value::String(text) if text.starts_with("env:") || text.starts_with("file:") => value.clone(),
        Value::Null => Value::Null,
        _ => Value::String(MASK.to_owned()),
    }
}

/// Puts what was stored back where the mask came back.
pub fn restored(settings: Value, stored: &Value) -> Value {
    match settings {
        Value::String(text) if text == MASK && !stored.is_null() => stored.clone(),
        Value::Object(fields) => {
            let back = fields.into_iter().map(|(key, value)| {
                let before = stored.get(&key).unwrap_or(&Value::Null);
                (key, restored(value, before))
            });
            Value::Object(back.collect())
        }
        Value::Array(items) => {
            let back = items.into_iter().enumerate();
            back.map(|(i, value)| restored(value, stored.get(i).unwrap_or(&Value::Null))).collect()
        }
        other => other,
    }
}

/// Whether a mask is left that stands for nothing.
pub fn holds_mask(settings: &Value) -> bool {
    match settings {
        Value::String(text) => text == MASK,
        Value::Object(fields) => fields.values().any(holds_mask),
        Value::Array(items) => items.iter().any(holds_mask),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_hidden_references_are_not() {
        let settings = json!({"password": "geheim", "host": "h", "headers": {"X": "k", "Y": "env:KEY"}});
        let shown = masked(&settings, &["password", "headers"]);
        assert_eq!(shown, json!({"password": "***", "host": "h", "headers": {"X": "***", "Y": "env:KEY"}}));
        assert_eq!(restored(shown, &settings), settings);
    }

    #[test]
    fn a_mask_for_nothing_is_found() {
        let settings = restored(json!({"password": "***", "new": "***"}), &json!({"password": "p"}));
        assert_eq!(settings, json!({"password": "p", "new": "***"}));
        assert!(holds_mask(&settings) && !holds_mask(&json!({"a": ["b"]})));
    }
}
