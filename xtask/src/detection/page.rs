//! docs/benchmark.md.

use std::process::Command;

use super::bars::{Bar, bars};
use super::defence::Defence;
use super::{LARGE, Measured, TUNING_SEEDS, tables};

/// The commit after which no threshold was touched.
const FROZEN: &str = "Detection thresholds frozen";

/// The page.
pub(crate) fn page(measured: &Measured) -> String {
    let all = bars(measured);
    let (met, missed): (Vec<Bar>, Vec<Bar>) = all.into_iter().partition(Bar::met);
    let seeds = format!("{} to {}", measured.plan.first, measured.plan.first + measured.plan.seeds - 1);
    let count = measured.plan.seeds;
    let parts = [
        HEAD.to_owned(),
        format!(
            "Seeds {seeds}. Thresholds frozen in {}; this page was written by {}. The whole run took {:.0} minutes on two cores.\n",
            frozen(),
            git(&["rev-parse", "--short=12", "HEAD"]),
            (measured.seconds / 60.0).max(1.0),
        ),
        "Each figure is the median over the seeds, with the worst seed in brackets where it differs.\n"
            .to_owned(),
        "\n## Against the bars\n\n".to_owned(),
        "The bars were set before the thresholds were frozen and are judged by the median.\n\n".to_owned(),
        failed(&missed, met.len() + missed.len()),
        format!(
            "<details><summary>The {} bars that are met</summary>\n\n{}\n</details>\n",
            met.len(),
            tables::bar_table(&met)
        ),
        "\n## Attacks\n\n".to_owned(),
        tables::engine(measured),
        ATTACKS.to_owned(),
        "\n## Where there is no attack\n\n".to_owned(),
        tables::calm(measured),
        "\n## Against what is usual elsewhere\n\n".to_owned(),
        BASELINES.to_owned(),
        tables::baselines(measured),
        "\nWhom they turn away where there is no attack:\n\n".to_owned(),
        tables::turned_away(measured),
        "\nMoney leaked over the 21 families of the first table of bars, seed by seed:\n\n".to_owned(),
        tables::money(measured),
        "\n### How the baselines were tuned\n\n".to_owned(),
        tuning(measured),
        tables::factors(measured),
        "\n## Cost\n\n".to_owned(),
        cost(measured),
        "\n## How to repeat it\n\n".to_owned(),
        format!("    cargo xtask bench detection --seeds {count} --first-seed {}\n\n", measured.plan.first),
        REPEAT.to_owned(),
        "\n## Limits of this evidence\n\n".to_owned(),
        LIMITS.to_owned(),
    ];
    parts.concat()
}

const HEAD: &str = "# The benchmark of detection

How many fraudulent messages pass, what they cost, and how many real users suffer for it: simulated attacks and hard
cases against Seawall as a new installation has it, and against three defences that are usual elsewhere. Written by
`cargo xtask bench detection`; nothing here is edited by hand.

";

const ATTACKS: &str = "
*Leak*: messages of the attack that were sent. *First stop*: the first message that was refused, told to wait or sent
over another channel; a challenge is none. Of `test_then_burst` it is that of the burst. *In the attacked country*:
requests of real users without a device token, in countries that the attack has reached, until six hours after its last
message. What a challenge costs people is in the percentages of challenges: 95 of 100 people pass one.
";

const BASELINES: &str = "- **B0, limits**: per client address 10 an hour and 40 a day, per number 3 in 10 minutes and 6 a day; the address is the
  left-most one of a forwarding header, as many apps have it.
- **B1, country caps**: B0, and a daily cap for each country: 1.5 times its busiest day of the warm-up, at least 50.
- **B2, prefix velocity and conversion**: B0, and 12 hours of block for a range of 1,000, 10,000 or 100,000 numbers that
  over 4 hours passes 10, 20 or 40 messages of which fewer than 30 % were confirmed; for an operator 100, for a country
  200 messages and 35 %.

