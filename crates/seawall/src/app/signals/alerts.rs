//! Alerts on signals: volume against the same hour of the week, share of all traffic, conversion. An operator
//! is told, by audit log and webhook; nothing is refused for them.

use std::time::Duration;

use seawall_core::time::{Timestamp, span};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::App;
use super::super::alarms::Alarm;
use super::row::Row;
use super::{Dimension, Signals};

/// When an operator is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignalSettings {
    /// Whether anything is told.
    pub alerts: bool,
    /// Requests (volume, share) or codes (conversion) below which nothing is told.
    pub least: u32,
    /// Told when the last sixty minutes have so many times the requests of the same hour of the week, in percent.
    pub volume_percent: u32,
    /// Told when a key's share of all requests is so many percentage points above its usual one.
    pub share_points: u32,
    /// Told when the conversion of the last three hours is below this percentage of the usual one.
    pub conversion_percent: u32,
    /// The same is not told again before.
    #[serde(with = "span")]
    pub again_after: Duration,
}

impl Default for SignalSettings {
    fn default() -> Self {
        SignalSettings {
            alerts: true,
            least: 50,
            volume_percent: 400,
            share_points: 25,
            conversion_percent: 60,
            again_after: Duration::from_secs(6 * 3600),
        }
    }
}

/// Actions of the alarms, as audit log and webhook name them.
pub const ACTIONS: [&str; 3] = ["signals.volume", "signals.share", "signals.conversion"];

/// What is alerted on; a single range or network is the business of detection.
const WATCHED: [Dimension; 5] =
    [Dimension::Country, Dimension::Operator, Dimension::Route, Dimension::Asn, Dimension::Subaccount];
/// Hours over which conversion is looked at.
const CONVERSION_HOURS: u32 = 3;
/// Standard deviations without which a deviation is chance.
const SIGMAS: f64 = 6.0;
const CONVERSION_SIGMAS: f64 = 4.0;

/// Something to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Deviation {
    /// One of [`ACTIONS`].
    pub action: &'static str,
    /// Of which dimension and key.
    pub dimension: Dimension,
    /// Which one.
    pub key: String,
    /// What was seen.
    pub seen: f64,
    /// What was to be expected.
    pub expected: f64,
    /// In one sentence.
    pub sentence: String,
}

impl Signals {
    /// Everything that deviates as of the last event: silence is nobody's attack.
    pub fn deviations(&self, settings: &SignalSettings) -> Vec<Deviation> {
        if !settings.alerts {
            return Vec::new();
        }
        let rows = WATCHED.iter().flat_map(|dimension| self.of(*dimension));
        rows.flat_map(|row| {
            [self.volume(row, settings), self.share_of(row, settings), self.conversion_of(row, settings)]
        })
        .flatten()
        .collect()
    }

    fn volume(&self, row: &Row, settings: &SignalSettings) -> Option<Deviation> {
        let (seen, usual) = (row.sixty_minutes(self.now), row.usual_sixty_minutes(self.now)?);
        let far = usual + SIGMAS * usual.max(1.0).sqrt();
        let times = usual * f64::from(settings.volume_percent) / 100.0;
        (seen >= f64::from(settings.least) && seen >= far.max(times)).then(|| {
            let say = format!("{seen:.0} requests in the last hour where {usual:.0} are usual at this time");
            deviation(ACTIONS[0], row, seen, usual, &say)
        })
    }

    fn share_of(&self, row: &Row, settings: &SignalSettings) -> Option<Deviation> {
        let all = self.find(Dimension::All, "")?;
        // Before a day has passed nothing is usual.
        all.usual_sixty_minutes(self.now)?;
        let (seen, whole) = (row.sixty_minutes(self.now), all.sixty_minutes(self.now));
        let share = 100.0 * seen / whole.max(1.0);
        let usual = 100.0 * self.usual_share(row)?;
        (seen >= f64::from(settings.least) && share >= usual + f64::from(settings.share_points)).then(|| {
            let say = format!("{share:.0} % of all requests of the last hour where {usual:.0} % are usual");
            deviation(ACTIONS[1], row, share, usual, &say)
        })
    }

