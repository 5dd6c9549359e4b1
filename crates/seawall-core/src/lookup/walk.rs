//! Whether somebody who looks numbers up is going through them: one after the other, or guessing.
//!
//! An app asks about the numbers of its users: these lie anywhere, and nearly all of them exist. Whoever maps a
//! range asks for neighbours; whoever guesses asks for many that do not exist. Both show within some dozens of
//! different numbers. Asking for the same number again says nothing and counts for nothing.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use crate::msisdn::Msisdn;
use crate::time::Timestamp;

/// Numbers among which a neighbour is looked for: walks may be interleaved.
const NEAR: usize = 8;
/// How far a neighbour may be.
const STEP: u64 = 10;
/// The newest different numbers that are judged.
const JUDGED: usize = 128;
/// From so many on.
const ENOUGH: usize = 48;
/// Neighbours among them, in percent, from which on it is a walk. A user base sorted by number, one subscriber in a
/// hundred of a dense mobile plan, has under 10.
const WALK_PERCENT: usize = 50;
/// Numbers that exist among them, in percent, below which it is guessing.
const HIT_PERCENT: usize = 50;
/// After so long without a lookup all is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(3600);

/// What somebody seems to be doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// Going through a range.
    Walk,
    /// Asking for numbers of which few exist.
    Guessing,
}

impl Pattern {
    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            Pattern::Walk => "numbers are looked up one after the other",
            Pattern::Guessing => "few of the numbers that are looked up exist",
        }
    }
}

/// The newest lookups of one caller. Bounded.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    /// Number, whether it is a neighbour of one just before, whether it exists.
    newest: VecDeque<(u64, bool, bool)>,
    at: Option<Timestamp>,
}

impl Walk {
    /// Notes a lookup, and says what all of them together look like.
    pub fn note(&mut self, number: Msisdn, exists: bool, now: Timestamp) -> Option<Pattern> {
        if self.at.is_some_and(|at| now.since(at) > FORGOTTEN) {
            self.newest.clear();
        }
        self.at = Some(now);
        let digits = number.as_u64();
        if self.newest.iter().all(|(other, ..)| *other != digits) {
            let near = self.newest.iter().rev().take(NEAR).any(|(other, ..)| other.abs_diff(digits) <= STEP);
            self.newest.push_back((digits, near, exists));
            if self.newest.len() > JUDGED {
                self.newest.pop_front();
            }
        }
        self.pattern()
    }

    /// When it was last used.
    pub fn last(&self) -> Option<Timestamp> {
        self.at
    }

    /// Forgets a number, and with it that it was ever asked for.
    pub fn forget(&mut self, number: Msisdn) {
        self.newest.retain(|(other, ..)| *other != number.as_u64());
    }

    fn pattern(&self) -> Option<Pattern> {
        let all = self.newest.len();
        if all < ENOUGH {
            return None;
        }
        let percent = |count: usize| count * 100 / all;
        if percent(self.newest.iter().filter(|(_, near, _)| *near).count()) >= WALK_PERCENT {
            return Some(Pattern::Walk);
        }
        let exist = self.newest.iter().filter(|(.., exists)| *exists).count();
        (percent(exist) < HIT_PERCENT).then_some(Pattern::Guessing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn last(numbers: impl Iterator<Item = (u64, bool)>) -> Option<Pattern> {
        let (mut walk, now) = (Walk::default(), Timestamp::from_millis(1_767_600_000_000));
        numbers.map(|(n, hit)| walk.note(Msisdn::from_u64(n).unwrap(), hit, now)).last().flatten()
    }

    /// A generator as simple as they come.
    fn anywhere(n: u64) -> u64 {
        6_580_000_000 + n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 20_000_000
    }

    #[test]
    fn a_walk_is_seen_in_any_order_and_between_others() {
        let start = 6_591_230_000;
        assert_eq!(last((0..47).map(|n| (start + n, true))), None, "not yet");
        assert_eq!(last((0..48).map(|n| (start + n, true))), Some(Pattern::Walk));
        assert_eq!(last((0..48).map(|n| (start - 3 * n, true))), Some(Pattern::Walk));
        let two = (0..60).map(|n| (start + n / 2 + n % 2 * 100_000, true));
        assert_eq!(last(two), Some(Pattern::Walk));
    }

    #[test]
    fn users_are_no_walk_and_their_repeats_say_nothing() {
        assert_eq!(last((0..5000).map(|n| (anywhere(n), n % 20 != 0))), None);
        assert_eq!(last((0..5000).map(|n| (6_591_230_000 + n % 30, true))), None, "thirty numbers, often");
        let mut sorted: Vec<u64> = (0..100_000).map(anywhere).collect();
        sorted.sort_unstable();
        assert_eq!(last(sorted.into_iter().map(|n| (n, true))), None, "a whole user base in order");
    }

    #[test]
    fn guessing_shows_in_what_does_not_exist() {
        assert_eq!(last((0..60).map(|n| (anywhere(n), n % 3 == 0))), Some(Pattern::Guessing));
        assert_eq!(last((0..60).map(|n| (anywhere(n), n % 3 != 0))), None);
    }

    #[test]
    fn an_hour_without_a_lookup_ends_it() {
        let mut walk = Walk::default();
        let at = |secs| Timestamp::from_millis(1_767_600_000_000).plus(Duration::from_secs(secs));
        let number = |n: u64| Msisdn::from_u64(6_591_230_000 + n).unwrap();
        for n in 0..48 {
            walk.note(number(n), true, at(0));
        }
        assert_eq!(walk.note(number(48), true, at(3600)), Some(Pattern::Walk));
        assert_eq!(walk.note(number(49), true, at(7300)), None);
    }

    proptest! {
        #[test]
        fn it_stays_bounded(numbers in proptest::collection::vec(1_000_000_u64..999_999_999_999, 0..600)) {
            let mut walk = Walk::default();
            for n in numbers {
                walk.note(Msisdn::from_u64(n).unwrap(), true, Timestamp::default());
                prop_assert!(walk.newest.len() <= JUDGED);
            }
        }
    }
}
