//! A country as ISO 3166-1 alpha-2.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Two capital letters, e.g. `SG`. `001` numbers (global services) have the pseudo-country `ZZ`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// Numbers that belong to no country: satellite, universal toll-free and the like.
    pub const GLOBAL: Country = Country(*b"ZZ");

    /// Reads two letters in either case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_letters(*text.as_bytes().as_array()?)
    }

    /// Two letters of ASCII in either case.
    pub(crate) fn from_letters([a, b]: [u8; 2]) -> Option<Self> {
        let letters = a.is_ascii_alphabetic() && b.is_ascii_alphabetic();
        letters.then(|| Country([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
    }

    /// The two letters in ASCII.
    pub(crate) fn letters(self) -> [u8; 2] {
        self.0
    }

    /// The two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("ZZ")
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Country::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "`{text}` is not a country (ISO 3166-1 alpha-2, such as \"SG\")"
            ))
        })
    }
}
