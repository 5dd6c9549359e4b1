//! Words that must not stay.

use crate::sources::Source;

/// Spelled in halves, so that this file does not hold them.
const LEFTOVERS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];
const MACHINES: [&str; 4] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("artif", "actory")];

pub fn leftovers(sources: &[Source]) -> Vec<String> {
    let said = |line: &str| {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.any(|word| LEFTOVERS.contains(&word))
    };
    find(sources, said, "do it now, or open an issue")
}

pub fn machines(sources: &[Source]) -> Vec<String> {
    let said = |line: &str| MACHINES.iter().any(|path| line.contains(path));
    find(sources, said, "names a path or a host of one machine")
}

fn find(sources: &[Source], said: impl Fn(&str) -> bool, why: &str) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let lines = source.text.lines().enumerate().filter(|(_, line)| said(line));
        found.extend(lines.map(|(at, line)| format!("{}:{}: {why}: {}", source.path, at + 1, line.trim())));
    }
    found
}
