//! Free text that asks for no more messages: a logistic regression over words, pairs of words, pieces of words, what
//! words mean in whatever language ([`concepts`]), and what each clause says is to be done or not (`clauses`).
//!
//! The weights are tracked data, written by `cargo xtask opt-out --train` from `data/opt_out/`; the same command
//! without `--train` says how well they do on phrases that they were never trained on. What is read is pure
//! arithmetic on the text, and each feature is a piece of the text, so a reading can say what it rests on.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::clauses::{Clause, Part};
use super::concepts::{self, Concept};
use super::fold;

/// Weights; features share them by hash.
pub const BUCKETS: usize = 1 << 16;
/// The weights: one signed byte each, and behind them, as two little-endian 32-bit floats, scale and bias.
static WEIGHTS: &[u8] = include_bytes!("../../../../data/opt_out/weights.bin");
/// Words of a text that are looked at.
const MOST_WORDS: usize = 60;
/// From this probability on, a text asks for no more messages.
pub const SURE: f32 = 0.45;
/// From this one on, a person should look at it.
pub const UNSURE: f32 = 0.15;

/// A piece of a text and the weight that it shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Which weight.
    pub bucket: usize,
    /// What it is, for people: a word or two; empty for pieces of words.
    pub shown: String,
    /// Whether it is of the words as they are written, not of what they mean.
    pub is_literal: bool,
}

/// The features of a text, each once.
pub fn features(text: &str) -> Vec<Feature> {
    let mut left = MOST_WORDS;
    let mut clauses = fold::clauses(text);
    for clause in &mut clauses {
        clause.truncate(left);
        left -= clause.len();
    }
    let meant: Vec<Vec<Concept>> = clauses.iter().map(|words| concepts::concepts(words)).collect();
    let words = clauses.concat();
    let mut found = Found::default();
    found.meaning(&meant.concat(), fold::asks(text));
    let parted = meant.iter().flat_map(|clause| clause.split(|concept| *concept == "BUT"));
    found.clauses(&parted.filter(|part| !part.is_empty()).map(Clause::of).collect::<Vec<_>>());
    found.is_literal = true;
    found.literal(&words.iter().map(String::as_str).collect::<Vec<_>>());
    found.all
}

/// Concepts that an answer about something else than messages has: what was ordered, where, when it comes.
const OTHER_MATTERS: [Concept; 5] = ["ORDER", "CODE", "PLACE", "ARRIVE", "CHANGE"];
/// Concepts between which an order is looked for.
const REACH: usize = 4;

#[derive(Default)]
struct Found {
    all: Vec<Feature>,
    is_literal: bool,
    seen: hashbrown::HashSet<usize>,
}

impl Found {
    fn add(&mut self, kind: &str, piece: &str, shown: String) {
        let mut hasher = SipHasher13::new_with_keys(0x6f70_745f_6f75_7431, 0x7e);
        hasher.write(kind.as_bytes());
        hasher.write(piece.as_bytes());
        let bucket = usize::try_from(hasher.finish() % (BUCKETS as u64)).unwrap_or(0);
        if self.seen.insert(bucket) {
            self.all.push(Feature { bucket, shown, is_literal: self.is_literal });
        }
    }

    /// What the words mean: each concept, which follow each other, and which go with other matters or a question.
    fn meaning(&mut self, meant: &[Concept], asks: bool) {
        let other = meant.iter().any(|concept| OTHER_MATTERS.contains(concept));
        let about = format!("{}{}", if other { "o" } else { "-" }, if asks { "?" } else { "-" });
        self.add("ka", &format!("{about} {}", meant.len().min(6)), String::new());
        let mut before = "^";
        for (at, concept) in meant.iter().enumerate() {
            self.add("k", concept, String::new());
            self.add("ko", &format!("{concept} {about}"), String::new());
            let next = meant.get(at + 1).copied().unwrap_or("$");
            self.add("kb", &format!("{concept} {next}"), String::new());
            self.add("kt", &format!("{before} {concept} {next}"), String::new());
            for later in meant.iter().skip(at + 1).take(REACH) {
                self.add("ks", &format!("{concept} {later}"), String::new());
                self.add("kp", &format!("{concept} {later} {about}"), String::new());
            }
            before = concept;
        }
        self.add("kb", &format!("^ {}", meant.first().unwrap_or(&"$")), String::new());
    }

