//! `cargo xtask bench [NAME] [--quick]`: what the gateway does for a second of CPU time, as a ratio to a floor
//! that is measured seconds before on the same core. Other work on the machine changes both alike; a figure
//! without its floor means nothing. Nothing here passes or fails: the table says where a bar is missed.

mod batches;
mod cpu;
mod load;
mod report;
mod rules;
mod scaleout;
mod scenes;
mod server;
mod state;

use std::path::PathBuf;
use std::time::Duration;

use crate::live::{Profile, build};
use load::Plan;
use report::Row;

const NAMES: [&str; 10] =
    ["decision", "redis", "send", "batch", "latency", "memory", "recovery", "rules", "backtest", "scaleout"];

/// The core of the server, and that of the load.
pub(crate) const SERVER_CORE: u32 = 0;
const LOAD_CORE: u32 = 1;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Measurements of which the median is taken.
    pub repeats: usize,
    /// Time of one measurement.
    pub time: Duration,
    /// Batches of 10,000 messages.
    pub batches: usize,
    /// Batches that fill a ledger before it is recovered.
    pub fill: usize,
    /// Keys in memory.
    pub keys: u64,
}

const FULL: Scale =
    Scale { repeats: 3, time: Duration::from_secs(3), batches: 20, fill: 100, keys: 1_000_000 };
const QUICK: Scale =
    Scale { repeats: 1, time: Duration::from_millis(500), batches: 1, fill: 2, keys: 20_000 };

impl Scale {
    /// A load of so many connections.
    pub fn plan(&self, connections: usize) -> Plan {
        Plan { connections, warm_up: self.time / 4, time: self.time, own_core: true }
    }
}

/// Runs what is named, or everything but `build`. `--quick` measures less; `--binary=PATH` measures a gateway that
/// was built before, with `examples/floor` beside it.
pub fn run(arguments: &[String]) -> Result<(), String> {
    if let Some(rest) = arguments.strip_prefix(&["detection".to_owned()]) {
        return crate::detection::run(rest);
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let built = arguments.iter().find_map(|argument| argument.strip_prefix("--binary="));
    let names: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with("--")).collect();
    if let Some(unknown) = names.iter().find(|name| !NAMES.contains(name) && **name != "build") {
        return Err(format!("no benchmark `{unknown}`: {}, build, detection", NAMES.join(", ")));
    }
    if names == ["build"] {
        report::print(&[state::cold_build()?]);
        return Ok(());
    }
    let names = if names.is_empty() { NAMES.to_vec() } else { names };
    let binary = match built {
        Some(path) => PathBuf::from(path),
        None => build(Profile::Release, true)?,
    };
    if !cpu::stay_on(LOAD_CORE) {
        println!("taskset is missing: server and load share all cores, and ratios are less steady");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let rows = runtime.block_on(measure(&names, &binary, if quick { QUICK } else { FULL }))?;
    println!();
    report::print(&rows);
    Ok(())
}

async fn measure(names: &[&str], binary: &std::path::Path, scale: Scale) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for name in names {
        println!("{name} …");
        rows.extend(match *name {
            "decision" => scenes::decision(binary, scale).await?,
            "redis" => scenes::redis(binary, scale).await?,
            "send" => scenes::send(binary, scale).await?,
            "batch" => batches::batch(binary, scale).await?,
            "latency" => scenes::latency(binary, scale).await?,
            "memory" => state::memory(binary, scale).await?,
            "recovery" => state::recovery(binary, scale).await?,
            "rules" => rules::rules(binary, scale).await?,
            "scaleout" => scaleout::all(binary, scale).await?,
            "backtest" => rules::backtest(binary, scale).await?,
            _ => vec![state::cold_build()?],
        });
    }
    Ok(rows)
}
