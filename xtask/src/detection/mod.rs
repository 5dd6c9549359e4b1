//! `cargo xtask bench detection [--seeds N] [--first-seed N] [--out FILE] [NAMES…]`: simulated attacks and hard
//! cases against the engine of `serve` and against three defences that are usual elsewhere, and the page
//! docs/benchmark.md. Without names everything is run; with names nothing is written unless `--out` says where.

mod bars;
mod baseline;
mod defence;
mod job;
mod page;
mod score;
mod seen;
mod stats;
mod tables;
mod tuned;
mod windows;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use seawall_core::sim::{Kind, Scenario, scenarios};

use defence::Defence;
use job::Job;
use score::Outcome;

/// The one scenario that is run on the first seed alone: two million requests.
const LARGE: &str = "scale_1m";
/// Seeds on which the factors of the baselines are found.
pub(crate) const TUNING_SEEDS: u64 = 2;
/// Where the page goes.
const PAGE: &str = "docs/benchmark.md";

/// What is run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The first seed.
    pub first: u64,
    /// How many seeds.
    pub seeds: u64,
    /// Parts of names; none: everything.
    pub names: Vec<String>,
    /// Where the page goes, if anywhere.
    pub out: Option<PathBuf>,
}

/// Everything that was measured.
pub(crate) struct Measured {
    pub plan: Plan,
    pub outcomes: Vec<Outcome>,
    pub tuned: tuned::Tuned,
    pub seconds: f64,
}

/// Runs the benchmark.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let plan = plan(arguments)?;
    let begun = Instant::now();
    let chosen: Vec<&Scenario> = scenarios().iter().filter(|s| wanted(&plan, s.name)).collect();
    if chosen.is_empty() {
        return Err(format!("no scenario has a name with {}", plan.names.join(" or ")));
    }
    let (calm, attacks): (Vec<&Scenario>, Vec<&Scenario>) =
        chosen.into_iter().partition(|s| s.kind == Kind::HardNegative);
    // The factors are found on the first seeds; the others are run with those alone.
    let (first, later): (Vec<Job>, Vec<Job>) = jobs(&plan, &calm, &Defence::ladder())
        .into_iter()
        .partition(|job| job.seed < plan.first + TUNING_SEEDS);
    let mut outcomes = all(&first, "hard negatives");
    let tuned = tuned::Tuned::of(&outcomes);
    outcomes.retain(|outcome| !outcome.defence.is_ladder() || tuned.chose(outcome.defence));
    let field = Defence::field(&tuned);
    let later = later.into_iter().map(|job| Job { defences: field.clone(), ..job });
    let rest: Vec<Job> = jobs(&plan, &attacks, &field).into_iter().chain(later).collect();
    outcomes.extend(all(&rest, "all others"));
    outcomes.sort_by_key(|one: &Outcome| (one.order, one.seed, one.defence.order()));
    let measured = Measured { plan, outcomes, tuned, seconds: begun.elapsed().as_secs_f64() };
    print!("{}", tables::terminal(&measured));
    if let Some(path) = &measured.plan.out {
        std::fs::write(path, page::page(&measured))
            .map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        println!("\nwritten: {}", path.display());
    }
    Ok(())
}

fn plan(arguments: &[String]) -> Result<Plan, String> {
    let mut plan = Plan { first: 1, seeds: 5, names: Vec::new(), out: None };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        let number = |text: &String| text.parse::<u64>().map_err(|_| format!("`{text}` is no number"));
        match word.as_str() {
            "--seeds" => plan.seeds = number(value()?)?.max(1),
            "--first-seed" => plan.first = number(value()?)?,
            "--out" => plan.out = Some(value()?.into()),
            flag if flag.starts_with("--") => return Err(format!("unknown option {flag}")),
            name => plan.names.push(name.to_owned()),
        }
    }
    if plan.names.is_empty() && plan.out.is_none() {
        plan.out = Some(PAGE.into());
    }
    Ok(plan)
}

fn wanted(plan: &Plan, name: &str) -> bool {
    plan.names.is_empty() || plan.names.iter().any(|part| name.contains(part.as_str()))
}

fn jobs<'a>(plan: &Plan, of: &[&'a Scenario], defences: &[Defence]) -> Vec<Job<'a>> {
    let seeds = |scenario: &Scenario| if scenario.name == LARGE { 1 } else { plan.seeds };
    let mut jobs: Vec<Job<'a>> = of
        .iter()
        .flat_map(|scenario| {
            (0..seeds(scenario)).map(|nth| Job {
                scenario,
                seed: plan.first + nth,
                defences: defences.to_vec(),
            })
        })
        .collect();
    // The long one first, so that the other core has something to do meanwhile.
    jobs.sort_by_key(|job| job.scenario.name != LARGE);
    jobs
}

/// Runs all jobs on all cores.
fn all(jobs: &[Job<'_>], what: &str) -> Vec<Outcome> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcomes = job.run();
            if let Ok(mut done) = done.lock() {
                done.extend(outcomes);
                let at = next.load(Ordering::Relaxed).min(jobs.len());
                eprintln!("{what}, {at} of {}: {} {}", jobs.len(), job.scenario.name, job.seed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
    done.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests;
