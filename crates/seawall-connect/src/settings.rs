//! Reading a provider's settings: unknown keys are refused by name, and every error says what would be right.
//!
//! An error names the key and the *class* of what stood there ("a number"), never the value, which may be
//! a secret.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::{ErrorClass, Secret, SettingsError};

/// Names of the error classes, as settings write them.
pub(crate) const ERROR_CLASSES: [(&str, ErrorClass); 11] = [
    ("absent-subscriber", ErrorClass::AbsentSubscriber),
    ("invalid-destination", ErrorClass::InvalidDestination),
    ("invalid-source", ErrorClass::InvalidSource),
    ("content-filtered", ErrorClass::ContentFiltered),
    ("invalid-format", ErrorClass::InvalidFormat),
    ("expired", ErrorClass::Expired),
    ("insufficient-credit", ErrorClass::InsufficientCredit),
    ("denied", ErrorClass::Denied),
    ("provider-fault", ErrorClass::ProviderFault),
    ("rejected", ErrorClass::Rejected),
    ("unknown", ErrorClass::Unknown),
];

/// One JSON object of settings, with its path for error messages.
pub(crate) struct Reader<'a> {
    path: String,
    map: &'a Map<String, Value>,
}

impl<'a> Reader<'a> {
    /// The settings of a provider; every key must be in `known`.
    pub(crate) fn root(value: &'a Value, known: &[&str]) -> Result<Self, SettingsError> {
        Self::new(value, String::new(), known)
    }

    /// A nested object that stands at `path`.
    pub(crate) fn new(value: &'a Value, path: String, known: &[&str]) -> Result<Self, SettingsError> {
        let reader = Self::open(value, path)?;
        match reader.map.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(reader),
            Some(unknown) => {
                let problem = format!("unknown key{}", suggestion(unknown, known.iter().copied()));
                Err(reader.error(unknown, problem))
            }
        }
    }

    /// An object whose keys are free names (headers, numbers).
    pub(crate) fn open(value: &'a Value, path: String) -> Result<Self, SettingsError> {
        match value {
            Value::Object(map) => Ok(Reader { path, map }),
            other => Err(SettingsError {
                key: if path.is_empty() { "(all)".to_owned() } else { path },
                problem: format!("must be an object, not {}", class_of(other)),
            }),
        }
    }

    /// An error about `key` of this object.
    pub(crate) fn error(&self, key: &str, problem: impl Into<String>) -> SettingsError {
        SettingsError { key: self.path_of(key), problem: problem.into() }
    }

    /// Where `key` of this object stands below `settings`.
    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The raw value; `null` counts as absent.
    pub(crate) fn value(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// All entries in the object's order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.map.iter()
    }

    /// Text, if given.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>, SettingsError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.error(key, format!("must be text, not {}", class_of(other)))),
        }
    }

    /// Text that must be there and not empty.
    pub(crate) fn required_text(&self, key: &str) -> Result<&'a str, SettingsError> {
        match self.text(key)? {
            Some(text) if !text.trim().is_empty() => Ok(text),
            Some(_) => Err(self.error(key, "must not be empty")),
            None => Err(self.error(key, "is required (text)")),
        }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, key: &str, default: bool) -> Result<bool, SettingsError> {
        match self.value(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.error(key, format!("must be true or false, not {}", class_of(other)))),
        }
    }

    /// A whole number within `range`, if given.
    pub(crate) fn integer(
        &self,
        key: &str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, SettingsError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let (low, high) = (range.start(), range.end());
        match value.as_u64() {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(self
                .error(key, format!("must be a whole number from {low} to {high}, not {}", class_of(value)))),
        }
    }

    /// A number of seconds; fractions are allowed so that tests need not wait.
    pub(crate) fn seconds(
        &self,
        key: &str,
        range: RangeInclusive<f64>,
        default: f64,
    ) -> Result<Duration, SettingsError> {
        let Some(value) = self.value(key) else {
            return Ok(Duration::from_secs_f64(default));
        };
        let (low, high) = (range.start(), range.end());
        match value.as_f64() {
            Some(number) if range.contains(&number) => Ok(Duration::from_secs_f64(number)),
            _ => Err(self.error(key, format!("must be {low} to {high} seconds, not {}", class_of(value)))),
        }
    }

    /// One of several names, if given.
    pub(crate) fn choice<T: Copy>(
        &self,
        key: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, SettingsError> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        pick(text, choices).map(Some).map_err(|problem| self.error(key, problem))
    }

    /// Text that may be a reference to a secret: checked for its form only.
    pub(crate) fn secret(&self, key: &str) -> Result<Option<&'a str>, SettingsError> {
        self.text(key)
    }
}

