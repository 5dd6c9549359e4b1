//! docs/attributes.md, made of the tables that the checker uses.

use std::fmt::Write;

use super::attribute::{Attribute, HEADERS, Kind, LIMIT_KEYS, Plain};
use super::check::FUNCTIONS;
use crate::velocity::{Metric, Span, VelocityKey};

const INTRODUCTION: &str = "\
# Attributes and functions of rules

<!-- Generated from crates/seawall-core/src/rule/attribute.rs: UPDATE_DOCS=1 cargo test -p seawall --test it -->

What the condition of a rule may look at; [rules](rules.md) says how rules work. Of a request that does not have an
attribute, every comparison with it is false, whichever way round, and it is counted as missing. `has(…)` asks
whether it is there.
";

const VELOCITIES: &str = "\
How often lately: whole numbers over rolling windows that end now and leave the request itself out. They are
`velocity.KEY.METRIC_WINDOW`, for example `velocity.ip.distinct_numbers_1h > 20`. They are missing when the request
does not have the key, and recorded with decisions only while a rule (in shadow, too) looks at one of them.
";

const COLUMNS: &str = "| attribute | type | meaning | missing when | example |\n|---|---|---|---|---|\n";
const HEADER: &str =
    "A header of the end user's request that a trusted proxy or the app passed on, by its name in any case.";
const LIMIT_KEY: &str = "A value that the caller gave for limits per custom key, by the key's name.";

/// The page.
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut group = "";
    for plain in Plain::ALL {
        let own = plain.name().split('.').next().unwrap_or_default();
        if own != group {
            group = own;
            let _ = write!(page, "\n## {own}\n\n{COLUMNS}");
        }
        row(&mut page, *plain);
        if *plain == Plain::ClientJa4 {
            looked_up(&mut page, HEADERS, HEADER, "accept-language");
        }
    }
    let _ = write!(page, "\n## {LIMIT_KEYS}\n\n{COLUMNS}");
    looked_up(&mut page, LIMIT_KEYS, LIMIT_KEY, "campaign");
    velocities(&mut page);
    functions(&mut page);
    page
}

fn row(page: &mut String, plain: Plain) {
    let kind = match plain.kind() {
        Kind::Words(words) => format!("string: `{}`", words.join("`, `")),
        Kind::Country => "string: ISO 3166-1 alpha-2".to_owned(),
        kind => kind.name().to_owned(),
    };
    let (name, meaning, missing, example) =
        (plain.name(), plain.meaning().trim(), plain.missing(), plain.example());
    let _ = writeln!(page, "| `{name}` | {kind} | {meaning} | {missing} | `{}` |", escaped(example));
}

fn looked_up(page: &mut String, path: &str, meaning: &str, name: &str) {
    let _ = writeln!(
        page,
        "| `{path}[\"…\"]` | string | {meaning} | the request does not have it | `has({path}[\"{name}\"])` |"
    );
}

/// A `|` ends a cell even within a code span.
fn escaped(example: &str) -> String {
    example.replace('|', "\\|")
}

fn velocities(page: &mut String) {
    let _ = write!(page, "\n## velocity\n\n{VELOCITIES}\n| part | one of |\n|---|---|\n");
    let line = |words: Vec<&str>| format!("`{}`", words.join("`, `"));
    let keys = line(VelocityKey::ALL.iter().map(|key| key.as_str()).collect());
    let _ = writeln!(page, "| KEY | {keys} |");
    let metrics = line(Metric::ALL.iter().map(|metric| metric.as_str()).collect());
    let _ = writeln!(page, "| METRIC | {metrics} (not `distinct_numbers` of `number`) |");
    let _ = writeln!(page, "| WINDOW | {} |", line(Span::ALL.iter().map(|span| span.as_str()).collect()));
    let count = Attribute::all().filter(|attribute| matches!(attribute, Attribute::Velocity(..))).count();
    let _ = writeln!(
        page,
        "\nThere are {count} of them. IPv6 addresses count by their /64, networks are IPv4 /24 and IPv6 /48."
    );
}

fn functions(page: &mut String) {
    page.push_str("\n## Functions and operators\n\n| function | meaning | example |\n|---|---|---|\n");
    for (name, example, meaning) in FUNCTIONS {
        let _ = writeln!(page, "| `{name}` | {meaning} | `{}` |", escaped(example));
    }
    page.push_str(
        "\nOperators: `&&`, `||`, `!`, `==`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `+`, `-`, `*`, `/`, `%`, `? :`. Numbers \
         compare across `int` and `double`; arithmetic takes two of one type, and dividing two ints gives an int. A \
         division by zero and an overflow count as missing.\n",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_and_function_is_on_the_page() {
        let page = page();
        for plain in Plain::ALL {
            assert!(page.contains(&format!("| `{}` |", plain.name())), "{}", plain.name());
        }
        for (name, ..) in FUNCTIONS {
            assert!(page.contains(&format!("| `{name}` |")), "{name}");
        }
        assert!(page.lines().all(|line| !line.starts_with('|') || line.ends_with('|')));
    }
}
