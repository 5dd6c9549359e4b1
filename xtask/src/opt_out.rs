//! `cargo xtask opt-out [--train | --folds]`: how well texts that ask for no more messages are understood, on phrases that
//! were trained on and on phrases that never were; with `--train`, the weights are written anew first. `--folds` is for
//! whoever changes the reader: each fifth of the phrases that may be trained on, read by weights that did not see it.

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
        [flag] if flag == "--folds" => return folds(),
        _ => return Err("usage: cargo xtask opt-out [--train | --folds]".to_owned()),
    };
    let phrases = phrases()?;
    if trains {
        let mut examples = grammar::examples(&text_of("training.txt")?)?;
        let trained = phrases.iter().filter(|p| p.part == "trained");
        examples.extend(trained.map(|p| train::Example { text: p.text.clone(), stop: p.stop, weight: 1.0 }));
        let weights = train::weights(&examples);
        report(&phrases, |text| free_text::weigh(&free_text::features(text), &weights).probability);
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

/// Parts that the phrases that may be trained on are cut into.
const FOLDS: usize = 5;

/// Reads every phrase that may be trained on by weights that did not see it.
fn folds() -> Result<(), String> {
    let known: Vec<Phrase> = phrases()?.into_iter().filter(|p| p.part == "trained").collect();
    let example = |p: &Phrase| train::Example { text: p.text.clone(), stop: p.stop, weight: 1.0 };
    let mut read = BTreeMap::new();
    for fold in 0..FOLDS {
        let mut examples = grammar::examples(&text_of("training.txt")?)?;
        examples
            .extend(known.iter().enumerate().filter(|(at, _)| at % FOLDS != fold).map(|(_, p)| example(p)));
        let weights = train::weights(&examples);
        for phrase in known.iter().skip(fold).step_by(FOLDS) {
            let likely = free_text::weigh(&free_text::features(&phrase.text), &weights);
            read.insert(phrase.text.clone(), likely.probability);
        }
    }
    report(&known, |text| read.get(text).copied().unwrap_or_default());
    Ok(())
}

fn text_of(name: &str) -> Result<String, String> {
    let path = root().join("data/opt_out").join(name);
    fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))
}

fn phrases() -> Result<Vec<Phrase>, String> {
    let text = text_of("phrases.tsv")?;
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| match line.split('\t').collect::<Vec<_>>()[..] {
        [language, part, label, text] => Ok(Phrase {
            language: language.to_owned(),
            part: part.to_owned(),
            stop: label == "stop",
            text: text.to_owned(),
        }),
        _ => Err(format!("phrases.tsv: `{line}` has not four columns")),
    })
    .collect()
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
