//! `seawall replay`: decides a recorded or simulated trace, or a provider's log, again in virtual time.

mod decisions;
mod formats;
mod policy;
pub(super) mod progress;
mod reader;
mod report;

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use seawall_core::detect::Engine;
use seawall_core::replay::{Replay, Setting, Summary};
use seawall_core::time::Timestamp;
use seawall_core::trace::Line;

use super::{Failure, block_on, output};
use decisions::Decisions;
use formats::{Format, Imported};
use progress::Progress;
use reader::Reader;
use report::Stopped;

#[derive(Args, Debug)]
pub(super) struct ReplayArgs {
    /// The trace or log; `-` is standard input.
    trace: PathBuf,
    /// What it is; told by its content when absent.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// What is set up (TOML or JSON); without it, what a new installation has.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Leave earlier requests out of the summary.
    #[arg(long, value_name = "T", value_parser = time)]
    warmup_until: Option<Timestamp>,
    /// Where the decisions go; without it, to standard output.
    #[arg(long, value_name = "DECISIONS")]
    out: Option<PathBuf>,
    /// Print the summary as JSON, as the last line on standard output.
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "an RFC 3339 time such as 2026-01-12T00:00:00Z is needed".to_owned())
}

pub(super) fn run(args: &ReplayArgs) -> Result<(), Failure> {
    let setting = match &args.policy {
        Some(path) => block_on(policy::read(path))??,
        None => Setting::default(),
    };
    let (from, size) = reader::open(&args.trace)?;
    let name = reader::name(&args.trace);
    let source = formats::read(from, &name, args.format)?;
    let decisions = Decisions::open(args.out.as_deref())?;
    let mut run = Run::new(args, setting, decisions);
    let done = match source {
        formats::Source::Trace(from) => run.trace(Reader::new(from, name), size),
        formats::Source::Log(imported) => run.log(&imported),
    };
    match done {
        Ok(()) => run.finish(args),
        Err(failure) => {
            run.decisions.give_up();
            Err(failure)
        }
    }
}

/// One replay.
struct Run {
    replay: Replay,
    summary: Summary,
    stopped: Stopped,
    decisions: Decisions,
    begun: Instant,
    lines: u64,
    busy: bool,
    notes: Vec<String>,
}

impl Run {
    fn new(args: &ReplayArgs, setting: Setting, decisions: Decisions) -> Self {
        Run {
            replay: Replay::under(setting, Engine::default()),
            summary: Summary::new(args.warmup_until),
            stopped: Stopped::new(args.warmup_until),
            decisions,
            begun: Instant::now(),
            lines: 0,
            busy: args.out.is_none(),
            notes: Vec::new(),
        }
    }

    fn trace(&mut self, mut reader: Reader, size: Option<u64>) -> Result<(), Failure> {
        let progress = Progress::new(size, self.busy);
        while let Some(line) = reader.next()? {
            let step = self.step(&line)?;
            if let Err(problem) = step {
                return Err(reader.wrong(&problem));
            }
            if self.decisions.unwanted() {
                break;
            }
            progress.at(self.lines, reader.bytes());
        }
        progress.finish();
        Ok(())
    }

    fn log(&mut self, imported: &Imported) -> Result<(), Failure> {
        let progress = Progress::new(Some(imported.lines.len() as u64), self.busy);
        for line in &imported.lines {
            self.step(line)?.map_err(Failure::Wrong)?;
            if self.decisions.unwanted() {
                break;
            }
            progress.at(self.lines, self.lines);
        }
        progress.finish();
        self.notes.clone_from(&imported.notes);
        Ok(())
    }

    /// Decides one. The inner error is the line's, the outer one ours.
    fn step(&mut self, line: &Line<'_>) -> Result<Result<(), String>, String> {
        let decided = match self.replay.step(line) {
            Ok(decided) => decided,
            Err(error) => return Ok(Err(error.to_string())),
        };
        self.lines += 1;
        self.summary.add(line, &decided);
        self.stopped.add(line, &decided);
        self.decisions.write(line, &decided)?;
        Ok(Ok(()))
    }

    /// Decisions, then the summary: as JSON last on standard output, else in words where it is in nobody's way.
    fn finish(mut self, args: &ReplayArgs) -> Result<(), Failure> {
        self.decisions.finish()?;
        self.summary.finish(self.begun.elapsed().as_secs_f64());
        let mut words = report::words(&self.summary, &self.stopped, self.lines);
        for note in &self.notes {
            words.push_str(note);
            words.push('\n');
        }
        if args.json {
            for note in &self.notes {
                eprintln!("{note}");
            }
            return Ok(output::json(&self.summary)?);
        }
        match args.out {
            Some(_) => output::text(&words)?,
            None => eprint!("{words}"),
        }
        Ok(())
    }
}
