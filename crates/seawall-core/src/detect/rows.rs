//! Small rows beside those of keys: numbers, exposure, route health, volume by hour.

use serde::{Deserialize, Serialize};

use super::booking::WORLD;
use super::math::exp2;
use super::state::single;
use super::table::Row;

/// Seconds of a day.
pub(super) const DAY: u32 = 86_400;
/// Repeats within this time belong to the first message (seconds).
pub(super) const TRIAL: u32 = 3600;

/// A number lately sent to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct NumberRow {
    pub key: u64,
    /// When it was last sent to.
    pub last: u32,
    /// When it last confirmed; 0: not within memory.
    pub confirmed: u32,
    /// The first of the unconfirmed messages that belong together.
    pub trial: u64,
    /// Requests, and messages that nobody confirmed, since the last confirmation or the last quiet day.
    pub asks: u8,
    pub unconfirmed: u8,
    /// How often the network changed between them.
    pub changes: u8,
    /// The network that it was last asked for from, and the one that it was last confirmed from.
    pub network: u32,
    pub home: u32,
}

impl NumberRow {
    /// How the number stands when it is asked for again, this request counted in.
    pub(super) fn standing(&self, now: u32, network: u32) -> Standing {
        if now.saturating_sub(self.last) > DAY {
            return Standing { asks: 1, unconfirmed: 0, changes: 0 };
        }
        let changed = self.asks > 0 && network != self.network;
        Standing {
            asks: self.asks.saturating_add(1),
            unconfirmed: self.unconfirmed,
            changes: self.changes.saturating_add(u8::from(changed)),
        }
    }

    /// Somebody asks for a code to this number.
    pub(super) fn ask(&mut self, now: u32, network: u32) -> Standing {
        let standing = self.standing(now, network);
        (self.asks, self.unconfirmed, self.changes) = (standing.asks, standing.unconfirmed, standing.changes);
        (self.last, self.network) = (now, network);
        standing
    }
}

/// How a number stands since its last confirmation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Requests.
    pub asks: u8,
    /// Messages that nobody confirmed.
    pub unconfirmed: u8,
    /// How often the network changed between requests.
    pub changes: u8,
}

/// Numbers that confirmed are remembered for so many days, to know the network they are at home in.
const AT_HOME: u32 = 30 * DAY;

impl Row for NumberRow {
    #[inline]
    fn key(&self) -> u64 {
        self.key
    }
    fn in_use(&self) -> bool {
        false
    }
    fn past_use(&self, now: u32) -> bool {
        let kept = if self.home == 0 { DAY } else { AT_HOME };
        now.saturating_sub(self.last) > kept
    }
    fn worth(&self) -> u64 {
        u64::from(self.last)
    }
}

/// Unconfirmed money of the last hour, and what an hour usually leaves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ExposureRow {
    pub key: u64,
    since: u32,
    at: u32,
    /// Micro-units of messages of the last hour that nobody confirmed.
    pub outstanding: i64,
    /// Micro-units that stayed unconfirmed; half-life 7 days.
    lost: f32,
    pub pins: u32,
}

/// Seconds in the half-life of baselines.
const WEEK: f64 = 7.0 * 86_400.0;

/// Seconds that a total with a half-life of a week stands for after `seconds` of watching; at least an hour.
pub(super) fn watched(seconds: u32) -> f64 {
    let full = WEEK / std::f64::consts::LN_2;
    (full * (1.0 - exp2(-f64::from(seconds) / WEEK))).max(3600.0)
}

impl ExposureRow {
    pub(super) fn new(key: u64, now: u32) -> Self {
        ExposureRow { key, since: now, at: now, ..Self::default() }
    }

    /// Money stayed unconfirmed.
    pub(super) fn lose(&mut self, now: u32, price: i64) {
        let faded = f64::from(self.lost) * exp2(-f64::from(now.saturating_sub(self.at)) / WEEK);
        self.lost = single(faded + f64_of(price));
        self.at = now;
    }

    /// Micro-units that an hour usually leaves unconfirmed.
    #[allow(clippy::cast_possible_truncation, reason = "money far below 2^63")]
    pub(super) fn usual(&self, now: u32) -> i64 {
        let faded = f64::from(self.lost) * exp2(-f64::from(now.saturating_sub(self.at)) / WEEK);
        (faded / watched(now.saturating_sub(self.since)) * 3600.0) as i64
    }
}