They are built from what vendors publish of theirs, see the same trace, and hear of the same confirmations. They look at
codes alone, so the two scenarios of other messages are not theirs to judge.

";

const REPEAT: &str = "`cargo xtask bench detection NAMES…` runs the scenarios whose names contain one of the words and writes nothing;
`seawall simulate --scenario NAME --seed N --out trace.jsonl` and `seawall replay trace.jsonl --json --warmup-until
2026-01-12T00:00:00Z` play any one of them with the released binary. `seawall simulate --list` says what happens in each.
";

const LIMITS: &str = "- The traffic is simulated. People, their confirmation rates and delays, how numbers cluster and what attackers do are
  plausible assumptions; no public data of code requests and confirmations exists to check them against.
- Simulator and engine stand in one repository. The thresholds were frozen before these seeds were run, but they were
  tuned on other seeds of the same families; an attack of a kind that nobody thought of is not here.
- Attackers who confirm nearly all of their codes (`partial_90`) look like customers. What bounds the loss there is the
  exposure budget of a country, not detection.
- One family adapts to what it is told (`adaptive`); the others go on after they are stopped, which flatters every
  defence in percent and none in messages to the first stop.
- A real user who is blocked does not complain or come back by another path; a challenge is passed by 95 of 100 people
  whatever it is.
- The kind of an address (home, hosting, VPN) is known without error in the simulation; lists are wrong at times.
- The baselines are built from published descriptions. A vendor's own product knows things about numbers that none of
  them publishes.
- Canaries, suspensions, operator rules and models trained on one's own traffic are off: this is the engine alone.
";

fn failed(missed: &[Bar], all: usize) -> String {
    if missed.is_empty() {
        return format!("All {all} bars are met.\n\n");
    }
    format!("{} of {all} bars are met. **Missed:**\n\n{}\n", all - missed.len(), tables::bar_table(missed))
}

fn tuning(measured: &Measured) -> String {
    format!(
        "\"As configured\" turns away far more real users than Seawall does, so a second version of each baseline is tuned to
ours: one factor on all its thresholds of volume (limits per number stay: they protect people). *Turned away* is
measured alike for all: a request of a real user that brought no message, whether it was blocked, told to wait, sent
elsewhere or lost to a challenge. Over all hard negatives of the first {TUNING_SEEDS} seeds Seawall turns away {:.3} %; of
the factors below the strictest one is taken that turns away no more (the loosest, where none does). These seeds are
seeds of the page, which favours the baselines.\n\n",
        measured.tuned.ours
    )
}

fn cost(measured: &Measured) -> String {
    let ours = || measured.outcomes.iter().filter(|o| o.defence == Defence::Engine);
    let paces = ours().filter_map(|o| o.pace).map(|(seconds, lines)| seconds * 1e6 / float(lines.max(1)));
    let micros = paces.min_by(f64::total_cmp).unwrap_or_default();
    let mut said = format!(
        "A request took {micros:.1} µs in the quickest run (all runs share the machine with each other), everything included:
reading the number, facts, assessment, limits, decision, recording and feedback.\n"
    );
    let large = ours().find(|o| o.scenario == LARGE).and_then(|o| o.state);
    if let Some(bytes) = large {
        said.push_str(&format!(
            "After two days of a million requests each (`{LARGE}`) the snapshot of the engine's state has {:.0} MB.\n",
            float(bytes as u64) / 1e6
        ));
    }
    said
}

#[allow(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn float(n: u64) -> f64 {
    n as f64
}

fn frozen() -> String {
    let commit = git(&["log", "-1", "--format=%h (%cs)", "--abbrev=12", &format!("--grep=^{FROZEN}")]);
    if commit.is_empty() {
        "no commit yet: these figures are a draft".to_owned()
    } else {
        format!("commit {commit}")
    }
}

fn git(arguments: &[&str]) -> String {
    let output = Command::new("git").args(arguments).output();
    output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default()
}
