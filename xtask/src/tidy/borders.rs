//! Who may know what: the invariants of ARCHITECTURE.md that can be seen in the text.

use toml::Table;

use crate::sources::Source;

/// Words, where they are at home, and what they would mean elsewhere.
struct Border {
    words: &'static [&'static str],
    /// Only product code below this path is looked at.
    within: &'static str,
    home: &'static [&'static str],
    meaning: &'static str,
}

const BORDERS: &[Border] = &[
    Border {
        words: &[
            "SystemTime::now",
            "Instant::now",
            "Utc::now",
            "rand::",
            "getrandom",
            "std::fs",
            "std::net::Tcp",
            "async fn",
        ],
        within: "crates/seawall-core/",
        home: &[],
        meaning: "the core is pure: no clock, no randomness, no I/O",
    },
    Border {
        words: &[
            "rusqlite",
            "tokio_postgres",
            "\"SELECT ",
            "\"INSERT INTO ",
            "\"DELETE FROM ",
            "\"CREATE TABLE ",
        ],
        within: "crates/",
        home: &["crates/seawall-store/"],
        meaning: "only seawall-store knows SQL",
    },
    Border {
        words: &["axum::", "hyper::", "hyper_util::"],
        within: "crates/",
        home: &["crates/seawall/src/http/", "crates/seawall/src/cli/", "crates/seawall/src/serve.rs"],
        meaning: "only http/ knows HTTP",
    },
    Border {
        words: &["rusmpp::"],
        within: "crates/",
        home: &["crates/seawall-connect/"],
        meaning: "only seawall-connect knows providers",
    },
];

pub fn words(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for border in BORDERS {
        let abroad = |source: &&Source| {
            let at_home = border.home.iter().any(|home| source.path.starts_with(home));
            source.is_product() && source.path.starts_with(border.within) && !at_home
        };
        for source in sources.iter().filter(abroad) {
            wrong.extend(crossings(border, source));
        }
    }
    wrong
}

fn crossings(border: &Border, source: &Source) -> Vec<String> {
    let lines =
        source.without_tests().lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    let crossed = lines.flat_map(|(at, line)| {
        border.words.iter().filter(move |word| line.contains(*word)).map(move |word| (at, word))
    });
    crossed.map(|(at, word)| format!("{}:{}: `{word}`: {}", source.path, at + 1, border.meaning)).collect()
}

/// Which of our crates each of them may build on.
const MAY_USE: &[(&str, &[&str])] = &[
    ("crates/seawall-core/Cargo.toml", &[]),
    ("crates/seawall-store/Cargo.toml", &["seawall-core"]),
    ("crates/seawall-connect/Cargo.toml", &["seawall-core"]),
    ("crates/seawall/Cargo.toml", &["seawall-core", "seawall-store", "seawall-connect"]),
];

pub fn dependencies(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, allowed) in MAY_USE {
        let Some(source) = sources.iter().find(|source| source.path == *path) else {
            wrong.push(format!("{path}: not found"));
            continue;
        };
        let manifest: Table = source.text.parse().unwrap_or_default();
        let used =
            manifest.get("dependencies").and_then(|section| section.as_table()).cloned().unwrap_or_default();
        let ours = used
            .keys()
            .filter(|name| name.starts_with("seawall"))
            .filter(|name| !allowed.contains(&name.as_str()));
        wrong.extend(ours.map(|name| format!("{path}: must not depend on {name}")));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crossing_is_found_and_a_comment_or_test_is_not() {
        let source = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
        let text = "let now = Instant::now();\n// Instant::now()\n#[cfg(test)]\nmod tests { fn x() { Instant::now(); } }";
        let found =
            words(&[source("crates/seawall-core/src/a.rs", text), source("crates/seawall/src/b.rs", text)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("crates/seawall-core/src/a.rs:1: "), "{found:?}");
    }
}
