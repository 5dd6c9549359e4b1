//! The bench of detection: simulated attacks and hard cases against the engine and against what is usual
//! elsewhere. While tuning: `cargo run --release -p seawall-core --features sim --example detection -- 1-3 NAME…`;
//! `-- cost` measures the engine's time and memory at a million requests a day.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement, not the product"
)]

mod bars;
mod cost;
mod run;
mod show;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use run::{Outcome, run};
use seawall_core::detect::Tuning;
use seawall_core::sim::scenarios;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|a| a == "cost") {
        let number = |at: usize, usual: u64| arguments.get(at).and_then(|n| n.parse().ok()).unwrap_or(usual);
        cost::measure(
            arguments.get(1).map_or("scale_1m", String::as_str),
            number(2, 101),
            usize::try_from(number(3, u64::MAX)).unwrap_or(usize::MAX),
        );
        return ExitCode::SUCCESS;
    }
    let mut tuning = Tuning::default();
    let (mut seeds, mut names) = (1..=1u64, Vec::new());
    for argument in &arguments {
        if let Some((key, value)) = argument.strip_prefix("--").and_then(|a| a.split_once('=')) {
            if !run::set(&mut tuning, key, value) {
                eprintln!("no such tuning: {key}");
                return ExitCode::from(2);
            }
        } else if let Some(range) = seed_range(argument) {
            seeds = range;
        } else {
            names.push(argument.clone());
        }
    }
    let chosen = |name: &str| names.is_empty() || names.iter().any(|n| name.contains(n.as_str()));
    let jobs: Vec<(&str, u64)> = scenarios()
        .iter()
        .filter(|s| chosen(s.name))
        .flat_map(|s| seeds.clone().map(move |seed| (s.name, seed)))
        .collect();
    let outcomes = parallel(&jobs, |(name, seed)| run(name, *seed, &tuning));
    show::table(&outcomes);
    bars::report(&outcomes);
    ExitCode::SUCCESS
}

fn seed_range(text: &str) -> Option<std::ops::RangeInclusive<u64>> {
    match text.split_once('-') {
        Some((from, to)) => Some(from.parse().ok()?..=to.parse().ok()?),
        None => text.parse().ok().map(|one| one..=one),
    }
}

/// Runs all jobs on all cores; answers in their order.
fn parallel<J: Sync>(jobs: &[J], work: impl Fn(&J) -> Outcome + Sync) -> Vec<Outcome> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = work(job);
                    if let Ok(mut done) = done.lock() {
                        done.push(outcome);
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|one| (one.order, one.seed));
    done
}
