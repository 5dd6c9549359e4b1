//! Exact sliding windows, back-off and API rates: the arithmetic of limits.
//!
//! A window is the set of instants at which a key was charged. "10 in any 30 minutes" admits at most ten
//! in *every* half-open span of 30 minutes, at any time and across restarts, because nothing is rounded:
//! an instant leaves the window exactly `window` after it happened, not sooner and not later.

mod sums;

use std::time::Duration;

use crate::period::Period;
use crate::time::Timestamp;
pub use sums::Sums;

/// What a key is charged against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// At most `quota` in every span of `window`.
    Window {
        /// How many.
        quota: u32,
        /// In which span.
        window: Duration,
        /// How many instants are kept: the quota, or more where it may grow and shrink again.
        kept: u32,
    },
    /// Amounts that add up to at most `quota` in a period, see [`Period`].
    Sum {
        /// How much.
        quota: u64,
        /// In which period.
        period: Period,
    },
    /// Growing delays: after the k-th charge within `window`, the next waits for `delays[k-1]`
    /// (the last one repeats), and after `quota` charges until the oldest leaves the window.
    BackOff {
        /// 20 s, 45 s, 180 s, …
        delays: std::sync::Arc<[Duration]>,
        /// At most so many within `window`.
        quota: u32,
        /// How long a charge is remembered.
        window: Duration,
    },
    /// Generic cell rate: `quota` per `window` on average with bursts up to `quota`. For API rates only.
    Rate {
        /// How many.
        quota: u32,
        /// In which time.
        window: Duration,
    },
}

/// Why a charge does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// What the key holds now: charges, or the sum of their amounts.
    pub count: u64,
    /// The first instant at which it would fit if nothing else is charged.
    pub retry_at: Timestamp,
    /// Whether the quota is used up (as opposed to a delay that is not over).
    pub quota_used_up: bool,
}

/// The instants at which one key was charged, oldest first. One instant needs no allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Times {
    /// A single instant (or the theoretical arrival time of a rate).
    One(i64),
    /// Several, sorted.
    Many(Vec<i64>),
    /// Amounts instead.
    Sums(Box<Sums>),
}

impl Times {
    /// The instants, oldest first; none of amounts.
    pub fn as_slice(&self) -> &[i64] {
        match self {
            Times::One(at) => std::slice::from_ref(at),
            Times::Many(all) => all,
            Times::Sums(_) => &[],
        }
    }

    fn sums(&self) -> Option<&Sums> {
        match self {
            Times::Sums(sums) => Some(sums),
            _ => None,
        }
    }

    fn insert(&mut self, at: i64) {
        match self {
            Times::One(first) => {
                *self = Times::Many(if *first <= at { vec![*first, at] } else { vec![at, *first] })
            }
            Times::Many(all) => {
                let place = all.partition_point(|&t| t <= at);
                all.insert(place, at);
            }
            Times::Sums(_) => {}
        }
    }

    fn drop_before(&mut self, cutoff: i64) -> bool {
        match self {
            Times::One(at) => *at <= cutoff,
            Times::Many(all) => {
                let gone = all.partition_point(|&t| t <= cutoff);
                all.drain(..gone);
                if all.capacity() > 8 && all.len() * 4 < all.capacity() {
                    all.shrink_to_fit();
                }
                all.is_empty()
            }
            Times::Sums(_) => false,
        }
    }
}

impl Rule {
    /// At most `quota` in every span of `window`.
    pub fn window_of(quota: u32, window: Duration) -> Self {
        Rule::Window { quota, window, kept: quota }
    }

    /// How long a charge matters at most.
    pub fn window(&self) -> Duration {
        match self {
            Rule::Window { window, .. } | Rule::BackOff { window, .. } | Rule::Rate { window, .. } => *window,
            Rule::Sum { period, .. } => period.longest(),
        }
    }

    /// When a charge of this instant stops to matter.
    pub fn end(&self, at: Timestamp) -> Timestamp {
        match self {
            Rule::Sum { period, .. } => period.end(period.slot(at)),
            rule => at.plus(rule.window()),
        }
    }

