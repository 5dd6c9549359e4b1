//! Windows whose charges have amounts: what budgets are kept in.

use std::collections::VecDeque;
use std::time::Duration;

use super::Full;
use crate::period::Period;
use crate::time::Timestamp;

/// Requests that are under way may be charged a little after younger ones, so what has ended is kept for
/// this long.
const GRACE: Duration = Duration::from_secs(60);

/// Amounts by slot, see [`Period::slot`]; oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    slots: VecDeque<(i64, u64)>,
    total: u64,
}

impl Sums {
    /// What it holds by slot, oldest first.
    pub fn slots(&self) -> impl ExactSizeIterator<Item = (i64, u64)> + '_ {
        self.slots.iter().copied()
    }

    /// Whether it holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn add(&mut self, slot: i64, amount: u64) {
        self.total = self.total.saturating_add(amount);
        // Nearly always the newest slot, so it is looked for from there.
        let place = self.slots.iter().rev().take_while(|(at, _)| *at > slot).count();
        let place = self.slots.len() - place;
        match place.checked_sub(1).and_then(|before| self.slots.get_mut(before)) {
            Some((at, held)) if *at == slot => *held = held.saturating_add(amount),
            _ => self.slots.insert(place, (slot, amount)),
        }
    }

    pub(super) fn take(&mut self, slot: i64, amount: u64) {
        let Ok(place) = self.slots.binary_search_by_key(&slot, |(at, _)| *at) else { return };
        let Some((_, held)) = self.slots.get_mut(place) else { return };
        let taken = amount.min(*held);
        *held -= taken;
        self.total -= taken.min(self.total);
        if *held == 0 {
            self.slots.remove(place);
        }
    }

    pub(super) fn prune(&mut self, period: Period, now: Timestamp) {
        while let Some(&(slot, amount)) = self.slots.front() {
            if period.end(slot).plus(GRACE) > now {
                return;
            }
            self.slots.pop_front();
            self.total -= amount.min(self.total);
        }
    }

    /// What counts at `now`.
    pub(super) fn spent(&self, period: Period, now: Timestamp) -> u64 {
        if period.is_calendar() {
            let slot = period.slot(now);
            let found = self.slots.iter().rev().find(|(at, _)| *at <= slot);
            return found.filter(|(at, _)| *at == slot).map_or(0, |(_, amount)| *amount);
        }
        let gone = self.slots.iter().take_while(|(slot, _)| period.end(*slot) <= now);
        self.total.saturating_sub(gone.map(|(_, amount)| *amount).fold(0, u64::saturating_add))
    }

    /// When the oldest of what counts at `now` stops to count.
    pub(super) fn next_end(&self, period: Period, now: Timestamp) -> Option<Timestamp> {
        let current = period.is_calendar().then(|| period.slot(now));
        let counts = |slot: i64| current.map_or(period.end(slot) > now, |current| slot == current);
        self.slots.iter().find(|(slot, _)| counts(*slot)).map(|(slot, _)| period.end(*slot))
    }

    pub(super) fn admits(&self, quota: u64, period: Period, amount: u64, now: Timestamp) -> Result<(), Full> {
        let spent = self.spent(period, now);
        // What costs nothing is not refused for money.
        if amount == 0 || spent.saturating_add(amount) <= quota {
            return Ok(());
        }
        let retry_at = match period.is_calendar() {
            true => period.end(period.slot(now)),
            false => self.room_at(quota, period, amount, now),
        };
        Err(Full { count: spent, retry_at, quota_used_up: true })
    }

    /// When enough of a rolling span has left; for an amount beyond the quota, when all of it has.
    fn room_at(&self, quota: u64, period: Period, amount: u64, now: Timestamp) -> Timestamp {
        let mut left = self.spent(period, now);
        let mut end = now.plus(period.longest());
        for (slot, held) in self.slots.iter().filter(|(slot, _)| period.end(*slot) > now) {
            left = left.saturating_sub(*held);
            end = period.end(*slot);
            if left.saturating_add(amount) <= quota {
                break;
            }
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_767_600_000_000 + ms)
    }

    #[test]
    fn a_calendar_budget_is_whole_again_when_its_period_ends() {
        let mut sums = Sums::default();
        let day = Period::Day;
        let evening = Timestamp::parse("2026-01-05T23:59:59.999Z").unwrap();
        let morning = Timestamp::parse("2026-01-06T00:00:00Z").unwrap();
        sums.add(day.slot(evening), 100);
        let full = sums.admits(100, day, 1, evening).unwrap_err();
        assert_eq!((full.count, full.retry_at), (100, morning));
        assert!(sums.admits(100, day, 100, morning).is_ok());
        // One that was asked for yesterday is charged to yesterday, also after today has begun.
        sums.add(day.slot(morning), 40);
        sums.prune(day, morning);
        assert!(sums.admits(100, day, 1, evening).is_err());
        assert_eq!((sums.spent(day, evening), sums.spent(day, morning)), (100, 40));
        sums.prune(day, morning.plus(GRACE));
        assert_eq!(sums.slots.len(), 1);
    }

    #[test]
    fn a_month_of_traffic_takes_a_few_thousand_slots() {
        let period = Period::Rolling(Duration::from_secs(30 * 86_400));
        let mut sums = Sums::default();
        for n in 0..200_000i64 {
            let now = at(n * 20_000);
            sums.add(period.slot(now), 1);
            sums.prune(period, now);
        }
        assert!(sums.slots.len() <= 4100, "{}", sums.slots.len());
        assert_eq!(sums.total, sums.slots.iter().map(|(_, n)| n).sum::<u64>());
    }

    proptest! {
        /// The promise itself, with weights: no span ever holds more than the quota, and a wait is honest.
        #[test]
        fn no_span_ever_holds_more_than_the_quota(
            quota in 1u64..200, span in 1u64..20_000,
            steps in prop::collection::vec((0i64..3_000, 1u64..120, any::<bool>()), 1..80)
        ) {
            let period = Period::Rolling(Duration::from_millis(span));
            let (mut sums, mut clock, mut held) = (Sums::default(), 0i64, Vec::<(i64, u64)>::new());
            for (step, amount, give_back) in steps {
                clock += step;
                sums.prune(period, at(clock));
                match sums.admits(quota, period, amount, at(clock)) {
                    Ok(()) => {
                        sums.add(period.slot(at(clock)), amount);
                        held.push((clock, amount));
                    }
                    Err(full) if amount <= quota => {
                        prop_assert!(full.retry_at > at(clock));
                        prop_assert!(sums.admits(quota, period, amount, full.retry_at).is_ok());
                        let early = Timestamp::from_millis(full.retry_at.as_millis() - 1);
                        prop_assert!(sums.admits(quota, period, amount, early).is_err());
                    }
                    Err(_) => {}
                }
                // Given back soon, as when no provider takes the message.
                if give_back && let Some((then, amount)) = held.pop() {
                    if at(clock) < period.end(period.slot(at(then))) {
                        sums.take(period.slot(at(then)), amount);
                    } else {
                        held.push((then, amount));
                    }
                }
                for &(start, _) in &held {
                    let inside = held.iter().filter(|(t, _)| *t >= start && *t < start + span as i64);
                    prop_assert!(inside.map(|(_, amount)| amount).sum::<u64>() <= quota);
                }
            }
        }

        #[test]
        fn no_day_ever_holds_more_than_the_quota(
            quota in 1u64..200, steps in prop::collection::vec((0i64..40_000_000, 1u64..120), 1..60)
        ) {
            let (mut sums, mut clock, mut held) = (Sums::default(), 0i64, Vec::<(i64, u64)>::new());
            for (step, amount) in steps {
                clock += step;
                sums.prune(Period::Day, at(clock));
                if sums.admits(quota, Period::Day, amount, at(clock)).is_ok() {
                    sums.add(Period::Day.slot(at(clock)), amount);
                    held.push((at(clock).as_millis() / 86_400_000, amount));
                }
            }
            for (day, _) in &held {
                let inside = held.iter().filter(|(other, _)| other == day).map(|(_, amount)| amount);
                prop_assert!(inside.sum::<u64>() <= quota);
            }
        }
    }
}
