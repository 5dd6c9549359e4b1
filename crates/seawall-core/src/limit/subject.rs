//! Whom a limit counts: one part of a request, or several of them together.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A part of a request by which limits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// The end user's address: IPv4 as it is, IPv6 by its /64 (and 8 times the quota by its /48).
    ClientIp,
    /// The end user's network: the /24 of an IPv4 address, the /48 of an IPv6 address.
    Network,
    /// The recipient.
    Msisdn,
    /// The recipient's number without its last digits.
    NumberRange,
    /// The API key.
    ApiKey,
    /// The subaccount.
    Subaccount,
    /// The whole account.
    Account,
    /// The recipient's country.
    Country,
    /// The address that calls the API.
    CallerIp,
    /// The app's user.
    User,
    /// The app's fingerprint of a device.
    Fingerprint,
    /// The route that would carry the message.
    Route,
    /// A value that the caller gives under a name of its own.
    Custom,
}

impl Per {
    /// Every part.
    pub const ALL: [Per; 13] = [
        Per::ClientIp,
        Per::Network,
        Per::Msisdn,
        Per::NumberRange,
        Per::ApiKey,
        Per::Subaccount,
        Per::Account,
        Per::Country,
        Per::CallerIp,
        Per::User,
        Per::Fingerprint,
        Per::Route,
        Per::Custom,
    ];

    /// The wire word.
    pub fn as_str(self) -> &'static str {
        match self {
            Per::ClientIp => "client_ip",
            Per::Network => "network",
            Per::Msisdn => "msisdn",
            Per::NumberRange => "number_range",
            Per::ApiKey => "api_key",
            Per::Subaccount => "subaccount",
            Per::Account => "account",
            Per::Country => "country",
            Per::CallerIp => "caller_ip",
            Per::User => "user",
            Per::Fingerprint => "fingerprint",
            Per::Route => "route",
            Per::Custom => "custom",
        }
    }

    /// Back from [`Per::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|per| per.as_str() == word)
    }
}

/// Parts that one limit may combine.
pub const MOST_PARTS: usize = 4;

/// What a limit counts by: `"client_ip"`, or several parts together, `["client_ip", "fingerprint"]`.
/// Kept in one order, so that it does not matter in which one they were written.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Subject(Vec<Per>);

impl Subject {
    /// 1 to [`MOST_PARTS`] different parts; `None` otherwise.
    pub fn new(mut parts: Vec<Per>) -> Option<Self> {
        parts.sort_unstable();
        let given = parts.len();
        parts.dedup();
        ((1..=MOST_PARTS).contains(&given) && parts.len() == given).then_some(Subject(parts))
    }

    /// The parts.
    pub fn parts(&self) -> &[Per] {
        &self.0
    }

    /// Whether a part is among them.
    pub fn has(&self, per: Per) -> bool {
        self.0.contains(&per)
    }

    /// Whether it is this part alone.
    pub fn is(&self, per: Per) -> bool {
        self.0 == [per]
    }
}

impl From<Per> for Subject {
    fn from(per: Per) -> Self {
        Subject(vec![per])
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.0.iter().map(|per| per.as_str()).collect();
        f.write_str(&words.join("+"))
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(f, "{one:?}"),
            more => write!(f, "{more:?}"),
        }
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            more => more.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            One(Per),
            Several(Vec<Per>),
        }
        let parts = match Written::deserialize(deserializer)? {
            Written::One(one) => vec![one],
            Written::Several(parts) => parts,
        };
        let wrong = || serde::de::Error::custom(format!("`per` takes 1 to {MOST_PARTS} different words"));
        Subject::new(parts).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_or_several_read_back() {
        for text in ["\"client_ip\"", "[\"client_ip\",\"fingerprint\"]"] {
            let subject: Subject = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&subject).unwrap(), text);
        }
        let turned: Subject = serde_json::from_str("[\"fingerprint\",\"client_ip\"]").unwrap();
        assert_eq!(turned.to_string(), "client_ip+fingerprint");
        for text in [
            "[]",
            "[\"user\",\"user\"]",
            "\"moon\"",
            "[\"user\",\"msisdn\",\"route\",\"country\",\"custom\"]",
        ] {
            assert!(serde_json::from_str::<Subject>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_part_has_its_word() {
        for per in Per::ALL {
            assert_eq!(serde_json::to_value(per).unwrap(), per.as_str());
            assert_eq!(Per::parse(per.as_str()), Some(per));
        }
    }
}
