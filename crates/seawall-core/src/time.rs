//! Points in time. The core never reads a clock: `now` is always an argument.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since the Unix epoch, UTC. Shown and read as RFC 3339.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The latest instant that can be shown (9999-12-31T23:59:59.999Z).
    pub const MAX: Timestamp = Timestamp(253_402_300_799_999);

    /// From milliseconds since the Unix epoch; clamped to what can be shown.
    pub fn from_millis(millis: i64) -> Self {
        Timestamp(millis.clamp(0, Self::MAX.0))
    }

    /// Milliseconds since the Unix epoch.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Reads RFC 3339 (an offset is required: a local time names no instant).
    pub fn parse(text: &str) -> Option<Self> {
        let written = || DateTime::parse_from_rfc3339(text.trim()).ok().map(|at| at.timestamp_millis());
        plain(text.as_bytes()).or_else(written).map(Self::from_millis)
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This instant moved into the past, not below the epoch.
    pub fn minus(self, span: Duration) -> Self {
        Self::from_millis(self.0.saturating_sub(millis(span)))
    }

    /// This instant moved ahead, not beyond [`Timestamp::MAX`].
    pub fn plus(self, span: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(millis(span)))
    }

    /// RFC 3339 in UTC with milliseconds, e.g. `2026-01-05T10:00:00.123Z`.
    pub fn to_rfc3339(self) -> String {
        self.digits().as_str().to_owned()
    }

    fn digits(self) -> Digits {
        let at = DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or(DateTime::UNIX_EPOCH);
        let year = u32::try_from(at.year()).unwrap_or(0);
        let (month, day, milli) = (at.month(), at.day(), at.nanosecond() / 1_000_000);
        let (hour, minute, second) = (at.hour(), at.minute(), at.second());
        let d = |number: u32| b'0' + u8::try_from(number % 10).unwrap_or(0);
        #[rustfmt::skip]
        let text = [
            d(year / 1000), d(year / 100), d(year / 10), d(year), b'-', d(month / 10), d(month), b'-', d(day / 10),
            d(day), b'T', d(hour / 10), d(hour), b':', d(minute / 10), d(minute), b':', d(second / 10), d(second),
            b'.', d(milli / 100), d(milli / 10), d(milli), b'Z',
        ];
        Digits(text)
    }
}

/// An instant as it is shown.
struct Digits([u8; 24]);

impl Digits {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Milliseconds of an instant that is written as we write it; most are, and reading every form takes longer.
fn plain(text: &[u8]) -> Option<i64> {
    let [
        y @ ..,
        b'-',
        m0,
        m1,
        b'-',
        d0,
        d1,
        b'T',
        h0,
        h1,
        b':',
        i0,
        i1,
        b':',
        s0,
        s1,
        b'.',
        f0,
        f1,
        f2,
        b'Z',
    ] = text
    else {
        return None;
    };
    let year = i32::try_from(number(y)?).ok().filter(|_| y.len() == 4)?;
    let date = NaiveDate::from_ymd_opt(year, number(&[*m0, *m1])?, number(&[*d0, *d1])?)?;
    let (hour, minute) = (number(&[*h0, *h1])?, number(&[*i0, *i1])?);
    let at = date.and_hms_milli_opt(hour, minute, number(&[*s0, *s1])?, number(&[*f0, *f1, *f2])?)?;
    Some(at.and_utc().timestamp_millis())
}

fn number(digits: &[u8]) -> Option<u32> {
    let next = |n: u32, digit: &u8| digit.is_ascii_digit().then(|| n * 10 + u32::from(digit - b'0'));
    digits.iter().take(4).try_fold(0, next)
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.digits().as_str())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.digits().as_str())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Timestamp::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is not an RFC 3339 time such as 2026-01-05T10:00:00Z"))
        })
    }
}

/// Durations on the wire and in configuration: `"250ms"`, `"20s"`, `"30m"`, `"24h"`, `"7d"`.
pub mod span {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    /// Reads a duration with its unit. `None` for anything else, also for a bare number.
    pub fn parse(text: &str) -> Option<Duration> {
        let split = text.find(|c: char| !c.is_ascii_digit())?;
        let (digits, unit) = text.split_at(split);
        let count: u64 = digits.parse().ok()?;
        let unit_ms: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        count.checked_mul(unit_ms).map(Duration::from_millis)
    }

    /// The shortest exact spelling: the largest unit that divides it, days only from two up.
    pub fn format(span: Duration) -> String {
        let ms = span.as_millis();
        let units = [
            (86_400_000 * 2, 86_400_000, "d"),
            (3_600_000, 3_600_000, "h"),
            (60_000, 60_000, "m"),
            (1_000, 1_000, "s"),
        ];
        for (from, size, unit) in units {
            if ms >= from && ms.is_multiple_of(size) {
                return format!("{}{unit}", ms / size);
            }
        }
        if ms == 0 { "0s".to_owned() } else { format!("{ms}ms") }
    }

    /// For `#[serde(with = "span")]`.
    pub fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format(*span))
    }

    /// For `#[serde(with = "span")]`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is not a duration such as \"30m\" (ms, s, m, h, d)"))
        })
    }

    /// A duration or nothing.
    pub mod option {
        use super::{Deserialize, Deserializer, Duration, Serializer, format, parse};

        /// For `#[serde(with = "span::option")]`.
        #[allow(clippy::ref_option, reason = "serde gives references")]
        pub fn serialize<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
            match span {
                Some(span) => serializer.serialize_str(&format(*span)),
                None => serializer.serialize_none(),
            }
        }

        /// For `#[serde(with = "span::option")]`.
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
            let text = Option::<std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
            let wrong = || serde::de::Error::custom("not a duration such as \"60s\"");
            text.map(|text| parse(&text).ok_or_else(wrong)).transpose()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows_rfc3339() {
        let t = Timestamp::parse("2026-01-05T10:00:00.123+02:00").unwrap();
        assert_eq!(t.to_string(), "2026-01-05T08:00:00.123Z");
        assert!(Timestamp::parse("2026-01-05T10:00:00").is_none(), "a local time names no instant");
    }

    #[test]
    fn spans_round_trip() {
        for text in ["250ms", "20s", "45s", "3m", "1h", "24h", "7d", "0s"] {
            assert_eq!(span::format(span::parse(text).unwrap()), text);
        }
        for text in ["", "5", "s", "5 s", "-1s", "1.5h", "99999999999999999999s"] {
            assert!(span::parse(text).is_none(), "{text}");
        }
    }
}
