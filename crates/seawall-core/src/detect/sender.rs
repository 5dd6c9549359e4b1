//! A hijacked sender: an API key that suddenly behaves unlike itself. It writes to numbers nobody knows, with
//! links to hosts it never used, from a network it never came from, off its usual templates.
//!
//! A key that has sent for a day has habits. Only messages to unknown numbers speak: each adds the logarithms of
//! how much likelier its traits are in a thief's hands; every message to a known number takes some away, so a
//! campaign to customers passes whatever it links to. What a suspicious key does never becomes its habit.

use serde::{Deserialize, Serialize};

use super::asked::Asked;
use super::booking::low_bits;
use super::engine::Engine;
use super::evidence::KeyKind;
use super::keys::{Keys, hash};
use super::math::{exp2, ln, sigmoid};
use super::rows::DAY;
use super::state::single;
use super::table::Row;
use super::vocabulary::Vocabulary;
use crate::request::Operation;

/// The sum from which on a key is more likely stolen than not: some twenty messages of the plainest kind.
const ALARM: f64 = 80.0;
/// Sums stop here, so that an innocent key is free again within a day.
const MOST: f64 = 160.0;
/// Half-life of the sum, in seconds.
const HALF_LIFE: f64 = 6.0 * 3600.0;
/// A thief writes to unknown numbers nearly always.
const THIEF_UNKNOWN: f64 = 0.95;
/// What a new host, a new network and a text off the templates say.
const NEW_HOST: f64 = 2.0;
const NEW_NETWORK: f64 = 2.0;
const OFF_TEMPLATE: f64 = 1.0;
/// What a message to a known number takes away.
const TO_KNOWN: f64 = -2.5;
/// A habit is what was done so often, and first a day ago.
const HABIT: u16 = 3;
/// Messages from which on a key has habits.
const SENT: f32 = 100.0;
/// Hosts and networks remembered by key; the rarest makes room.
const REMEMBERED: usize = 64;

/// Something a key did before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Done {
    what: u32,
    first: u32,
    times: u16,
}

/// The habits of one key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct SenderRow {
    key: u64,
    since: u32,
    at: u32,
    sum: f32,
    sent: f32,
    unknown: f32,
    templated: f32,
    hosts: Vec<Done>,
    networks: Vec<Done>,
    words: Vocabulary,
}

/// A sender unlike itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Unlike {
    pub probability: f64,
    pub new_host: bool,
    pub new_network: bool,
    pub off_template: bool,
    /// Messages to unknown numbers that usually are among a hundred.
    pub usual_unknown: f64,
}

fn known(all: &[Done], what: u32, now: u32) -> bool {
    all.iter().any(|d| d.what == what && d.times >= HABIT && now.saturating_sub(d.first) >= DAY)
}

fn remember(all: &mut Vec<Done>, what: u32, now: u32) {
    if let Some(done) = all.iter_mut().find(|d| d.what == what) {
        done.times = done.times.saturating_add(1);
        return;
    }
    if all.len() >= REMEMBERED {
        let rarest = all.iter().enumerate().min_by_key(|(_, d)| (d.times, d.first)).map(|(at, _)| at);
        rarest.map(|at| all.swap_remove(at));
    }
    all.push(Done { what, first: now, times: 1 });
}

/// What of a message matters here.
struct Traits {
    unknown: bool,
    hosts: Vec<u32>,
    network: Option<u32>,
    templated: bool,
    words: Vec<u16>,
}

impl SenderRow {
    fn has_habits(&self, now: u32) -> bool {
        self.sent >= SENT && now.saturating_sub(self.since) >= DAY
    }

    fn sum(&self, now: u32) -> f64 {
        f64::from(self.sum) * exp2(-f64::from(now.saturating_sub(self.at)) / HALF_LIFE)
    }

    fn usual_unknown(&self) -> f64 {
        (f64::from(self.unknown) + 1.0) / (f64::from(self.sent) + 2.0)
    }

    /// New host, new network.
    fn novel(&self, traits: &Traits, now: u32) -> (bool, bool) {
        let host = traits.hosts.iter().any(|&host| !known(&self.hosts, host, now));
        let network =
            traits.network.is_some_and(|n| !self.networks.is_empty() && !known(&self.networks, n, now));
        (host, network)
    }

    /// No registered template, from a key that uses them; or words that it never uses.
    fn off_template(&self, traits: &Traits) -> bool {
        let mostly_templated = self.templated > 0.8 * self.sent;
        (mostly_templated && !traits.templated) || self.words.strange(&traits.words)
    }

    /// The logarithm of how much likelier such a message is from a thief.
    fn ratio(&self, traits: &Traits, now: u32) -> f64 {
        if !traits.unknown {
            return TO_KNOWN;
        }
        let (host, network) = self.novel(traits, now);
        ln(THIEF_UNKNOWN / self.usual_unknown().min(THIEF_UNKNOWN))
            + if host { NEW_HOST } else { 0.0 }
            + if network { NEW_NETWORK } else { 0.0 }
            + if self.off_template(traits) { OFF_TEMPLATE } else { 0.0 }
    }

