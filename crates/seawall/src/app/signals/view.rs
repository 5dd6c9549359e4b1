//! Signals as they are shown: what is seen, beside what is expected.

use serde::Serialize;
use utoipa::ToSchema;

use super::row::{Counts, Row};
use super::{Dimension, Signals, hour};

/// One key: what was seen within the window, and what is usual.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SignalView {
    /// Which one: `UZ`, `43404`, `+99893412`, `84.54.71.0/24`, `AS28910`, a route's or a subaccount's id.
    pub key: String,
    /// The country that an operator or a range belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Requests for messages within the window.
    pub asked: u32,
    /// Those of which a message came.
    pub sent: u32,
    /// Messages that were confirmed.
    pub verified: u32,
    /// Requests that were not sent because of what detection said.
    pub stopped: u32,
    /// What the messages cost, in micro-units of the account's currency, where prices are known.
    pub spent: i64,
    /// Conversion of codes that are at least ten minutes old.
    pub conversion: Conversion,
    /// Its share of all requests.
    pub share: Share,
    /// Requests of the last sixty minutes.
    pub volume: Volume,
}

/// How many codes are confirmed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Conversion {
    /// Codes within the window that are at least ten minutes old.
    pub codes: u32,
    /// Those that were confirmed.
    pub confirmed: u32,
    /// How many would usually have been.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<f64>,
    /// The share that is confirmed, in percent; absent without codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// The share that usually is, in percent; absent while too little is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usual_percent: Option<f64>,
}

/// A share of all requests.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Share {
    /// Within the window, in percent.
    pub percent: f64,
    /// Usually, in percent; absent while nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usual_percent: Option<f64>,
}

/// Requests of the last sixty minutes.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Volume {
    /// How many there were.
    pub last_hour: f64,
    /// How many there are at this hour of an ordinary week (of an ordinary hour for ranges and networks, and
    /// where this hour of the week was not seen yet); absent on the first day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<f64>,
    /// One divided by the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<f64>,
}

/// What of a dimension is asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// By what.
    pub dimension: Dimension,
    /// The current hour and so many before it, 1 to 24.
    pub hours: u32,
    /// Only of this country (operators and ranges).
    pub country: Option<String>,
    /// Only keys that begin so.
    pub prefix: Option<String>,
}

impl Signals {
    /// The keys of a dimension with traffic in the window, busiest first. `now` in seconds.
    pub fn view_at(&self, wanted: &Wanted, now: i64) -> Vec<SignalView> {
        let now = now.max(self.now);
        let hour = hour(now);
        let fits = |row: &&Row| {
            let of = row.country.as_deref().unwrap_or(&row.key);
            wanted.country.as_deref().is_none_or(|country| country == of)
                && wanted.prefix.as_deref().is_none_or(|prefix| row.key.starts_with(prefix))
        };
        let rows = self.of(wanted.dimension).filter(fits);
        let mut all: Vec<(&Row, Counts)> = rows.map(|row| (row, row.last(hour, wanted.hours))).collect();
        all.retain(|(_, counts)| counts.asked > 0);
        all.sort_by(|(a, x), (b, y)| y.asked.cmp(&x.asked).then_with(|| a.key.cmp(&b.key)));
        all.into_iter().map(|(row, counts)| self.shown(row, counts, wanted.hours, now)).collect()
    }

    fn shown(&self, row: &Row, counts: Counts, hours: u32, now: i64) -> SignalView {
        let expected = row.usual_sixty_minutes(now);
        let last_hour = row.sixty_minutes(now);
        SignalView {
            key: row.key.clone(),
            country: row.country.clone(),
            asked: counts.asked,
            sent: counts.sent,
            verified: counts.verified,
            stopped: counts.attack,
            spent: counts.spent,
            conversion: self.conversion(row, counts),
            share: self.share(row, counts.asked, hours, now),
            volume: Volume {
                last_hour: rounded(last_hour),
                expected: expected.map(rounded),
                times: expected.filter(|usual| *usual > 0.0).map(|usual| rounded(last_hour / usual)),
            },
        }
    }

