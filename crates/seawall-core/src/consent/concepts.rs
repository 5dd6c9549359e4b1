//! What words mean, whatever the language: "stop", "arrêtez" and "перестаньте" are one concept. A reader that knows
//! concepts understands in one language what it learnt in another. The words stand in `data/opt_out/concepts.txt`.

use std::sync::LazyLock;

use hashbrown::HashMap;

use super::fold;
use super::spelling::{self, Misspelt};

static TEXT: &str = include_str!("../../../../data/opt_out/concepts.txt");
static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| Lexicon::read(TEXT));

/// The shortest beginning of a word that says what it means, in characters.
const SHORTEST_STEM: usize = 2;
/// The longest beginning that is looked for, in characters: no stem has more.
const LONGEST_STEM: usize = 16;
/// What is written together with a word in Arabic: article, "and", "with", "for".
const CLITICS: [&str; 8] = ["وال", "بال", "لل", "ال", "و", "ف", "ب", "ل"];
/// What is written behind a word in Indonesian.
const ENDINGS: [&str; 6] = ["nya", "kan", "lah", "ku", "mu", "i"];
/// What French leaves of a short word before a vowel; folding drops the apostrophe.
const ELIDED: &str = "mtdlsj";

/// A concept, by its name in the data.
pub type Concept = &'static str;

/// What a word means that is not known: something else than what is asked about here.
pub const UNKNOWN: Concept = "X";
/// Words that only join others.
const JOINS: Concept = "FN";
/// Unknown words that are shorter say nothing.
const SHORTEST_UNKNOWN: usize = 3;

#[derive(Default)]
struct Lexicon {
    words: HashMap<String, Concept>,
    stems: HashMap<String, Concept>,
    /// Russian as it is written with Latin letters, words and stems.
    latin: [HashMap<String, Concept>; 2],
    misspelt: Misspelt,
    /// Of words that are not parted by spaces: the longest, in characters.
    longest: usize,
}

impl Lexicon {
    fn read(text: &'static str) -> Self {
        let mut lexicon = Lexicon::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut parts = line.split_whitespace();
            let (Some(concept), Some(_)) = (parts.next(), parts.next()) else { continue };
            parts.for_each(|word| lexicon.add(concept, word));
        }
        lexicon
    }

    fn add(&mut self, concept: Concept, word: &str) {
        let is_stem = word.ends_with('*');
        let (word, list) = match word.strip_suffix('*') {
            Some(stem) => (stem, &mut self.stems),
            None => (word, &mut self.words),
        };
        let folded = fold::words(word);
        if word.chars().all(fold::is_han) {
            self.longest = self.longest.max(word.chars().count());
        } else if folded.len() != 1 {
            return;
        }
        // The first meaning stands.
        let folded = folded.concat();
        if let Some(latin) = spelling::latin(&folded) {
            let [words, stems] = &mut self.latin;
            let list = if is_stem { stems } else { words };
            list.entry(latin).or_insert(concept);
        }
        self.misspelt.add(&folded, concept);
        list.entry(folded).or_insert(concept);
    }

    fn plain(&self, word: &str) -> Option<Concept> {
        find(&self.words, &self.stems, word)
    }

    /// What a word means that is written in an unusual way: in other letters, stretched, or with a slip.
    fn unusual(&self, word: &str) -> Option<Concept> {
        let [words, stems] = &self.latin;
        let latin = spelling::as_latin(word).and_then(|word| find(words, stems, &word));
        latin
            .or_else(|| spelling::likely(word).iter().find_map(|word| self.plain(word)))
            .or_else(|| self.misspelt.find(word))
    }

    /// What a word means, [`UNKNOWN`] for what is not known.
    fn meanings_or_unknown(&self, word: &str) -> [Option<Concept>; 2] {
        let meant = self.meanings(word);
        if meant != [None, None] {
            return meant;
        }
        let is_word = || !word.contains(|c: char| c.is_numeric()) && word.chars().count() >= SHORTEST_UNKNOWN;
        [self.unusual(word).or_else(|| is_word().then_some(UNKNOWN)), None]
    }

    /// What a word means, and what is written together with it.
    fn meanings(&self, word: &str) -> [Option<Concept>; 2] {
        if let Some(concept) = self.plain(word) {
            return [Some(concept), None];
        }
        let long = |rest: &&str| rest.chars().count() >= 3;
        let behind =
            |prefix: &&str| word.strip_prefix(*prefix).filter(long).and_then(|rest| self.plain(rest));
        if let Some(concept) = CLITICS.iter().find_map(behind) {
            return [Some(concept), None];
        }
        let before =
            |ending: &&str| word.strip_suffix(*ending).filter(long).and_then(|rest| self.plain(rest));
        if let Some(concept) = ENDINGS.iter().find_map(before) {
            return [Some(concept), None];
        }
        let vowel = |rest: &&str| rest.starts_with(['a', 'e', 'i', 'o', 'u', 'h']) && rest.len() > 3;
        if let Some(concept) = word.strip_prefix('n').filter(vowel).and_then(|rest| self.plain(rest)) {
            return [self.plain("ne"), Some(concept)];
        }
        let elided = word.strip_prefix(|c| ELIDED.contains(c)).or_else(|| word.strip_prefix("qu"));
        [elided.filter(vowel).and_then(|rest| self.plain(rest)), None]
    }
}

