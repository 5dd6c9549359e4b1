//! Tables of figures, in Markdown, and their short form for a terminal.

use std::fmt::Write;

use seawall_core::sim::Kind as Scenes;

use super::Measured;
use super::bars::{Bar, bars, money_by_seed};
use super::defence::{Defence, Kind, Setting};
use super::score::{Outcome, percent};
use super::stats::Spread;

/// Runs of one scenario against one defence.
struct Rows<'a>(Vec<&'a Outcome>);

impl<'a> Rows<'a> {
    fn of(measured: &'a Measured, scenario: &str, defence: Defence) -> Self {
        let fits = |o: &&Outcome| o.scenario == scenario && o.defence == defence;
        Rows(measured.outcomes.iter().filter(fits).collect())
    }

    fn show(&self, decimals: usize, figure: impl Fn(&Outcome) -> f64) -> String {
        Spread::of(self.0.iter().map(|o| figure(o))).map_or("–".to_owned(), |spread| spread.show(decimals))
    }

    /// Of figures that not every run has: never stopped is worse than anything.
    fn first(&self, decimals: usize, figure: impl Fn(&Outcome) -> Option<f64>) -> String {
        let spread = Spread::of(self.0.iter().map(|o| figure(o).unwrap_or(f64::INFINITY)));
        spread.map_or("–".to_owned(), |s| s.show(decimals).replace("inf", "never"))
    }

    fn leak(&self) -> String {
        self.show(1, |o| percent(o.summary.attack.sent, o.summary.attack.n))
    }
}

fn names(measured: &Measured, wanted: impl Fn(Scenes) -> bool) -> Vec<&'static str> {
    let mut names: Vec<&'static str> =
        measured.outcomes.iter().filter(|o| wanted(o.kind)).map(|o| o.scenario).collect();
    names.dedup();
    names
}

fn attacks(measured: &Measured) -> Vec<&'static str> {
    names(measured, |kind| kind != Scenes::HardNegative)
}

#[allow(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn float(n: u64) -> f64 {
    n as f64
}

