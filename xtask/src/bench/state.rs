//! What the gateway holds: memory, a full ledger, a build.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::batches::{BATCH, fill, settle};
use super::report::{Bar, Row, number};
use super::{SERVER_CORE, Scale, cpu};
use crate::live::{Gateway, Scratch};

fn row(name: String, value: String, result: f64, unit: &'static str, bar: Bar) -> Row {
    Row { name, value, floor: "-".to_owned(), result, unit, bar }
}

/// A gateway that does nothing, and exact windows by the million.
pub async fn memory(binary: &Path, scale: Scale) -> Result<Vec<Row>, String> {
    let gateway = Gateway::start(binary, Some(SERVER_CORE)).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let idle = cpu::resident(gateway.pid())? as f64 / f64::from(1 << 20);
    let mut rows =
        vec![row("idle memory".to_owned(), format!("{idle:.1} MiB"), idle, " MiB", Bar::AtMost(60.0))];
    for (limits, charges, bar) in [(3, 1, Bar::AtMost(120.0)), (1, 10, Bar::None)] {
        let counted = counters(binary, scale.keys, limits, charges)?;
        let figure = |name: &str| counted.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
        let bytes = figure("bytes_per_entry");
        let name = format!("{} numbers x {limits} limits, {charges} charges each", number(scale.keys as f64));
        let value = format!("{bytes:.0} B a number and limit, {:.0} ns a charge", figure("nanos_per_charge"));
        rows.push(row(name, value, bytes, " B", bar));
    }
    Ok(rows)
}

fn counters(gateway: &Path, keys: u64, limits: u64, charges: u64) -> Result<Value, String> {
    let mut command = Command::new(gateway.with_file_name("examples").join("counters"));
    let output = command.args([keys, limits, charges].map(|n| n.to_string())).output();
    let output = output.map_err(|error| format!("examples/counters cannot be run: {error}"))?;
    serde_json::from_slice(&output.stdout).map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// From the start of a process over a full ledger, after a crash, to its first readiness.
pub async fn recovery(binary: &Path, scale: Scale) -> Result<Vec<Row>, String> {
    let mut gateway = Gateway::start(binary, Some(SERVER_CORE)).await?;
    gateway.lift_rates().await?;
    fill(&gateway, scale.fill, None).await?;
    settle(&gateway).await?;
    gateway.kill();
    let taken = gateway.launch().await?.as_secs_f64();
    let name = format!("ready after a crash, {} messages in the ledger", number((scale.fill * BATCH) as f64));
    Ok(vec![row(name, format!("{taken:.2} s"), taken, " s", Bar::AtMost(2.0))])
}

/// A release build from nothing.
pub fn cold_build() -> Result<Row, String> {
    let scratch = Scratch::new()?;
    let begun = Instant::now();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--quiet", "-p", "seawall", "--bins", "--target-dir"]).arg(&scratch.0);
    let status = cargo.status().map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !status.success() {
        return Err("the gateway does not build".to_owned());
    }
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    Ok(row("cold release build".to_owned(), format!("{minutes:.1} min"), minutes, " min", Bar::None))
}