    /// How much fits at once: charges, or the sum of their amounts.
    pub fn quota(&self) -> u64 {
        match self {
            Rule::Window { quota, .. } | Rule::BackOff { quota, .. } | Rule::Rate { quota, .. } => {
                u64::from(*quota)
            }
            Rule::Sum { quota, .. } => *quota,
        }
    }

    /// How many instants are worth keeping; older ones are dropped.
    fn kept(&self) -> u32 {
        match self {
            Rule::Window { kept, quota, .. } => *kept.max(quota),
            Rule::BackOff { quota, .. } | Rule::Rate { quota, .. } => *quota,
            Rule::Sum { .. } => 0,
        }
    }

    /// Whether `amount` more fits now: so many charges, or for a sum so much.
    pub fn admits(&self, times: Option<&Times>, amount: u64, now: Timestamp) -> Result<(), Full> {
        let all = times.map_or(&[][..], Times::as_slice);
        let weight = u32::try_from(amount).unwrap_or(u32::MAX);
        match self {
            Rule::Window { quota, window, .. } => window_admits(all, *quota, *window, weight, now),
            Rule::BackOff { delays, quota, window } => {
                window_admits(all, *quota, *window, weight, now)?;
                delay_admits(all, delays, *window, now)
            }
            Rule::Rate { quota, window } => rate_admits(all, *quota, *window, weight, now),
            Rule::Sum { quota, period } => match times.and_then(Times::sums) {
                Some(sums) => sums.admits(*quota, *period, amount, now),
                None => Sums::default().admits(*quota, *period, amount, now),
            },
        }
    }

    /// What a window or a sum holds at `now`, and when the oldest of it leaves. Nothing of a rate.
    pub fn held(&self, times: Option<&Times>, now: Timestamp) -> (u64, Option<Timestamp>) {
        match self {
            Rule::Rate { .. } => (0, None),
            Rule::Sum { period, .. } => {
                let sums = times.and_then(Times::sums);
                (
                    sums.map_or(0, |sums| sums.spent(*period, now)),
                    sums.and_then(|sums| sums.next_end(*period, now)),
                )
            }
            Rule::Window { window, .. } | Rule::BackOff { window, .. } => {
                let live = live(times.map_or(&[][..], Times::as_slice), *window, now);
                let oldest = live.first().map(|&t| Timestamp::from_millis(t).plus(*window));
                (u64::try_from(live.len()).unwrap_or(u64::MAX), oldest)
            }
        }
    }

    /// Charges `amount` now. Call only after [`Rule::admits`], or to count what was refused.
    pub fn charge(&self, times: &mut Option<Times>, amount: u64, now: Timestamp) {
        let weight = u32::try_from(amount).unwrap_or(u32::MAX);
        if let Rule::Sum { period, .. } = self {
            return add(times, *period, amount, now);
        }
        if let Rule::Rate { quota, window } = self {
            let tat = times.as_ref().and_then(|t| t.as_slice().first().copied()).unwrap_or(0);
            *times =
                Some(Times::One(tat.max(now.as_millis() * 1000) + cell(*quota, *window) * i64::from(weight)));
            return;
        }
        self.prune(times, now);
        for _ in 0..weight.min(self.kept()) {
            match times {
                None => *times = Some(Times::One(now.as_millis())),
                Some(times) => times.insert(now.as_millis()),
            }
        }
        self.keep_newest(times);
    }

    /// Takes back one charge of exactly this instant, after what it was for did not happen.
    pub fn refund(&self, times: &mut Option<Times>, amount: u64, at: Timestamp) {
        if let (Rule::Sum { period, .. }, Some(Times::Sums(sums))) = (self, times.as_mut()) {
            sums.take(period.slot(at), amount);
            if sums.is_empty() {
                *times = None;
            }
            return;
        }
        let weight = u32::try_from(amount).unwrap_or(u32::MAX);
        if let (Rule::Rate { quota, window }, Some(Times::One(tat))) = (self, times.as_mut()) {
            *tat -= cell(*quota, *window) * i64::from(weight);
            return;
        }
        for _ in 0..weight {
            let emptied = match times {
                Some(Times::One(t)) => *t == at.as_millis(),
                Some(Times::Many(all)) => {
                    if let Ok(place) = all.binary_search(&at.as_millis()) {
                        all.remove(place);
                    }
                    all.is_empty()
                }
                Some(Times::Sums(_)) | None => false,
            };
            if emptied {
                *times = None;
            }
        }
    }

