//! Lists of numbers, ranges, addresses and other parts of a request, to allow or to deny.
//!
//! An entry is a [`Part`]; a [`ListIndex`] answers which entries name a part of a request. Beginning with a
//! [`Matcher`], which suspensions use, too.

mod index;
mod matcher;
mod part;
mod range;
mod shards;

use serde::{Deserialize, Serialize};

pub use index::{List, ListIndex, Size};
pub use matcher::Matcher;
pub use part::{Part, PartError, Subject};
pub use range::NumberRange;

/// What the entries of a list name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListKind {
    /// A number.
    Msisdn,
    /// Numbers that begin alike: `+99893412`.
    NumberRange,
    /// A client address or network.
    Ip,
    /// An autonomous system of the client's address.
    Asn,
    /// The recipient's country.
    Country,
    /// The country of the client's address.
    IpCountry,
    /// A sender ID.
    SenderId,
    /// The app's user.
    User,
    /// The app's fingerprint of a device.
    Device,
}

impl ListKind {
    /// Every kind.
    pub const ALL: [ListKind; 9] = [
        Self::Msisdn,
        Self::NumberRange,
        Self::Ip,
        Self::Asn,
        Self::Country,
        Self::IpCountry,
        Self::SenderId,
        Self::User,
        Self::Device,
    ];

    /// Whether its values may be a person's number, in whatever spelling: they are erased with it.
    pub fn may_name_a_number(self) -> bool {
        matches!(self, Self::Msisdn | Self::NumberRange | Self::SenderId | Self::User | Self::Device)
    }

    /// The wire word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Msisdn => "msisdn",
            Self::NumberRange => "number_range",
            Self::Ip => "ip",
            Self::Asn => "asn",
            Self::Country => "country",
            Self::IpCountry => "ip_country",
            Self::SenderId => "sender_id",
            Self::User => "user",
            Self::Device => "device",
        }
    }

    /// Back from [`ListKind::as_str`].
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// An entry that names a part of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListHit {
    /// Name of the list.
    pub list: String,
    /// What the list names.
    pub kind: ListKind,
    /// Whether it allows; else it denies. Lists that do neither are there for rules.
    pub effect: ListEffect,
    /// `ent_…`, the entry.
    pub entry: String,
}

/// What an entry does by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListEffect {
    /// Lifts policy, rules and detection.
    Allow,
    /// Refuses.
    Deny,
    /// Nothing: rules look at it.
    #[default]
    Named,
}

impl ListEffect {
    /// The wire word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Named => "named",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for kind in ListKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(ListKind::from_word(kind.as_str()), Some(kind));
        }
        for effect in [ListEffect::Allow, ListEffect::Deny, ListEffect::Named] {
            assert_eq!(serde_json::to_value(effect).unwrap(), effect.as_str());
        }
    }
}