    fn note(&mut self, traits: &Traits, now: u32) {
        if self.has_habits(now) {
            let ratio = self.ratio(traits, now);
            self.sum = single((self.sum(now) + ratio).clamp(0.0, MOST));
        }
        self.at = now;
        if f64::from(self.sum) < 0.3 * ALARM {
            self.learn(traits, now);
        } else {
            // What led to suspicion is no habit in the making.
            let old = |done: &Done| now.saturating_sub(done.first) >= DAY;
            self.hosts.retain(old);
            self.networks.retain(old);
        }
    }

    fn learn(&mut self, traits: &Traits, now: u32) {
        if self.sent > 20_000.0 {
            [&mut self.sent, &mut self.unknown, &mut self.templated].into_iter().for_each(|n| *n *= 0.5);
        }
        self.sent += 1.0;
        self.unknown += f32::from(u8::from(traits.unknown));
        self.templated += f32::from(u8::from(traits.templated));
        self.words.learn(&traits.words, now);
        traits.hosts.iter().for_each(|&host| remember(&mut self.hosts, host, now));
        traits.network.into_iter().for_each(|network| remember(&mut self.networks, network, now));
    }
}

impl Row for SenderRow {
    fn key(&self) -> u64 {
        self.key
    }
    fn in_use(&self) -> bool {
        false
    }
    fn past_use(&self, now: u32) -> bool {
        now.saturating_sub(self.at) > 90 * DAY
    }
    fn worth(&self) -> u64 {
        u64::from(self.at)
    }
    fn beside(&self) -> usize {
        (self.hosts.capacity() + self.networks.capacity()) * size_of::<Done>() + self.words.beside()
    }
}

impl Engine {
    fn traits(&self, asked: &Asked, keys: &Keys) -> Option<Traits> {
        if asked.operation == Operation::VerifyStart {
            return None;
        }
        let text = asked.text.as_ref()?;
        let of = |text: &str| low_bits(hash(KeyKind::Subaccount, text.as_bytes()));
        let before = self.numbers.find(keys.number).is_some_and(|row| row.confirmed > 0);
        Some(Traits {
            unknown: !asked.known && !before,
            hosts: text.url_hosts.iter().map(|host| of(host)).collect(),
            network: asked.caller.map(|ip| low_bits(super::keys::network(ip).hash)),
            templated: text.template.is_some(),
            words: text.words.clone(),
        })
    }

    /// A message of a key is sent, or was refused for what it is: both say who holds the key.
    pub(super) fn note_sender(&mut self, asked: &Asked, keys: &Keys) {
        let Some(traits) = self.traits(asked, keys) else { return };
        let (key, now) = (keys.api_key, self.seconds());
        let place =
            self.senders.enter(key, now, || SenderRow { key, since: now, at: now, ..SenderRow::default() });
        if let Some(row) = self.senders.at_mut(place) {
            row.note(&traits, now);
        }
    }

    /// Whether a message is unlike its sender. Messages to known numbers never are.
    pub(super) fn unlike(&self, asked: &Asked, keys: &Keys) -> Option<Unlike> {
        let traits = self.traits(asked, keys)?;
        let (row, now) = (self.senders.find(keys.api_key)?, self.seconds());
        if !traits.unknown || !row.has_habits(now) || row.ratio(&traits, now) < 1.0 {
            return None;
        }
        let (new_host, new_network) = row.novel(&traits, now);
        let probability = sigmoid(0.2 * (row.sum(now) - ALARM));
        let off_template = row.off_template(&traits);
        Some(Unlike {
            probability,
            new_host,
            new_network,
            off_template,
            usual_unknown: 100.0 * row.usual_unknown(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traits(unknown: bool, host: u32, network: u32) -> Traits {
        Traits { unknown, hosts: vec![host], network: Some(network), templated: false, words: Vec::new() }
    }

    fn with_habits() -> (SenderRow, u32) {
        let mut row = SenderRow { key: 1, since: 1, at: 1, ..SenderRow::default() };
        (0..2000u32).for_each(|n| row.note(&traits(n % 3 == 0, 7, 9), 1 + n * 60));
        (row, 1 + 2000 * 60)
    }

    #[test]
    fn a_thief_is_stopped_within_some_dozens() {
        let (mut row, now) = with_habits();
        let stolen = (0..200u32).find(|n| {
            row.note(&traits(true, 100 + n, 200), now + n);
            row.sum(now + n) > ALARM
        });
        assert!(stolen.is_some_and(|n| n < 50), "{stolen:?}");
    }

    #[test]
    fn a_campaign_to_customers_passes_even_with_a_new_link() {
        let (mut row, now) = with_habits();
        for n in 0..100_000u32 {
            row.note(&traits(n % 40 == 0, 555, 9), now + n / 10);
            assert!(row.sum(now + n / 10) < 0.3 * ALARM, "{n}");
        }
    }

    #[test]
    fn what_a_suspicious_key_does_does_not_become_its_habit() {
        let (mut row, now) = with_habits();
        (0..5000u32).for_each(|n| row.note(&traits(true, 100, 200), now + n * 20));
        assert!(row.sum(now + 5000 * 20) > ALARM);
        assert!(!known(&row.hosts, 100, now + 5000 * 20));
    }
}
