//! `cargo xtask test`: everything that has to hold before a change goes in. All steps run, also after one
//! has failed; the last line sums up.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::sources::root;
use crate::{calls, crash, deny, retries, tools, waf};

/// What came out so far. A step other than `cargo test` counts as one test when it fails.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    passed: u64,
    failed: u64,
    ignored: u64,
}

pub fn run(_: &[String]) -> Result<(), String> {
    let mut sum = Sum::default();
    let tools = tools::prepare();
    sum.step("tools", skipped(&tools.missing));
    sum.step("format", cargo(&["fmt", "--all", "--check"]));
    sum.step("lints", cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]));
    sum.step("dependencies", deny::run(&[]));
    let tested = tests(&tools, &mut sum);
    sum.step("tests", tested);
    sum.step("demo", cargo(&["run", "--quiet", "--locked", "--", "demo", "--exit"]));
    let kills = ["--kills", "3", "--seconds", "9"].map(str::to_owned);
    sum.step("crash", crash::run(&kills));
    let few = ["--keys", "200", "--workers", "10"].map(str::to_owned);
    sum.step("retries", retries::run(&few));
    sum.step("waf", firewall());
    sum.step("calls", masked_calls());
    if sum.ignored > 0 {
        println!("{} ignored: run them by name", sum.ignored);
    }
    println!("{} passed, {} failed", sum.passed, sum.failed);
    // Nothing may follow that line, so the exit code says the rest.
    let _ = std::io::stdout().flush();
    std::process::exit(i32::from(sum.failed > 0));
}

/// Says loudly what is skipped; in CI nothing may be.
fn skipped(missing: &[String]) -> Result<(), String> {
    missing.iter().for_each(|what| eprintln!("\n*** SKIPPED: {what}\n"));
    let strict = std::env::var("CI").is_ok_and(|value| value == "true");
    if strict && !missing.is_empty() { Err("with CI=true nothing may be skipped".to_owned()) } else { Ok(()) }
}

/// The reference firewall, if its packages are there or can be installed.
fn firewall() -> Result<(), String> {
    match waf::ready() {
        Ok(()) => waf::run(&[]),
        Err(why) => skipped(&[format!("the reference firewall: {why}")]),
    }
}

/// Masked calls over Kamailio, if its packages are there or can be installed.
fn masked_calls() -> Result<(), String> {
    match calls::ready() {
        Ok(()) => calls::run(&[]),
        Err(why) => skipped(&[format!("masked calls: {why}")]),
    }
}

fn cargo(arguments: &[&str]) -> Result<(), String> {
    let status = command(arguments).status().map_err(|error| format!("cannot start cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("cargo {} failed", arguments.join(" "))) }
}

fn command(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(root()).env("INSTA_UPDATE", "no");
    command
}

/// Runs every test binary and adds up their results.
fn tests(tools: &tools::Tools, sum: &mut Sum) -> Result<(), String> {
    println!("\n=== tests");
    let mut command = command(&["test", "--workspace", "--locked", "--no-fail-fast"]);
    // The same cases for everyone, so that a change is not refused for what it did not do; `cargo xtask
    // properties` looks for new ones.
    command.env("PROPTEST_RNG_SEED", "1");
    command.envs(tools.variables.iter().map(|(name, path)| (name, path))).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot start cargo: {error}"))?;
    let before = sum.failed;
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            sum.add(&line);
            println!("{line}");
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    // Failed tests are counted one by one; what does not compile, or dies, is not among them.
    if !status.success() && sum.failed == before { Err("cargo test failed".to_owned()) } else { Ok(()) }
}

impl Sum {
    fn step(&mut self, name: &str, result: Result<(), String>) {
        match result {
            Ok(()) => println!("=== {name}: done"),
            Err(reason) => {
                println!("=== {name}: FAILED: {reason}");
                self.failed += 1;
            }
        }
    }

    /// Adds a binary's result line, `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in counts.split("; ") {
            let Some((count, what)) = part.split_once(' ') else {
                continue;
            };
            let Ok(count) = count.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_add_up() {
        let mut sum = Sum::default();
        sum.add(
            "test result: ok. 16 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.02s",
        );
        sum.add("test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.18s");
        sum.add("test x::test result ... ok");
        sum.step("format", Err("x".to_owned()));
        assert_eq!(sum, Sum { passed: 19, failed: 2, ignored: 2 });
    }
}
