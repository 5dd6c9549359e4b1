//! A mobile network's code: its country (MCC, three digits) and network (MNC, two or three) together.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `"52501"`: MCC 525, MNC 01. MNC `01` and `001` are different networks, so digits are kept as they stand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorCode {
    digits: [u8; 6],
    len: u8,
}

impl OperatorCode {
    /// Reads five or six digits.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = matches!(text.len(), 5 | 6) && text.bytes().all(|byte| byte.is_ascii_digit());
        let mut digits = [b'0'; 6];
        digits.iter_mut().zip(text.bytes()).for_each(|(place, byte)| *place = byte);
        fits.then(|| Some(OperatorCode { digits, len: u8::try_from(text.len()).ok()? })).flatten()
    }

    /// Both parts, such as `52501`.
    pub fn as_str(&self) -> &str {
        self.part(0, usize::from(self.len))
    }

    /// The country part, such as `525`.
    pub fn mcc(&self) -> &str {
        self.part(0, 3)
    }

    /// The network part, such as `01`.
    pub fn mnc(&self) -> &str {
        self.part(3, usize::from(self.len))
    }

    fn part(&self, from: usize, to: usize) -> &str {
        self.digits.get(from..to).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default()
    }
}

impl fmt::Display for OperatorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for OperatorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for OperatorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for OperatorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        OperatorCode::parse(&text).ok_or_else(|| {
            let say = format!("`{text}` is not an operator (MCC and MNC together, such as \"52501\")");
            serde::de::Error::custom(say)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_keep_their_zeros() {
        let short = OperatorCode::parse("52501").unwrap();
        assert_eq!((short.as_str(), short.mcc(), short.mnc()), ("52501", "525", "01"));
        let long = OperatorCode::parse("310004").unwrap();
        assert_eq!((long.as_str(), long.mcc(), long.mnc()), ("310004", "310", "004"));
        assert_ne!(OperatorCode::parse("31001"), OperatorCode::parse("310010"));
        for text in ["", "5250", "5250123", "52a01", "٥٢٥٠١"] {
            assert_eq!(OperatorCode::parse(text), None, "{text}");
        }
    }

    #[test]
    fn codes_travel_as_text() {
        let code: OperatorCode = serde_json::from_str("\"52501\"").unwrap();
        assert_eq!(serde_json::to_string(&code).unwrap(), "\"52501\"");
        assert!(serde_json::from_str::<OperatorCode>("\"5250\"").is_err());
    }
}
