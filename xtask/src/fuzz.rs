//! `cargo xtask fuzz [TARGET] [--executions 2000000 | --seconds N] [--seed N] [--release]`: every parser, or one, against
//! inputs that nobody would write. What breaks one is kept below `crates/seawall/tests/fuzz` and tried first from then on.

use crate::simulation::test;

#[derive(Debug, PartialEq, Eq)]
struct Options {
    target: String,
    /// How many, or `60s`.
    executions: String,
    seed: u64,
    release: bool,
}

impl Options {
    fn read(arguments: &[String]) -> Result<Self, String> {
        let mut options =
            Options { target: "all".to_owned(), executions: "2000000".to_owned(), seed: 1, release: false };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            if word == "--release" {
                options.release = true;
                continue;
            }
            if !word.starts_with("--") {
                options.target = word.clone();
                continue;
            }
            let value = words.next().and_then(|text| text.parse::<u64>().ok());
            let value = value.ok_or_else(|| format!("{word} needs a whole number"))?;
            match word.as_str() {
                "--executions" => options.executions = value.to_string(),
                "--seconds" => options.executions = format!("{value}s"),
                "--seed" => options.seed = value,
                _ => {
                    return Err(format!("unknown option {word}: --executions, --seconds, --seed, --release"));
                }
            }
        }
        Ok(options)
    }
}

/// Runs it.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let Options { target, executions, seed, release } = Options::read(arguments)?;
    test("fuzz::no_input_breaks_a_parser", "SEAWALL_FUZZ", &format!("{target} {executions} {seed}"), release)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let read =
            |text: &str| Options::read(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let all = read("").unwrap();
        assert_eq!((all.target.as_str(), all.executions.as_str()), ("all", "2000000"));
        let one = read("numbers --seconds 60 --seed 3 --release").unwrap();
        assert_eq!(
            one,
            Options { target: "numbers".to_owned(), executions: "60s".to_owned(), seed: 3, release: true }
        );
        assert!(read("--second 1").is_err());
    }
}
