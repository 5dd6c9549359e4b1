//! The words that a sender uses, as a set of small hashes. What was used today belongs to it from tomorrow on,
//! so that a thief's own texts do not become usual within the hour.

use serde::{Deserialize, Serialize};

use super::rows::DAY;
use crate::text::words::VALUES;

/// Texts with fewer words say nothing.
const FEWEST: usize = 4;
/// A sender of whose texts so many are strange anyway has no vocabulary.
const USUALLY_STRANGE: f32 = 0.2;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Vocabulary {
    day: u32,
    /// One bit a hash; empty until the second day.
    usual: Vec<u64>,
    today: Vec<u64>,
    /// Texts weighed, and those among them that were strange.
    weighed: f32,
    strange: f32,
}

impl Vocabulary {
    /// Whether most words of a text were never used before, by a sender whose texts are alike.
    pub(super) fn strange(&self, words: &[u16]) -> bool {
        self.strange < USUALLY_STRANGE * self.weighed && self.mostly_new(words)
    }

    fn mostly_new(&self, words: &[u16]) -> bool {
        let new = words.iter().filter(|&&word| !has(&self.usual, word)).count();
        !self.usual.is_empty() && words.len() >= FEWEST && 2 * new > words.len()
    }

    /// The sender used these words.
    pub(super) fn learn(&mut self, words: &[u16], now: u32) {
        if words.is_empty() {
            return;
        }
        if now / DAY != self.day {
            self.turn(now / DAY);
        }
        if !self.usual.is_empty() {
            self.weighed += 1.0;
            self.strange += f32::from(u8::from(self.mostly_new(words)));
        }
        self.today.resize(usize::from(VALUES) / 64, 0);
        for &word in words {
            if let Some(bits) = self.today.get_mut(usize::from(word / 64)) {
                *bits |= 1 << (word % 64);
            }
        }
    }

    fn turn(&mut self, day: u32) {
        self.day = day;
        self.usual.resize(self.today.len(), 0);
        self.usual.iter_mut().zip(&self.today).for_each(|(usual, today)| *usual |= today);
        // A few days are enough to know a sender, and it may change.
        (self.weighed, self.strange) = (0.5 * self.weighed, 0.5 * self.strange);
    }

    /// Bytes of memory.
    pub(super) fn beside(&self) -> usize {
        (self.usual.capacity() + self.today.capacity()) * size_of::<u64>()
    }
}

fn has(bits: &[u64], word: u16) -> bool {
    bits.get(usize::from(word / 64)).is_some_and(|bits| bits >> (word % 64) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::words::hashes;

    #[test]
    fn bait_is_strange_to_who_writes_notices() {
        let mut vocabulary = Vocabulary::default();
        let notice = hashes("Acme: order 771204 is on its way. Thank you!");
        let bait = hashes("You were chosen! Claim your prize before midnight");
        (0..200u32).for_each(|n| vocabulary.learn(&notice, n));
        assert!(!vocabulary.strange(&bait), "nobody has habits on the first day");
        (0..200u32).for_each(|n| vocabulary.learn(&notice, DAY + n));
        assert!(vocabulary.strange(&bait) && !vocabulary.strange(&notice));
        (0..9u32).for_each(|n| vocabulary.learn(&bait, DAY + 200 + n));
        assert!(vocabulary.strange(&bait), "today's words count from tomorrow on");
    }

    #[test]
    fn who_always_writes_something_else_has_no_habits() {
        let mut vocabulary = Vocabulary::default();
        for n in 0..300u16 {
            let words: Vec<u16> = (0..8).map(|k| n * 8 + k).collect();
            vocabulary.learn(&words, u32::from(n) * 2_000);
        }
        assert!(vocabulary.mostly_new(&[3_901, 3_902, 3_903, 3_904]));
        assert!(!vocabulary.strange(&[3_901, 3_902, 3_903, 3_904]));
    }
}
