//! One line a run.

use crate::run::Outcome;

/// Prints it.
pub fn table(outcomes: &[Outcome]) {
    println!(
        "{:<22}{:>4} {:>6} {:>6} {:>6} {:>5} {:>7} {:>8} | {:>6} {:>6} {:>6} {:>6} | {:>6} {:>6} {:>6} {:>6} | us/req",
        "scenario",
        "seed",
        "tried",
        "sent",
        "leak%",
        "first",
        "minutes",
        "money",
        "block%",
        "chal%",
        "alt%",
        "wait%",
        "near",
        "blk%",
        "chal%",
        "alt%"
    );
    for outcome in outcomes {
        let (legit, attack, near) = (&outcome.summary.legit, &outcome.summary.attack, &outcome.near);
        let money = attack.cost_leaked_micros as f64 / 1e6;
        let pct = |part: u64, whole: u64| if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 };
        let first = attack.campaigns.values().next();
        let mtd = first.and_then(|c| c.messages_to_detection).map_or("-".to_owned(), |n| n.to_string());
        let ttd = first.and_then(|c| c.minutes_to_detection).map_or("-".to_owned(), |n| format!("{n:.1}"));
        println!(
            "{:<22}{:>4} {:>6} {:>6} {:>6.2} {:>5} {:>7} {:>8.2} | {:>6.3} {:>6.3} {:>6.3} {:>6.3} | {:>6} {:>6.2} {:>6.2} {:>6.2} | {:.1}",
            outcome.scenario,
            outcome.seed,
            attack.n,
            attack.sent,
            attack.leak_pct,
            mtd,
            ttd,
            money,
            legit.blocked_pct,
            legit.challenged_pct,
            pct(legit.alternative, legit.n),
            pct(legit.delayed, legit.n),
            near.n,
            pct(near.blocked, near.n),
            pct(near.challenged, near.n),
            pct(near.alternative, near.n),
            outcome.seconds * 1e6 / outcome.lines as f64,
        );
    }
}
