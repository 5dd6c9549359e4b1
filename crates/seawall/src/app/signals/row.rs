//! What is kept of one key: its last hours, the hours of an ordinary week, and how much is usually confirmed.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Dimension;

/// Hours that are kept one by one.
const KEPT: u32 = 25;
/// Hours of a week.
const WEEK: u32 = 168;
/// What the newest week counts for in the picture of an ordinary one.
const NEWEST: f32 = 0.4;
/// Share of a baseline that is left after an hour: half of it after seven days.
const HOURLY: f32 = 0.995_882;
/// Confirmations that the rate of the wider key is worth where a key has few of its own.
const BORROWED: f64 = 20.0;
/// Hours of history without which nothing is usual yet.
const KNOWN: u32 = 24;

/// Counts of one hour, or of some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Requests.
    pub asked: u32,
    /// Those of which a message came.
    pub sent: u32,
    /// Messages that were confirmed.
    pub verified: u32,
    /// Codes that are ten minutes old, and those among them that were confirmed.
    pub mature: u32,
    pub converted: u32,
    /// Requests that detection stopped.
    pub attack: u32,
    /// What the messages cost, in micro-units.
    pub spent: i64,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.asked += other.asked;
        self.sent += other.sent;
        self.verified += other.verified;
        self.mature += other.mature;
        self.converted += other.converted;
        self.attack += other.attack;
        self.spent += other.spent;
    }
}

/// One key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    /// Of which dimension.
    pub dimension: Dimension,
    /// Which one.
    pub key: String,
    /// The country that it belongs to.
    pub country: Option<String>,
    /// The first hour.
    since: u32,
    /// The hour up to which the week and the baselines are brought up to date.
    at: u32,
    hours: VecDeque<(u32, Counts)>,
    /// Requests of each hour of the week; below zero: not seen yet. Empty for narrow keys.
    week: Vec<f32>,
    /// Requests, codes and confirmations that were taken for genuine; half-life seven days.
    base_asked: f32,
    base_codes: f32,
    base_confirmed: f32,
}

impl Row {
    pub(super) fn new(dimension: Dimension, key: String, country: Option<String>, hour: u32) -> Self {
        let week = if dimension.has_week() { vec![-1.0; WEEK as usize] } else { Vec::new() };
        Row {
            dimension,
            key,
            country,
            since: hour,
            at: hour,
            hours: VecDeque::new(),
            week,
            base_asked: 0.0,
            base_codes: 0.0,
            base_confirmed: 0.0,
        }
    }

    /// The hour of the last request, and how many there were lately: what is worth least is forgotten first.
    pub(super) fn worth(&self) -> (u32, u32) {
        let last = self.hours.back().map_or(self.since, |(hour, _)| *hour);
        (last, self.hours.iter().map(|(_, counts)| counts.asked).sum())
    }

    fn at_hour(&mut self, hour: u32) -> Option<&mut Counts> {
        self.roll(hour);
        if self.hours.back().is_none_or(|(last, _)| *last < hour) {
            self.hours.push_back((hour, Counts::default()));
        }
        self.hours.iter_mut().rev().find(|(at, _)| *at == hour).map(|(_, counts)| counts)
    }

    /// Hours that are over go into the picture of an ordinary week. What detection stopped is left out: an
    /// attack does not make itself usual.
    fn roll(&mut self, hour: u32) {
        let from = self.at.max(hour.saturating_sub(4 * WEEK));
        for over in from..hour {
            let counts = self.hours.iter().find(|(at, _)| *at == over).map(|(_, c)| *c).unwrap_or_default();
            #[allow(clippy::cast_precision_loss, reason = "a count of an hour")]
            let genuine = counts.asked.saturating_sub(counts.attack) as f32;
            if let Some(slot) = self.week.get_mut((over % WEEK) as usize) {
                *slot = if *slot < 0.0 { genuine } else { *slot * (1.0 - NEWEST) + genuine * NEWEST };
            }
            self.base_asked = (self.base_asked + genuine) * HOURLY;
            self.base_codes *= HOURLY;
            self.base_confirmed *= HOURLY;
        }
        self.at = self.at.max(hour);
        while self.hours.front().is_some_and(|(at, _)| at + KEPT < hour) {
            self.hours.pop_front();
        }
    }

    pub(super) fn count(&mut self, hour: u32, sent: bool, price: i64, attack: bool) {
        let Some(counts) = self.at_hour(hour) else { return };
        counts.asked += 1;
        counts.sent += u32::from(sent);
        counts.attack += u32::from(attack);
        counts.spent += if sent { price } else { 0 };
    }

    /// A code has become ten minutes old.
    pub(super) fn mature(&mut self, hour: u32, confirmed: bool, genuine: bool) {
        if let Some((_, counts)) = self.hours.iter_mut().find(|(at, _)| *at == hour) {
            counts.mature += 1;
            counts.converted += u32::from(confirmed);
        }
        if genuine {
            self.base_codes += 1.0;
            self.base_confirmed += if confirmed { 1.0 } else { 0.0 };
        }
    }

    /// A message was confirmed; `late`: after it had become ten minutes old.
    pub(super) fn confirm(&mut self, hour: u32, late: bool, genuine: bool) {
        if let Some((_, counts)) = self.hours.iter_mut().find(|(at, _)| *at == hour) {
            counts.verified += 1;
            counts.converted += u32::from(late);
        }
        if late && genuine {
            self.base_confirmed += 1.0;
        }
    }