    /// Forgets what no longer matters. `None` afterwards means that the key may be dropped.
    pub fn prune(&self, times: &mut Option<Times>, now: Timestamp) {
        let cutoff = match self {
            Rule::Rate { .. } => now.as_millis() * 1000,
            _ => now.minus(self.window()).as_millis(),
        };
        if times.as_mut().is_some_and(|t| t.drop_before(cutoff)) {
            *times = None;
        }
    }

    fn keep_newest(&self, times: &mut Option<Times>) {
        if let Some(Times::Many(all)) = times {
            let kept = usize::try_from(self.kept()).unwrap_or(usize::MAX).max(1);
            let excess = all.len().saturating_sub(kept);
            all.drain(..excess);
        }
    }
}

fn add(times: &mut Option<Times>, period: Period, amount: u64, now: Timestamp) {
    if amount == 0 {
        return;
    }
    if !matches!(times, Some(Times::Sums(_))) {
        *times = Some(Times::Sums(Box::default()));
    }
    if let Some(Times::Sums(sums)) = times {
        sums.prune(period, now);
        sums.add(period.slot(now), amount);
    }
}

/// Instants still inside the window: those later than `now - window`.
fn live(all: &[i64], window: Duration, now: Timestamp) -> &[i64] {
    let cutoff = now.minus(window).as_millis();
    let gone = if now.as_millis() > cutoff { all.partition_point(|&t| t <= cutoff) } else { 0 };
    all.get(gone..).unwrap_or(&[])
}

fn window_admits(all: &[i64], quota: u32, window: Duration, weight: u32, now: Timestamp) -> Result<(), Full> {
    let live = live(all, window, now);
    let count = u32::try_from(live.len()).unwrap_or(u32::MAX);
    if count.saturating_add(weight) <= quota {
        return Ok(());
    }
    // Room for `weight` comes when all but `quota - weight` of the live instants have left.
    let must_leave = count.saturating_add(weight).saturating_sub(quota).max(1);
    let last_leaving = live.get(usize::try_from(must_leave - 1).unwrap_or(0)).or(live.last());
    let retry_at = last_leaving.map_or(now.plus(window), |&t| Timestamp::from_millis(t).plus(window));
    Err(Full { count: u64::from(count), retry_at, quota_used_up: true })
}

fn delay_admits(all: &[i64], delays: &[Duration], window: Duration, now: Timestamp) -> Result<(), Full> {
    let live = live(all, window, now);
    let (Some(&last), Some(delay)) =
        (live.last(), delays.get(live.len().saturating_sub(1)).or(delays.last()))
    else {
        return Ok(());
    };
    let retry_at = Timestamp::from_millis(last).plus(*delay);
    if retry_at <= now {
        return Ok(());
    }
    Err(Full { count: u64::try_from(live.len()).unwrap_or(u64::MAX), retry_at, quota_used_up: false })
}

/// Length of one cell in microseconds.
fn cell(quota: u32, window: Duration) -> i64 {
    let micros = i64::try_from(window.as_micros()).unwrap_or(i64::MAX / 4);
    (micros / i64::from(quota.max(1))).max(1)
}

