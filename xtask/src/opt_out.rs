//! `cargo xtask opt-out [--train | --development]`: how well texts that ask for no more messages are understood, on phrases that
//! were trained on and on phrases that never were; with `--train`, the weights are written anew first. `--development` is for
//! whoever changes the reader: what was written for it, read by weights that did not see it.

mod grammar;
mod train;

use std::collections::BTreeMap;
use std::fs;

use seawall_core::consent::{self, Manner, free_text};

use crate::sources::root;

/// A phrase of the corpus.
struct Phrase {
    language: String,
    part: String,
    stop: bool,
    text: String,
}

pub fn run(arguments: &[String]) -> Result<(), String> {
    let trains = match arguments {
        [] => false,
        [flag] if flag == "--train" => true,
        [flag] if flag == "--development" => return development(),
        _ => return Err("usage: cargo xtask opt-out [--train | --development]".to_owned()),
    };
    let phrases = phrases()?;
    if trains {
        let examples = examples(&phrases, &LEARNT)?;
        let weights = train::weights(&examples);
        let learnt: Vec<Phrase> = phrases.into_iter().filter(|p| !p.part.starts_with("held-out")).collect();
        report(&learnt, |text| free_text::weigh(&free_text::features(text), &weights).probability);
        let path = root().join("data/opt_out/weights.bin");
        fs::write(&path, &weights).map_err(|e| format!("{}: {e}", path.display()))?;
        println!("\n{} examples; {} bytes written. Build again to use them.", examples.len(), weights.len());
        return Ok(());
    }
    report(&phrases, |text| match consent::read(text).0 {
        Some(reading) if reading.manner == Manner::Keyword => 1.0,
        Some(reading) => reading.probability,
        None => 0.0,
    });
    Ok(())
}

/// Reads a fifth of what was written for the reader by weights that learnt from the rest, each fifth in turn, and shows
/// what they got wrong.
fn development() -> Result<(), String> {
    let (written, rest): (Vec<_>, Vec<_>) = phrases()?.into_iter().partition(|p| p.part == "written");
    let mut readings = Vec::new();
    for fold in 0..FOLDS {
        let seen = written.iter().enumerate().filter(|(at, _)| at % FOLDS != fold).map(|(_, p)| p);
        let mut examples = examples(&rest, &LEARNT)?;
        examples.extend(seen.map(example));
        let weights = train::weights(&examples);
        for phrase in written.iter().skip(fold).step_by(FOLDS) {
            let read = free_text::weigh(&free_text::features(&phrase.text), &weights).probability;
            readings.push((phrase.text.clone(), read));
        }
    }
    let readings: BTreeMap<String, f32> = readings.into_iter().collect();
    report(&written, |text| readings.get(text).copied().unwrap_or_default());
    Ok(())
}

/// Parts of what was written for the reader.
const FOLDS: usize = 5;
/// What the weights learn from.
const LEARNT: [&str; 5] = ["trained", "development", "development-a", "development-b", "written"];

fn example(phrase: &Phrase) -> train::Example {
    train::Example { text: phrase.text.clone(), stop: phrase.stop, weight: PHRASE }
}

/// How much a phrase that somebody wrote counts, beside a dozen for all of a pattern.
const PHRASE: f32 = 3.0;

/// All patterns, and the phrases of some parts.
fn examples(phrases: &[Phrase], parts: &[&str]) -> Result<Vec<train::Example>, String> {
    let mut examples = grammar::examples(&text_of("training.txt")?)?;
    let known = phrases.iter().filter(|p| parts.contains(&p.part.as_str()));
    examples.extend(known.map(example));
    Ok(examples)
}

fn text_of(name: &str) -> Result<String, String> {
    let path = root().join("data/opt_out").join(name);
    fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))
}

/// Sets that nothing was learnt from when they were measured.
const HELD_OUT: [&str; 3] = ["held_out_c", "held_out_d", "held_out_e"];

