//! The gateway's binary, and where it may write.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sources::target;

/// How the gateway is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// For correctness.
    Dev,
    /// For figures.
    Release,
}

impl Profile {
    fn directory(self) -> PathBuf {
        target().join(if self == Profile::Release { "release" } else { "debug" })
    }
}

/// Builds the gateway (and its examples, if asked) and says where the binary is.
pub fn build(profile: Profile, examples: bool) -> Result<PathBuf, String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "-p", "seawall", "--bins"]);
    if examples {
        cargo.arg("--examples");
    }
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    let status = cargo.status().map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !status.success() {
        return Err("the gateway does not build".to_owned());
    }
    Ok(profile.directory().join("seawall"))
}

/// A directory on the disk that holds the target directory (`/tmp` may be memory, whose fsync is free),
/// removed at the end.
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// A new, empty one.
    pub fn new() -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = target().join("xtask").join(name);
        std::fs::create_dir_all(&path).map_err(|error| format!("no scratch directory: {error}"))?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
