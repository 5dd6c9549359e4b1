//! `seawall simulate`: writes a trace of simulated traffic, or lists what can be simulated.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use seawall_core::sim::{Kind, Params, Scenario, Simulation, scenarios};
use seawall_core::trace::Line;
use serde::Serialize;

use super::{Failure, output};

/// Lines between two looks at the progress bar.
const EVERY: u64 = 1_000;

#[derive(Args, Debug)]
pub(super) struct SimulateArgs {
    /// List the scenarios.
    #[arg(long, conflicts_with_all = ["scenario", "out"])]
    list: bool,
    /// List them as JSON.
    #[arg(long, requires = "list")]
    json: bool,
    /// What happens.
    #[arg(long, value_name = "NAME", required_unless_present = "list")]
    scenario: Option<String>,
    /// The same number gives the same trace.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Where the trace goes; without it, to standard output.
    #[arg(long, value_name = "TRACE")]
    out: Option<PathBuf>,
    /// Legitimate requests a day, instead of the scenario's own.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    per_day: Option<u32>,
    /// Days before the attack, instead of the scenario's own.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=365))]
    warmup_days: Option<u32>,
}

/// One scenario, as the list shows it.
#[derive(Serialize)]
struct Listed {
    name: &'static str,
    kind: &'static str,
    what: &'static str,
    per_day: u32,
    start: String,
    warmup_until: String,
    end: String,
}

pub(super) fn run(args: &SimulateArgs) -> Result<(), Failure> {
    let Some(name) = args.scenario.as_deref().filter(|_| !args.list) else {
        return Ok(list(args.json)?);
    };
    let mut simulation = simulation(name, args)?;
    match &args.out {
        Some(path) => Ok(to_file(&mut simulation, path)?),
        None => Ok(write(&mut simulation, &mut BufWriter::new(std::io::stdout().lock()))?),
    }
}

fn simulation(name: &str, args: &SimulateArgs) -> Result<Simulation, Failure> {
    let wrong = |error: seawall_core::sim::UnknownScenario| Failure::Wrong(error.to_string());
    let Some(scenario) = scenarios().iter().find(|scenario| scenario.name == name) else {
        return Simulation::new(name, args.seed).map_err(wrong);
    };
    let own = scenario.params;
    let params = Params {
        per_day: args.per_day.unwrap_or(own.per_day),
        warmup_days: args.warmup_days.unwrap_or(own.warmup_days),
        ..own
    };
    Simulation::sized(name, args.seed, params).map_err(wrong)
}

fn list(json: bool) -> Result<(), String> {
    if json {
        return output::json(&scenarios().iter().map(listed).collect::<Vec<_>>());
    }
    let row = |s: &Scenario| vec![s.name.to_owned(), kind(s.kind).to_owned(), s.what.to_owned()];
    output::table(&scenarios().iter().map(row).collect::<Vec<_>>())
}

fn listed(scenario: &Scenario) -> Listed {
    let Params { per_day, .. } = scenario.params;
    let [start, warmup_until, end] = scenario.params.times().map(|time| time.to_rfc3339());
    Listed {
        name: scenario.name,
        kind: kind(scenario.kind),
        what: scenario.what,
        per_day,
        start,
        warmup_until,
        end,
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Attack => "attack",
        Kind::HardNegative => "hard_negative",
        Kind::Mixed => "mixed",
    }
}

/// A trace that was not finished does not stay: half a trace looks like a whole one.
fn to_file(simulation: &mut Simulation, path: &Path) -> Result<(), String> {
    let cannot = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
    let file = File::create(path).map_err(cannot)?;
    let regular = file.metadata().is_ok_and(|meta| meta.is_file());
    let written = write(simulation, &mut BufWriter::with_capacity(1 << 20, file));
    if written.is_err() && regular {
        let _ = std::fs::remove_file(path);
    }
    written.map_err(|error| format!("{}: {error}", path.display()))
}

/// Writes all of it. A reader that went away (`| head`) has had enough.
fn write(simulation: &mut Simulation, out: &mut impl Write) -> Result<(), String> {
    let bar = Bar::new(simulation);
    let mut written = 0;
    for line in simulation.by_ref() {
        bar.at(written, &line);
        written += 1;
        match one(&line, out) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            result => result.map_err(|error| format!("cannot write the trace: {error}"))?,
        }
    }
    bar.finish(written);
    match out.flush() {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("cannot write the trace: {error}"))
        }
        _ => Ok(()),
    }
}

fn one(line: &Line<'_>, out: &mut impl Write) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// How much of the simulated time has passed: a bar on a terminal, one line at the end otherwise.
struct Bar {
    bar: ProgressBar,
    start: i64,
}

impl Bar {
    fn new(simulation: &Simulation) -> Self {
        let (start, end) = (simulation.start().as_millis(), simulation.end().as_millis());
        // Standard output may be the trace, and the terminal would show both.
        let shown = std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("{msg} {wide_bar} {percent}%");
        let bar = ProgressBar::with_draw_target(Some((end - start).unsigned_abs()), target)
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Bar { bar, start }
    }

    fn at(&self, written: u64, line: &Line<'_>) {
        if written.is_multiple_of(EVERY) {
            self.bar.set_position((line.t.as_millis() - self.start).unsigned_abs());
            self.bar.set_message(format!("{written} requests"));
        }
    }

    fn finish(&self, written: u64) {
        self.bar.finish_and_clear();
        eprintln!("{written} requests");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_json_lines() {
        let params = Params { warmup_days: 0, test_days: 1, per_day: 50, attack_scale: 0.01 };
        let mut simulation = Simulation::sized("seq_block", 1, params).unwrap();
        let mut out = Vec::new();
        write(&mut simulation, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().count() > 60);
        for line in text.lines() {
            let read: Line = serde_json::from_str(line).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), line);
        }
    }

    #[test]
    fn an_unfinished_trace_does_not_stay() {
        let mut simulation = Simulation::new("quiet", 1).unwrap();
        let error = to_file(&mut simulation, Path::new("/dev/full")).unwrap_err();
        assert!(error.starts_with("/dev/full: cannot write the trace"), "{error}");
        let error = to_file(&mut simulation, Path::new("/no/such/place")).unwrap_err();
        assert!(error.starts_with("cannot write /no/such/place"), "{error}");
    }

    #[test]
    fn the_list_says_when_the_test_begins() {
        let quiet = scenarios().iter().find(|scenario| scenario.name == "hn_quiet").unwrap();
        let listed = listed(quiet);
        assert_eq!(listed.start, "2026-01-05T00:00:00.000Z");
        assert_eq!(listed.warmup_until, "2026-01-12T00:00:00.000Z");
        assert_eq!(listed.end, "2026-01-14T00:00:00.000Z");
    }
}
