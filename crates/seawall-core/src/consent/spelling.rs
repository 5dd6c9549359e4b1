//! Words that are not written as they are in the data: stretched, with a slip of the finger, or Russian in Latin letters.

use std::hash::Hasher;

use hashbrown::HashMap;
use siphasher::sip::SipHasher13;

use super::concepts::Concept;
use super::fold;

/// Words of fewer letters are not mended: too many others are near.
const SHORTEST: usize = 5;
/// From so many letters on, one of them may be another.
const SHORTEST_CHANGED: usize = 6;
/// Words of more letters are not mended, so that the work is bounded.
const LONGEST: usize = 16;
/// Of a longer word, beginnings of so many letters are compared with stems.
const BEGINNINGS: [usize; 3] = [8, 7, 6];
/// The shortest Russian word that is known in Latin letters too.
const SHORTEST_LATIN: usize = 4;

/// What a word means from which a letter was taken, by a hash of what is left.
#[derive(Default)]
pub(super) struct Misspelt(HashMap<u64, Concept>);

impl Misspelt {
    /// Knows a word, and the word without any one of its letters.
    pub fn add(&mut self, word: &str, concept: Concept) {
        let letters: Vec<char> = word.chars().collect();
        if !(SHORTEST..=LONGEST).contains(&letters.len()) || word.chars().any(fold::is_han) {
            return;
        }
        self.0.entry(hashed(&letters, None)).or_insert(concept);
        for left_out in 0..letters.len() {
            self.0.entry(hashed(&letters, Some(left_out))).or_insert(concept);
        }
    }

    /// What a word means from which one letter is missing, or that has one too much, or another.
    pub fn find(&self, word: &str) -> Option<Concept> {
        let letters: Vec<char> = word.chars().take(LONGEST + 1).collect();
        if !(SHORTEST..=LONGEST).contains(&letters.len()) {
            return None;
        }
        let beginnings = BEGINNINGS.iter().filter_map(|length| letters.get(..*length));
        std::iter::once(letters.as_slice()).chain(beginnings).find_map(|letters| self.near(letters))
    }

    fn near(&self, letters: &[char]) -> Option<Concept> {
        let known = |left_out| self.0.get(&hashed(letters, left_out)).copied();
        let changed = letters.len() >= SHORTEST_CHANGED;
        // The first letter is seldom wrong.
        let places = if changed { 1..letters.len() } else { 0..0 };
        known(None).or_else(|| places.into_iter().find_map(|at| known(Some(at))))
    }
}

fn hashed(letters: &[char], left_out: Option<usize>) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0x7370_656c_6c69_6e67, 1);
    let kept = letters.iter().enumerate().filter(|(at, _)| Some(*at) != left_out);
    kept.for_each(|(_, letter)| hasher.write_u32(u32::from(*letter)));
    hasher.finish()
}

/// What may be meant: each letter once where one is repeated, or two neighbours the other way round.
pub(super) fn likely(word: &str) -> Vec<String> {
    let mut letters: Vec<char> = word.chars().take(LONGEST + 1).collect();
    if letters.len() > LONGEST {
        letters = word.chars().take(MOST_STRETCHED).collect();
        letters.dedup();
        return vec![letters.into_iter().collect()];
    }
    let mut found = Vec::new();
    let mut once = letters.clone();
    once.dedup();
    if once.len() < letters.len() && once.len() > 2 {
        found.push(once.into_iter().collect());
    }
    if letters.len() >= 4 {
        for at in 1..letters.len() - 1 {
            letters.swap(at, at + 1);
            found.push(letters.iter().collect());
            letters.swap(at, at + 1);
        }
    }
    found
}

/// Letters of a stretched word that are looked at.
const MOST_STRETCHED: usize = 40;

/// A Russian word of the data in Latin letters.
pub(super) fn latin(word: &str) -> Option<String> {
    let is_russian = word.chars().all(|c| matches!(c, 'а'..='я'));
    (is_russian && word.chars().count() >= SHORTEST_LATIN)
        .then(|| plain_latin(&word.chars().map(in_latin).collect::<String>()))
}

fn in_latin(c: char) -> &'static str {
    const LETTERS: [&str; 32] = [
        "a", "b", "v", "g", "d", "e", "zh", "z", "i", "i", "k", "l", "m", "n", "o", "p", "r", "s", "t", "u",
        "f", "h", "c", "ch", "sh", "sh", "", "i", "", "e", "iu", "ia",
    ];
    let at = u32::from(c).wrapping_sub(u32::from('а'));
    usize::try_from(at).ok().and_then(|at| LETTERS.get(at)).copied().unwrap_or_default()
}

/// A word that may be Russian in Latin letters, as [`latin`] writes it.
pub(super) fn as_latin(word: &str) -> Option<String> {
    let is_latin = word.chars().all(|c| c.is_ascii_lowercase());
    (is_latin && (SHORTEST_LATIN - 1..=LONGEST).contains(&word.len())).then(|| plain_latin(word))
}

/// The many ways to write Russian in Latin letters made one.
fn plain_latin(word: &str) -> String {
    let one = word.replace("shch", "sh").replace("sch", "sh").replace("kh", "h").replace("ts", "c");
    let one = one.replace(['y', 'j'], "i").replace('w', "v").replace('x', "h");
    let mut letters: Vec<char> = one.chars().collect();
    letters.dedup();
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_near_and_other_words_are_not() {
        let mut misspelt = Misspelt::default();
        misspelt.add("unsubscribe", "UNSUB");
        misspelt.add("remove", "REMOVE");
        for word in ["unsuscribe", "unsubscibe", "unsubscrive", "unsubscribbe", "remve", "remov"] {
            assert!(misspelt.find(word).is_some(), "{word}");
        }
        for word in ["subscription", "move", "remain", "umbrella"] {
            assert!(misspelt.find(word).is_none(), "{word}");
        }
    }

    #[test]
    fn stretched_words_and_neighbours_the_other_way_round() {
        assert!(likely("stoooop").contains(&"stop".to_owned()));
        assert!(likely("sotp").contains(&"stop".to_owned()));
        assert_eq!(likely(&format!("st{}p", "o".repeat(5000))).len(), 1);
    }

    #[test]
    fn russian_in_latin_letters() {
        for (russian, typed) in [
            ("больше", "bolshe"),
            ("присылайте", "prisylajte"),
            ("хватит", "khvatit"),
            ("отпишите", "otpishite"),
        ] {
            assert_eq!(latin(russian), as_latin(typed), "{typed}");
        }
        assert_eq!(latin("stop"), None);
    }
}
