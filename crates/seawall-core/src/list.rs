//! Lists of numbers, ranges, addresses and other parts of a request, to allow or to deny.

use serde::{Deserialize, Serialize};

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
    /// A sender ID.
    SenderId,
    /// The app's user.
    User,
    /// The app's fingerprint of a device.
    Device,
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
