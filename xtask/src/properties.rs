//! `cargo xtask properties [--cases=N]`: looks for cases that break a property, with another seed in each run.
//! What is found is kept below `proptest-regressions`, and tried first from then on.

use crate::sources::root;
use std::process::Command;

/// Cases of each property, unless said otherwise: some minutes.
const CASES: u32 = 5_000;

pub fn run(arguments: &[String]) -> Result<(), String> {
    let cases = match arguments {
        [] => CASES,
        [one] => {
            let number = one.strip_prefix("--cases=").and_then(|number| number.parse().ok());
            number.ok_or_else(|| format!("`{one}` is not known; write --cases=N"))?
        }
        _ => return Err("one argument at most: --cases=N".to_owned()),
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["test", "--workspace", "--lib", "--no-fail-fast"])
        .env("PROPTEST_CASES", cases.to_string())
        .current_dir(root())
        .status()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err("a property does not hold; see above".to_owned()) }
}
