//! What the tracked tables say of a number: its first operator, whether that can have changed, and whether
//! anyone can read its messages.

use crate::country::Country;
use crate::msisdn::{Msisdn, NumberKind, ParsedNumber};

use super::strings::Strings;
use super::table::Table;
use super::{CodeMatch, NumberFacts, OperatorCode, prefix};

static PREFIXES: Option<Table<'_>> = Table::new(include_bytes!("../../../../data/operator_prefixes.bin"));
static OPERATORS: Option<Strings<'_>> = Strings::new(include_bytes!("../../../../data/operators.bin"));
static DISPOSABLE: Option<Table<'_>> = Table::new(include_bytes!("../../../../data/disposable.bin"));
static PORTABLE: [u32; 26] = bits(include_bytes!("../../../../data/portable.txt"));

/// The operator that a range was first given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operator {
    /// As Google's library names it.
    pub name: &'static str,
    /// Its network code and how it was found, where the name leads to one.
    pub code: Option<(OperatorCode, CodeMatch)>,
}

/// Everything the tables know of a number.
pub fn facts(number: &ParsedNumber) -> NumberFacts {
    let operator = operator(number);
    let code = operator.and_then(|operator| operator.code);
    NumberFacts {
        operator: operator.map(|operator| operator.name.into()),
        mccmnc: code.map(|(code, _)| code),
        mccmnc_match: code.map(|(_, how)| how),
        portable: portable(number.country),
        disposable: disposable(number.msisdn),
    }
}

/// The first operator of a mobile number. Like Google's library: none for landlines, services, and numbers
/// that no plan knows, even where a prefix fits.
pub fn operator(number: &ParsedNumber) -> Option<Operator> {
    let mobile =
        matches!(number.kind, NumberKind::Mobile | NumberKind::FixedLineOrMobile | NumberKind::Pager);
    if !mobile || !number.valid {
        return None;
    }
    let index = prefix::longest(PREFIXES.as_ref()?, number.msisdn.as_u64())?;
    Some(read(OPERATORS.as_ref()?.get(index)?))
}

/// A row of the operators' file: a name, and with a code `\t52501\tOnly`.
fn read(row: &'static str) -> Operator {
    let Some((name, rest)) = row.split_once('\t') else { return Operator { name: row, code: None } };
    let (code, how) = rest.split_once('\t').unwrap_or((rest, ""));
    let how = match how {
        "Only" => CodeMatch::Only,
        "First" => CodeMatch::First,
        _ => CodeMatch::Alike,
    };
    Operator { name, code: OperatorCode::parse(code).map(|code| (code, how)) }
}

/// Whether anyone can read this number's messages on a public site.
pub fn disposable(number: Msisdn) -> bool {
    DISPOSABLE.is_some_and(|table| table.get(number.as_u64()).is_some())
}

/// Whether mobile numbers of a country can be taken to another operator.
pub fn portable(country: Country) -> bool {
    let [row, bit] = country.letters().map(|letter| letter.checked_sub(b'A').map_or(31, u32::from));
    let row = usize::try_from(row).ok().and_then(|row| PORTABLE.get(row));
    row.is_some_and(|row| row & (1 << (bit & 31)) != 0)
}

/// Countries as a bit each, of their codes with one character between them.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn bits(mut countries: &[u8]) -> [u32; 26] {
    let mut rows = [0; 26];
    while let [row @ b'A'..=b'Z', bit @ b'A'..=b'Z', _, rest @ ..] = countries {
        rows[(*row - b'A') as usize] |= 1 << (*bit - b'A');
        countries = rest;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> ParsedNumber {
        Msisdn::parse(text, None).unwrap()
    }

    /// Rows of numbers, their operator and time zones, as Google's library says.
    fn reference() -> impl Iterator<Item = (&'static str, &'static str)> {
        let rows = include_str!("../../tests/data/operators.tsv").lines();
        rows.filter(|row| !row.starts_with('#')).map(|row| row.split_once('\t').unwrap())
    }

    #[test]
    fn operators_are_those_of_the_reference_implementation() {
        let (mut rows, mut named) = (0, 0);
        for (e164, want) in reference() {
            let got = operator(&number(e164)).map_or("", |operator| operator.name);
            assert_eq!(got, want, "{e164}");
            rows += 1;
            named += usize::from(!want.is_empty());
        }
        assert!(rows >= 1500 && named >= 1000, "{rows} rows, {named} with an operator");
    }

    #[test]
    fn codes_are_found_where_a_name_leads_to_one() {
        let code = |text: &str| facts(&number(text));
        let singtel = code("+6591234567");
        assert_eq!(singtel.operator.as_deref(), Some("SingTel"));
        assert_eq!(singtel.mccmnc, OperatorCode::parse("52501"));
        assert_eq!(singtel.mccmnc_match, Some(CodeMatch::First));
        assert!(singtel.portable && !singtel.disposable);
        let landline = code("+442079460018");
        assert_eq!((landline.operator, landline.mccmnc, landline.mccmnc_match), (None, None, None));
    }

    #[test]
    fn public_numbers_are_known_and_their_neighbours_are_not() {
        let table = DISPOSABLE.unwrap();
        assert!(table.len() > 50_000, "{}", table.len());
        let known = Msisdn::from_u64(33_753_707_041).unwrap();
        assert!(disposable(known));
        assert!(facts(&number(&known.to_e164())).disposable);
        let all: std::collections::BTreeSet<u64> = table.iter().map(|(number, _)| number).collect();
        for number in all.iter().step_by(997) {
            assert!(disposable(Msisdn::from_u64(*number).unwrap()));
            for other in [number - 1, number + 1] {
                let other = Msisdn::from_u64(other).unwrap();
                assert_eq!(disposable(other), all.contains(&other.as_u64()));
            }
        }
    }

    #[test]
    fn portability_is_by_country() {
        let country = |text| Country::parse(text).unwrap();
        assert!(portable(country("DE")) && portable(country("US")));
        assert!(!portable(country("LK")) && !portable(Country::GLOBAL) && !portable(country("QQ")));
    }

    #[test]
    fn every_row_can_be_read() {
        let (table, operators) = (PREFIXES.unwrap(), OPERATORS.unwrap());
        for index in table.iter().filter_map(|(_, value)| value.checked_sub(1)) {
            let row = operators.get(index).unwrap();
            assert_eq!(read(row).code.is_some(), row.contains('\t'), "{row}");
        }
    }
}
