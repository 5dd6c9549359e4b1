//! The environment on top of the file: every key as `SEAWALL_SECTION__KEY`, and keys that may hold a
//! password also as `SEAWALL_SECTION__KEY_FILE`, the path of a file with the value.

use toml::Value;

use super::keys::{self, KEYS, Key, Kind};
use super::raw::Raw;
use super::suggest::nearest;

/// Takes what is ours out of the environment.
pub(super) fn overlay(raw: &mut Raw, variables: impl Iterator<Item = (String, String)>) {
    // Sorted, so that errors come in the same order every time.
    let ours: std::collections::BTreeMap<_, _> =
        variables.filter(|(name, _)| name.starts_with("SEAWALL_")).collect();
    for (name, text) in &ours {
        let twice = name.strip_suffix("_FILE").is_some_and(|plain| ours.contains_key(plain));
        one(raw, name, text, twice);
    }
}

/// `twice`: the same key is also set without `_FILE`.
fn one(raw: &mut Raw, name: &str, text: &str, twice: bool) {
    if let Some(key) = KEYS.iter().find(|key| keys::variable(key.name) == name) {
        return raw.set(&source(name), key.name, value(key, text));
    }
    if let Some(key) =
        KEYS.iter().find(|key| key.secret && format!("{}_FILE", keys::variable(key.name)) == name)
    {
        return from_file(raw, name, key, text, twice);
    }
    // Orchestrators set variables such as SEAWALL_PORT on their own; only two underscores, or a key's own
    // spelling with one, mean us.
    let single = |key: &&Key| keys::variable(key.name).replace("__", "_") == name;
    let unknown = name.trim_start_matches("SEAWALL_").replace("__", ".").to_ascii_lowercase();
    if let Some(key) = KEYS.iter().find(single) {
        let fix = format!("not a key; did you mean `{}` (two underscores)?", keys::variable(key.name));
        raw.fail(&source(name), "", "", fix);
    } else if name.contains("__") {
        let fix = format!("unknown key `{unknown}`; did you mean `{}`?", keys::variable(nearest(&unknown)));
        raw.fail(&source(name), "", "", fix);
    }
}

fn source(name: &str) -> String {
    format!("environment {name}")
}

fn from_file(raw: &mut Raw, name: &str, key: &'static Key, path: &str, twice: bool) {
    if twice {
        let both = format!("{} is set, too; keep one of them", keys::variable(key.name));
        return raw.fail(&source(name), key.name, "", both);
    }
    match std::fs::read_to_string(path) {
        Ok(text) => raw.set(&source(name), key.name, value(key, text.trim_end_matches(['\r', '\n']))),
        Err(error) => raw.fail(&source(name), key.name, path, format!("the file cannot be read: {error}")),
    }
}

/// Text as the kind of value that the key takes. What does not fit stays text, which the key then refuses.
fn value(key: &Key, text: &str) -> Value {
    let text = text.trim();
    let plain = || Value::String(text.to_owned());
    match key.kind {
        Kind::Switch => text.parse().map_or_else(|_| plain(), Value::Boolean),
        Kind::Count | Kind::Size => text.parse().map_or_else(|_| plain(), Value::Integer),
        Kind::List => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Value::Array(parts.map(|part| Value::String(part.to_owned())).collect())
        }
        Kind::Text | Kind::OneOf(_) | Kind::Span => plain(),
    }
}