    /// What each clause asks for, and what all of them come to.
    fn clauses(&mut self, clauses: &[Clause]) {
        let sign = |part: &Part| format!("{}{}", if part.negated { "!" } else { "" }, part.concept);
        let mut senses = Vec::new();
        for clause in clauses {
            let (sense, manner) = (clause.sense().as_str(), clause.manner());
            self.add("cs", &clause.signature(), String::new());
            for kind in ["c1", "c2", "c3"] {
                self.add(kind, sense, String::new());
                self.add(kind, &format!("{sense} {manner}"), String::new());
            }
            let parts: Vec<String> = clause.actions.iter().chain(&clause.matters).map(sign).collect();
            for (at, part) in parts.iter().enumerate() {
                self.add("ca", part, String::new());
                self.add("cm", &format!("{part} {manner}"), String::new());
                for other in parts.iter().skip(at + 1).take(REACH) {
                    let (first, second) = if part < other { (part, other) } else { (other, part) };
                    self.add("cp", &format!("{first} {second}"), String::new());
                }
            }
            senses.push(sense);
        }
        senses.sort_unstable();
        senses.dedup();
        self.add("cc", &senses.join(" "), String::new());
        self.add("cl", senses.last().unwrap_or(&"-"), String::new());
    }

    /// The words as they are written.
    fn literal(&mut self, words: &[&str]) {
        self.add("n", &words.len().min(8).to_string(), String::new());
        for (at, word) in words.iter().enumerate() {
            self.add("w", word, (*word).to_owned());
            self.pieces(word);
            let next = words.get(at + 1).copied().unwrap_or("$");
            self.add("b", &format!("{word} {next}"), format!("{word} {next}"));
            if let Some(second) = words.get(at + 2) {
                self.add("t", &format!("{word} {next} {second}"), format!("{word} {next} {second}"));
                self.add("s", &format!("{word} {second}"), format!("{word} … {second}"));
            }
            if let Some(third) = words.get(at + 3) {
                self.add("s", &format!("{word} {third}"), format!("{word} … {third}"));
            }
        }
        if let Some(first) = words.first() {
            self.add("b", &format!("^ {first}"), String::new());
        }
    }

    /// Beginnings of words: what endings change stays alike.
    fn pieces(&mut self, word: &str) {
        for length in [4, 5, 6] {
            let piece: String = word.chars().take(length).collect();
            if piece.len() < word.len() {
                self.add("p", &piece, String::new());
            }
        }
        let chars: Vec<char> = word.chars().collect();
        for piece in chars.windows(4) {
            self.add("c", &piece.iter().collect::<String>(), String::new());
        }
    }
}

/// How likely a text asks for no more messages.
#[derive(Clone, Debug, PartialEq)]
pub struct Likelihood {
    /// From 0 to 1.
    pub probability: f32,
    /// The words that speak most for it, strongest first.
    pub because: Vec<String>,
}

/// Reads a text.
pub fn read(text: &str) -> Likelihood {
    weigh(&features(text), WEIGHTS)
}

/// What features weigh together, by weights as they are stored.
pub fn weigh(features: &[Feature], weights: &[u8]) -> Likelihood {
    let (bytes, tail) = weights.split_at_checked(BUCKETS).unwrap_or((&[], &[]));
    let float = |at: usize| {
        let four = tail.get(at..at + 4).and_then(|b| <[u8; 4]>::try_from(b).ok());
        four.map_or(0.0, f32::from_le_bytes)
    };
    let (scale, bias) = (float(0), float(4));
    let weight = |f: &Feature| f32::from(bytes.get(f.bucket).map_or(0, |b| b.cast_signed())) * scale;
    let norm = norm(features.len());
    let score = bias + norm * features.iter().map(weight).sum::<f32>();
    let mut shown: Vec<&Feature> =
        features.iter().filter(|f| !f.shown.is_empty() && weight(f) > 0.0).collect();
    shown.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
    Likelihood {
        probability: 1.0 / (1.0 + (-score).exp()),
        because: shown.into_iter().take(3).map(|f| f.shown.clone()).collect(),
    }
}

