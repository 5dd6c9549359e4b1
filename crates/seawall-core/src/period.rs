//! The spans that budgets are kept in: rolling ones, and hours, days and months of the calendar in UTC.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Datelike, Months, Timelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::{Timestamp, span};

/// A rolling span is cut into at most so many slots, so that a busy month takes no more memory than a quiet
/// one. What is spent counts to the end of its slot: never shorter than the span, longer by less than 1/4096.
const SLOTS: i64 = 4096;

/// Over which time amounts are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// Every span of this length.
    Rolling(Duration),
    /// The clock hour, UTC.
    Hour,
    /// The calendar day, UTC.
    Day,
    /// The calendar month, UTC.
    Month,
}

impl Period {
    /// Reads `hour`, `day`, `month` or a duration such as `24h`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "hour" => Some(Period::Hour),
            "day" => Some(Period::Day),
            "month" => Some(Period::Month),
            other => span::parse(other).map(Period::Rolling),
        }
    }

    /// The longest that anything counts.
    pub fn longest(self) -> Duration {
        let days = |n: u64| Duration::from_secs(n * 86_400);
        match self {
            Period::Rolling(span) => span,
            Period::Hour => Duration::from_secs(3600),
            Period::Day => days(1),
            Period::Month => days(31),
        }
    }

    /// The slot that an amount of this instant is added to, in milliseconds since the epoch: the end of a
    /// slice of a rolling span, the beginning of a period of the calendar.
    pub fn slot(self, at: Timestamp) -> i64 {
        match self {
            Period::Rolling(span) => {
                let slice = slice(span);
                at.as_millis().div_euclid(slice) * slice + if at.as_millis() % slice == 0 { 0 } else { slice }
            }
            calendar => calendar.start(at).map_or(0, |start| start.timestamp_millis()),
        }
    }

    /// When what is in a slot stops to count.
    pub fn end(self, slot: i64) -> Timestamp {
        let at = Timestamp::from_millis(slot);
        let start = || DateTime::<Utc>::from_timestamp_millis(slot).unwrap_or(DateTime::UNIX_EPOCH);
        match self {
            Period::Rolling(span) => at.plus(span),
            Period::Hour => at.plus(Duration::from_secs(3600)),
            Period::Day => at.plus(Duration::from_secs(86_400)),
            Period::Month => start()
                .checked_add_months(Months::new(1))
                .map_or(Timestamp::MAX, |next| Timestamp::from_millis(next.timestamp_millis())),
        }
    }

    /// Whether it follows the calendar.
    pub fn is_calendar(self) -> bool {
        !matches!(self, Period::Rolling(_))
    }

    fn start(self, at: Timestamp) -> Option<DateTime<Utc>> {
        let hour = DateTime::<Utc>::from_timestamp_millis(at.as_millis())?
            .with_minute(0)?
            .with_second(0)?
            .with_nanosecond(0)?;
        match self {
            Period::Rolling(_) => None,
            Period::Hour => Some(hour),
            Period::Day => hour.with_hour(0),
            Period::Month => hour.with_hour(0)?.with_day(1),
        }
    }
}

/// Length of a slice of a rolling span, in milliseconds.
fn slice(span: Duration) -> i64 {
    let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    (millis.saturating_add(SLOTS - 1) / SLOTS).max(1)
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Period::Rolling(span) => f.write_str(&span::format(*span)),
            Period::Hour => f.write_str("hour"),
            Period::Day => f.write_str("day"),
            Period::Month => f.write_str("month"),
        }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let wrong = || format!("`{text}` is not hour, day, month or a duration such as \"24h\"");
        Period::parse(&text).ok_or_else(|| serde::de::Error::custom(wrong()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn periods_of_the_calendar_begin_and_end_in_utc() {
        for (period, now, start, end) in [
            (Period::Hour, "2026-01-05T10:59:59.999Z", "2026-01-05T10:00:00Z", "2026-01-05T11:00:00Z"),
            (Period::Day, "2026-01-05T23:59:59.999+00:00", "2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z"),
            (Period::Day, "2026-01-05T23:30:00-02:00", "2026-01-06T00:00:00Z", "2026-01-07T00:00:00Z"),
            (Period::Month, "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            (Period::Month, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ] {
            let slot = period.slot(at(now));
            assert_eq!((Timestamp::from_millis(slot), period.end(slot)), (at(start), at(end)), "{now}");
        }
    }

    #[test]
    fn an_instant_of_a_rolling_span_never_counts_shorter_than_the_span() {
        for millis in [1, 4096, 60_000, 3_600_000, 86_400_000, 2_592_000_000] {
            let period = Period::Rolling(Duration::from_millis(millis));
            for ms in [0i64, 1, 14, 15, 999_999, 1_767_600_000_001] {
                let counts = period.end(period.slot(Timestamp::from_millis(ms))).as_millis() - ms;
                let most = i64::try_from(millis + millis.div_ceil(4096)).unwrap();
                assert!(counts >= i64::try_from(millis).unwrap() && counts < most, "{millis} {ms} {counts}");
            }
        }
    }

    #[test]
    fn words_and_durations_read_back() {
        for text in ["hour", "day", "month", "24h", "30m", "7d"] {
            assert_eq!(Period::parse(text).unwrap().to_string(), text);
        }
        assert!(Period::parse("week").is_none() && Period::parse("24").is_none());
    }
}
