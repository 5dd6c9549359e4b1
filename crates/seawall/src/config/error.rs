//! What is wrong with a configuration, one line each.

use std::fmt;

/// One thing that is wrong: where, which key, which value, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where the value comes from: a file's path, an environment variable, a command-line flag.
    pub file: String,
    /// `section.key`; empty when it is about the whole file.
    pub key: String,
    /// The value as it was given, secrets masked; empty when there is none.
    pub value: String,
    /// What is wrong with it and what would be right.
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        match (self.key.as_str(), self.value.as_str()) {
            ("", _) => {}
            (key, "") => write!(f, "{key}: ")?,
            (key, value) => write!(f, "{key} = {value}: ")?,
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for ConfigError {}
