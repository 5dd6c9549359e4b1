//! `cargo xtask calls [--gateway FILE] [--together N]`: two phones reach each other through a mask, over Debian's Kamailio
//! and rtpengine with the configuration of `deploy/kamailio`, on loopback. The phones (`sipp`) put their number into
//! everything that they send; nothing that the other one receives may hold it.

mod hear;
mod scenes;
mod sipp;
mod stage;

use std::path::{Path, PathBuf};

use crate::apt;
use crate::live::{Profile, build};

const PACKAGES: [&str; 6] = [
    "kamailio",
    "kamailio-extra-modules",
    "kamailio-json-modules",
    "kamailio-utils-modules",
    "rtpengine-daemon",
    "sip-tester",
];
const FILES: [&str; 3] = ["/usr/sbin/kamailio", "/usr/bin/rtpengine", "/usr/bin/sipp"];

/// Whether the packages are there, after trying to install them. Says why not.
pub fn ready() -> Result<(), String> {
    apt::installed(&PACKAGES, &FILES)
}

/// Runs it.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let (mut gateway, mut together) = (None, 20u32);
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let value = rest.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--gateway" => gateway = Some(PathBuf::from(value)),
            "--together" => together = value.parse().map_err(|_| "--together is a number".to_owned())?,
            _ => return Err("unknown option: --gateway FILE, --together N".to_owned()),
        }
    }
    ready()?;
    let binary = match gateway {
        Some(binary) => binary,
        None => build(Profile::Dev, false)?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(all(&binary, together))
}

async fn all(binary: &Path, together: u32) -> Result<(), String> {
    let stage = stage::Stage::set_up(binary).await?;
    let mut wrong = 0;
    for (name, outcome) in scenes::play(&stage, together).await {
        match outcome {
            Ok(said) => println!("calls: {name}: {said}"),
            Err(why) => {
                wrong += 1;
                println!("calls: {name}: WRONG: {why}");
            }
        }
    }
    if wrong == 0 {
        return Ok(());
    }
    println!("{}", stage.logs());
    Err(format!("{wrong} scenes went wrong"))
}
