//! When people come: a Poisson process whose rate follows the clock where they live. The rate is constant for
//! five minutes at a time, which makes the process exact and cheap (gaps have no memory).

use super::conditions::Conditions;
use super::land::Land;
use super::rng::{Rng, Weights};
use super::{DAY, HOUR, MINUTE};

/// For how long a rate holds.
const SLOT: i64 = 5 * MINUTE;

/// The next arrivals.
#[derive(Clone, Debug)]
pub struct Arrivals {
    rng: Rng,
    /// Legitimate requests of an average day, retries not counted.
    per_day: f64,
    /// Percent that all weights sum to.
    weight: f64,
    slot: i64,
    rates: Weights,
    next: i64,
    end: i64,
}

impl Arrivals {
    /// Arrivals from `start` to `end`.
    pub fn new(
        rng: Rng,
        per_day: f64,
        start: i64,
        end: i64,
        lands: &[Land],
        conditions: &Conditions,
    ) -> Self {
        let weight = lands.iter().map(|land| land.row.weight).sum();
        let rates = Weights::new([]);
        let mut arrivals = Arrivals { rng, per_day, weight, slot: start, rates, next: start, end };
        arrivals.enter(start, lands, conditions);
        arrivals.advance(lands, conditions);
        arrivals
    }

    /// When the next one comes.
    pub fn due(&self) -> Option<i64> {
        (self.next < self.end).then_some(self.next)
    }

    /// The next one: when, and from which country.
    pub fn take(&mut self, lands: &[Land], conditions: &Conditions) -> Option<(i64, usize)> {
        let at = self.due()?;
        let land = self.rates.pick(&mut self.rng);
        self.advance(lands, conditions);
        Some((at, land))
    }

    fn advance(&mut self, lands: &[Land], conditions: &Conditions) {
        while self.next < self.end {
            // Requests a millisecond.
            let rate = self.rates.total() / DAY as f64;
            let gap = if rate > 0.0 { self.rng.exponential(1.0 / rate) } else { f64::INFINITY };
            let left = (self.slot + SLOT - self.next) as f64;
            if gap < left {
                self.next += gap as i64;
                return;
            }
            let slot = self.slot + SLOT;
            self.enter(slot, lands, conditions);
            self.next = slot;
        }
    }

    fn enter(&mut self, slot: i64, lands: &[Land], conditions: &Conditions) {
        self.slot = slot;
        let middle = slot + SLOT / 2;
        let rates = lands.iter().enumerate().map(|(index, land)| {
            let launched = conditions.launch.filter(|launch| land.row.weight == 0.0 && middle >= launch.from);
            let weight = launched.map_or(land.row.weight, |launch| launch.weight);
            let minutes = offset(land, conditions, middle);
            let rhythm = rhythm(middle + minutes * MINUTE);
            self.per_day * weight / self.weight * rhythm * conditions.volume(index, middle)
        });
        self.rates = Weights::new(rates);
    }
}

/// The country's clock, minutes ahead of UTC.
fn offset(land: &Land, conditions: &Conditions, at: i64) -> i64 {
    let summer = land.row.summer_time && conditions.summer_time.is_some_and(|from| at >= from);
    land.row.utc_minutes + if summer { 60 } else { 0 }
}

/// How busy people are at a local time, 1 on average over a week: fewest before dawn, most in the evening, fewer
/// at weekends.
fn rhythm(local: i64) -> f64 {
    let hour = local.rem_euclid(DAY) as f64 / HOUR as f64;
    let turn = std::f64::consts::TAU / 24.0;
    let day = 1.0 + 0.65 * ((hour - 17.0) * turn).cos() + 0.2 * ((hour - 10.5) * 2.0 * turn).cos();
    // 1 January 1970 was a Thursday.
    let weekday = (local.div_euclid(DAY) + 3).rem_euclid(7);
    day * if weekday < 5 { 1.06 } else { 0.85 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rhythm_is_one_on_average_and_never_below_a_tenth() {
        let week: Vec<f64> = (0..7 * 24 * 12).map(|slot| rhythm(slot * SLOT)).collect();
        let mean = week.iter().sum::<f64>() / week.len() as f64;
        assert!((mean - 1.0).abs() < 0.001, "{mean}");
        assert!(week.iter().all(|rate| *rate > 0.1));
    }

    #[test]
    fn nights_and_weekends_are_quiet() {
        let at = |day: i64, hour: i64| rhythm((day * 24 + hour) * HOUR);
        assert!(at(4, 4) < at(4, 19) / 3.0, "1970-01-05 was a Monday");
        assert!(at(3, 19) < at(4, 19), "the day before was a Sunday");
    }
}
