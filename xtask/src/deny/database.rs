//! RustSec's database of advisories: a checkout of a day ago at most; an older one while it cannot be reached.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::sources::target;

const DATABASE: &str = "https://github.com/rustsec/advisory-db";
/// Names a checkout that is there already.
const VARIABLE: &str = "SEAWALL_ADVISORIES";
/// A checkout is good for so long.
const FRESH: Duration = Duration::from_secs(24 * 3600);
/// How long it may take to get one.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where it is; or why there is none.
pub fn checkout() -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os(VARIABLE).map(PathBuf::from) {
        let there = named.join("crates").is_dir();
        return there.then_some(named).ok_or_else(|| format!("{VARIABLE} names no checkout of {DATABASE}"));
    }
    let (kept, new) = (target().join("advisory-db"), target().join("advisory-db.new"));
    if is_fresh(&kept) {
        return Ok(kept);
    }
    let _ = fs::remove_dir_all(&new);
    match clone(&new) {
        Ok(()) => {
            let _ = fs::remove_dir_all(&kept);
            fs::rename(&new, &kept).map_err(|error| error.to_string())?;
            Ok(kept)
        }
        Err(_) if kept.is_dir() => Ok(kept),
        Err(why) => Err(why),
    }
}

/// Whether one was named, which then has to be there.
pub fn is_named() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

fn is_fresh(kept: &Path) -> bool {
    let made = fs::metadata(kept.join(".git/HEAD")).and_then(|head| head.modified());
    made.is_ok_and(|at| at.elapsed().is_ok_and(|age| age < FRESH))
}

/// Never asks for anything, and gives up after a while.
fn clone(into: &Path) -> Result<(), String> {
    let mut command = Command::new("git");
    command.args(["clone", "--quiet", "--depth", "1", DATABASE]).arg(into).env("GIT_TERMINAL_PROMPT", "0");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("git cannot be run: {error}"))?;
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) if status.success() => return Ok(()),
            Some(_) => return Err(format!("{DATABASE} cannot be reached; {VARIABLE} may name a checkout")),
            None => sleep(Duration::from_millis(50)),
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    Err(format!("{DATABASE} did not come within {} s", PATIENCE.as_secs()))
}