    /// A message was not sent after all.
    pub(super) fn unsend(&mut self, hour: u32, price: i64) {
        if let Some((_, counts)) = self.hours.iter_mut().find(|(at, _)| *at == hour) {
            counts.sent = counts.sent.saturating_sub(1);
            counts.spent -= price;
        }
    }

    /// Counts of the current hour and so many before it.
    pub(super) fn last(&self, hour: u32, hours: u32) -> Counts {
        let from = hour.saturating_sub(hours.saturating_sub(1));
        let mut all = Counts::default();
        self.hours
            .iter()
            .filter(|(at, _)| *at >= from && *at <= hour)
            .for_each(|(_, counts)| all.add(counts));
        all
    }

    /// Requests of the last sixty minutes: the current hour, and of the one before the share that is not over.
    pub(super) fn sixty_minutes(&self, now: i64) -> f64 {
        let (hour, part) = split(now);
        let of = |at: u32| self.last(at, 1).asked;
        f64::from(of(hour)) + f64::from(of(hour.saturating_sub(1))) * (1.0 - part)
    }

    /// Requests that the same sixty minutes have in an ordinary week; `None` while too little is known. The
    /// hour of the week where it was seen before, else an ordinary hour.
    pub(super) fn usual_sixty_minutes(&self, now: i64) -> Option<f64> {
        let (hour, part) = split(now);
        let of = |at: u32| self.usual_hour(at);
        Some(of(hour)? * part + of(hour.saturating_sub(1))? * (1.0 - part))
    }

    fn usual_hour(&self, hour: u32) -> Option<f64> {
        if hour.saturating_sub(self.since) < KNOWN {
            return None;
        }
        match self.week.get((hour % WEEK) as usize) {
            Some(slot) if *slot >= 0.0 => Some(f64::from(*slot)),
            _ => Some(self.ordinary_hour(hour)),
        }
    }

    /// Requests of an ordinary hour, whatever its place in the week.
    pub(super) fn ordinary_hour(&self, hour: u32) -> f64 {
        let watched = f64::from(hour.saturating_sub(self.since));
        let worth = (1.0 - f64::from(HOURLY).powf(watched)) / (1.0 - f64::from(HOURLY));
        f64::from(self.base_asked) / worth.max(1.0)
    }

    /// Requests that were taken for genuine, fading.
    pub(super) fn base_asked(&self) -> f64 {
        f64::from(self.base_asked)
    }

    /// The share of codes that is usually confirmed; `else_`: that of the wider key.
    pub(super) fn usual_rate(&self, else_: Option<f64>) -> Option<f64> {
        let (codes, confirmed) = (f64::from(self.base_codes), f64::from(self.base_confirmed));
        match else_ {
            Some(wider) => Some((confirmed + BORROWED * wider) / (codes + BORROWED)),
            None if codes < BORROWED => None,
            None => Some(confirmed / codes),
        }
    }
}

/// The hour, and how much of it is over.
fn split(now: i64) -> (u32, f64) {
    let hour = u32::try_from(now.div_euclid(3600)).unwrap_or(0);
    #[allow(clippy::cast_precision_loss, reason = "below 3600")]
    let part = now.rem_euclid(3600) as f64 / 3600.0;
    (hour, part)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row that sees so many requests an hour by its hour of the day, for some days.
    fn lived(days: u32, hourly: impl Fn(u32) -> u32) -> Row {
        let mut row = Row::new(Dimension::Country, "UZ".to_owned(), None, 0);
        for hour in 0..days * 24 {
            (0..hourly(hour % 24)).for_each(|_| row.count(hour, true, 0, false));
        }
        row
    }

    #[test]
    fn an_hour_is_held_against_the_same_hour_of_the_week() {
        let row = lived(14, |hour| if hour == 9 { 100 } else { 10 });
        let at = |hour: i64| row.usual_sixty_minutes((14 * 24 + hour) * 3600).unwrap();
        assert!(
            (at(10) - 100.0).abs() < 1.0,
            "at ten the last sixty minutes are those from nine: {}",
            at(10)
        );
        assert!((at(5) - 10.0).abs() < 1.0);
        assert!((row.ordinary_hour(14 * 24) - 13.75).abs() < 1.0, "{}", row.ordinary_hour(14 * 24));
    }

    #[test]
    fn on_the_first_day_nothing_is_usual_and_on_the_second_the_mean_is() {
        let row = lived(1, |_| 10);
        assert_eq!(row.usual_sixty_minutes(23 * 3600), None);
        let row = lived(2, |_| 10);
        let usual = row.usual_sixty_minutes(48 * 3600 + 1800).unwrap();
        assert!((usual - 10.0).abs() < 0.5, "{usual}");
    }

    #[test]
    fn an_attack_does_not_make_itself_usual() {
        let mut row = lived(14, |_| 10);
        (0..5_000).for_each(|_| row.count(14 * 24, false, 0, true));
        row.count(14 * 24 + 1, true, 0, false);
        let next_week = row.usual_sixty_minutes((21 * 24) * 3600 + 3599).unwrap();
        assert!(next_week < 20.0, "{next_week}");
    }

    #[test]
    fn few_confirmations_are_borrowed_from_the_wider_key() {
        let mut row = lived(1, |_| 1);
        assert_eq!(row.usual_rate(None), None);
        assert_eq!(row.usual_rate(Some(0.8)), Some(0.8));
        (0..380).for_each(|n| row.mature(20, n % 2 == 0, true));
        let rate = row.usual_rate(Some(0.8)).unwrap();
        assert!((rate - 0.515).abs() < 0.01, "{rate}");
    }
}
