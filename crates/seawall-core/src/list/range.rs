//! Numbers that begin alike.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::msisdn::Msisdn;

/// E.164 allows fifteen digits.
const MAX_DIGITS: usize = 15;
/// Longest text that is looked at.
const MAX_INPUT: usize = 40;

/// The first digits of numbers, country calling code included: `+99893412`. No number begins with zero, so
/// the digits read as one integer name the range.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NumberRange(u64);

impl NumberRange {
    /// Reads 1 to 15 digits, with or without `+`; spaces, `-`, `.` and brackets do not count.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_INPUT {
            return None;
        }
        let trimmed = text.trim();
        let body = trimmed.strip_prefix('+').unwrap_or(trimmed);
        let digits: String = body.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')')).collect();
        let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        let fits = plain && (1..=MAX_DIGITS).contains(&digits.len());
        fits.then(|| digits.parse().ok()).flatten().map(NumberRange)
    }

    /// The digits as one integer.
    pub fn as_u64(self) -> u64 {
        self.0
    }

    /// How many digits it has.
    pub fn len(self) -> u8 {
        digit_count(self.0)
    }

    /// Never: a range has at least one digit.
    pub fn is_empty(self) -> bool {
        false
    }

    /// The first digits of a number; `None` when it has fewer.
    pub fn of(number: Msisdn, digits: u8) -> Option<Self> {
        let drop = digit_count(number.as_u64()).checked_sub(digits)?;
        let scale = 10u64.checked_pow(u32::from(drop))?;
        number.as_u64().checked_div(scale).filter(|first| *first > 0).map(NumberRange)
    }

    /// Whether a number begins so.
    pub fn contains(self, number: Msisdn) -> bool {
        NumberRange::of(number, self.len()) == Some(self)
    }

    /// `+99893412`; a range that is a whole number is masked as one. Fit for logs.
    pub fn masked(self) -> String {
        let text = self.to_string();
        match Msisdn::parse(&text, None) {
            Ok(number) if number.valid => number.msisdn.masked(),
            _ => text,
        }
    }
}

fn digit_count(value: u64) -> u8 {
    value.checked_ilog10().map_or(1, |log| u8::try_from(log).unwrap_or(u8::MAX).saturating_add(1))
}

/// The range in full; see [`NumberRange::masked`] for logs.
impl fmt::Display for NumberRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

impl fmt::Debug for NumberRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl Serialize for NumberRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NumberRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let wrong = "not a number range: its first digits with `+`, such as \"+99893412\"";
        NumberRange::parse(&text).ok_or_else(|| serde::de::Error::custom(wrong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_read_in_any_usual_spelling() {
        for text in ["+99893412", "99893412", " +998 93-412 ", "+998 (93) 412"] {
            assert_eq!(NumberRange::parse(text).map(|r| r.to_string()).as_deref(), Some("+99893412"));
        }
        for text in ["", "+", "+0998", "+998x", "+1234567890123456", "++998", "998+"] {
            assert_eq!(NumberRange::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_whole_number_is_masked() {
        assert_eq!(NumberRange::parse("+6591234567").unwrap().masked(), "+659123xxxx");
        assert_eq!(NumberRange::parse("+99893412").unwrap().masked(), "+99893412");
    }

    proptest! {
        #[test]
        fn a_number_is_in_the_ranges_that_it_begins_with(n in 1_000_000u64..1_000_000_000_000_000, digits in 1u8..16) {
            let number = Msisdn::from_u64(n).unwrap();
            let text = number.digits();
            match text.get(..usize::from(digits)) {
                Some(first) => {
                    let range = NumberRange::parse(first).unwrap();
                    prop_assert_eq!(NumberRange::of(number, digits), Some(range));
                    prop_assert!(range.contains(number) && range.len() == digits);
                }
                None => prop_assert_eq!(NumberRange::of(number, digits), None),
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}") {
            let _ = NumberRange::parse(&text);
        }
    }
}
