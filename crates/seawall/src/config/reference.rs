//! Pages that are generated from the code: docs/configuration.md, docs/reasons.md and what
//! `check-config --print` shows.

use std::fmt::Write;

use seawall_core::reason::ReasonCode;

use super::keys::{self, KEYS, Key, Kind};
use super::raw::{Raw, shown};

/// docs/configuration.md.
pub fn configuration() -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut section = "";
    for key in KEYS {
        let (of, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if of != section {
            section = of;
            let _ = write!(page, "\n## [{of}]\n\n| key | default | meaning |\n|---|---|---|\n");
        }
        let default = key.default.map_or_else(|| "unset".to_owned(), |text| format!("`{text}`"));
        let _ = writeln!(page, "| `{name}` | {default} | {}{} |", key.meaning, written(key));
    }
    page
}

/// How the value is written, where the default does not show it.
fn written(key: &Key) -> String {
    let secret = if key.secret {
        format!(" Also from a file: `{}_FILE`.", keys::variable(key.name))
    } else {
        String::new()
    };
    match key.kind {
        Kind::OneOf(words) => format!(" One of `{}`.{secret}", words.join("`, `")),
        _ => secret,
    }
}

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated from crates/seawall/src/config/keys.rs: UPDATE_DOCS=1 cargo test -p seawall --test it -->

A TOML file given with `--config`. Every key can also be set in the environment as `SEAWALL_SECTION__KEY`, for
example `SEAWALL_SERVER__LISTEN`; lists are divided by commas there. Flags outrank the environment, which outranks
the file; `SEAWALL_CONFIG`, `SEAWALL_DATA_DIR` and `SEAWALL_LISTEN` stand for the flags of these names. An unknown
key is an error. `seawall check-config --print` shows what is in force and where it comes from.

Durations are text with a unit (`ms`, `s`, `m`, `h`, `d`); sizes are bytes or text such as `\"64KiB\"`. Relative
paths start at the directory in which `seawall` is started.

Unencrypted HTTP on an address that is not loopback is refused, unless `server.trusted_proxies` is set (then only
loopback and those proxies are answered) or `server.allow_plain_http = true`.

Every connection takes a file descriptor. At start the limit of the process is raised as far as the system allows,
and `limits.max_connections` is lowered to what is left; for more, raise `ulimit -n` or systemd's `LimitNOFILE`.
";

/// docs/reasons.md.
pub fn reasons() -> String {
    let mut page = String::from(
        "# Reasons\n\n<!-- Generated from crates/seawall-core/src/reason.rs: UPDATE_DOCS=1 cargo test -p seawall --test it -->\n\n\
        Why a request was not simply allowed. The code is the same in the API, the log and the metrics.\n",
    );
    for code in ReasonCode::ALL {
        let (verdict, meaning, remedy) = (code.verdict().as_str(), code.meaning().trim(), code.remedy());
        let _ = write!(page, "\n## {}\n\nVerdict: {verdict}. {meaning}\n\n{remedy}\n", code.as_str());
    }
    page
}

/// What is in force, as TOML with the source of every value that was given.
pub(super) fn effective(raw: &Raw) -> String {
    let mut text = String::new();
    let mut section = "";
    for key in KEYS {
        let (of, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if of != section {
            section = of;
            let gap = if text.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}[{of}]");
        }
        let _ = match raw.get(key) {
            Some(given) if given.from == "default" => writeln!(text, "{name} = {}", shown(key, &given.value)),
            Some(given) => writeln!(text, "{name} = {}  # {}", shown(key, &given.value), given.from),
            None => writeln!(text, "# {name} is unset"),
        };
    }
    text
}
