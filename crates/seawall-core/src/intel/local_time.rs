//! What the clock shows where a number is.
//!
//! A country's zones come from the IANA database. Where it has several, the number's prefix may narrow them
//! (Google's data: an area code in America, a province in China); a mobile number of a country such as Russia
//! says nothing of the place, so all its zones stay possible. What is sent in a window of hours is therefore
//! held against every possible clock.
//!
//! A zone has a yearly rule, and before that rule holds alone it may have listed changes: Palestine's clocks
//! follow Ramadan, and laws begin on a day of their own. Changes are listed for ten years.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::country::Country;
use crate::msisdn::{NumberKind, ParsedNumber};
use crate::time::Timestamp;

use super::prefix;
use super::strings::Strings;
use super::table::Table;
use super::zone_rule::ZoneRule;

static PREFIXES: &[u8] = include_bytes!("../../../../data/zone_prefixes.bin");
static SETS: &[u8] = include_bytes!("../../../../data/zone_sets.bin");
static TEXT: &str = include_str!("../../../../data/zones.tsv");
/// The constant above, read once.
static ZONES: LazyLock<Vec<Zone>> = LazyLock::new(|| TEXT.lines().filter_map(Zone::read).collect());

/// Countries whose mobile numbers begin with an area's digits: Mexico, Argentina, Brazil, Indonesia, China.
const MOBILE_AREAS: [&str; 5] = ["MX", "AR", "BR", "ID", "CN"];
const DAY_MINUTES: i64 = 1440;

/// A time zone of a country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone {
    /// The country.
    pub country: Country,
    /// The name in the IANA database, such as `Asia/Singapore`.
    pub name: &'static str,
    rule: ZoneRule,
    /// `second=minutes` of each listed change, in order.
    changes: &'static str,
}

/// How far clocks may be ahead of UTC where a number is. Both ends are the same where the place is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UtcOffsets {
    /// The smallest, in minutes.
    pub least_minutes: i16,
    /// The greatest, in minutes.
    pub most_minutes: i16,
}

impl Zone {
    fn read(line: &'static str) -> Option<Self> {
        let mut fields = line.split('\t');
        let (country, name, rule, changes) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        Some(Zone { country: Country::parse(country)?, name, rule: ZoneRule::parse(rule)?, changes })
    }

    /// Minutes that clocks are ahead of UTC.
    pub fn offset_minutes(&self, now: Timestamp) -> i16 {
        let yearly = || self.rule.offset_at(now.as_secs()) / 60;
        i16::try_from(self.listed(now.as_secs()).unwrap_or_else(yearly)).unwrap_or(0)
    }

    /// What a listed change says, between the first and the last of them.
    fn listed(&self, now: i64) -> Option<i64> {
        let mut said = None;
        for (at, minutes) in self.changes.split(' ').filter_map(|change| change.split_once('=')) {
            if at.parse::<i64>().ok()? > now {
                return said;
            }
            said = minutes.parse().ok();
        }
        None
    }
}

/// The zones that a number's phone may be in, by name. Empty for global services and unknown countries.
pub fn zones(number: &ParsedNumber) -> Vec<Zone> {
    let all = zones_of(number.country);
    let narrowed: Vec<Zone> = match area(number) {
        Some(names) => {
            all.iter().filter(|zone| names.split('&').any(|name| name == zone.name)).copied().collect()
        }
        None => Vec::new(),
    };
    if narrowed.is_empty() { all.to_vec() } else { narrowed }
}

/// The zones of a country, by name.
pub fn zones_of(country: Country) -> &'static [Zone] {
    // The file is sorted by country.
    let start = ZONES.partition_point(|zone| zone.country < country);
    let rest = ZONES.get(start..).unwrap_or_default();
    let len = rest.partition_point(|zone| zone.country == country);
    rest.get(..len).unwrap_or_default()
}

