//! An operator's file of ported numbers: which network carries a number or a range, and since when. Read line by
//! line; sorted arrays of ten bytes a number, so that a million of them take ten megabytes.

mod rows;

use crate::msisdn::Msisdn;
use crate::time::Timestamp;

use super::number::Operator;
use super::{NumberFacts, OperatorCode};
pub use rows::{Rows, WrongRow};

/// Bits of an entry that name its network; above them stands the number, which has at most fifteen digits.
const NETWORK_BITS: u32 = 14;
/// Different networks of one file.
pub const MOST_NETWORKS: usize = 1 << NETWORK_BITS;
const DAY_MILLIS: i64 = 86_400_000;

/// A network that carries numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Carrier {
    /// Its name.
    pub name: Option<Box<str>>,
    /// Its code.
    pub code: Option<OperatorCode>,
}

impl Carrier {
    /// Whether it is the operator that a number's range was first given to: the same code, or the same name in the same
    /// country. `None` where that cannot be told.
    pub fn is(&self, first: &Operator) -> Option<bool> {
        let alike = self.name.as_deref().map(|name| name.eq_ignore_ascii_case(first.name));
        match (self.code, first.code) {
            (Some(own), Some((other, _))) if own == other => Some(true),
            // An operator has several codes, and the table knows one of them.
            (Some(own), Some((other, _))) => Some(own.mcc() == other.mcc() && alike == Some(true)),
            _ => alike,
        }
    }
}

/// What the file says of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried<'a> {
    /// Who carries it.
    pub carrier: &'a Carrier,
    /// Since when, if the file says.
    pub since: Option<Timestamp>,
    /// Whether it has a row of its own; else its range has one.
    pub own: bool,
}

impl Carried<'_> {
    /// Whether the number was taken from its first operator: known only of a number with a row of its own.
    pub fn ported(&self, first: Option<&Operator>) -> Option<bool> {
        first.filter(|_| self.own).and_then(|first| self.carrier.is(first)).map(|same| !same)
    }

    /// Puts the network in the place of the one that tables know.
    pub fn replace(&self, facts: &mut NumberFacts) {
        facts.operator = self.carrier.name.as_deref().map(|name| name.to_owned().into());
        (facts.mccmnc, facts.mccmnc_match) = (self.carrier.code, None);
    }
}

#[derive(Clone, Copy, Debug)]
struct Range {
    /// With its network, as an entry of one number.
    first: u64,
    last: u64,
    day: u16,
}

/// The file in force.
#[derive(Debug, Default)]
pub struct Portability {
    /// Sorted: a number and its network, each.
    numbers: Vec<u64>,
    /// Days since 1970, by the place of the number; 0 where the file does not say.
    days: Vec<u16>,
    /// Sorted; none reaches into the next.
    ranges: Vec<Range>,
    carriers: Vec<Carrier>,
}

impl Portability {
    /// What is said of a number: its own row, else that of its range.
    pub fn find(&self, number: Msisdn) -> Option<Carried<'_>> {
        self.own(number.as_u64()).or_else(|| self.of_range(number.as_u64()))
    }

    fn own(&self, number: u64) -> Option<Carried<'_>> {
        let place = self.numbers.partition_point(|entry| entry >> NETWORK_BITS < number);
        let entry = self.numbers.get(place).filter(|entry| **entry >> NETWORK_BITS == number)?;
        Some(Carried { carrier: self.carrier(*entry)?, since: instant(*self.days.get(place)?), own: true })
    }

    fn of_range(&self, number: u64) -> Option<Carried<'_>> {
        let after = self.ranges.partition_point(|range| range.first >> NETWORK_BITS <= number);
        let range = self.ranges.get(after.checked_sub(1)?).filter(|range| number <= range.last)?;
        Some(Carried { carrier: self.carrier(range.first)?, since: instant(range.day), own: false })
    }

    fn carrier(&self, entry: u64) -> Option<&Carrier> {
        let place = entry & ((1 << NETWORK_BITS) - 1);
        self.carriers.get(usize::try_from(place).ok()?)
    }

    /// Numbers and ranges in it.
    pub fn len(&self) -> usize {
        self.numbers.len() + self.ranges.len()
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that it takes in memory, names of networks apart.
    pub fn bytes(&self) -> usize {
        self.numbers.capacity() * size_of::<u64>()
            + self.days.capacity() * size_of::<u16>()
            + self.ranges.capacity() * size_of::<Range>()
    }
}

