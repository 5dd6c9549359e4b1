//! `cargo xtask train-check`: the lints and tests of training. It needs a library that takes minutes to build, so
//! it is not a part of `cargo xtask test`, which evaluates and enforces models that were trained before.

use std::process::Command;

use crate::sources::root;

pub fn run(_: &[String]) -> Result<(), String> {
    let package = ["-p", "seawall", "--features", "train", "--locked"];
    cargo(&["clippy"], &package, &["--all-targets", "--", "-D", "warnings"])?;
    cargo(&["test"], &package, &["--bin", "seawall", "--lib", "--", "cli::train"])?;
    cargo(&["test"], &package, &["--test", "it", "--", "models::"])
}

fn cargo(command: &[&str], package: &[&str], rest: &[&str]) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let all = [command, package, rest].concat();
    let status = Command::new(cargo).args(&all).current_dir(root()).status();
    let status = status.map_err(|error| format!("cannot start cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("cargo {} failed", all.join(" "))) }
}
