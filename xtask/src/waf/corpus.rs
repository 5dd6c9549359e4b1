//! The tracked requests of `deploy/waf/corpus`, one JSON object a line, and what stands in them for something
//! else: `@{name}` for a value that is known when it runs, `{"$repeat": ["x", 31]}` for long texts,
//! `{"$numbers": 10000}`, `{"$messages": [10000, "text"]}`, `{"$mixed": [400, ["text", …]]}` and
//! `{"$ids": [300, ["client's id", …]]}` for long lists.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::sources::root;

/// Values by name.
pub type Known = HashMap<String, String>;

/// Every line of a file.
pub fn read(name: &str) -> Result<Vec<Value>, String> {
    let path = Path::new("deploy/waf/corpus").join(name);
    let text = std::fs::read_to_string(root().join(&path));
    let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
    let line = |(n, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| format!("{}:{}: {error}", path.display(), n + 1))
    };
    text.lines().enumerate().map(line).collect()
}

/// A text of a line, or nothing.
pub fn text<'v>(line: &'v Value, name: &str) -> &'v str {
    line.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Puts known values in the place of `@{name}`.
pub fn filled(text: &str, known: &Known) -> String {
    let mut filled = text.to_owned();
    for (name, value) in known {
        filled = filled.replace(&format!("@{{{name}}}"), value);
    }
    filled
}

/// A body as it is sent.
pub fn expanded(value: &Value, known: &Known) -> Value {
    match value {
        Value::String(text) => Value::String(filled(text, known)),
        Value::Array(items) => items.iter().map(|item| expanded(item, known)).collect(),
        Value::Object(fields) => match fields.iter().next() {
            Some((name, inner)) if name.starts_with('$') => generated(name, inner),
            _ => fields.iter().map(|(name, inner)| (name.clone(), expanded(inner, known))).collect(),
        },
        other => other.clone(),
    }
}

fn generated(name: &str, inner: &Value) -> Value {
    let count = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
    let (first, second) = (inner.get(0).unwrap_or(&Value::Null), inner.get(1).unwrap_or(&Value::Null));
    match name {
        "$repeat" => first.as_str().unwrap_or_default().repeat(count(second)).into(),
        "$numbers" => (0..count(inner)).map(number).collect(),
        "$messages" => (0..count(first)).map(|n| message(n, second, format!("m-{n}"))).collect(),
        "$mixed" => (0..count(first)).map(|n| message(n, turn(second, n), format!("m-{n}"))).collect(),
        "$ids" => (0..count(first)).map(|n| message(n, &"x".into(), turn(second, n).clone())).collect(),
        _ => Value::Null,
    }
}

fn message(n: usize, text: &Value, id: impl Into<Value>) -> Value {
    json!({"destination": number(n), "text": text, "clientMessageId": id.into()})
}

/// The items of a list, again and again.
fn turn(list: &Value, n: usize) -> &Value {
    let items = list.as_array().map_or(&[][..], Vec::as_slice);
    items.iter().cycle().nth(n % items.len().max(1)).unwrap_or(&Value::Null)
}

fn number(n: usize) -> Value {
    format!("+659{:07}", 1_000_000 + n).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_something_else_is_replaced() {
        let known = Known::from([("sub".to_owned(), "acme_hq".to_owned())]);
        assert_eq!(filled("/x/@{sub}/{sub}/@{other}", &known), "/x/acme_hq/{sub}/@{other}");
        let body = json!({"a": "@{sub}", "b": [{"$repeat": ["xy", 2]}, 1], "c": {"$numbers": 2}});
        let wanted = json!({"a": "acme_hq", "b": ["xyxy", 1], "c": ["+6591000000", "+6591000001"]});
        assert_eq!(expanded(&body, &known), wanted);
        let messages = expanded(&json!({"$messages": [2, "t"]}), &known);
        assert_eq!(messages[1], json!({"destination": "+6591000001", "text": "t", "clientMessageId": "m-1"}));
    }

    #[test]
    fn every_line_is_read() {
        assert!(read("traffic.jsonl").unwrap().len() > 400);
        assert!(read("attacks.jsonl").unwrap().len() > 100);
        assert!(read("nothing.jsonl").is_err());
    }
}