    fn conversion_of(&self, row: &Row, settings: &SignalSettings) -> Option<Deviation> {
        let counts = row.last(self.hour(), CONVERSION_HOURS);
        let usual = self.usual_rate(row)?.clamp(0.01, 0.99);
        let (codes, confirmed) = (f64::from(counts.mature), f64::from(counts.converted));
        let expected = codes * usual;
        let chance = CONVERSION_SIGMAS * (expected * (1.0 - usual)).sqrt();
        let low = confirmed < expected * f64::from(settings.conversion_percent) / 100.0;
        (counts.mature >= settings.least && low && confirmed + chance < expected).then(|| {
            let say = format!(
                "{} of {} codes of the last {CONVERSION_HOURS} hours confirmed where {expected:.0} are expected",
                counts.converted, counts.mature
            );
            deviation(ACTIONS[2], row, confirmed, expected, &say)
        })
    }
}

fn deviation(action: &'static str, row: &Row, seen: f64, expected: f64, say: &str) -> Deviation {
    let sentence = format!("{} {}: {say}", row.dimension.word(), row.key);
    Deviation { action, dimension: row.dimension, key: row.key.clone(), seen, expected, sentence }
}

/// Looks, and tells. Each deviation is told once for its time, also across a restart.
pub fn tell(app: &App, now: Timestamp) {
    let settings = app.snapshot.load().settings.signals.clone();
    let found = app.detection.watch(|watch| watch.signals.deviations(&settings));
    let until = now.plus(settings.again_after);
    for one in found {
        let target = format!("{} {}", one.dimension.word(), one.key);
        let subaccount = (one.dimension == Dimension::Subaccount).then(|| one.key.clone());
        let detail = json!({
            "by": one.dimension, "key": one.key, "seen": one.seen.round(),
            "expected": (one.expected * 10.0).round() / 10.0, "until": until,
        });
        let description = one.sentence;
        app.alarms.raise(
            Alarm { action: one.action, target, step: 0, subaccount, detail, description, until },
            now,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::detection::recent::{Recent, Sent};
    use super::super::tests::{START, asked};
    use super::*;

    /// Two ordinary days of two countries, then an hour in which one of them has that many requests a minute, of
    /// which so many in ten are confirmed.
    fn last_hour(per_minute: i64, confirmed: u64) -> Vec<Deviation> {
        let (mut signals, mut recent) = (Signals::default(), Recent::default());
        let mut id = 0u64;
        for minute in 0..49 * 60 {
            let last = minute >= 48 * 60;
            for n in 0..if last { per_minute } else { 2 } {
                id += 1;
                let at = minute * 60 + n * 60 / per_minute.max(2);
                signals.advance(START + at, &mut recent);
                let to = if id.is_multiple_of(2) {
                    format!("+6591{:06}", id % 1_000_000)
                } else {
                    "+447400123456".into()
                };
                let asked = asked(&to, "84.54.71.9", at);
                let rows = signals.asked(&asked, None, true);
                let sent = Sent { rows, ..Sent::of(id, &asked, None, 0.0) };
                recent.add(sent.clone());
                let share = if last { confirmed } else { 8 };
                if id / 2 % 10 < share {
                    recent.get_mut(id).unwrap().confirmed = true;
                    signals.confirmed(&sent);
                }
            }
        }
        signals.advance(START + 49 * 3600 - 1, &mut recent);
        signals.deviations(&SignalSettings::default())
    }

    fn said(found: &[Deviation]) -> Vec<(&str, &str)> {
        found.iter().map(|d| (d.action, d.key.as_str())).collect()
    }

    #[test]
    fn an_ordinary_hour_is_not_told() {
        assert_eq!(said(&last_hour(2, 8)), []);
        assert_eq!(said(&last_hour(4, 8)), [], "twice as much is an ordinary good day");
    }

    #[test]
    fn a_spike_and_poor_conversion_are() {
        let found = last_hour(20, 8);
        assert!(said(&found).contains(&("signals.volume", "SG")), "{found:?}");
        assert!(!said(&found).iter().any(|(action, _)| *action == "signals.conversion"));
        let found = last_hour(6, 0);
        let sg = found.iter().find(|d| d.key == "SG").unwrap();
        assert_eq!(sg.action, "signals.conversion");
        assert!(sg.sentence.starts_with("country SG: ") && sg.sentence.contains("confirmed where"), "{sg:?}");
    }
}
