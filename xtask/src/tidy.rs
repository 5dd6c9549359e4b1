//! `cargo xtask tidy`: style that no lint knows: sizes, borders between crates, words that must not stay. Each check
//! is a test of its own below; the command says them all at once.

mod borders;
mod links;
mod sizes;
mod words;

use crate::sources::{self, Source};

/// A check: what is wrong, a line each.
type Check = fn(&[Source]) -> Vec<String>;

const CHECKS: &[(&str, Check)] = &[
    ("files are short", sizes::files),
    ("functions are short", sizes::functions),
    ("crates know only what they may", borders::words),
    ("crates depend in one direction", borders::dependencies),
    ("nothing is left to do", words::leftovers),
    ("no machine is named", words::machines),
    ("links lead somewhere", links::broken),
];

/// Runs every check.
pub fn run(_: &[String]) -> Result<(), String> {
    let sources = sources::all();
    let wrong: Vec<String> = CHECKS.iter().flat_map(|(_, check)| check(&sources)).collect();
    wrong.iter().for_each(|line| eprintln!("{line}"));
    if wrong.is_empty() { Ok(()) } else { Err(format!("{} things to tidy", wrong.len())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_tidy(name: &str) {
        let (_, check) = CHECKS.iter().find(|(known, _)| *known == name).unwrap();
        let wrong = check(&sources::all());
        assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    }

    #[test]
    fn files_are_short() {
        assert_tidy("files are short");
    }

    #[test]
    fn functions_are_short() {
        assert_tidy("functions are short");
    }

    #[test]
    fn crates_know_only_what_they_may() {
        assert_tidy("crates know only what they may");
    }

    #[test]
    fn crates_depend_in_one_direction() {
        assert_tidy("crates depend in one direction");
    }

    #[test]
    fn nothing_is_left_to_do() {
        assert_tidy("nothing is left to do");
    }

    #[test]
    fn no_machine_is_named() {
        assert_tidy("no machine is named");
    }

    #[test]
    fn links_lead_somewhere() {
        assert_tidy("links lead somewhere");
    }
}
