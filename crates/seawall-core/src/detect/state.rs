//! What is kept of one key: evidence that fades within hours, and a baseline that fades within a week.

use serde::{Deserialize, Serialize};

use super::evidence::KeyKind;
use super::math::exp2;
use super::table::Row;

/// Half-life of suspicion about narrow keys, in seconds. That about wide keys is six times shorter: when they
/// are stopped nothing more is heard of them, and many bystanders wait. Tallies of lately have a half-life of
/// 3 hours, requests one of an hour.
const SUSPICION: f64 = 12.0 * 3600.0;
/// Half-life of the baseline, in seconds.
const BASELINE: f64 = 7.0 * 86_400.0;
/// Baselines fade so slowly that it is enough to look now and then (seconds).
const BASELINE_STEP: u32 = 900;
/// So do the others, compared with this (seconds): busy keys are spared the arithmetic of every message.
const FADING_STEP: u32 = 5;
/// Suspicion and two-sided sum stop here.
pub(super) const MOST: f64 = 22.0;

/// Confirmations that the assumption "as usual" is worth.
const RATIO_WEIGHT: f64 = 20.0;

/// The two alternatives of the sequential test: conversion falls to this share of the usual.
pub(super) const RHO: [f64; 2] = [0.30, 0.75];

/// One key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct KeyState {
    key: u64,
    /// When the fading values were last brought up to date, in seconds.
    at: u32,
    base_at: u32,
    /// One-sided sums for [`RHO`].
    pub suspicion: [f32; 2],
    /// Two-sided sum: above zero unconfirmed, below zero confirmed.
    pub balance: f32,
    /// Trials, confirmations, and confirmations that were expected so far; half-life 3 h.
    pub trials: f32,
    pub confirmed: f32,
    pub expected: f32,
    /// Requests, sent or not, that nothing narrower explains; half-life 1 h. Only of wide keys.
    pub asked: f32,
    /// Expected confirmations, trials and confirmations of the baseline.
    pub base_expected: f32,
    pub base_trials: f32,
    pub base_confirmed: f32,
    /// Outstanding messages that refer to this row.
    pub pins: u16,
    /// Outstanding messages that nobody has confirmed and that are younger than the last checkpoint.
    pub open: u16,
    kind: Option<KeyKind>,
}

/// The fading values of a key as they stand at some instant.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct View {
    pub suspicion: f64,
    pub balance: f64,
    pub trials: f64,
    pub confirmed: f64,
    pub expected: f64,
    pub asked: f64,
}

impl KeyState {
    pub(super) fn new(key: u64, kind: KeyKind, now: u32) -> Self {
        KeyState { key, at: now, base_at: now, kind: Some(kind), ..Self::default() }
    }

    /// Lets everything fade to `now`.
    #[inline]
    pub(super) fn fade(&mut self, now: u32) {
        if now >= self.at.saturating_add(FADING_STEP) {
            let fading = Fading::over(now - self.at);
            let suspicion = fading.suspicion(self.kind());
            self.suspicion.iter_mut().for_each(|s| *s = times(*s, suspicion));
            self.balance = times(self.balance, fading.slow);
            for value in [&mut self.trials, &mut self.confirmed, &mut self.expected] {
                *value = times(*value, fading.fast);
            }
            self.asked = times(self.asked, fading.hour);
            self.at = now;
        }
        if now >= self.base_at.saturating_add(BASELINE_STEP) {
            let factor = half_lives(now - self.base_at, BASELINE);
            for value in [&mut self.base_expected, &mut self.base_trials, &mut self.base_confirmed] {
                *value = times(*value, factor);
            }
            self.base_at = now;
        }
    }

    /// The fading values at `now`, without changing anything.
    #[inline]
    pub(super) fn view(&self, now: u32) -> View {
        let fading = Fading::over(now.saturating_sub(self.at));
        let [low, part] = self.suspicion;
        View {
            suspicion: f64::from(low.max(part)) * fading.suspicion(self.kind()),
            balance: f64::from(self.balance) * fading.slow,
            trials: f64::from(self.trials) * fading.fast,
            confirmed: f64::from(self.confirmed) * fading.fast,
            expected: f64::from(self.expected) * fading.fast,
            asked: f64::from(self.asked) * fading.hour,
        }
    }

    /// What kind of key it is.
    #[inline]
    pub(super) fn kind(&self) -> KeyKind {
        self.kind.unwrap_or(KeyKind::Number)
    }

    /// Confirmations against what was expected, over the baseline: how much better or worse than usual this
    /// key always was.
    #[inline]
    pub(super) fn ratio(&self) -> f64 {
        let (confirmed, expected) = (f64::from(self.base_confirmed), f64::from(self.base_expected));
        ((confirmed + RATIO_WEIGHT) / (expected + RATIO_WEIGHT)).clamp(0.3, 1.15)
    }