/// The names of the zones of a number's area, where its digits tell one.
fn area(number: &ParsedNumber) -> Option<&'static str> {
    let tells = match number.kind {
        NumberKind::FixedLine | NumberKind::FixedLineOrMobile => number.valid,
        NumberKind::Mobile => number.valid && MOBILE_AREAS.contains(&number.country.as_str()),
        _ => false,
    };
    let index = tells.then(|| prefix::longest(&Table::new(PREFIXES)?, number.msisdn.as_u64())).flatten()?;
    Strings::new(SETS)?.get(index)
}

/// How far ahead of UTC the clock may be where a number is. `None` if nothing is known.
pub fn offsets(number: &ParsedNumber, now: Timestamp) -> Option<UtcOffsets> {
    UtcOffsets::over(&zones(number), now)
}

/// The same for a country.
pub fn offsets_of(country: Country, now: Timestamp) -> Option<UtcOffsets> {
    UtcOffsets::over(zones_of(country), now)
}

impl UtcOffsets {
    /// The least and the most over some zones; `None` without any.
    pub fn over(zones: &[Zone], now: Timestamp) -> Option<Self> {
        let all = || zones.iter().map(|zone| zone.offset_minutes(now));
        Some(UtcOffsets { least_minutes: all().min()?, most_minutes: all().max()? })
    }

    /// The hour that the clock shows, 0 to 23. `None` if that depends on where the phone is.
    pub fn hour(self, now: Timestamp) -> Option<u8> {
        let hour = |minutes: i16| minute_of_day(now, minutes) / 60;
        let (least, most) = (hour(self.least_minutes), hour(self.most_minutes));
        let close = self.most_minutes.abs_diff(self.least_minutes) < 60;
        (least == most && close).then(|| u8::try_from(least).ok()).flatten()
    }

    /// Whether every possible clock shows a time from `from` up to, not including, `until` (minutes of the
    /// day; a window may go over midnight; equal ends are the whole day).
    pub fn surely_between(self, now: Timestamp, from: u16, until: u16) -> bool {
        let (from, until) = (i64::from(from), i64::from(until));
        let window = (until - from).rem_euclid(DAY_MINUTES);
        let into = (minute_of_day(now, self.least_minutes) - from).rem_euclid(DAY_MINUTES);
        let spread = i64::from(self.most_minutes) - i64::from(self.least_minutes);
        window == 0 || into + spread < window
    }
}

