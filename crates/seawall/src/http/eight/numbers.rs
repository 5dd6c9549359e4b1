//! Numbers as 8x8's clients write them: with `+` or without, and national ones beside a `country`.

use seawall_core::country::Country;
use seawall_core::msisdn::{Msisdn, ParsedNumber};

use crate::app::App;
use crate::app::number_keys::{self, Unread};

/// Reads a number of a body, written out or encrypted.
pub(super) fn read(app: &App, text: &str, country: Option<Country>) -> Result<ParsedNumber, Unread> {
    number_keys::read_with(app, text, |text| written(text, country))
}

/// Beside a country, digits without `+` are international if they are a whole number of that country with its calling
/// code, or of any country where they are no number of that one; national otherwise. Answers and contacts show numbers so,
/// and national numbers are written with their zero wherever there is one.
pub(super) fn written(text: &str, country: Option<Country>) -> Result<ParsedNumber, Unread> {
    let abroad = country.and_then(|_| international(text));
    match (abroad, Msisdn::parse(text, country)) {
        (Some(abroad), _) if Some(abroad.country) == country => Ok(abroad),
        (Some(abroad), Ok(home)) if !home.valid => Ok(abroad),
        (Some(abroad), Err(_)) => Ok(abroad),
        (_, home) => Ok(home?),
    }
}

fn international(text: &str) -> Option<ParsedNumber> {
    let bare = text.starts_with(|c: char| ('1'..='9').contains(&c));
    bare.then(|| Msisdn::parse(text, None).ok()).flatten().filter(|number| number.valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_with_the_countrys_code_are_international_and_others_national() {
        let read = |text: &str, country: &str| {
            written(text, Country::parse(country)).map(|n| n.msisdn.to_e164()).unwrap_or_default()
        };
        for (text, country, number) in [
            ("4915112345678", "DE", "+4915112345678"),
            ("04915123456", "DE", "+494915123456"),
            ("015112345678", "DE", "+4915112345678"),
            ("6591234567", "SG", "+6591234567"),
            // A landline that begins like the calling code.
            ("65123456", "SG", "+6565123456"),
            ("91234567", "SG", "+6591234567"),
            ("12025550123", "US", "+12025550123"),
            ("2025550123", "US", "+12025550123"),
            ("79161234567", "RU", "+79161234567"),
            ("9161234567", "RU", "+79161234567"),
            // Too long for the country, and whole for another.
            ("4915112345678", "SG", "+4915112345678"),
            ("+6591234567", "DE", "+6591234567"),
        ] {
            assert_eq!(read(text, country), number, "{text} {country}");
        }
    }

    /// There are such digits: both readings are numbers.
    #[test]
    fn what_can_be_read_both_ways_is_international() {
        let de = Country::parse("DE");
        let both = |text: &&String| {
            let (abroad, home) =
                (Msisdn::parse(&format!("+{text}"), None), Msisdn::parse(&format!("0{text}"), de));
            [abroad, home]
                .into_iter()
                .all(|number| number.is_ok_and(|n| n.valid && n.country.as_str() == "DE"))
        };
        let all: Vec<String> = (0..10_000).map(|n| format!("49{}", 20_000_000 + n * 7_919)).collect();
        let found: Vec<&String> = all.iter().filter(both).take(20).collect();
        assert!(!found.is_empty());
        for text in found {
            assert_eq!(written(text, de).unwrap().msisdn.to_e164(), format!("+{text}"));
            assert_ne!(written(&format!("0{text}"), de).unwrap().msisdn.to_e164(), format!("+{text}"));
        }
    }
}
