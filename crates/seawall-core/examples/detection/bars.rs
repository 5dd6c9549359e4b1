//! The figures to reach, and how far each scenario is from them: medians over the seeds that were run.

use std::collections::BTreeMap;

use crate::run::Outcome;

/// What a scenario must stay within.
#[derive(Clone, Copy)]
struct Bar {
    leak: Option<f64>,
    first: Option<u64>,
    sent: Option<u64>,
    alternative: f64,
}

/// Real users, during any attack and in every hard case (percent).
const BLOCKED: f64 = 0.05;
const CHALLENGED: f64 = 1.0;
const ALTERNATIVE: f64 = 0.3;
/// Unknown real users inside the attacked country (percent).
const COLLATERAL: f64 = 0.5;
/// Money leaked over all families with a bar, by seed.
const MONEY: f64 = 50.0;

fn bar(scenario: &str) -> Bar {
    let none = Bar { leak: None, first: None, sent: None, alternative: ALTERNATIVE };
    match scenario {
        "seq_block" | "random_in_prefix" | "multi_range" | "datacentre" | "xff_spoof" | "weekend_night" => {
            Bar { leak: Some(1.0), first: Some(12), ..none }
        }
        // Fifteen confirmed tests precede the burst.
        "test_then_burst" => Bar { leak: Some(1.0), first: Some(27), ..none },
        "resproxy_top_country"
        | "partial_10"
        | "partial_30"
        | "partial_60"
        | "slow_ramp"
        | "scatter_country" => Bar { leak: Some(3.0), ..none },
        "multi_country" | "mixed_campaign" | "scatter_partial30" => Bar { leak: Some(5.0), ..none },
        "cred_stuffing" => Bar { leak: Some(8.0), ..none },
        "low_and_slow" => Bar { leak: Some(20.0), ..none },
        "bomb_single" => Bar { sent: Some(5), ..none },
        "hijacked_sender" => Bar { sent: Some(200), ..none },
        "hn_campus_nat" | "hn_enterprise_block" => Bar { alternative: 1.0, ..none },
        _ => none,
    }
}

/// The 21 families over which money is summed.
const FAMILIES: usize = 21;

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(0.0)
}

/// Prints what misses its bar, then the money of each seed.
pub fn report(outcomes: &[Outcome]) {
    let mut by_scenario: BTreeMap<usize, Vec<&Outcome>> = BTreeMap::new();
    outcomes.iter().for_each(|one| by_scenario.entry(one.order).or_default().push(one));
    let (mut met, mut missed) = (0, 0);
    for runs in by_scenario.values() {
        let name = runs.first().map_or("", |one| one.scenario);
        let short = misses(name, runs);
        if short.is_empty() {
            met += 1;
        } else {
            missed += 1;
            println!("MISSED {name}: {}", short.join(", "));
        }
    }
    println!("{met} scenarios within their bars, {missed} not (medians)");
    let mut money = BTreeMap::<u64, (f64, usize)>::new();
    for one in outcomes.iter().filter(|one| one.order < FAMILIES) {
        let sum = money.entry(one.seed).or_default();
        sum.0 += one.summary.attack.cost_leaked_micros as f64 / 1e6;
        sum.1 += 1;
    }
    for (seed, (money, families)) in money {
        let verdict = if money < MONEY { "" } else { " MISSED" };
        println!("seed {seed}: ${money:.2} leaked in {families} of {FAMILIES} families{verdict}");
    }
}

fn misses(name: &str, runs: &[&Outcome]) -> Vec<String> {
    let bar = bar(name);
    let of = |value: fn(&Outcome) -> f64| median(runs.iter().map(|one| value(one)).collect());
    let mut short = Vec::new();
    let mut hold = |what: &str, value: f64, most: Option<f64>| {
        if most.is_some_and(|most| value > most + 1e-9) {
            short.push(format!("{what} {value:.3} > {}", most.unwrap_or(0.0)));
        }
    };
    let n = |n: u64| n as f64;
    hold("leak", of(|o| o.summary.attack.leak_pct), bar.leak);
    hold("sent", of(|o| o.summary.attack.sent as f64), bar.sent.map(n));
    hold("first", of(|o| o.first().map_or(f64::INFINITY, |n| n as f64)), bar.first.map(n));
    hold("blocked", of(|o| o.summary.legit.blocked_pct), Some(BLOCKED));
    hold("challenged", of(|o| o.summary.legit.challenged_pct), Some(CHALLENGED));
    hold("alternative", of(Outcome::alternative), Some(bar.alternative));
    hold("collateral", of(|o| 100.0 * o.near.blocked as f64 / o.near.n.max(1) as f64), Some(COLLATERAL));
    short
}

impl Outcome {
    /// Messages sent before the first one was stopped.
    pub fn first(&self) -> Option<u64> {
        self.summary.attack.campaigns.values().next().and_then(|c| c.messages_to_detection)
    }

    /// Percent of real requests that were sent elsewhere.
    pub fn alternative(&self) -> f64 {
        100.0 * self.summary.legit.alternative as f64 / self.summary.legit.n.max(1) as f64
    }
}