    /// The usual share of confirmations of a key, borrowing from its country and from everything.
    pub(super) fn usual_rate(&self, row: &Row) -> Option<f64> {
        let all = self.find(Dimension::All, "").and_then(|all| all.usual_rate(None));
        let country = row.country.as_deref().and_then(|country| self.find(Dimension::Country, country));
        let wider = country.and_then(|country| country.usual_rate(all)).or(all);
        row.usual_rate(wider)
    }

    fn conversion(&self, row: &Row, counts: Counts) -> Conversion {
        let usual = self.usual_rate(row);
        let codes = f64::from(counts.mature);
        Conversion {
            codes: counts.mature,
            confirmed: counts.converted,
            expected: usual.map(|usual| rounded(usual * codes)),
            percent: (counts.mature > 0).then(|| rounded(100.0 * f64::from(counts.converted) / codes)),
            usual_percent: usual.map(|usual| rounded(100.0 * usual)),
        }
    }

    /// The share of all requests that is usual for a key, between 0 and 1.
    pub(super) fn usual_share(&self, row: &Row) -> Option<f64> {
        let all = self.find(Dimension::All, "")?.base_asked();
        (all > 0.0).then(|| row.base_asked() / all)
    }

    fn share(&self, row: &Row, asked: u32, hours: u32, now: i64) -> Share {
        let all = self.find(Dimension::All, "").map_or(0, |all| all.last(hour(now), hours).asked);
        Share {
            percent: rounded(100.0 * f64::from(asked) / f64::from(all.max(1))),
            usual_percent: self.usual_share(row).map(|share| rounded(100.0 * share)),
        }
    }
}

/// Two decimals: more is noise.
fn rounded(x: f64) -> f64 {
    (x * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::super::super::detection::recent::{Recent, Sent};
    use super::super::tests::{START, asked};
    use super::*;

    /// Two days of a request a minute, four of five confirmed, then an hour of ten a minute that nobody confirms.
    fn spike() -> Signals {
        let (mut signals, mut recent) = (Signals::default(), Recent::default());
        let mut id = 0;
        for minute in 0..49 * 60 {
            let attack = minute >= 48 * 60;
            for n in 0..if attack { 10 } else { 1 } {
                id += 1;
                let at = minute * 60 + n;
                signals.advance(START + at, &mut recent);
                let to =
                    if attack { format!("+99893412{:04}", id % 10_000) } else { format!("+6591{:06}", id) };
                let asked = asked(&to, "84.54.71.9", at);
                let rows = signals.asked(&asked, None, true);
                recent.add(Sent {
                    rows,
                    ..Sent::of(id, &asked, Some(100_000), if attack { 0.9 } else { 0.0 })
                });
                if !attack && id % 5 != 0 {
                    let sent = recent.get_mut(id).unwrap();
                    sent.confirmed = true;
                    let sent = sent.clone();
                    signals.confirmed(&sent);
                }
            }
        }
        signals
    }

    #[test]
    fn what_is_seen_stands_beside_what_is_expected() {
        let signals = spike();
        let of = |dimension, hours| {
            signals.view_at(&Wanted { dimension, hours, country: None, prefix: None }, 0).swap_remove(0)
        };
        let uz = of(Dimension::Country, 1);
        assert_eq!((uz.key.as_str(), uz.asked, uz.verified), ("UZ", 600, 0));
        assert_eq!((uz.conversion.codes, uz.conversion.confirmed), (500, 0));
        assert!((uz.conversion.usual_percent.unwrap() - 76.0).abs() < 6.0, "borrowed: {:?}", uz.conversion);
        assert_eq!(uz.share.percent, 100.0);
        let all = of(Dimension::All, 24);
        assert!(all.volume.times.unwrap() > 8.0, "{:?}", all.volume);
        assert_eq!(of(Dimension::Range, 1).key, "+99893412");
    }
}
