//! Velocity: more distinct numbers from one client in an hour than its own history explains. A gateway that
//! thousands share has a history; an address nobody knows has none.

use super::booking::low_bits;
use super::engine::{CLIENT_WINDOW, Engine};
use super::evidence::KeyKind;
use super::keys::{Key, Keys};
use super::math::{ln, sigmoid};
use super::rows::watched;

/// A client whose numbers are many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fast {
    pub kind: KeyKind,
    pub probability: f64,
    pub numbers: f64,
    pub expected: f64,
}

/// Any address may do so many an hour.
const FREE: f64 = 0.8;
/// Surprise counts at most so much, so that a client whose codes are confirmed talks itself free.
const MOST: f64 = 18.0;
/// Surprise that goes for having looked at every address.
const LOOK_ELSEWHERE: f64 = 9.0;

impl Engine {
    /// The client key with the most surprising number of numbers.
    pub(super) fn velocity(&self, keys: &Keys) -> Option<Fast> {
        let foreign = || 0.5 * keys.network.map_or(0.0, |network| self.hourly(network));
        let ip = keys.ip.and_then(|ip| self.fast(keys, ip, || FREE + foreign()));
        let network = keys.network.and_then(|network| self.fast(keys, network, || 4.0 * FREE));
        [ip, network].into_iter().flatten().max_by(|a, b| a.probability.total_cmp(&b.probability))
    }

    fn fast(&self, keys: &Keys, key: Key, free: impl Fn() -> f64) -> Option<Fast> {
        // Two numbers are never too many.
        let seen = self.spreads.find(key.hash).filter(|seen| seen.held() >= 2)?;
        let spread = seen.spread(self.seconds(), CLIENT_WINDOW, low_bits(keys.number), keys.from(), 1 << 20);
        let hours = f64::from(spread.span) / f64::from(CLIENT_WINDOW);
        let numbers = f64::from(spread.numbers);
        let expected = (free() + 3.0 * self.hourly(key)) * hours.max(0.2);
        if numbers <= expected + 2.0 {
            return None;
        }
        let deviance = numbers * ln(numbers / expected) - (numbers - expected);
        let balance = self.keys.find(key.hash).map_or(0.0, |row| row.view(self.seconds()).balance);
        let e = deviance.min(MOST) - LOOK_ELSEWHERE + balance;
        let probability = sigmoid(e) * (1.0 - expected / numbers);
        Some(Fast { kind: key.kind, probability, numbers, expected })
    }

    /// Trials an hour that a client usually has.
    fn hourly(&self, key: Key) -> f64 {
        let trials = self.keys.find(key.hash).map_or(0.0, |row| f64::from(row.base_trials));
        let days = watched(self.seconds().saturating_sub(self.since_seconds())) / 3600.0;
        trials / days.max(12.0)
    }
}
