//! How much memory exact windows take: charges a number of keys to a number of limits and prints the growth of
//! this process, as JSON. `cargo xtask bench memory` reads it.
//!
//!     counters KEYS LIMITS CHARGES_EACH

use std::time::{Duration, Instant};

use seawall_core::limit::{Charge, ChargeKind};
use seawall_core::time::Timestamp;
use seawall_core::window::Rule;
use seawall_store::Counters;
use seawall_store::memory::{DEFAULT_MAX_KEYS, MemoryCounters};

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|text| text.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Spreads keys over all 64 bits, as the keyed hash of the gateway does.
fn key(of: u64, limit: usize) -> u64 {
    let z = (of ^ (limit as u64).rotate_left(48)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (z ^ (z >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

fn charges(of: u64, limits: usize) -> Vec<Charge> {
    let rule = Rule::window_of(1000, Duration::from_secs(1800));
    (0..limits)
        .map(|limit| Charge {
            key: key(of, limit),
            rule: rule.clone(),
            always: false,
            enforced: true,
            kind: ChargeKind::Limit(limit),
            amount: 1,
        })
        .collect()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<u64> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let &[keys, limits, each] = arguments.as_slice() else {
        return Err("KEYS LIMITS CHARGES_EACH".into());
    };
    let limits = usize::try_from(limits)?;
    let counters = MemoryCounters::new(DEFAULT_MAX_KEYS);
    let (before, begun) = (resident(), Instant::now());
    let mut at = Timestamp::from_millis(1_767_600_000_000);
    for _ in 0..each {
        at = at.plus(Duration::from_millis(1));
        for of in 0..keys {
            counters.charge(&charges(of, limits), 1, at).await?;
        }
    }
    let (spent, held) = (begun.elapsed(), resident().saturating_sub(before));
    let entries = keys * limits as u64;
    println!(
        "{{\"entries\": {entries}, \"bytes_per_entry\": {:.1}, \"nanos_per_charge\": {}}}",
        held as f64 / entries as f64,
        spent.as_nanos() / u128::from(entries * each)
    );
    Ok(())
}