/// Money as a float: exact below 2^53 micro-units.
#[allow(clippy::cast_precision_loss, reason = "money far below 2^53")]
pub(super) fn f64_of(n: i64) -> f64 {
    n as f64
}

impl Row for ExposureRow {
    #[inline]
    fn key(&self) -> u64 {
        self.key
    }
    fn in_use(&self) -> bool {
        self.pins > 0
    }
    fn past_use(&self, now: u32) -> bool {
        now.saturating_sub(self.at) > 28 * DAY
    }
    fn worth(&self) -> u64 {
        u64::from(self.at)
    }
}

/// Confirmations of the control group against what was expected of it, with a half-life of 90 minutes, or
/// of 30 over everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct HealthRow {
    pub key: u64,
    at: u32,
    confirmed: f32,
    expected: f32,
    /// The same with a half-life of a week: people who confirmed before fail less than others.
    usual_confirmed: f32,
    usual_expected: f32,
}

const HEALTH: f64 = 5400.0;
/// The same for everything together, where much is heard in little time.
const HEALTH_OF_ALL: f64 = 1800.0;
/// Confirmations that the assumption of health is worth.
const HEALTHY: f64 = 6.0;
/// Confirmations that the assumption is worth that the control group confirms like everybody.
const USUAL: f64 = 50.0;

impl HealthRow {
    pub(super) fn new(key: u64, now: u32) -> Self {
        HealthRow { key, at: now, ..Self::default() }
    }

    /// What is left of what was known of lately.
    fn left(&self, now: u32) -> f64 {
        let half_life = if self.key == WORLD { HEALTH_OF_ALL } else { HEALTH };
        exp2(-f64::from(now.saturating_sub(self.at)) / half_life)
    }

    pub(super) fn add(&mut self, now: u32, confirmed: f64, expected: f64) {
        let factor = self.left(now);
        self.confirmed = single(f64::from(self.confirmed) * factor + confirmed);
        self.expected = single(f64::from(self.expected) * factor + expected);
        let slowly = exp2(-f64::from(now.saturating_sub(self.at)) / WEEK);
        self.usual_confirmed = single(f64::from(self.usual_confirmed) * slowly + confirmed);
        self.usual_expected = single(f64::from(self.usual_expected) * slowly + expected);
        self.at = now;
    }

    /// What the control group usually confirms of what is expected of everybody.
    fn usual(&self) -> f64 {
        let (confirmed, expected) = (f64::from(self.usual_confirmed), f64::from(self.usual_expected));
        ((confirmed + USUAL) / (expected + USUAL)).clamp(0.8, 1.25)
    }

    /// Confirmed over what is usual, shrunk towards `assumed`.
    pub(super) fn health(&self, now: u32, assumed: f64) -> f64 {
        let factor = self.left(now);
        let (c, e) = (f64::from(self.confirmed) * factor, f64::from(self.expected) * factor);
        ((c + HEALTHY * assumed) / (e * self.usual() + HEALTHY)).min(1.0)
    }
}

impl Row for HealthRow {
    #[inline]
    fn key(&self) -> u64 {
        self.key
    }
    fn in_use(&self) -> bool {
        false
    }
    fn past_use(&self, now: u32) -> bool {
        now.saturating_sub(self.at) > 2 * DAY
    }
    fn worth(&self) -> u64 {
        u64::from(self.at)
    }
}

/// Messages to unknown numbers by hour, over the last 24 hours.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct VolumeRow {
    pub key: u64,
    hour: u32,
    counts: [u32; 24],
    /// Blocks found to be under attack; half-life [`HOT`].
    hot: f32,
    hot_at: u32,
    /// Messages that taught novelty, and how many of them fell into a block never seen, by kind of block.
    seen: f32,
    novel: [f32; 3],
}

/// Half-life of the count of blocks under attack, in seconds.
const HOT: u32 = 6 * 3600;
/// Half of what is known of novelty is forgotten after so many messages.
const NOVELTY_MEMORY: f32 = 4000.0;

impl VolumeRow {
    pub(super) fn new(key: u64, now: u32) -> Self {
        VolumeRow { key, hour: now / 3600, ..Self::default() }
    }

    fn turn(&mut self, hour: u32) {
        for passed in (self.hour + 1..=hour).rev().take(24) {
            if let Some(count) = self.counts.get_mut(slot(passed)) {
                *count = 0;
            }
        }
        self.hour = self.hour.max(hour);
    }

