//! The name or number that a message shows as its sender.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Eleven characters are what the network carries in a named sender.
const MAX_NAME_CHARS: usize = 11;
/// `+` and fifteen digits.
const MAX_NUMBER_CHARS: usize = 16;

/// A sender ID that the network can carry: a name of at most 11 characters with at least one letter,
/// or a number of at most 16 characters with an optional `+`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SenderId(String);

/// Why a text is not a sender ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SenderIdError {
    /// Nothing there.
    #[error("the sender ID is empty; use a name of up to 11 characters or a number")]
    Empty,
    /// A character that networks drop or change.
    #[error("the sender ID contains {0:?}; use letters A-Z, digits, space, `-`, `_`, `.` and `&`")]
    BadCharacter(char),
    /// Space at an end makes two names that look the same.
    #[error("the sender ID begins or ends with a space; remove it")]
    OuterSpace,
    /// Neither a name nor a number.
    #[error("the sender ID has no letter and is not a number; use at least one letter, or digits alone")]
    NeitherNameNorNumber,
    /// A name that the network would cut.
    #[error("the sender ID has {0} characters; a name has at most 11")]
    NameTooLong(usize),
    /// A number that no network has.
    #[error("the sender ID has {0} characters; a number has at most 16, `+` included")]
    NumberTooLong(usize),
}

impl SenderId {
    /// Checks a sender ID.
    pub fn parse(text: &str) -> Result<Self, SenderIdError> {
        if text.is_empty() {
            return Err(SenderIdError::Empty);
        }
        if is_number(text) { check_number(text) } else { check_name(text) }?;
        Ok(SenderId(text.to_owned()))
    }

    /// Whether it is a number (a short code or a long number) and not a name.
    pub fn is_numeric(&self) -> bool {
        is_number(&self.0)
    }

    /// The sender ID as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Digits, perhaps behind a `+`.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn check_number(text: &str) -> Result<(), SenderIdError> {
    if text.len() > MAX_NUMBER_CHARS { Err(SenderIdError::NumberTooLong(text.len())) } else { Ok(()) }
}

fn check_name(text: &str) -> Result<(), SenderIdError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '&');
    if let Some(c) = text.chars().find(|c| !allowed(*c)) {
        return Err(SenderIdError::BadCharacter(c));
    }
    if text.starts_with(' ') || text.ends_with(' ') {
        return Err(SenderIdError::OuterSpace);
    }
    if !text.chars().any(|c| c.is_ascii_alphabetic()) {
        return Err(SenderIdError::NeitherNameNorNumber);
    }
    if text.len() > MAX_NAME_CHARS { Err(SenderIdError::NameTooLong(text.len())) } else { Ok(()) }
}

impl fmt::Display for SenderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SenderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for SenderId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SenderId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        SenderId::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_numbers() {
        for (text, numeric) in [
            ("SeawallSMS1", false),
            ("A", false),
            ("3M", false),
            ("AT&T", false),
            ("my-shop_2.0", false),
            ("Big Bank", false),
            ("72345", true),
            ("+6591234567", true),
            ("1234567890123456", true),
            ("+123456789012345", true),
        ] {
            let id = SenderId::parse(text).unwrap();
            assert_eq!((id.as_str(), id.is_numeric()), (text, numeric));
        }
    }

    #[test]
    fn refusals_say_why() {
        use SenderIdError::*;
        for (text, want) in [
            ("", Empty),
            ("SeawallSMS12", NameTooLong(12)),
            ("12345678901234567", NumberTooLong(17)),
            ("+1234567890123456", NumberTooLong(17)),
            ("A\r\nB", BadCharacter('\r')),
            ("Bank\u{a0}1", BadCharacter('\u{a0}')),
            ("B\u{430}nk", BadCharacter('\u{430}')),
            ("+Bank", BadCharacter('+')),
            ("+", BadCharacter('+')),
            (" Bank", OuterSpace),
            ("Bank ", OuterSpace),
            ("12-34", NeitherNameNorNumber),
            ("...", NeitherNameNorNumber),
        ] {
            assert_eq!(SenderId::parse(text), Err(want), "{text:?}");
        }
    }

    #[test]
    fn travels_as_a_string() {
        let id: SenderId = serde_json::from_str("\"Seawall\"").unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"Seawall\"");
        assert!(serde_json::from_str::<SenderId>("\"Sea\\nwall\"").is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_is_plain_and_short(text in ".{0,20}") {
            if let Ok(id) = SenderId::parse(&text) {
                prop_assert!(id.as_str().len() <= 16);
                prop_assert!(id.as_str().bytes().all(|b| (0x20..0x7f).contains(&b)));
            }
        }
    }
}