fn phrases() -> Result<Vec<Phrase>, String> {
    let mut all = rows("phrases.tsv", None)?;
    all.extend(rows("written.tsv", Some("written"))?);
    for name in HELD_OUT {
        all.extend(rows(&format!("{name}.tsv"), Some(&name.replace('_', "-")))?);
    }
    Ok(all)
}

/// The rows of a file: language, part unless the whole file is one, label, text.
fn rows(file: &str, part: Option<&str>) -> Result<Vec<Phrase>, String> {
    let text = text_of(file)?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let phrase = |language: &str, part: &str, label: &str, text: &str| Phrase {
        language: language.to_owned(),
        part: part.to_owned(),
        stop: matches!(label, "stop" | "out"),
        text: text.to_owned(),
    };
    let read = |line: &str| match (&line.split('\t').collect::<Vec<_>>()[..], part) {
        ([language, part, label, text], None) => Some(phrase(language, part, label, text)),
        ([language, label, text], Some(part)) => Some(phrase(language, part, label, text)),
        _ => None,
    };
    lines.map(|line| read(line).ok_or_else(|| format!("{file}: `{line}` has other columns"))).collect()
}

/// What became of the phrases of one part.
#[derive(Default)]
struct Tally {
    right: usize,
    missed: usize,
    wrong: usize,
    fine: usize,
    /// Of the missed: shown to a person.
    shown: usize,
    /// Of the fine: shown to a person.
    shown_in_vain: usize,
}

fn percent(part: usize, of: usize) -> String {
    match of {
        0 => "-".to_owned(),
        _ => format!("{:.1} %", 100.0 * part as f64 / of as f64),
    }
}

impl Tally {
    fn add(&mut self, stop: bool, probability: f32) {
        let (sure, shown) = (probability >= free_text::SURE, probability >= free_text::UNSURE);
        match (stop, sure) {
            (true, true) => self.right += 1,
            (true, false) => (self.missed, self.shown) = (self.missed + 1, self.shown + usize::from(shown)),
            (false, true) => self.wrong += 1,
            (false, false) => {
                (self.fine, self.shown_in_vain) = (self.fine + 1, self.shown_in_vain + usize::from(shown));
            }
        }
    }

    fn line(&self, name: &str) {
        let (stops, others) = (self.right + self.missed, self.wrong + self.fine);
        println!(
            "{name:18} {stops:5} {others:7} {:>9} {:>10} {:>13} {:>16}",
            percent(self.right, stops),
            percent(self.right, self.right + self.wrong),
            percent(self.right + self.shown, stops),
            percent(self.shown_in_vain, others),
        );
    }
}

fn report(phrases: &[Phrase], probability: impl Fn(&str) -> f32) {
    println!("part                stop   other    recall  precision   or reviewed   reviewed in vain");
    let mut parts: BTreeMap<String, Tally> = BTreeMap::new();
    let mut failures = Vec::new();
    for phrase in phrases {
        let p = if phrase.part == "keyword" { keyword(phrase) } else { probability(&phrase.text) };
        parts.entry(phrase.part.clone()).or_default().add(phrase.stop, p);
        if phrase.part.starts_with("held-out") {
            parts.entry(format!("{} {}", phrase.part, phrase.language)).or_default().add(phrase.stop, p);
        }
        // Who sees what is held out trains on it.
        if !phrase.part.starts_with("held-out") && phrase.stop != (p >= free_text::SURE) {
            failures.push((phrase, p));
        }
    }
    parts.iter().for_each(|(name, tally)| tally.line(name));
    println!();
    for (phrase, p) in failures {
        let kind = if phrase.stop { "missed" } else { "wrong" };
        println!("{kind:7} {:9} {} {p:.2}  {}", phrase.part, phrase.language, phrase.text);
    }
}

fn keyword(phrase: &Phrase) -> f32 {
    match consent::keyword(&phrase.text) {
        Some((consent::Intent::Stop, _)) => 1.0,
        _ => 0.0,
    }
}
