//! Objects of JSON: in an array, one after the other, or in pages as a list API gives them.

use serde_json::{Deserializer, Value};

use super::record::{Record, Wrong, plain};

/// Fields of a page that hold its records.
const PAGES: [&str; 3] = ["messages", "attempts", "data"];

/// All records, nested fields under names with dots.
pub(super) fn records(text: &str) -> Result<Vec<Record>, Wrong> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut objects = Vec::new();
    for value in Deserializer::from_str(text).into_iter::<Value>() {
        let value = value.map_err(|error| {
            let problem = error.to_string();
            let problem = problem.split(" at line ").next().unwrap_or(&problem);
            Wrong::new(format!("line {}, column {}", error.line(), error.column()), problem)
        })?;
        unfold(value, &mut objects);
    }
    let record = |(nth, object): (usize, Value)| {
        let mut cells = Vec::new();
        flatten("", &object, &mut cells);
        Record { place: format!("record {}", nth + 1), cells, table: false }
    };
    Ok(objects.into_iter().enumerate().map(record).collect())
}

fn unfold(value: Value, into: &mut Vec<Value>) {
    match value {
        Value::Array(all) => all.into_iter().for_each(|one| unfold(one, into)),
        Value::Object(mut fields) => {
            match PAGES.iter().find(|name| fields.get(**name).is_some_and(Value::is_array)) {
                Some(name) => unfold(fields.remove(*name).unwrap_or_default(), into),
                None => into.push(Value::Object(fields)),
            }
        }
        other => into.push(other),
    }
}

fn flatten(path: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = plain(name);
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                flatten(&path, value, into);
            }
        }
        Value::String(text) => into.push((path.to_owned(), text.trim().to_owned())),
        Value::Null => {}
        other => into.push((path.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_found_wherever_they_lie() {
        let one = r#"{"umid":"a","price":{"perSms":0.5}}"#;
        for text in
            [one.to_owned(), format!("[{one}]"), format!("{{\"data\":[{one}],\"page\":1}}\n{{\"data\":[]}}")]
        {
            let records = records(&text).unwrap();
            assert_eq!(records.len(), 1);
            assert_eq!(records[0].get(&["price.persms"]), Some("0.5"));
        }
        let wrong = records("[{\"umid\":\n x}]").unwrap_err().to_string();
        assert_eq!(wrong, "line 2, column 2: expected value");
    }
}
