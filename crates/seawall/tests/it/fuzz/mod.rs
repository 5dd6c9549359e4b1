//! Every parser against inputs that nobody would write. What holds for each target stands in `targets`; what once broke
//! is kept below `tests/fuzz` and tried first.
//!
//! `SEAWALL_FUZZ="TARGET EXECUTIONS SEED"` (`all` for every target, `60s` for a minute) looks for more; `cargo xtask fuzz` sets it.

mod encrypted;
mod targets;

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;

use seawall_core::fuzz::{Crash, Report, Target, attempt, hunt};

use targets::{Known, all};

/// Takes any bytes: what kind they are, or what is wrong.
pub type Check = Box<dyn Fn(&[u8]) -> Result<u64, String>>;

/// Executions of each target in the tests.
const FEW: u64 = 2_000;

/// Inputs that once broke a target, each a file.
fn kept(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(target)
}

fn regressions(target: &str) -> Vec<Vec<u8>> {
    let Ok(files) = std::fs::read_dir(kept(target)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
    paths.sort();
    paths.into_iter().filter_map(|path| std::fs::read(path).ok()).collect()
}

fn run(known: &Known, seed: u64, more: &mut dyn FnMut(u64) -> bool) -> Result<Report, Crash> {
    for input in regressions(known.name) {
        let broke = |why| Crash { input: input.clone(), why, after: 0 };
        attempt(&input, &*known.check).map_err(broke)?;
    }
    let target = Target { name: known.name, seeds: &known.seeds, words: &known.words };
    hunt(&target, seed, more, &*known.check)
}

/// Keeps what broke a target as a file, and says how to see it again.
fn keep(target: &str, crash: &Crash) -> String {
    let name = crash.input.iter().fold(String::new(), |mut text, byte| {
        if text.len() < 32 {
            let _ = write!(text, "{byte:02x}");
        }
        text
    });
    let path = kept(target).join(format!("{name}-{}", crash.input.len()));
    let written = std::fs::create_dir_all(kept(target)).and_then(|()| std::fs::write(&path, &crash.input));
    let shown = String::from_utf8_lossy(&crash.input);
    format!(
        "{target}: {} (after {} executions)\n  input {shown:?}\n  kept as {} ({written:?})",
        crash.why,
        crash.after,
        path.display()
    )
}

#[test]
fn no_input_breaks_a_parser() {
    let asked = std::env::var("SEAWALL_FUZZ").unwrap_or_else(|_| format!("all {FEW} 1"));
    let words: Vec<&str> = asked.split(' ').collect();
    let [only, executions, seed] = words[..] else { panic!("SEAWALL_FUZZ=\"TARGET EXECUTIONS SEED\"") };
    let seed = seed.parse().unwrap();
    // So many, or so many seconds: `60s`.
    let seconds = executions.strip_suffix('s').map(|text| text.parse::<u64>().unwrap());
    let most = if seconds.is_some() { u64::MAX } else { executions.parse().unwrap() };
    let mut broken = Vec::new();
    let mut tried = 0;
    for known in all().iter().filter(|known| only == "all" || only == known.name) {
        let begun = Instant::now();
        let in_time = |begun: Instant| seconds.is_none_or(|seconds| begun.elapsed().as_secs() < seconds);
        match run(known, seed, &mut |done| done < most && in_time(begun)) {
            Ok(report) => println!(
                "{:16} {:>9} executions, {:>4} kinds of outcomes, {:.1} s",
                known.name,
                report.executions,
                report.kinds,
                begun.elapsed().as_secs_f64()
            ),
            Err(crash) => broken.push(keep(known.name, &crash)),
        }
        tried += 1;
    }
    assert!(tried > 0, "no target is called {only}: {:?}", all().iter().map(|k| k.name).collect::<Vec<_>>());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The hunt can find something: a parser with a planted mistake.
#[test]
fn a_planted_mistake_is_found() {
    let mut known = all().into_iter().find(|known| known.name == "numbers").unwrap();
    let sound = known.check;
    known.check = Box::new(move |input| {
        let kind = sound(input)?;
        if input.contains(&b'+') && input.windows(2).any(|two| two == b"((") {
            return Err("planted".to_owned());
        }
        Ok(kind)
    });
    let crash = run(&known, 1, &mut |done| done < 200_000).unwrap_err();
    assert_eq!(crash.why, "planted");
}
