//! Debian packages that the tests start programs of.

use std::path::Path;
use std::process::{Command, Stdio};

/// Whether what packages bring is there, after trying to install them. Says why not.
pub fn installed(packages: &[&str], files: &[&str]) -> Result<(), String> {
    let missing = || files.iter().find(|file| !Path::new(file).exists());
    if missing().is_none() {
        return Ok(());
    }
    install(packages)?;
    missing().map_or(Ok(()), |file| Err(format!("there is no {file}, though its package is installed")))
}

/// Installs packages, or says that they are needed.
pub fn install(packages: &[&str]) -> Result<(), String> {
    if !is_root() {
        return Err(format!("needs the Debian packages {}; install them", packages.join(", ")));
    }
    apt(&["update"])?;
    apt(&[&["install", "--yes", "--no-install-recommends"][..], packages].concat())
}

fn apt(arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new("apt-get");
    command.arg("-qq").args(arguments).stdin(Stdio::null());
    // No service is started: another server may be running here.
    command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    quietly(&mut command)
}

/// Runs something whose output matters only when it fails.
pub fn quietly(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("cannot start {name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// Whether this is the user who may install packages.
pub fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
