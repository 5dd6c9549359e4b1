//! Load over many connections, each with one request at a time, and what it cost the server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use super::cpu;
use crate::live::Wire;

/// Writes the next request of a load.
pub type Next = Arc<dyn Fn(&mut Vec<u8>) + Send + Sync>;

/// How a load is driven.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Connections at a time.
    pub connections: usize,
    /// Before anything is counted.
    pub warm_up: Duration,
    /// While it is counted.
    pub time: Duration,
    /// Whether the core of the load is the load's alone.
    pub own_core: bool,
}

/// What it came to.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Good answers a second of the server's CPU time.
    pub per_cpu_second: f64,
    /// Good answers a second.
    pub per_second: f64,
    /// Half of all answers took at most so long.
    pub median: Duration,
    /// 99 of 100 answers took at most so long.
    pub p99: Duration,
    /// Share of answers that were not 2xx.
    pub refused: f64,
}

const WARMING: u8 = 0;
const COUNTING: u8 = 1;
const OVER: u8 = 2;

#[derive(Default)]
struct Tally {
    micros: Vec<u32>,
    refused: u64,
}

/// Drives a load against a process.
pub async fn drive(addr: SocketAddr, pid: u32, plan: Plan, next: Next) -> Result<Outcome, String> {
    let phase = Arc::new(AtomicU8::new(WARMING));
    // The core of the load never sleeps: waking it would be charged to the server, and to a slow one with every
    // answer, while a fast one keeps it awake. Where servers run there too, it would be taken from them.
    let awake = plan.own_core.then(|| tokio::spawn(stay_awake(phase.clone())));
    let connections: Vec<_> =
        (0..plan.connections).map(|_| tokio::spawn(connection(addr, next.clone(), phase.clone()))).collect();
    tokio::time::sleep(plan.warm_up).await;
    let (cpu, begun) = (cpu::time(pid)?, Instant::now());
    phase.store(COUNTING, Ordering::Relaxed);
    tokio::time::sleep(plan.time).await;
    phase.store(OVER, Ordering::Relaxed);
    let (cpu, wall) = (cpu::time(pid)?.saturating_sub(cpu), begun.elapsed());
    if let Some(awake) = awake {
        let _ = awake.await;
    }
    let mut all = Tally::default();
    for connection in connections {
        let one = connection.await.map_err(|error| error.to_string())?;
        let one = one.map_err(|error| format!("a connection broke: {error}"))?;
        all.micros.extend(one.micros);
        all.refused += one.refused;
    }
    summarise(all, cpu, wall)
}

async fn stay_awake(phase: Arc<AtomicU8>) {
    while phase.load(Ordering::Relaxed) != OVER {
        tokio::task::yield_now().await;
    }
}

fn summarise(mut all: Tally, cpu: Duration, wall: Duration) -> Result<Outcome, String> {
    all.micros.sort_unstable();
    let at = |share: f64| {
        let place = (all.micros.len() as f64 * share) as usize;
        all.micros.get(place.min(all.micros.len().saturating_sub(1))).copied().unwrap_or(0)
    };
    let good = all.micros.len() as f64;
    if all.micros.is_empty() || cpu.is_zero() {
        return Err(format!("no good answer ({} others)", all.refused));
    }
    Ok(Outcome {
        per_cpu_second: good / cpu.as_secs_f64(),
        per_second: good / wall.as_secs_f64(),
        median: Duration::from_micros(at(0.5).into()),
        p99: Duration::from_micros(at(0.99).into()),
        refused: all.refused as f64 / (good + all.refused as f64),
    })
}

async fn connection(addr: SocketAddr, next: Next, phase: Arc<AtomicU8>) -> std::io::Result<Tally> {
    let mut wire = Wire::open(addr).await?;
    let mut tally = Tally::default();
    let mut request = Vec::with_capacity(1024);
    loop {
        request.clear();
        next(&mut request);
        let begun = Instant::now();
        let status = wire.exchange(&request).await?.status;
        match phase.load(Ordering::Relaxed) {
            WARMING => {}
            COUNTING if (200..300).contains(&status) => {
                tally.micros.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            COUNTING => tally.refused += 1,
            _ => return Ok(tally),
        }
    }
}
