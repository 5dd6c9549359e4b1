//! The rule of a time zone in POSIX form, such as `EST5EDT,M3.2.0,M11.1.0`, which is how the IANA database
//! says what holds from now on.

use chrono::{Datelike, NaiveDate, Weekday};

/// Seconds of a day.
const DAY: i64 = 86_400;
/// When clocks change, if the rule does not say: two in the morning.
const USUAL_CHANGE: i64 = 2 * 3600;

/// What a clock in a zone shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZoneRule {
    /// Seconds east of Greenwich.
    standard: i64,
    summer: Option<Summer>,
}

/// Summer time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Summer {
    /// Seconds east of Greenwich.
    offset: i64,
    begins: Change,
    ends: Change,
}

/// A day and time each year: the last (or first to fourth) such weekday of a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    month: u32,
    /// 1 to 4; 5 is the last.
    week: u8,
    weekday: Weekday,
    /// Seconds after midnight; may be negative or beyond the day.
    at: i64,
}

impl ZoneRule {
    /// Reads a rule. `None` for forms that the database does not use today (days counted through the year).
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        let (standard, rest) = offset(after_name(parts.next()?)?)?;
        if rest.is_empty() {
            return Some(ZoneRule { standard, summer: None });
        }
        let (summer, rest) = match after_name(rest)? {
            "" => (standard + 3600, ""),
            given => offset(given)?,
        };
        let (begins, ends) = (Change::parse(parts.next()?)?, Change::parse(parts.next()?)?);
        let whole = rest.is_empty() && parts.next().is_none();
        whole.then_some(ZoneRule { standard, summer: Some(Summer { offset: summer, begins, ends }) })
    }

    /// Seconds that clocks are ahead of UTC at this instant (seconds since the Unix epoch).
    pub fn offset_at(&self, utc: i64) -> i64 {
        let Some(summer) = self.summer else { return self.standard };
        let Some(year) = year_of(utc + self.standard) else { return self.standard };
        // Each change is told by the clock that holds before it.
        let begins = summer.begins.instant(year).map(|local| local - self.standard);
        let ends = summer.ends.instant(year).map(|local| local - summer.offset);
        let (Some(begins), Some(ends)) = (begins, ends) else { return self.standard };
        let is_summer = match begins < ends {
            true => (begins..ends).contains(&utc),
            false => !(ends..begins).contains(&utc),
        };
        if is_summer { summer.offset } else { self.standard }
    }
}

impl Change {
    /// `M3.2.0` or `M3.2.0/2:30`.
    fn parse(text: &str) -> Option<Self> {
        let (day, time) = text.split_once('/').map_or((text, None), |(day, time)| (day, Some(time)));
        let mut numbers = day.strip_prefix('M')?.split('.').map(|number| number.parse::<u8>().ok());
        let (month, week, weekday) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let weekday = match weekday {
            0 => Weekday::Sun,
            n => Weekday::try_from(n - 1).ok()?,
        };
        let at = match time.map(clock) {
            None => USUAL_CHANGE,
            Some(read) => read.filter(|(_, rest)| rest.is_empty())?.0,
        };
        let fits = (1..=12).contains(&month) && (1..=5).contains(&week);
        fits.then_some(Change { month: u32::from(month), week, weekday, at })
    }

    /// Seconds since the epoch by the local clock.
    fn instant(&self, year: i32) -> Option<i64> {
        let counted = NaiveDate::from_weekday_of_month_opt(year, self.month, self.weekday, self.week);
        let fourth = || NaiveDate::from_weekday_of_month_opt(year, self.month, self.weekday, 4);
        let day = counted.or_else(fourth)?;
        Some(day.signed_duration_since(NaiveDate::default()).num_days() * DAY + self.at)
    }
}

fn year_of(local: i64) -> Option<i32> {
    let days = chrono::TimeDelta::try_days(local.div_euclid(DAY))?;
    NaiveDate::default().checked_add_signed(days).map(|day| day.year())
}

/// What follows a zone's abbreviation: letters, or anything in `<>`.
fn after_name(text: &str) -> Option<&str> {
    if let Some(quoted) = text.strip_prefix('<') {
        return quoted.split_once('>').map(|(_, rest)| rest);
    }
    let rest = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    (rest.len() < text.len()).then_some(rest)
}

/// POSIX counts hours west of Greenwich; we count seconds east.
fn offset(text: &str) -> Option<(i64, &str)> {
    clock(text).map(|(west, rest)| (-west, rest))
}

/// `[+-]hours[:minutes[:seconds]]` at the beginning, in seconds, and what follows.
fn clock(text: &str) -> Option<(i64, &str)> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(unsigned.len());
    let (digits, rest) = unsigned.split_at(end);
    let mut seconds = 0;
    for (field, scale) in digits.split(':').zip([3600, 60, 1]) {
        seconds += field.parse::<u32>().ok().filter(|n| *n <= 167).map(i64::from)? * scale;
    }
    Some((if text.starts_with('-') { -seconds } else { seconds }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn clocks_change_to_the_second() {
        let offset = |rule: &str, at: &str| {
            ZoneRule::parse(rule).unwrap().offset_at(Timestamp::parse(at).unwrap().as_secs()) / 60
        };
        let berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
        assert_eq!(offset(berlin, "2026-03-29T00:59:59Z"), 60);
        assert_eq!(offset(berlin, "2026-03-29T01:00:00Z"), 120);
        assert_eq!(offset(berlin, "2026-10-25T00:59:59Z"), 120);
        assert_eq!(offset(berlin, "2026-10-25T01:00:00Z"), 60);
        let sydney = "AEST-10AEDT,M10.1.0,M4.1.0/3";
        assert_eq!(offset(sydney, "2026-01-01T00:00:00Z"), 660);
        assert_eq!(offset(sydney, "2026-12-31T23:59:59Z"), 660);
        assert_eq!(offset(sydney, "2026-04-04T16:00:00Z"), 600);
        assert_eq!(offset("<+0330>-3:30", "2026-07-01T00:00:00Z"), 210);
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in [
            "",
            "5",
            "EST",
            "EST5EDT",
            "EST5EDT,J60,J300",
            "CET-1CEST,M3.5.0",
            "CET-1CEST,M13.5.0,M1.1.1",
            "CET-1CEST,M3.6.0,M1.1.1",
            "CET-1CEST,M3.5.8,M1.1.1",
            "<+03",
            "CET-1CEST,M3.5.0/x,M1.1.1",
            "CET-999",
        ] {
            assert_eq!(ZoneRule::parse(text), None, "{text}");
        }
    }
}
