//! What the tests need beside Rust: a Python environment and Node packages, prepared once below `target` and
//! `tests/node`, and servers from Debian's packages. What cannot be prepared is said and skipped; with CI=true it is a failure.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::apt;
use crate::sources::{root, target};

/// What is there for the tests, as environment variables.
#[derive(Debug, Default)]
pub struct Tools {
    /// For `cargo test`.
    pub variables: Vec<(&'static str, PathBuf)>,
    /// What could not be prepared, and why.
    pub missing: Vec<String>,
}

/// Prepares everything.
pub fn prepare() -> Tools {
    let mut tools = Tools::default();
    tools.add("SEAWALL_TEST_PYTHON", "tests that need Python packages", python());
    tools.add("SEAWALL_TEST_NODE_DIR", "tests that need Node packages", node());
    tools.add("SEAWALL_TEST_REDIS", "tests that need Redis", redis());
    tools.add("SEAWALL_TEST_POSTGRES", "tests on PostgreSQL", postgres().map(Some));
    tools
}

impl Tools {
    fn add(&mut self, variable: &'static str, what: &str, prepared: Result<Option<PathBuf>, String>) {
        match prepared {
            Ok(Some(path)) => self.variables.push((variable, path)),
            Ok(None) => {}
            Err(reason) => self.missing.push(format!("{what}: {reason}")),
        }
    }
}

/// The interpreter of an environment with tests/requirements.txt; `None` when there is no such file.
fn python() -> Result<Option<PathBuf>, String> {
    let wanted = root().join("tests/requirements.txt");
    if !wanted.exists() {
        return Ok(None);
    }
    let dir = target().join("venv");
    let interpreter = dir.join("bin/python");
    once(&wanted, &dir.join("prepared"), || {
        call(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&dir))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
        call(Command::new(&interpreter).args(pip).arg(&wanted))
    })?;
    Ok(Some(interpreter))
}

/// tests/node with its packages installed; `None` when there is no such directory.
fn node() -> Result<Option<PathBuf>, String> {
    let dir = root().join("tests/node");
    let lock = dir.join("package-lock.json");
    if !lock.exists() {
        return Ok(None);
    }
    once(&lock, &dir.join("node_modules/.prepared"), || {
        call(
            Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&dir),
        )
    })?;
    Ok(Some(dir))
}

/// A redis-server; the tests start instances of their own.
pub fn redis() -> Result<Option<PathBuf>, String> {
    const PROGRAM: &str = "/usr/bin/redis-server";
    apt::installed(&["redis-server"], &[PROGRAM])?;
    Ok(Some(PathBuf::from(PROGRAM)))
}

/// The directory of PostgreSQL's programs, after trying to install Debian's package.
pub fn postgres() -> Result<PathBuf, String> {
    if let Some(found) = postgres_programs() {
        return Ok(found);
    }
    apt::install(&["postgresql"])?;
    postgres_programs().ok_or_else(|| "there is no initdb, though its package is installed".to_owned())
}

/// The newest version's, where Debian puts them.
fn postgres_programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.map(|entry| entry.path()).max_by_key(number)?.join("bin");
    newest.join("initdb").exists().then_some(newest)
}

/// Does something unless it was done for the same content before.
fn once(wanted: &Path, stamp: &Path, prepare: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let read =
        |path: &Path| std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    let wanted = read(wanted)?;
    if read(stamp).is_ok_and(|done| done == wanted) {
        return Ok(());
    }
    prepare()?;
    std::fs::write(stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}

fn call(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("cannot start {name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last =
        said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message").trim().to_owned();
    Err(format!("{name} failed: {last}"))
}
