//! The bars that were set before the thresholds were frozen, and whether they are met.

use seawall_core::sim::Kind as Scenes;

use super::Measured;
use super::defence::Defence;
use super::score::{Outcome, percent};
use super::stats::Spread;

/// The families of the sum of money.
pub(crate) const FAMILIES: [&str; 21] = [
    "seq_block",
    "random_in_prefix",
    "multi_range",
    "multi_country",
    "resproxy_top_country",
    "datacentre",
    "low_and_slow",
    "partial_10",
    "partial_30",
    "partial_60",
    "slow_ramp",
    "weekend_night",
    "test_then_burst",
    "bomb_single",
    "bomb_list",
    "otp_bruteforce",
    "cred_stuffing",
    "xff_spoof",
    "mixed_campaign",
    "scatter_country",
    "scatter_partial30",
];
const CONCENTRATED: [&str; 7] = [
    "seq_block",
    "random_in_prefix",
    "multi_range",
    "datacentre",
    "xff_spoof",
    "weekend_night",
    "test_then_burst",
];
const RESIDENTIAL: [&str; 6] =
    ["resproxy_top_country", "partial_10", "partial_30", "partial_60", "slow_ramp", "scatter_country"];
const WIDE: [&str; 3] = ["multi_country", "mixed_campaign", "scatter_partial30"];
/// Hard negatives with a bar of their own for the alternative channel.
const SHARED: [&str; 2] = ["hn_campus_nat", "hn_enterprise_block"];

/// One bar for one scenario.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub scenario: String,
    pub what: &'static str,
    pub at_most: f64,
    pub measured: f64,
    pub worst: f64,
    pub unit: &'static str,
}

impl Bar {
    /// By the median.
    pub fn met(&self) -> bool {
        self.measured <= self.at_most
    }

    /// The figure as people read it.
    pub fn figure(&self, value: f64) -> String {
        match self.unit {
            "%" => format!("{value:.3} %"),
            "$" => format!("${value:.2}"),
            "" if value == f64::INFINITY => "never stopped".to_owned(),
            _ => format!("{value}"),
        }
    }
}

/// Every bar that the runs say something about.
pub(crate) fn bars(measured: &Measured) -> Vec<Bar> {
    let ours: Vec<&Outcome> = measured.outcomes.iter().filter(|o| o.defence == Defence::Engine).collect();
    let mut names: Vec<&'static str> = ours.iter().map(|o| o.scenario).collect();
    names.dedup();
    let mut bars = Vec::new();
    for name in names {
        let of: Vec<&Outcome> = ours.iter().copied().filter(|o| o.scenario == name).collect();
        attack(name, &of, &mut bars);
        people(name, &of, &mut bars);
    }
    if let Some(bar) = money(&ours) {
        bars.push(bar);
    }
    bars
}

fn attack(name: &'static str, of: &[&Outcome], bars: &mut Vec<Bar>) {
    let leak = match name {
        _ if CONCENTRATED.contains(&name) => Some(1.0),
        _ if RESIDENTIAL.contains(&name) => Some(3.0),
        _ if WIDE.contains(&name) => Some(5.0),
        "cred_stuffing" => Some(8.0),
        "low_and_slow" => Some(20.0),
        _ => None,
    };
    let mut add = |what, at_most, unit, figure: &dyn Fn(&Outcome) -> f64| {
        bars.extend(bar(name, what, at_most, unit, of, figure));
    };
    if let Some(leak) = leak {
        add("leak", leak, "%", &|o| percent(o.summary.attack.sent, o.summary.attack.n));
    }
    if CONCENTRATED.contains(&name) {
        add("messages before the first stop", 12.0, "", &|o| o.first_stop().map_or(f64::INFINITY, count));
    }
    if name == "bomb_single" {
        add("messages sent", 5.0, "", &|o| count(o.summary.attack.sent));
    }
    if name == "hijacked_sender" {
        add("messages before the first stop", 200.0, "", &|o| o.first_stop().map_or(f64::INFINITY, count));
    }
}

fn people(name: &'static str, of: &[&Outcome], bars: &mut Vec<Bar>) {
    let alternative = if SHARED.contains(&name) { 1.0 } else { 0.3 };
    let attacked = of.iter().any(|o| o.kind != Scenes::HardNegative);
    let mut add = |what, at_most, figure: &dyn Fn(&Outcome) -> f64| {
        bars.extend(bar(name, what, at_most, "%", of, figure));
    };
    add("real users blocked", 0.05, &|o| o.legit_pct(|l| l.blocked));
    add("real users challenged", 1.0, &|o| o.legit_pct(|l| l.challenged));
    add("real users to another channel", alternative, &|o| o.legit_pct(|l| l.alternative));
    if attacked {
        add("blocked inside the attacked country", 0.5, &|o| percent(o.near.blocked, o.near.n));
    }
}

fn money(ours: &[&Outcome]) -> Option<Bar> {
    let seeds = money_by_seed(ours);
    let spread = Spread::of(seeds.iter().map(|(_, dollars)| *dollars))?;
    let families = format!("all {} families together", FAMILIES.len());
    let (measured, worst) = (spread.median, spread.worst);
    Some(Bar {
        scenario: families,
        what: "money leaked by a seed",
        at_most: 50.0,
        measured,
        worst,
        unit: "$",
    })
}

/// Money leaked by a defence over all families, by seed; only seeds that ran all of them.
pub(crate) fn money_by_seed(of: &[&Outcome]) -> Vec<(u64, f64)> {
    let mut seeds: Vec<u64> = of.iter().map(|o| o.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let sum = |seed: u64| {
        let own: Vec<&&Outcome> =
            of.iter().filter(|o| o.seed == seed && FAMILIES.contains(&o.scenario)).collect();
        (own.len() == FAMILIES.len()).then(|| (seed, own.iter().map(|o| o.dollars()).sum()))
    };
    seeds.into_iter().filter_map(sum).collect()
}

fn bar(
    name: &'static str,
    what: &'static str,
    at_most: f64,
    unit: &'static str,
    of: &[&Outcome],
    figure: &dyn Fn(&Outcome) -> f64,
) -> Option<Bar> {
    let spread = Spread::of(of.iter().map(|o| figure(o)))?;
    let (measured, worst) = (spread.median, spread.worst);
    Some(Bar { scenario: name.to_owned(), what, at_most, measured, worst, unit })
}

#[allow(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn count(n: u64) -> f64 {
    n as f64
}