    pub(super) fn add(&mut self, now: u32) {
        self.turn(now / 3600);
        if let Some(count) = self.counts.get_mut(slot(now / 3600)) {
            *count = count.saturating_add(1);
        }
    }

    /// Another block was found to be under attack.
    pub(super) fn add_hot(&mut self, now: u32) {
        self.hot = single(self.hot(now) + 1.0);
        self.hot_at = now;
    }

    /// Blocks that were found to be under attack; half-life [`HOT`].
    pub(super) fn hot(&self, now: u32) -> f64 {
        f64::from(self.hot) * exp2(-f64::from(now.saturating_sub(self.hot_at)) / f64::from(HOT))
    }

    /// Messages in the time that [`VolumeRow::hot`] stands for.
    pub(super) fn meanwhile(&self, now: u32) -> f64 {
        self.within(now, DAY) * (f64::from(HOT) / std::f64::consts::LN_2 / f64::from(DAY))
    }

    /// Learns whether the blocks of a genuine message were new.
    pub(super) fn learn(&mut self, novel: [bool; 3]) {
        if self.seen > NOVELTY_MEMORY {
            self.seen *= 0.5;
            self.novel.iter_mut().for_each(|n| *n *= 0.5);
        }
        self.seen += 1.0;
        self.novel.iter_mut().zip(novel).for_each(|(n, new)| *n += f32::from(u8::from(new)));
    }

    /// The share of genuine messages that fall into blocks of this kind that were never seen. It is 1 while
    /// nothing is known.
    pub(super) fn novelty(&self, kind: usize) -> f64 {
        let novel = self.novel.get(kind).copied().unwrap_or(0.0);
        (f64::from(novel) + 2.0) / (f64::from(self.seen) + 2.0)
    }

    /// How many in the last `span` seconds; an hour that is only partly in it counts in part.
    pub(super) fn within(&self, now: u32, span: u32) -> f64 {
        let hour = now / 3600;
        let into = now % 3600;
        let mut all = 0.0;
        for back in 0..24u32.min(hour) {
            let age = hour.saturating_sub(back);
            if age > self.hour || self.hour - age >= 24 {
                continue;
            }
            let (from, length) = if back == 0 { (0, into.max(1)) } else { (into + (back - 1) * 3600, 3600) };
            let inside = span.saturating_sub(from).min(length);
            let count = self.counts.get(slot(age)).copied().unwrap_or(0);
            all += f64::from(count) * f64::from(inside) / f64::from(length);
        }
        all
    }
}

fn slot(hour: u32) -> usize {
    usize::try_from(hour % 24).unwrap_or(0)
}

impl Row for VolumeRow {
    #[inline]
    fn key(&self) -> u64 {
        self.key
    }
    fn in_use(&self) -> bool {
        false
    }
    fn past_use(&self, now: u32) -> bool {
        (now / 3600).saturating_sub(self.hour) > 48
    }
    fn worth(&self) -> u64 {
        u64::from(self.hour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volume_counts_the_last_day_and_parts_of_hours() {
        let mut volume = VolumeRow::new(1, 100 * 3600);
        (0..10).for_each(|_| volume.add(100 * 3600 + 1800));
        (0..4).for_each(|_| volume.add(101 * 3600));
        let now = 101 * 3600 + 1800;
        assert!((volume.within(now, DAY) - 14.0).abs() < 1e-9);
        assert!((volume.within(now, 3600) - 9.0).abs() < 1e-9, "half of the earlier hour");
        assert!((volume.within(now + 23 * 3600, DAY) - 4.0).abs() < 1e-9);
        assert!(volume.within(now + 40 * 3600, DAY).abs() < 1e-9);
    }

    #[test]
    fn an_outage_shows_and_a_single_failure_does_not() {
        let mut row = HealthRow::new(1, 0);
        row.add(10, 0.0, 0.8);
        assert!(row.health(10, 1.0) > 0.85);
        (0..20).for_each(|n| row.add(10 + n, 0.0, 0.8));
        assert!(row.health(30, 1.0) < 0.4);
        assert!(row.health(30 + 2 * DAY, 1.0) > 0.95, "it heals");
    }

    #[test]
    fn what_is_usual_is_what_an_hour_left() {
        let mut row = ExposureRow::new(1, 0);
        (0..48).for_each(|hour| row.lose(hour * 3600, 500_000));
        let usual = row.usual(48 * 3600);
        assert!((400_000..600_000).contains(&usual), "{usual}");
    }
}