fn instant(day: u16) -> Option<Timestamp> {
    (day > 0).then(|| Timestamp::from_millis(i64::from(day) * DAY_MILLIS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intel::number;

    fn read(text: &str) -> Result<Portability, String> {
        let mut rows = Rows::default();
        for line in text.lines() {
            rows.line(line).map_err(|wrong| wrong.to_string())?;
        }
        rows.finish().map_err(|wrong| wrong.to_string())
    }

    fn number(text: &str) -> Msisdn {
        Msisdn::from_e164(text).unwrap()
    }

    const FILE: &str = "number,mccmnc,operator,date\n\
        +6591234567,52503,M1,2026-01-05\n\
        6591230000-6591239999,52501,SingTel,\n\
        \"+6591234568\",52501,\"Singtel, post-paid\",2026-02-01\n\
        \n\
        +6598765432,,StarHub,2025-12-31\n\
        +6591234570,,singtel,\n";

    #[test]
    fn a_number_outranks_its_range_and_neighbours_are_left_alone() {
        let file = read(FILE).unwrap();
        assert_eq!((file.len(), file.is_empty()), (5, false));
        let own = file.find(number("+6591234567")).unwrap();
        assert_eq!((own.carrier.name.as_deref(), own.own), (Some("M1"), true));
        assert_eq!(own.since, Timestamp::parse("2026-01-05T00:00:00Z"));
        let range = file.find(number("+6591239999")).unwrap();
        assert_eq!((range.carrier.code, range.since, range.own), (OperatorCode::parse("52501"), None, false));
        assert_eq!(file.find(number("+6591230000")), Some(range));
        for outside in ["+6591229999", "+6591240000", "+6598765431", "+6598765433"] {
            assert_eq!(file.find(number(outside)), None, "{outside}");
        }
    }

    #[test]
    fn ported_is_who_has_another_network_than_the_first() {
        let file = read(FILE).unwrap();
        let ported = |text: &str| {
            let parsed = Msisdn::parse(text, None).unwrap();
            file.find(parsed.msisdn).unwrap().ported(number::operator(&parsed).as_ref())
        };
        assert_eq!(ported("+6591234567"), Some(true));
        assert_eq!(ported("+6591234568"), Some(false), "the same code under another name");
        assert_eq!(ported("+6591230001"), None, "its range alone does not tell");
        assert_eq!(
            (ported("+6598765432"), ported("+6591234570")),
            (Some(true), Some(false)),
            "by their names"
        );
    }

    #[test]
    fn the_newest_row_of_a_number_counts_and_of_equals_the_last() {
        let rows = "number,mccmnc,date\n+6591234567,52501,2026-03-01\n+6591234567,52503,2026-01-01\n\
            +6591234568,52501,2026-01-01\n+6591234568,52505,2026-01-01\n";
        let file = read(rows).unwrap();
        let code = |text| file.find(number(text)).unwrap().carrier.code.unwrap().to_string();
        assert_eq!(
            (file.len(), code("+6591234567"), code("+6591234568")),
            (2, "52501".into(), "52505".into())
        );
    }

    #[test]
    fn a_million_numbers_take_ten_bytes_each() {
        let mut rows = Rows::default();
        rows.line("number,mccmnc,operator,date").unwrap();
        for n in 0..1_000_000u64 {
            let scattered = n * 7_919 % 1_000_000;
            let mnc = 10 + n % 40;
            rows.line(&format!("+4915{scattered:09},262{mnc},,2026-01-05")).unwrap();
        }
        let file = rows.finish().unwrap();
        assert_eq!(file.len(), 1_000_000);
        assert_eq!(file.bytes(), 10_000_000);
        let found = file.find(number("+4915000007919")).unwrap();
        assert_eq!(found.carrier.code, OperatorCode::parse("26211"));
    }

    #[test]
    fn a_bad_file_is_told_by_its_line() {
        let wrong = |text: &str| read(text).unwrap_err();
        for (text, want) in [
            (
                "",
                "line 1: is empty; a header with the columns number, mccmnc (or mcc and mnc), operator and date is needed",
            ),
            (
                "numero,mccmnc\n",
                "line 1: `numero` is no column; there are number, mccmnc, mcc, mnc, operator, date",
            ),
            ("mccmnc\n", "line 1: has no column `number`"),
            ("number,date\n", "line 1: has no column `mccmnc` (or `mcc` and `mnc`) or `operator`"),
            ("number,number,operator\n", "line 1: has the column `number` twice"),
            ("number,operator\n+6591234567,M1,\n", "line 2: has 3 cells, the header has 2"),
            ("number,operator\n+6591234567,\n", "line 2: names no network; fill mccmnc or operator"),
            (
                "number,operator\n\n91 234,M1\n",
                "line 3: `number` is no number in international form such as +6591234567, and no range such as +6591230000-+6591239999",
            ),
            (
                "number,operator\n+6591239999-+6591230000,M1\n",
                "line 2: the range ends before it begins, or its ends differ in length",
            ),
            ("number,mccmnc\n+6591234567,5250\n", "line 2: `mccmnc` is five or six digits, such as 52501"),
            (
                "number,mcc,mnc\n+6591234567,525,1\n",
                "line 2: `mcc` is three digits and `mnc` two or three, such as 525 and 01",
            ),
            (
                "number,operator,date\n+6591234567,M1,2026-02-30\n",
                "line 2: `date` is a day such as 2026-01-05",
            ),
            (
                "number,operator\n+6591234567,\"M1\n",
                "line 2: begins a quote that does not end on the same line",
            ),
            (
                "number,operator\n+6591230000-+6591239999,a\n+6591300000-+6591309999,a\n+6591239000-+6591250000,b\n",
                "line 4: the range reaches into that of line 2",
            ),
        ] {
            assert_eq!(wrong(text), want, "{text}");
        }
        let long = format!("number,operator\n+6591234567,{}\n", "x".repeat(101));
        assert_eq!(wrong(&long), "line 2: `operator` has more than 100 characters");
        assert_eq!(wrong(&"x".repeat(5000)), "line 1: has more than 4096 bytes");
    }
}
