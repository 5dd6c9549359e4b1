//! `cargo xtask simulation [--seeds 100000] [--from 0] [--seed S] [--release]`: three gateways in one thread and in simulated
//! time, with everything between them failing, over many seeds. The tests try 2,000; a seed that finds something is told
//! and belongs into `crates/seawall/tests/it/simulation/seeds.txt`.

use std::process::Command;

use crate::sources::root;

#[derive(Debug, PartialEq, Eq)]
struct Options {
    seeds: u64,
    from: u64,
    one: Option<u64>,
    release: bool,
}

impl Options {
    fn read(arguments: &[String]) -> Result<Self, String> {
        let mut options = Options { seeds: 100_000, from: 0, one: None, release: false };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            if word == "--release" {
                options.release = true;
                continue;
            }
            let value = words.next().and_then(|text| text.parse::<u64>().ok());
            let value = value.ok_or_else(|| format!("{word} needs a whole number"))?;
            match word.as_str() {
                "--seeds" => options.seeds = value,
                "--from" => options.from = value,
                "--seed" => options.one = Some(value),
                _ => return Err(format!("unknown option {word}: --seeds, --from, --seed, --release")),
            }
        }
        Ok(options)
    }

    /// As the test reads it.
    fn seeds(&self) -> String {
        self.one.map_or_else(|| format!("{}..{}", self.from, self.from + self.seeds), |one| one.to_string())
    }
}

/// Runs it.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let options = Options::read(arguments)?;
    test("simulation::whatever_happens", "SEAWALL_SIMULATION", &options.seeds(), options.release)
}

/// Runs one test of the gateway with a variable, and shows what it prints.
pub fn test(name: &str, variable: &str, value: &str, release: bool) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["test", "--locked", "-p", "seawall", "--test", "it"]).current_dir(root());
    if release {
        command.arg("--release");
    }
    command
        .args(["--", name, "--nocapture", "--include-ignored"])
        .env(variable, value)
        .env("RUST_BACKTRACE", "0");
    let status = command.status().map_err(|error| format!("cannot start cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err("something does not hold; see above".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let read =
            |text: &str| Options::read(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(read("").unwrap().seeds(), "0..100000");
        assert_eq!(read("--from 5 --seeds 10").unwrap().seeds(), "5..15");
        assert_eq!(read("--seed 7 --release").unwrap().seeds(), "7");
        assert!(read("--seeds").is_err() && read("--sed 1").is_err());
    }
}
