//! One simulation against one defence.

use std::collections::HashMap;

use seawall_core::decision::Verdict;
use seawall_core::detect::{Bounds, Engine, Tuning};
use seawall_core::msisdn::Msisdn;
use seawall_core::policy::{Policy, built_in_limits};
use seawall_core::replay::{Decided, Replay, Summary};
use seawall_core::sim::{Fate, Simulation, scenarios};
use seawall_core::time::Timestamp;
use seawall_core::trace::{Line, Op};

/// How both sides fared.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub scenario: &'static str,
    pub order: usize,
    pub seed: u64,
    pub summary: Summary,
    /// Unknown real users of the attacked countries while the attack lasts.
    pub near: Near,
    pub seconds: f64,
    pub lines: u64,
}

/// Bystanders.
#[derive(Clone, Copy, Debug, Default)]
pub struct Near {
    pub n: u64,
    pub blocked: u64,
    pub alternative: u64,
    pub challenged: u64,
}

/// Sets a field of the tuning by its name.
pub fn set(tuning: &mut Tuning, key: &str, value: &str) -> bool {
    let Ok(value) = value.parse::<f64>() else { return false };
    let field = match key {
        "prior" => &mut tuning.prior,
        "slope" => &mut tuning.slope,
        "alarm_shift" => &mut tuning.alarm_shift,
        "least_expected" => &mut tuning.least_expected,
        "class_weight" => &mut tuning.class_weight,
        "settled" => &mut tuning.settled,
        "lone_cap" => &mut tuning.lone_cap,
        "established" => &mut tuning.established,
        "clustering" => &mut tuning.clustering,
        "look_elsewhere" => &mut tuning.look_elsewhere,
        "excess" => &mut tuning.excess,
        "coherent_cap" => &mut tuning.coherent_cap,
        "diverse_cap" => &mut tuning.diverse_cap,
        "velocity_cap" => &mut tuning.velocity_cap,
        "hosting" => &mut tuning.hosting,
        "foreign" => &mut tuning.foreign,
        "known" => &mut tuning.known,
        _ => return false,
    };
    *field = value;
    true
}

/// The policy of a new installation.
pub fn policy() -> Policy {
    Policy { limits: built_in_limits(), ..Policy::default() }
}

/// Runs one scenario against the engine.
pub fn run(name: &str, seed: u64, tuning: &Tuning) -> Outcome {
    let begun = std::time::Instant::now();
    let order = scenarios().iter().position(|s| s.name == name).unwrap_or(0);
    let mut simulation = Simulation::new(name, seed).expect("a listed scenario");
    let mut replay = Replay::new(policy(), Engine::new(tuning.clone(), Bounds::default()));
    let warm = simulation.warmup_until();
    let mut summary = Summary::new(Some(warm));
    let mut near: HashMap<String, (Near, bool, Timestamp)> = HashMap::new();
    let verbose = std::env::var("VERBOSE").is_ok_and(|v| v == "1");
    let mut lines = 0;
    while let Some(request) = simulation.next_request() {
        let id = request.id;
        let line = request.into_line();
        let decided = replay.step(&line).expect("a simulated line");
        if std::env::var("INSPECT").is_ok_and(|n| n == line.id[1..]) {
            inspect(&replay, &line);
        }
        lines += 1;
        simulation.tell(id, fate(&decided));
        summary.add(&line, &decided);
        if line.t >= warm {
            bystander(&mut near, &line, &decided);
            if verbose {
                say(&line, &decided);
            }
        }
    }
    summary.finish(0.0);
    let mut all = Near::default();
    for (near, attacked, _) in near.into_values() {
        if attacked {
            all.n += near.n;
            all.blocked += near.blocked;
            all.alternative += near.alternative;
            all.challenged += near.challenged;
        }
    }
    let scenario = scenarios()[order].name;
    Outcome { scenario, order, seed, summary, near: all, seconds: begun.elapsed().as_secs_f64(), lines }
}

fn fate(decided: &Decided) -> Fate {
    match decided.decision.verdict {
        Verdict::Allow => Fate::Sent,
        Verdict::Challenge if decided.sent => Fate::Sent,
        Verdict::Challenge => Fate::Challenged,
        _ => Fate::Stopped,
    }
}

/// Counts unknown real users of a country from the first attack message to it until six hours after the last.
fn bystander(near: &mut HashMap<String, (Near, bool, Timestamp)>, line: &Line<'_>, decided: &Decided) {
    let Op::VerifyStart(start) = &line.op else { return };
    let Ok(number) = Msisdn::parse(&start.to, None) else { return };
    let country = near.entry(number.country.to_string()).or_default();
    if line.truth.as_ref().is_some_and(|t| t.attack) {
        (country.1, country.2) = (true, line.t);
        return;
    }
    let lasts = country.1 && line.t.since(country.2).as_secs() < 6 * 3600;
    if !lasts || line.client.device_token.is_some() {
        return;
    }
    country.0.n += 1;
    match decided.decision.verdict {
        Verdict::Block => country.0.blocked += 1,
        Verdict::Alternative => country.0.alternative += 1,
        Verdict::Challenge => country.0.challenged += 1,
        _ => {}
    }
}

fn say(line: &Line<'_>, decided: &Decided) {
    let Op::VerifyStart(start) = &line.op else { return };
    let attack = line.truth.as_ref().is_some_and(|t| t.attack);
    let decision = &decided.decision;
    if !attack && decision.verdict == Verdict::Allow {
        return;
    }
    let reasons: Vec<String> =
        decision.reasons.iter().map(|r| format!("{}: {}", r.code.as_str(), r.detail)).collect();
    println!(
        "{} {} {:?} {} known={} tok={} {} {:?} risk={} sent={} {}",
        format_args!("{} {}", line.t, line.id.0),
        if attack { "ATTACK" } else { "legit " },
        start.to,
        line.client.ip.as_deref().unwrap_or("-"),
        start.known_number,
        line.client.device_token.is_some(),
        line.client.fingerprint.as_deref().unwrap_or("-"),
        decision.verdict,
        decision.risk,
        decided.sent,
        reasons.join(" | ")
    );
}

fn inspect(replay: &Replay, line: &Line<'_>) {
    for key in replay.inspect(line) {
        println!("    {key:?}");
    }
}
