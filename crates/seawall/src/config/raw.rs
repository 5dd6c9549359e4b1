//! What was given, before it is understood: values by key, each with where it comes from. Later sources
//! outrank earlier ones: defaults, file, environment, flags.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

use super::error::ConfigError;
use super::keys::{self, Key};
use super::suggest::nearest;

/// A value and its source.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub value: Value,
    pub from: String,
}

/// Everything that was given, by the name of its key.
#[derive(Debug, Default)]
pub(super) struct Raw {
    values: BTreeMap<&'static str, Given>,
    pub errors: Vec<ConfigError>,
}

impl Raw {
    /// Reads a file on top of what is there.
    pub fn file(&mut self, path: &Path) {
        let from = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                return self.fail(
                    &from,
                    "",
                    "",
                    format!("cannot be read: {error}; check the path given to --config"),
                );
            }
        };
        match text.parse::<Table>() {
            Ok(table) => table.into_iter().for_each(|(section, value)| self.section(&from, &section, value)),
            Err(error) => {
                let line =
                    error.span().and_then(|span| text.get(..span.start)).map_or(1, |t| t.split('\n').count());
                let message = error.message().replace('\n', "; ");
                self.fail(&from, "", "", format!("line {line} is not TOML: {message}"));
            }
        }
    }

    fn section(&mut self, from: &str, section: &str, value: Value) {
        match value {
            Value::Table(table) => {
                for (name, value) in table {
                    self.set(from, &format!("{section}.{name}"), value);
                }
            }
            value => self.set(from, section, value),
        }
    }

    /// Gives a key a value; an unknown key is an error.
    pub fn set(&mut self, from: &str, name: &str, value: Value) {
        match keys::find(name) {
            Some(key) => {
                self.values.insert(key.name, Given { value, from: from.to_owned() });
            }
            None => self.fail(from, name, "", format!("unknown key; did you mean `{}`?", nearest(name))),
        }
    }

    /// Notes an error.
    pub fn fail(&mut self, from: &str, key: &str, value: &str, problem: String) {
        self.errors.push(ConfigError {
            file: from.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
            problem,
        });
    }

    /// What a key has, its default when nothing was given.
    pub fn get(&self, key: &'static Key) -> Option<Given> {
        self.values.get(key.name).cloned().or_else(|| default(key))
    }

    /// What a key has, if that is a text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(keys::find(name)?)?.value.as_str().map(str::to_owned)
    }

    /// Reads a key. A value that `parse` refuses is noted, and `fallback` stands in for it so that all
    /// other errors are found, too; the configuration as a whole is then refused.
    pub fn read<T>(&mut self, name: &str, fallback: T, parse: impl FnOnce(&Value) -> Result<T, String>) -> T {
        let Some(key) = keys::find(name) else {
            return fallback;
        };
        let Some(given) = self.get(key) else {
            return fallback;
        };
        match parse(&given.value) {
            Ok(value) => value,
            Err(problem) => {
                self.fail(&given.from, name, &shown(key, &given.value), problem);
                fallback
            }
        }
    }
}

/// The default of a key.
fn default(key: &Key) -> Option<Given> {
    let value = format!("v = {}", key.default?).parse::<Table>().ok()?.remove("v")?;
    Some(Given { value, from: "default".to_owned() })
}

/// A value as TOML, with passwords masked.
pub(super) fn shown(key: &Key, value: &Value) -> String {
    match value {
        Value::String(_) if key.secret && key.default.is_none() => {
            Value::String("***".to_owned()).to_string()
        }
        Value::String(text) if key.secret => Value::String(masked(text)).to_string(),
        value => value.to_string(),
    }
}

/// A URL without its password.
fn masked(url: &str) -> String {
    let hidden = |url: &str| {
        let (scheme, rest) = url.split_once("://")?;
        let (user, host) = rest.rsplit_once('@')?;
        let (name, _) = user.split_once(':')?;
        Some(format!("{scheme}://{name}:***@{host}"))
    };
    hidden(url).unwrap_or_else(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_toml() {
        for key in keys::KEYS {
            assert_eq!(default(key).is_some(), key.default.is_some(), "{}", key.name);
        }
    }

    #[test]
    fn passwords_in_urls_are_masked() {
        assert_eq!(masked("postgres://sea:p@ss:w@db/x"), "postgres://sea:***@db/x");
        assert_eq!(masked("sqlite:./data"), "sqlite:./data");
    }
}
