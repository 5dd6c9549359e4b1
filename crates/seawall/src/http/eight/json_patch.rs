//! JSON Patch (RFC 6902) as 8x8's clients send it: names in any case, and `"true"` where `true` is meant.

use serde_json::{Map, Value};

use super::error::{Answer, Refused};

/// Operations of one patch.
const MOST: usize = 100;

/// Applies a patch, all of it or nothing.
pub(super) fn apply(document: &Value, patch: &Value) -> Answer<Value> {
    let Value::Array(operations) = patch else {
        return Err(bad("the body has to be an array of operations"));
    };
    if operations.len() > MOST {
        return Err(bad("a patch has at most 100 operations"));
    }
    let mut changed = document.clone();
    for operation in operations {
        one(&mut changed, operation)?;
    }
    Ok(changed)
}

fn bad(problem: &str) -> Refused {
    Refused::bad(1000, format!("Invalid patch: {problem}"))
}

fn one(document: &mut Value, operation: &Value) -> Answer<()> {
    let text = |name: &str| operation.get(name).and_then(Value::as_str);
    let path = text("path").ok_or_else(|| bad("an operation has no `path`"))?;
    let value = || operation.get("value").cloned().ok_or_else(|| bad("an operation has no `value`"));
    match text("op") {
        Some("add") => set(document, path, value()?, false),
        Some("replace") => set(document, path, value()?, true),
        Some("remove") => take(document, path).map(drop),
        Some("test") => match find(document, path) {
            Some(found) if *found == value()? => Ok(()),
            _ => Err(bad(&format!("the test of `{path}` failed"))),
        },
        Some(op @ ("copy" | "move")) => {
            let from = text("from").ok_or_else(|| bad("an operation has no `from`"))?;
            let moved = match op {
                "move" => take(document, from)?,
                _ => find(document, from).cloned().ok_or_else(|| missing(from))?,
            };
            set(document, path, moved, false)
        }
        _ => Err(bad("`op` is none of add, remove, replace, copy, move, test")),
    }
}

fn missing(path: &str) -> Refused {
    bad(&format!("there is nothing at `{}`", path.chars().take(60).collect::<String>()))
}

fn tokens(path: &str) -> Option<Vec<String>> {
    let rest = path.strip_prefix('/')?;
    Some(rest.split('/').map(|token| token.replace("~1", "/").replace("~0", "~")).collect())
}

/// The name that an object has for a token, whatever its case.
fn named<'a>(object: &'a Map<String, Value>, token: &str) -> Option<&'a String> {
    object.keys().find(|key| key.eq_ignore_ascii_case(token))
}

fn find<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    tokens(path)?.iter().try_fold(document, |value, token| match value {
        Value::Object(object) => object.get(named(object, token)?),
        Value::Array(items) => items.get(token.parse::<usize>().ok()?),
        _ => None,
    })
}

/// The container of what a path names, and the last token.
fn parent<'a>(document: &'a mut Value, path: &str) -> Answer<(&'a mut Value, String)> {
    let mut tokens = tokens(path).ok_or_else(|| missing(path))?;
    let last = tokens.pop().ok_or_else(|| missing(path))?;
    let mut value = document;
    for token in tokens {
        let next = match value {
            Value::Object(object) => {
                let name = named(object, &token).cloned().unwrap_or(token);
                Some(object.entry(name).or_insert_with(|| Value::Object(Map::new())))
            }
            Value::Array(items) => token.parse::<usize>().ok().and_then(|at| items.get_mut(at)),
            _ => None,
        };
        value = next.ok_or_else(|| missing(path))?;
    }
    Ok((value, last))
}

fn set(document: &mut Value, path: &str, value: Value, replaces: bool) -> Answer<()> {
    let (holder, last) = parent(document, path)?;
    match holder {
        Value::Object(object) => {
            let name = named(object, &last).cloned().unwrap_or(last);
            object.insert(name, value);
            Ok(())
        }
        Value::Array(items) if last == "-" && !replaces => {
            items.push(value);
            Ok(())
        }
        Value::Array(items) => match last.parse::<usize>().ok().filter(|at| *at <= items.len()) {
            Some(at) if replaces => items.get_mut(at).map(|item| *item = value).ok_or_else(|| missing(path)),
            Some(at) => {
                items.insert(at, value);
                Ok(())
            }
            None => Err(missing(path)),
        },
        _ => Err(missing(path)),
    }
}

fn take(document: &mut Value, path: &str) -> Answer<Value> {
    let (holder, last) = parent(document, path)?;
    let taken = match holder {
        Value::Object(object) => named(object, &last).cloned().and_then(|name| object.remove(&name)),
        Value::Array(items) => {
            last.parse::<usize>().ok().filter(|at| *at < items.len()).map(|at| items.remove(at))
        }
        _ => None,
    };
    taken.ok_or_else(|| missing(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn operations_do_what_the_rfc_says() {
        let document = json!({"firstName": "A", "addresses": {"msisdn": "65"}, "groups": [{"id": 1}]});
        let patch = json!([
            {"op": "test", "path": "/firstname", "value": "A"},
            {"op": "replace", "path": "/firstname", "value": "B"},
            {"op": "add", "path": "/addresses/lineId", "value": "l"},
            {"op": "remove", "path": "/addresses/msisdn"},
            {"op": "add", "path": "/groups/-", "value": {"id": 2}},
            {"op": "move", "from": "/groups/0", "path": "/first"},
            {"op": "copy", "from": "/first/id", "path": "/customAttributes/n"}
        ]);
        let want = json!({"firstName": "B", "addresses": {"lineId": "l"}, "groups": [{"id": 2}], "first": {"id": 1},
            "customAttributes": {"n": 1}});
        assert_eq!(apply(&document, &patch).unwrap(), want);
        for wrong in [
            json!({}),
            json!([{"op": "add", "path": "/x"}]),
            json!([{"op": "remove", "path": "/x"}]),
            json!([{"op": "test", "path": "/firstName", "value": "Z"}]),
            json!([{"op": "grow", "path": "/x"}]),
            json!([{"op": "add", "path": "/groups/9", "value": 1}]),
            json!([{"op": "add", "path": "x", "value": 1}]),
        ] {
            assert!(apply(&document, &wrong).is_err(), "{wrong}");
        }
    }
}