/// Long texts have many features; each counts for less.
pub fn norm(features: usize) -> f32 {
    let features = f32::from(u16::try_from(features.max(1)).unwrap_or(u16::MAX));
    features.sqrt().recip()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The phrases of some parts: whether each asks to stop, and the phrase.
    fn phrases(parts: &'static [&str]) -> impl Iterator<Item = (bool, &'static str)> {
        let all = include_str!("../../../../data/opt_out/phrases.tsv").lines();
        let rows = all.filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect::<Vec<_>>());
        rows.filter(|row| parts.contains(&row[1])).map(|row| (row[2] == "stop", row[3]))
    }

    /// Those of a file that is one part.
    fn part(file: &'static str) -> impl Iterator<Item = (bool, &'static str)> {
        let all = file.lines().filter(|line| !line.starts_with('#'));
        all.map(|line| line.split('\t').collect::<Vec<_>>()).map(|row| (row[1] == "out", row[2]))
    }

    const WRITTEN: &str = include_str!("../../../../data/opt_out/written.tsv");
    const HELD_OUT: [&str; 3] = [
        include_str!("../../../../data/opt_out/held_out_c.tsv"),
        include_str!("../../../../data/opt_out/held_out_d.tsv"),
        include_str!("../../../../data/opt_out/held_out_e.tsv"),
    ];

    /// Recall and precision.
    fn measured(phrases: impl Iterator<Item = (bool, &'static str)>) -> (f64, f64) {
        let (mut right, mut missed, mut wrong) = (0.0, 0.0, 0.0);
        for (stop, text) in phrases {
            match (stop, crate::consent::read(text).asks_to_stop()) {
                (true, true) => right += 1.0,
                (true, false) => missed += 1.0,
                (false, true) => wrong += 1.0,
                _ => {}
            }
        }
        (right / (right + missed), right / (right + wrong))
    }

    #[test]
    fn every_keyword_is_understood() {
        assert_eq!(measured(phrases(&["keyword"])).0, 1.0);
    }

    #[test]
    fn the_weights_are_those_of_the_phrases() {
        let learnt = &["trained", "development", "development-a", "development-b"];
        for (recall, precision) in [measured(phrases(learnt)), measured(part(WRITTEN))] {
            assert!(recall >= 0.97 && precision >= 0.97, "{recall} {precision}");
        }
    }

    /// The first set was made with knowledge of the reader, and is harder.
    #[test]
    fn phrases_never_trained_on_are_understood_too() {
        for (file, least) in HELD_OUT.into_iter().zip([0.92, 0.95, 0.95]) {
            let (recall, precision) = measured(part(file));
            assert!(recall >= least && precision >= 0.90, "{recall} {precision}");
        }
        // What is not understood is shown to a person.
        let held_out = HELD_OUT.into_iter().flat_map(part);
        let unseen = held_out.filter(|(stop, text)| *stop && crate::consent::read(text).0.is_none());
        assert!(unseen.count() <= 6);
    }

    #[test]
    fn the_work_on_one_message_is_bounded() {
        let pieces = |times: usize| features(&"unsubscrbie sotp ".repeat(times)).len();
        assert!(pieces(2) < pieces(20), "a long message has more to read");
        assert_eq!(pieces(60_000), pieces(60), "behind a bound nothing is read");
    }

    #[test]
    fn a_reading_says_what_it_rests_on() {
        let read = read("please stop sending me these texts");
        assert!(read.probability > SURE && !read.because.is_empty(), "{read:?}");
        assert!(read.because.iter().all(|piece| !piece.is_empty()));
    }

    #[test]
    fn any_text_is_read() {
        for text in ["", "🙂", &"stop ".repeat(5000), "\u{0}\u{301}", "ＳＴＯＰ"] {
            let probability = read(text).probability;
            assert!((0.0..=1.0).contains(&probability), "{text:.20}");
        }
    }
}