/// A word as it stands, or else the longest stem that it begins with.
fn find(words: &HashMap<String, Concept>, stems: &HashMap<String, Concept>, word: &str) -> Option<Concept> {
    words.get(word).copied().or_else(|| {
        let ends: Vec<usize> =
            word.char_indices().map(|(at, c)| at + c.len_utf8()).take(LONGEST_STEM).collect();
        let beginnings = ends.iter().skip(SHORTEST_STEM - 1).rev();
        beginnings.filter_map(|end| word.get(..*end)).find_map(|stem| stems.get(stem).copied())
    })
}

/// The concepts of folded words, in their order; words that only join others are left out, repetitions too.
pub fn concepts(words: &[String]) -> Vec<Concept> {
    let mut found: Vec<Concept> = Vec::new();
    let mut rest = words;
    while let Some((first, after)) = rest.split_first() {
        let (taken, meant) = match first.chars().next().is_some_and(fold::is_han) {
            true => han(rest),
            false => (1, LEXICON.meanings_or_unknown(first)),
        };
        for concept in meant.into_iter().flatten() {
            if concept != JOINS && found.last() != Some(&concept) {
                found.push(concept);
            }
        }
        rest = rest.get(taken..).unwrap_or(after);
    }
    found
}

/// The longest word that a run of Chinese characters begins with: how many characters it has, and what it means.
fn han(words: &[String]) -> (usize, [Option<Concept>; 2]) {
    for length in (1..=LEXICON.longest.min(words.len())).rev() {
        let word = words.get(..length).unwrap_or_default().concat();
        if let Some(concept) = LEXICON.words.get(&word) {
            return (length, [Some(concept), None]);
        }
    }
    (1, [Some(UNKNOWN), None])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<Concept> {
        concepts(&fold::words(text))
    }

    #[test]
    fn the_same_is_meant_in_ten_languages() {
        for text in [
            "stop sending me messages",
            "dejen de enviarme mensajes",
            "parem de mandar mensagens",
            "arrêtez d'envoyer des messages",
            "smettetela di mandarmi messaggi",
            "berhenti mengirim pesan",
            "перестаньте присылать сообщения",
            "توقفوا عن ارسال الرسائل",
            "停止发送短信",
        ] {
            let found = of(text);
            let wanted = ["STOP", "SEND", "MSG"];
            assert!(wanted.iter().all(|c| found.contains(c)), "{text}: {found:?}");
        }
        assert_eq!(of("keine nachrichten mehr"), ["NEG", "MSG", "MORE"]);
    }

    #[test]
    fn what_is_written_together_is_parted() {
        assert_eq!(of("n'envoyez"), of("ne envoyez"));
        assert_eq!(of("والرسائل"), ["MSG"]);
        assert_eq!(of("pesannya"), ["MSG"]);
        assert_eq!(of("d'écrire"), ["SEND"]);
    }

    #[test]
    fn every_word_of_the_data_means_what_it_says() {
        let (mut lost, mut all) = (Vec::new(), 0);
        for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
            let mut parts = line.split_whitespace();
            let _ = (parts.next(), parts.next());
            for word in parts {
                all += 1;
                if !line.starts_with(JOINS) && matches!(of(word.trim_end_matches('*'))[..], [] | [UNKNOWN]) {
                    lost.push(word);
                }
            }
        }
        assert!(all > 1500 && lost.is_empty(), "{all} {lost:?}");
    }

    #[test]
    fn any_text_has_concepts_or_none() {
        assert!(of("").is_empty() && of("🙂 ?!").is_empty());
        assert!(of(&"停止".repeat(500)).len() <= 2);
    }
}