/// The engine against each attack.
pub(crate) fn engine(measured: &Measured) -> String {
    let mut out = "| attack | tried | leak % | sent | leaked $ | messages to first stop | minutes | real users: blocked % | challenged % | other channel % | told to wait % | in the attacked country | blocked % | challenged % | other channel % |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n".to_owned();
    for name in attacks(measured) {
        let rows = Rows::of(measured, name, Defence::Engine);
        let near = |part: fn(&Outcome) -> u64| rows.show(1, |o| percent(part(o), o.near.n));
        let cells = [
            format!("`{name}`"),
            Spread::of(rows.0.iter().map(|o| float(o.summary.attack.n)))
                .map_or("–".to_owned(), |s| format!("{:.0}", s.median)),
            rows.show(2, |o| percent(o.summary.attack.sent, o.summary.attack.n)),
            rows.show(0, |o| float(o.summary.attack.sent)),
            rows.show(2, Outcome::dollars),
            rows.first(0, |o| o.first_stop().map(float)),
            rows.first(1, Outcome::minutes),
            rows.show(3, |o| o.legit_pct(|l| l.blocked)),
            rows.show(2, |o| o.legit_pct(|l| l.challenged)),
            rows.show(2, |o| o.legit_pct(|l| l.alternative)),
            rows.show(2, |o| o.legit_pct(|l| l.delayed)),
            rows.show(0, |o| float(o.near.n)),
            near(|o| o.near.blocked),
            near(|o| o.near.challenged),
            near(|o| o.near.alternative),
        ];
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out
}

/// Leaks of all defences.
pub(crate) fn baselines(measured: &Measured) -> String {
    let field = field(measured);
    let mut out = header("attack, leak %", &field);
    for name in attacks(measured) {
        let cells: Vec<String> = field
            .iter()
            .map(|(_, defence)| match name {
                "hijacked_sender" if !defence.judges_messages() => "not judged".to_owned(),
                _ => Rows::of(measured, name, *defence).leak(),
            })
            .collect();
        let _ = writeln!(out, "| `{name}` | {} |", cells.join(" | "));
    }
    out
}

/// Real users of the hard negatives under the engine.
pub(crate) fn calm(measured: &Measured) -> String {
    let mut out = "| no attack | real users | blocked % | challenged % | other channel % | told to wait % | turned away % |\n|---|--:|--:|--:|--:|--:|--:|\n".to_owned();
    for name in names(measured, |kind| kind == Scenes::HardNegative) {
        let rows = Rows::of(measured, name, Defence::Engine);
        let cells = [
            format!("`{name}`"),
            rows.show(0, |o| float(o.summary.legit.n)),
            rows.show(3, |o| o.legit_pct(|l| l.blocked)),
            rows.show(3, |o| o.legit_pct(|l| l.challenged)),
            rows.show(3, |o| o.legit_pct(|l| l.alternative)),
            rows.show(2, |o| o.legit_pct(|l| l.delayed)),
            rows.show(2, |o| percent(o.turned_away(), o.summary.legit.n)),
        ];
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out
}

/// Whom all defences turn away where there is no attack.
pub(crate) fn turned_away(measured: &Measured) -> String {
    let field = field(measured);
    let mut out = header("no attack, turned away %", &field);
    for name in names(measured, |kind| kind == Scenes::HardNegative) {
        let cells: Vec<String> = field
            .iter()
            .map(|(_, defence)| match name {
                "hn_known_campaign" if !defence.judges_messages() => "not judged".to_owned(),
                _ => Rows::of(measured, name, *defence)
                    .show(2, |o| percent(o.turned_away(), o.summary.legit.n)),
            })
            .collect();
        let _ = writeln!(out, "| `{name}` | {} |", cells.join(" | "));
    }
    out
}

/// Money over all families, seed by seed.
pub(crate) fn money(measured: &Measured) -> String {
    let field = field(measured);
    let mut out = header("seed, $ leaked", &field);
    let by_defence: Vec<Vec<(u64, f64)>> = field
        .iter()
        .map(|(_, defence)| {
            money_by_seed(&measured.outcomes.iter().filter(|o| o.defence == *defence).collect::<Vec<_>>())
        })
        .collect();
    for (nth, (seed, _)) in by_defence.first().into_iter().flatten().enumerate() {
        let cell = |all: &Vec<(u64, f64)>| {
            all.get(nth).map_or("–".to_owned(), |(_, dollars)| format!("{dollars:.2}"))
        };
        let cells: Vec<String> = by_defence.iter().map(cell).collect();
        let _ = writeln!(out, "| {seed} | {} |", cells.join(" | "));
    }
    out
}

/// The bars; those that are missed first.
pub(crate) fn bar_table(bars: &[Bar]) -> String {
    let mut out = "| scenario | what | bar | median | worst |\n|---|---|--:|--:|--:|\n".to_owned();
    for bar in bars {
        let cells = [bar.at_most, bar.measured, bar.worst].map(|value| bar.figure(value));
        let _ = writeln!(out, "| `{}` | {} | {} |", bar.scenario, bar.what, cells.join(" | "));
    }
    out
}

/// What each baseline's factor turns away.
pub(crate) fn factors(measured: &Measured) -> String {
    let mut out = "| baseline | factor | turned away % |\n|---|--:|--:|\n".to_owned();
    let tuned = &measured.tuned;
    for (kind, factor, rate) in &tuned.rates {
        let chosen = tuned.factor(*kind).is_some_and(|(f, _)| f.to_bits() == factor.to_bits());
        let mark = if chosen {
            " (tuned)"
        } else if *factor == 1.0 {
            " (as configured)"
        } else {
            ""
        };
        let _ = writeln!(out, "| {} | {factor}{mark} | {rate:.3} |", kind.name());
    }
    out
}

/// Engine, baselines as configured, baselines tuned: what they are called and which they are.
fn field(measured: &Measured) -> Vec<(String, Defence)> {
    let usual = Kind::ALL
        .map(|kind| (format!("{} as configured", kind.name()), Defence::Baseline(kind, 1.0, Setting::Usual)));
    let tuned = Kind::ALL
        .into_iter()
        .filter_map(|kind| Some((format!("{} tuned", kind.name()), measured.tuned.of_kind(kind)?)));
    std::iter::once(("Seawall".to_owned(), Defence::Engine)).chain(usual).chain(tuned).collect()
}

fn header(first: &str, field: &[(String, Defence)]) -> String {
    let names: Vec<&str> = field.iter().map(|(name, _)| name.as_str()).collect();
    format!("| {first} | {} |\n|---|{}\n", names.join(" | "), "--:|".repeat(field.len()))
}

/// For a terminal: all tables of what was run, and the bars that are missed.
pub(crate) fn terminal(measured: &Measured) -> String {
    let mut out = String::new();
    if !attacks(measured).is_empty() {
        let _ = write!(out, "\n{}\n{}\n{}", engine(measured), baselines(measured), money(measured));
    }
    if measured.outcomes.iter().any(|o| o.kind == Scenes::HardNegative) {
        let _ = write!(out, "\n{}\n{}", calm(measured), turned_away(measured));
    }
    let all = bars(measured);
    let missed: Vec<Bar> = all.iter().filter(|bar| !bar.met()).cloned().collect();
    let _ = write!(
        out,
        "\n{} of {} bars are met; missed:\n{}",
        all.len() - missed.len(),
        all.len(),
        bar_table(&missed)
    );
    let _ = writeln!(out, "{:.0} s in all", measured.seconds);
    out
}