/// The value that `name` stands for; the error lists what there is.
pub(crate) fn pick<T: Copy>(name: &str, choices: &[(&str, T)]) -> Result<T, String> {
    match choices.iter().find(|(known, _)| *known == name) {
        Some((_, value)) => Ok(*value),
        None => {
            let names: Vec<_> = choices.iter().map(|(known, _)| format!("\"{known}\"")).collect();
            let hint = suggestion(name, choices.iter().map(|(known, _)| *known));
            Err(format!("must be one of {}{hint}", names.join(", ")))
        }
    }
}

/// Resolves a secret setting; the error names the setting.
pub(crate) fn resolve(key: &str, reference: &str) -> Result<Secret, SettingsError> {
    Secret::resolve(reference).map_err(|problem| SettingsError { key: key.to_owned(), problem })
}

/// What kind of value stands there, without the value.
pub(crate) fn class_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(number) if number.is_f64() => "a number with a fraction or out of range",
        Value::Number(_) => "a number out of range",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// `; did you mean …?`, when a known name is near enough to be a slip.
pub(crate) fn suggestion<'n>(given: &str, known: impl Iterator<Item = &'n str>) -> String {
    let nearest = known.map(|name| (distance(given, name), name)).min();
    match nearest {
        Some((steps, name)) if steps <= 2.max(name.len() / 3) => format!("; did you mean \"{name}\"?"),
        _ => String::new(),
    }
}

/// Levenshtein distance over at most the first 64 characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().take(64).enumerate() {
        let mut next = vec![i + 1];
        for ((r, above_left), above) in right.iter().zip(&row).zip(row.iter().skip(1)) {
            let beside = next.last().copied().unwrap_or(usize::MAX - 1);
            let replaced = above_left + usize::from(l != *r);
            next.push(replaced.min(above + 1).min(beside + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_known_one() {
        let error = Reader::root(&json!({"widnow": 3}), &["window", "host"]).err().unwrap();
        assert_eq!(error.to_string(), "settings.widnow: unknown key; did you mean \"window\"?");
        let error = Reader::root(&json!({"zzzzzzzz": 3}), &["window"]).err().unwrap();
        assert_eq!(error.to_string(), "settings.zzzzzzzz: unknown key");
        assert!(Reader::root(&json!([1]), &[]).is_err());
    }

    #[test]
    fn errors_name_key_and_class_but_never_the_value() {
        let settings = json!({"password": 4711, "window": "many", "bind": "tranceiver", "tls": "yes"});
        let reader = Reader::root(&settings, &["password", "window", "bind", "tls"]).unwrap();
        let errors = [
            reader.text("password").unwrap_err().to_string(),
            reader.integer("window", 1..=1000).unwrap_err().to_string(),
            reader.choice("bind", &[("transceiver", 1), ("receiver", 2)]).unwrap_err().to_string(),
            reader.boolean("tls", false).unwrap_err().to_string(),
        ];
        for (error, secret) in errors.iter().zip(["4711", "many", "tranceiver", "yes"]) {
            assert!(!error.contains(secret), "{error}");
        }
        assert!(errors[2].contains("did you mean \"transceiver\"?"), "{}", errors[2]);
    }

    #[test]
    fn distances() {
        for (left, right, steps) in [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("host", "host", 0)]
        {
            assert_eq!(distance(left, right), steps, "{left} {right}");
        }
    }

    #[test]
    fn class_names_are_those_of_serde() {
        for (name, class) in ERROR_CLASSES {
            assert_eq!(serde_json::to_value(class).unwrap(), json!(name));
        }
    }
}
