//! The log: lines on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{Log, LogFormat};

/// Starts it, once.
pub(super) fn start(log: &Log) -> Result<(), String> {
    let filter =
        EnvFilter::try_new(ours(&log.level)).map_err(|error| format!("log.level {}: {error}", log.level))?;
    let lines =
        fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let started = match log.format {
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| format!("the log cannot be started: {error}"))
}

/// A level that tells more than `info` is ours alone: libraries tell parameters of queries and headers of requests then,
/// which may hold what no log may. Who wants that of one of them names it: `info,hyper=debug`.
fn ours(level: &str) -> String {
    if !["debug", "trace"].contains(&level.trim().to_ascii_lowercase().as_str()) {
        return level.to_owned();
    }
    let crates = ["seawall", "seawall_core", "seawall_store", "seawall_connect"];
    crates.iter().fold("info".to_owned(), |all, name| format!("{all},{name}={}", level.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_do_not_talk_as_much_as_we_do() {
        assert_eq!(ours("warn"), "warn");
        assert_eq!(ours("info,hyper=debug"), "info,hyper=debug");
        let debug = ours("debug");
        assert!(debug.starts_with("info,seawall=debug,") && EnvFilter::try_new(debug).is_ok());
    }
}
