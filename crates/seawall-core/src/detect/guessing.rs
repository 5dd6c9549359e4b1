//! Guessing at codes and stuffing stolen ones: the sequential test on wrong codes, by who had the codes sent.
//!
//! People mistype one code in ten, guessers nearly all of theirs. A wrong code adds ln(0.6/0.1), a right one
//! ln(0.4/0.9); sums stay at or above zero and fade with a half-life of six hours. One message counts at most
//! three wrong codes, so that a clumsy person does not look like a machine.

use serde::{Deserialize, Serialize};

use super::asked::Asked;
use super::engine::Engine;
use super::evidence::{Explained, KeyKind};
use super::keys::{Cohort, Key, Keys, mix};
use super::math::{exp2, sigmoid};
use super::state::single;
use super::table::Row;

/// What a wrong and a right code say.
const WRONG: f64 = 1.79;
const RIGHT: f64 = -0.81;
/// Sums stop here.
const MOST: f64 = 30.0;
/// Half-life of the sums, in seconds.
const HALF_LIFE: f64 = 6.0 * 3600.0;
/// Wrong codes that count of one message.
pub(super) const COUNTED: u8 = 3;
/// People's wrong codes, as a share.
const MISTYPED: f64 = 0.1;

/// Wrong codes by key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct GuessRow {
    key: u64,
    at: u32,
    sum: f32,
    checks: f32,
    wrong: f32,
}

/// A key whose codes are guessed at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guessed {
    pub kind: KeyKind,
    pub probability: f64,
    pub checks: f64,
    pub wrong: f64,
}

impl GuessRow {
    fn note(&mut self, now: u32, wrong: bool) {
        let factor = exp2(-f64::from(now.saturating_sub(self.at)) / HALF_LIFE);
        let add = if wrong { WRONG } else { RIGHT };
        self.sum = single((f64::from(self.sum) * factor + add).clamp(0.0, MOST));
        self.checks = single(f64::from(self.checks) * factor + 1.0);
        self.wrong = single(f64::from(self.wrong) * factor + f64::from(u8::from(wrong)));
        self.at = now;
    }

    /// How likely somebody guesses: how sure the alarm is, times the share of wrong codes that people do not
    /// make.
    fn guessed(&self, kind: KeyKind, now: u32) -> Guessed {
        let factor = exp2(-f64::from(now.saturating_sub(self.at)) / HALF_LIFE);
        let (checks, wrong) = (f64::from(self.checks) * factor, f64::from(self.wrong) * factor);
        let share = ((wrong - MISTYPED * checks) / (checks * (1.0 - MISTYPED)).max(1e-6)).clamp(0.0, 1.0);
        let probability = sigmoid(1.5 * (f64::from(self.sum) * factor - alarm(kind))) * share;
        Guessed { kind, probability, checks, wrong }
    }
}

impl Row for GuessRow {
    fn key(&self) -> u64 {
        self.key
    }
    fn in_use(&self) -> bool {
        false
    }
    fn past_use(&self, now: u32) -> bool {
        now.saturating_sub(self.at) > 2 * 86_400
    }
    fn worth(&self) -> u64 {
        (u64::from(self.sum >= 1.0) << 32) | u64::from(self.at)
    }
}

/// The sum from which on guessing is more likely than not: higher where many share the key.
fn alarm(kind: KeyKind) -> f64 {
    match kind {
        KeyKind::Ip => 8.0,
        KeyKind::Network => 9.0,
        KeyKind::Subaccount => 14.0,
        _ => 12.0,
    }
}

/// Keys that answer for wrong codes of a message.
pub(super) fn guessers(keys: &Keys, cohort: Cohort) -> impl Iterator<Item = Key> {
    let own = |key: Key| Key { hash: mix(key.hash, 0x9e55), ..key };
    let wide = keys.wide_client.into_iter().flatten();
    let wide = wide
        .filter(|k| matches!(k.kind, KeyKind::Fingerprint | KeyKind::CountryAsn))
        .map(move |k| k.in_cohort(cohort.tested_with()));
    let subaccount = Key { kind: KeyKind::Subaccount, hash: keys.subaccount };
    keys.ip.into_iter().chain(keys.network).chain(wide).chain([subaccount]).map(own)
}

/// Address, network, fingerprint, network operator within the country, subaccount.
pub(super) const GUESSERS: usize = 5;

/// The same as they are kept with the message.
pub(super) fn guesser_hashes(keys: &Keys, cohort: Cohort) -> [u64; GUESSERS] {
    let mut hashes = [0; GUESSERS];
    hashes.iter_mut().zip(guessers(keys, cohort)).for_each(|(hash, key)| *hash = key.hash);
    hashes
}

impl Engine {
    /// A code was presented for a message.
    pub(super) fn checked(&mut self, id: u64, wrong: bool) {
        if !wrong && self.guesses.len() == 0 {
            return;
        }
        let now = self.seconds();
        let Some(message) = self.outstanding.get_mut(id) else { return };
        if wrong {
            if message.wrong >= COUNTED {
                return;
            }
            message.wrong += 1;
        }
        for key in message.guessers.into_iter().filter(|key| *key != 0) {
            // Right codes only answer where wrong ones were: most keys never see one.
            if wrong || self.guesses.find(key).is_some() {
                let place = self.guesses.enter(key, now, || GuessRow { key, at: now, ..GuessRow::default() });
                if let Some(row) = self.guesses.at_mut(place) {
                    row.note(now, wrong);
                }
            }
        }
    }

    /// The key of a request with the most guessing, and whether codes should be longer.
    pub(super) fn guessing(&self, asked: &Asked, keys: &Keys, cohort: Cohort) -> (Option<Guessed>, bool) {
        if self.guesses.len() == 0 || asked.trusted {
            return (None, false);
        }
        let now = self.seconds();
        let all = guessers(keys, cohort)
            .filter_map(|key| Some(self.guesses.find(key.hash)?.guessed(key.kind, now)));
        let (mut worst, mut longer): (Option<Guessed>, bool) = (None, false);
        for guessed in all {
            longer |= guessed.probability >= 0.5;
            // A whole subaccount is warned by longer codes, never refused.
            let counts = guessed.kind != KeyKind::Subaccount;
            if counts && worst.is_none_or(|w| guessed.probability > w.probability) {
                worst = Some(guessed);
            }
        }
        (worst, longer)
    }
}

/// Guessing by a client explains its requests.
pub(super) fn explains(guessed: Option<&Guessed>) -> Explained {
    if guessed.is_some_and(|g| g.probability > 0.5) { Explained::Client } else { Explained::No }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_found_and_people_are_not() {
        let mut machine = GuessRow::default();
        (0..6).for_each(|n| machine.note(n, true));
        assert!(machine.guessed(KeyKind::Ip, 6).probability > 0.9);
        let mut people = GuessRow::default();
        for n in 0..2000u32 {
            people.note(n, n % 8 == 0);
            assert!(people.guessed(KeyKind::Ip, n).probability < 0.1, "{n}: {people:?}");
        }
        let clumsy = (0..u32::from(COUNTED)).fold(GuessRow::default(), |mut row, n| {
            row.note(n, true);
            row
        });
        assert!(clumsy.guessed(KeyKind::Ip, 9).probability < 0.1);
    }
}
