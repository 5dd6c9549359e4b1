//! Values that must not reach a log.

use std::fmt;

/// Text whose `Debug` and `Display` say only that it is there: numbers, message texts, passwords.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Secret(value.into())
    }

    /// The value itself, for the wire to the provider only.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Reads a secret setting: `env:NAME`, `file:PATH`, or the value itself.
    pub fn resolve(reference: &str) -> Result<Self, String> {
        if let Some(name) = reference.strip_prefix("env:") {
            return std::env::var(name)
                .map(Secret)
                .map_err(|_| format!("the environment variable {name} is not set"));
        }
        if let Some(path) = reference.strip_prefix("file:") {
            let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {path}: {e}"))?;
            return Ok(Secret(text.trim_end_matches(['\r', '\n']).to_owned()));
        }
        Ok(Secret(reference.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}