fn minute_of_day(now: Timestamp, offset_minutes: i16) -> i64 {
    (now.as_secs().div_euclid(60) + i64::from(offset_minutes)).rem_euclid(DAY_MINUTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intel::Continent;
    use crate::msisdn::Msisdn;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn number(text: &str) -> ParsedNumber {
        Msisdn::parse(text, None).unwrap()
    }

    fn names(text: &str) -> String {
        zones(&number(text)).iter().map(|zone| zone.name).collect::<Vec<_>>().join(" ")
    }

    fn range(text: &str, now: &str) -> Option<(i16, i16)> {
        offsets(&number(text), at(now)).map(|offsets| (offsets.least_minutes, offsets.most_minutes))
    }

    #[test]
    fn a_number_is_where_its_digits_say() {
        assert_eq!(names("+6591234567"), "Asia/Singapore");
        assert_eq!(names("+12125550123"), "America/New_York");
        assert_eq!(names("+13105550123"), "America/Los_Angeles");
        assert_eq!(names("+442079460018"), "Europe/London");
        assert_eq!(names("+61291234567"), "Australia/Sydney");
        // Google's data has Morocco on the Canaries' clock and South Sudan on Kenya's; IANA knows better.
        assert_eq!(names("+212650123456"), "Africa/Casablanca");
        assert_eq!(names("+211977123456"), "Africa/Juba");
        assert_eq!(names("+80012345678"), "");
    }

    #[test]
    fn a_mobile_number_may_be_anywhere_in_its_country() {
        assert_eq!(range("+79123456789", "2026-07-01T12:00:00Z"), Some((120, 720)));
        assert_eq!(range("+77011234567", "2026-07-01T12:00:00Z"), Some((300, 300)));
        assert_eq!(range("+12125550123", "2026-07-01T12:00:00Z"), Some((-240, -240)));
        assert_eq!(range("+12125550123", "2026-01-01T12:00:00Z"), Some((-300, -300)));
        assert_eq!(range("+80012345678", "2026-01-01T12:00:00Z"), None);
        let country = Country::parse("AU").unwrap();
        let summer = offsets_of(country, at("2026-01-01T12:00:00Z")).unwrap();
        assert_eq!((summer.least_minutes, summer.most_minutes), (480, 660));
    }

    #[test]
    fn the_hour_is_told_only_when_there_is_one() {
        let hour = |text: &str, now: &str| offsets(&number(text), at(now)).unwrap().hour(at(now));
        assert_eq!(hour("+6591234567", "2026-07-01T12:00:00Z"), Some(20));
        assert_eq!(hour("+6591234567", "2026-07-01T16:30:00Z"), Some(0));
        assert_eq!(hour("+79123456789", "2026-07-01T12:00:00Z"), None);
    }

    #[test]
    fn a_window_holds_for_every_possible_clock() {
        let kept = |text: &str, now: &str, from: u16, until: u16| {
            offsets(&number(text), at(now)).unwrap().surely_between(at(now), from * 60, until * 60)
        };
        assert!(kept("+6591234567", "2026-07-01T00:00:00Z", 8, 21));
        assert!(!kept("+6591234567", "2026-06-30T23:59:59Z", 8, 21));
        assert!(kept("+6591234567", "2026-07-01T12:59:59Z", 8, 21));
        assert!(!kept("+6591234567", "2026-07-01T13:00:00Z", 8, 21));
        // 06:00 UTC is 08:00 in Kaliningrad and 18:00 in Kamchatka.
        assert!(kept("+79123456789", "2026-07-01T06:00:00Z", 8, 21));
        assert!(!kept("+79123456789", "2026-07-01T09:00:00Z", 8, 21));
        assert!(kept("+6591234567", "2026-07-01T15:00:00Z", 21, 8));
        assert!(kept("+79123456789", "2026-07-01T15:00:00Z", 0, 0));
    }

    /// Offsets as the IANA database (2026f) has them, read with another library.
    #[test]
    fn offsets_are_those_of_the_database() {
        let mut rows = 0;
        for row in include_str!("../../tests/data/offsets.tsv").lines().filter(|row| !row.starts_with('#')) {
            let [name, now, want] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
            let zone = ZONES.iter().find(|zone| zone.name == name).unwrap();
            assert_eq!(zone.offset_minutes(at(now)).to_string(), want, "{row}");
            rows += 1;
        }
        assert!(rows > 900, "{rows}");
    }

    #[test]
    fn every_line_is_a_zone_and_every_country_has_one() {
        assert_eq!(ZONES.len(), TEXT.lines().count());
        assert!(ZONES.is_sorted_by_key(|zone| (zone.country, zone.name)));
        // Nobody lives on these two, and nobody calls them.
        let nobody = ["BV", "HM"].map(|text| Country::parse(text).unwrap());
        for country in Continent::ALL.into_iter().flat_map(Continent::countries) {
            assert_eq!(zones_of(country).is_empty(), nobody.contains(&country), "{country}");
        }
        let sets = Strings::new(SETS).unwrap();
        for set in (0..sets.len()).map(|index| sets.get(index as u32).unwrap()) {
            assert!(set.split('&').all(|name| ZONES.iter().any(|zone| zone.name == name)), "{set}");
        }
    }

    proptest! {
        #[test]
        fn a_window_is_what_each_clock_says(
            least in -720_i16..840, spread in 0_i16..900, from in 0_u16..1440, until in 0_u16..1440, minute in 0_i64..1440,
        ) {
            let now = Timestamp::from_millis(minute * 60_000);
            let range = UtcOffsets { least_minutes: least, most_minutes: least + spread };
            let inside = |offset: i16| {
                let local = minute_of_day(now, offset);
                let (from, until) = (i64::from(from), i64::from(until));
                from == until || if from < until { (from..until).contains(&local) } else { local >= from || local < until }
            };
            let want = (least..=least + spread).all(inside);
            prop_assert_eq!(range.surely_between(now, from, until), want);
        }
    }
}