fn rate_admits(all: &[i64], quota: u32, window: Duration, weight: u32, now: Timestamp) -> Result<(), Full> {
    let now_us = now.as_millis() * 1000;
    let micros = i64::try_from(window.as_micros()).unwrap_or(i64::MAX / 4);
    let tat = all.first().copied().unwrap_or(0).max(now_us);
    let after = tat + cell(quota, window) * i64::from(weight);
    if after - now_us <= micros {
        return Ok(());
    }
    let retry_at = Timestamp::from_millis((after - micros + 999) / 1000);
    Err(Full { count: u64::from(quota), retry_at, quota_used_up: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000_000 + ms)
    }

    fn window(quota: u32, ms: u64) -> Rule {
        Rule::window_of(quota, Duration::from_millis(ms))
    }

    #[test]
    fn an_instant_leaves_exactly_after_the_window() {
        let rule = window(1, 1000);
        let mut times = None;
        rule.charge(&mut times, 1, at(0));
        let full = rule.admits(times.as_ref(), 1, at(999)).unwrap_err();
        assert_eq!((full.count, full.retry_at), (1, at(1000)));
        assert!(rule.admits(times.as_ref(), 1, at(1000)).is_ok());
    }

    #[test]
    fn delays_grow_and_the_last_one_repeats() {
        let delays: Vec<Duration> = [20, 45].map(Duration::from_secs).into();
        let rule = Rule::BackOff { delays: delays.into(), quota: 5, window: Duration::from_secs(86_400) };
        let mut times = None;
        rule.charge(&mut times, 1, at(0));
        assert_eq!(rule.admits(times.as_ref(), 1, at(19_999)).unwrap_err().retry_at, at(20_000));
        rule.charge(&mut times, 1, at(20_000));
        assert_eq!(rule.admits(times.as_ref(), 1, at(21_000)).unwrap_err().retry_at, at(65_000));
        rule.charge(&mut times, 1, at(65_000));
        assert_eq!(rule.admits(times.as_ref(), 1, at(66_000)).unwrap_err().retry_at, at(110_000));
    }

    #[test]
    fn a_rate_lets_a_burst_pass_and_says_honestly_when_to_return() {
        let rule = Rule::Rate { quota: 10, window: Duration::from_secs(1) };
        let mut times = None;
        for _ in 0..10 {
            assert!(rule.admits(times.as_ref(), 1, at(0)).is_ok());
            rule.charge(&mut times, 1, at(0));
        }
        let full = rule.admits(times.as_ref(), 1, at(0)).unwrap_err();
        assert_eq!(full.retry_at, at(100));
        assert!(rule.admits(times.as_ref(), 1, full.retry_at).is_ok());
    }

    proptest! {
        /// The promise itself, checked against a naive count over every span that starts at a charge.
        #[test]
        fn no_span_ever_holds_more_than_the_quota(
            quota in 1u32..6, span in 1u64..500, steps in prop::collection::vec((0i64..200, 1u64..4), 1..80)
        ) {
            let rule = window(quota, span);
            let (mut times, mut clock, mut admitted) = (None, 0i64, Vec::new());
            for (step, weight) in steps {
                clock += step;
                match rule.admits(times.as_ref(), weight, at(clock)) {
                    Ok(()) => {
                        rule.charge(&mut times, weight, at(clock));
                        admitted.extend(std::iter::repeat_n(clock, weight as usize));
                    }
                    Err(full) if weight <= u64::from(quota) => {
                        // Honest: waiting it out succeeds, one millisecond less does not.
                        prop_assert!(full.retry_at > at(clock));
                        prop_assert!(rule.admits(times.as_ref(), weight, full.retry_at).is_ok());
                        let early = Timestamp::from_millis(full.retry_at.as_millis() - 1);
                        prop_assert!(rule.admits(times.as_ref(), weight, early).is_err());
                    }
                    Err(_) => {}
                }
            }
            for &start in &admitted {
                let inside = admitted.iter().filter(|&&t| t >= start && t < start + span as i64).count();
                prop_assert!(inside <= quota as usize);
            }
        }

        #[test]
        fn a_refund_leaves_no_trace(charges in prop::collection::vec(0i64..1000, 0..8), extra in 0i64..1000) {
            let rule = window(100, 10_000);
            let mut sorted = charges;
            sorted.sort_unstable();
            let mut times = None;
            for t in &sorted { rule.charge(&mut times, 1, at(*t)); }
            let before: Vec<i64> = times.as_ref().map(|t| t.as_slice().to_vec()).unwrap_or_default();
            rule.charge(&mut times, 2, at(1000 + extra));
            rule.refund(&mut times, 2, at(1000 + extra));
            let after: Vec<i64> = times.as_ref().map(|t| t.as_slice().to_vec()).unwrap_or_default();
            prop_assert_eq!(before, after);
        }
    }
}
