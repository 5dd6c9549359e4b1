//! What can be said of a number before anybody is asked: the offline half of a lookup.
//!
//! Everything comes from the number's digits and from tracked tables, so the same number always gets the same
//! answer: validity, type and country by its country's plan, the form that people there write, the clocks that
//! may stand where it is, the operator its range was first given to, and whether that can have changed.

mod line;
mod risk;
mod walk;

pub use line::LineFacts;
pub use risk::{Risk, RiskReason, range, risk};
pub use walk::{Pattern, Walk};

use crate::country::Country;
use crate::intel::number::{Operator, disposable, operator, portable};
use crate::intel::{OperatorCode, local_time};
use crate::msisdn::{Msisdn, MsisdnError, ParsedNumber};

/// What a number's digits say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// The number with validity, type and country.
    pub number: ParsedNumber,
    /// As people in its country write it, such as `9123 4567`.
    pub national: String,
    /// IANA names of the zones that its phone may be in; empty for numbers of no country.
    pub time_zones: Vec<&'static str>,
    /// The operator that its range was first given to; none for landlines, services and unassigned numbers.
    pub original_operator: Option<Operator>,
    /// Whether numbers of its country can be taken to another operator.
    pub portable: bool,
    /// A number of a public receive-SMS site.
    pub disposable: bool,
}

/// Reads a number in any usual spelling, as [`Msisdn::parse`] does, and says what its digits say.
pub fn read(input: &str, country: Option<Country>) -> Result<Format, MsisdnError> {
    Msisdn::parse(input, country).map(format)
}

/// What the digits of a number say.
pub fn format(number: ParsedNumber) -> Format {
    Format {
        number,
        national: number.msisdn.national(),
        time_zones: local_time::zones(&number).iter().map(|zone| zone.name).collect(),
        original_operator: operator(&number),
        portable: portable(number.country),
        disposable: disposable(number.msisdn),
    }
}

impl Format {
    /// Name of the first operator.
    pub fn operator_name(&self) -> Option<&'static str> {
        self.original_operator.map(|operator| operator.name)
    }

    /// Its network code, where the name leads to one.
    pub fn operator_code(&self) -> Option<OperatorCode> {
        self.original_operator.and_then(|operator| operator.code).map(|(code, _)| code)
    }

    /// Whether it was taken to another operator, as far as that can be known without asking: `Some(false)`
    /// where numbers cannot be taken along at all, or where there is no operator to leave.
    pub fn ported(&self) -> Option<bool> {
        let never = !self.portable || self.original_operator.is_none() && self.number.valid;
        never.then_some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn country(text: &str) -> Option<Country> {
        (!text.is_empty()).then(|| Country::parse(text).unwrap())
    }

    /// Inputs of fewer than seven digits with their calling code, all of them invalid.
    const REFUSED: usize = 1;

    /// 5,000 inputs of all countries and types, 12 % of them invalid, judged by PyPI phonenumbers 9.0.43, a
    /// port of Google's library (its data is under Apache-2.0).
    #[test]
    fn agrees_with_the_reference_implementation() {
        let (mut rows, mut named, mut refused) = (0, 0, 0);
        for row in include_str!("../tests/data/reference.tsv").lines().skip(1) {
            let fields = row.split('\t').collect::<Vec<_>>();
            let [input, home, "ok", e164, valid, kind, region, first, _possible] = fields[..] else {
                panic!("a row of nine columns: {row}");
            };
            let found = match read(input, country(home)) {
                Ok(found) => found,
                // No number has so few digits; what the library calls invalid, we do not call a number.
                Err(MsisdnError::TooShort) if valid == "0" && e164.len() < 8 => {
                    refused += 1;
                    continue;
                }
                Err(error) => panic!("{row}: {error}"),
            };
            assert_eq!(found.number.msisdn.to_e164(), e164, "{row}");
            assert_eq!(found.number.valid, valid == "1", "{row}");
            assert_eq!(found.number.kind.as_str().to_uppercase(), kind, "{row}");
            match region {
                "" => assert!(!found.number.valid, "{row}: only an invalid number is nobody's"),
                "001" => assert_eq!(found.number.country, Country::GLOBAL, "{row}"),
                _ => assert_eq!(found.number.country.as_str(), region, "{row}"),
            }
            assert_eq!(found.operator_name().unwrap_or_default(), first, "{row}");
            rows += 1;
            named += usize::from(!first.is_empty());
        }
        assert!(named >= 500, "{named} with an operator");
        assert_eq!((rows + refused, refused), (5000, REFUSED));
    }

    #[test]
    fn a_number_is_written_as_people_there_write_it() {
        let national = |text: &str| read(text, None).unwrap().national;
        // Examples of 8x8's own documentation among them.
        assert_eq!(national("+15108675310"), "(510) 867-5310");
        assert_eq!(national("+6285611111111"), "0856-1111-1111");
        assert_eq!(national("+6591234567"), "9123 4567");
        assert_eq!(national("+4915112345678"), "01511 2345678");
        assert_eq!(national("+390612345678"), "06 1234 5678");
    }

    #[test]
    fn portability_is_told_only_where_it_is_known() {
        let ported = |text: &str| read(text, None).unwrap().ported();
        assert_eq!(ported("+6591234567"), None, "Singapore's numbers travel");
        assert_eq!(ported("+94712345678"), Some(false), "Sri Lanka's do not");
    }

    #[test]
    fn zones_and_operator_come_along() {
        let found = read("+6591234567", None).unwrap();
        assert_eq!(found.time_zones, ["Asia/Singapore"]);
        assert_eq!(found.operator_name(), Some("SingTel"));
        assert_eq!(found.operator_code().map(|code| code.to_string()).as_deref(), Some("52501"));
        assert!(found.portable && !found.disposable);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}", home in proptest::option::of("[A-Z]{2}")) {
            let _ = read(&text, home.as_deref().and_then(Country::parse));
        }

        #[test]
        fn any_digits_are_read_or_refused(text in "[+]?[0-9]{1,17}") {
            if let Ok(found) = read(&text, None) {
                prop_assert!(found.national.bytes().any(|byte| byte.is_ascii_digit()));
            }
        }
    }
}