    /// The stronger of both sums as it was last written.
    #[inline]
    pub(super) fn most_suspicious(&self) -> f64 {
        let [low, part] = self.suspicion;
        f64::from(low.max(part))
    }
}

#[inline]
fn half_lives(seconds: u32, half_life: f64) -> f64 {
    if seconds == 0 { 1.0 } else { exp2(-f64::from(seconds) / half_life) }
}

/// What is left of each kind of value after some time.
struct Fading {
    slow: f64,
    wide: f64,
    fast: f64,
    hour: f64,
}

/// What is left of [`Fading::slow`] after so many seconds: most rows are looked at again within minutes.
static SLOW: [f64; 1024] = slow_by_second();

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn slow_by_second() -> [f64; 1024] {
    let mut all = [1.0; 1024];
    let mut second = 1;
    while second < all.len() {
        all[second] = exp2(-(second as f64) / SUSPICION);
        second += 1;
    }
    all
}

impl Fading {
    #[inline]
    fn over(seconds: u32) -> Self {
        let known = usize::try_from(seconds).ok().and_then(|second| SLOW.get(second));
        let slow = known.copied().unwrap_or_else(|| half_lives(seconds, SUSPICION));
        let two = slow * slow;
        let fast = two * two;
        Fading { slow, wide: fast * two, fast, hour: fast * fast * fast }
    }

    #[inline]
    fn suspicion(&self, kind: KeyKind) -> f64 {
        if kind.is_wide() { self.wide } else { self.slow }
    }
}

/// Storage is single precision: nothing here is known to seven digits.
#[allow(clippy::cast_possible_truncation, reason = "storage is single precision on purpose")]
#[inline]
pub(super) fn single(x: f64) -> f32 {
    x as f32
}

#[inline]
fn times(value: f32, factor: f64) -> f32 {
    let product = f64::from(value) * factor;
    // Denormal numbers are slow and mean nothing here.
    if product.abs() < 1e-9 { 0.0 } else { single(product) }
}

/// Idle for so long, a key without suspicion and without a baseline worth the name is forgotten (seconds).
const WEAK_IDLE: u32 = 2 * 86_400;
/// Idle for so long, every key is forgotten.
const ANY_IDLE: u32 = 28 * 86_400;

impl Row for KeyState {
    #[inline]
    fn key(&self) -> u64 {
        self.key
    }

    fn in_use(&self) -> bool {
        self.pins > 0
    }

    fn past_use(&self, now: u32) -> bool {
        let idle = now.saturating_sub(self.at);
        let weak = self.base_confirmed < 2.0 && self.most_suspicious() < 1.0;
        idle > ANY_IDLE || (weak && idle > WEAK_IDLE)
    }

    /// Suspicion outranks baseline, baseline outranks age.
    fn worth(&self) -> u64 {
        let suspicious = u64::from(self.most_suspicious() >= 1.0);
        let based = u64::from(self.base_confirmed >= 2.0);
        (suspicious << 33) | (based << 32) | u64::from(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_what_fading_would_leave() {
        let mut state = KeyState::new(7, KeyKind::Block10k, 1000);
        state.suspicion = [6.0, 8.0];
        (state.trials, state.confirmed, state.expected, state.balance) = (10.0, 3.0, 8.0, -4.0);
        let later = 1000 + 3 * 3600;
        let view = state.view(later);
        state.fade(later);
        assert!((f64::from(state.trials) - 5.0).abs() < 1e-5, "a half-life of three hours: {}", state.trials);
        assert!((view.trials - f64::from(state.trials)).abs() < 1e-5);
        assert!((view.suspicion - state.most_suspicious()).abs() < 1e-5);
        assert!((view.suspicion - 8.0 * 0.5f64.powf(0.25)).abs() < 1e-5, "a half-life of twelve hours");
    }

    #[test]
    fn suspicion_outlives_baseline_and_age() {
        let (old, new) = (KeyState::new(1, KeyKind::Ip, 10), KeyState::new(2, KeyKind::Ip, 99));
        let mut based = old.clone();
        based.base_confirmed = 3.0;
        let mut suspicious = old.clone();
        suspicious.suspicion = [2.0, 0.0];
        let order = [old.worth(), new.worth(), based.worth(), suspicious.worth()];
        assert!(order.is_sorted(), "{order:?}");
        assert!(old.past_use(10 + WEAK_IDLE + 1) && !based.past_use(10 + WEAK_IDLE + 1));
    }
}
