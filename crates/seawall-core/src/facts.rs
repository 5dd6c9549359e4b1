//! What the rules may know, and how a fact can be missing.

use serde::{Deserialize, Serialize};

use crate::address::AddressHistory;
use crate::consent::OptOutScope;
use crate::detect::Evidence;
use crate::intel::{IpFacts, NumberFacts};
use crate::limit::Exceeded;
use crate::list::ListHit;
use crate::lookup::{LineFacts, Pattern};
use crate::model::Opinion;
use crate::time::Timestamp;
use crate::velocity::Velocities;

/// A fact that was asked for. A dependency that does not answer is a fact too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact<T> {
    /// Nobody asked.
    #[default]
    NotAsked,
    /// The answer.
    Known(T),
    /// The dependency did not answer.
    Unavailable,
}

impl<T> Fact<T> {
    /// The answer turned into something else; a missing one stays missing.
    pub fn map<U>(self, turn: impl FnOnce(T) -> U) -> Fact<U> {
        match self {
            Fact::Known(value) => Fact::Known(turn(value)),
            Fact::NotAsked => Fact::NotAsked,
            Fact::Unavailable => Fact::Unavailable,
        }
    }

    /// Whether nobody asked.
    pub fn not_asked(&self) -> bool {
        matches!(self, Fact::NotAsked)
    }

    /// The answer, when there is one.
    pub fn known(&self) -> Option<&T> {
        match self {
            Fact::Known(value) => Some(value),
            _ => None,
        }
    }
}

/// Which facts the rules will ask for. A flat list, so that gathering stays one straight step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Whether the number opted out.
    pub opt_out: bool,
    /// Whether it opted in.
    pub opted_in: bool,
    /// The open verification of this number, if any.
    pub open_verification: bool,
    /// Whether the number was verified before, and on this device.
    pub history: bool,
    /// Which entries of lists name a part of the request.
    pub lists: bool,
    /// What detection thinks of it.
    pub evidence: bool,
    /// What happened at the end user's address lately.
    pub address: bool,
    /// How often lately, for rules that look at it.
    pub velocities: bool,
    /// What networks say of the number's line, for rules that look at it.
    pub line: bool,
    /// The state of limits (asked only once nothing else refuses).
    pub limits: bool,
}

/// What is known of a number from its own past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// A code sent to it was confirmed before.
    pub known: bool,
    /// The request carries the device token that was issued when this number was verified.
    pub trusted: bool,
    /// When a code sent to it was last confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_confirmed_at: Option<Timestamp>,
}

/// A caller that goes through numbers by looking them up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Enumeration {
    /// What it seems to be doing.
    pub pattern: Pattern,
    /// Which key or address.
    pub caller: String,
    /// It has to wait until then.
    pub until: Timestamp,
}

/// The answers to [`Needs`].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Facts {
    /// Entries of lists that name a part of the request.
    pub lists: Fact<Vec<ListHit>>,
    /// What is known of the number from its own past.
    pub history: Fact<History>,
    /// What tables say of the end user's address; `None` when the request has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpFacts>,
    /// What tables say of the number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<NumberFacts>,
    /// What networks say of its line; `None` when nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<LineFacts>,
    /// Of a lookup: that its caller goes through numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enumeration: Option<Enumeration>,
    /// The opt-out that stops this message, if one does.
    pub opt_out: Fact<Option<OptOutScope>>,
    /// Whether the number agreed to advertising of this subaccount.
    #[serde(skip_serializing_if = "Fact::not_asked")]
    pub opted_in: Fact<bool>,
    /// From when the open verification of this number may be sent again.
    pub resend_after: Fact<Option<Timestamp>>,
    /// What detection thinks of it.
    #[serde(skip_serializing_if = "Fact::not_asked")]
    pub evidence: Fact<Evidence>,
    /// What trained models think of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub opinions: Vec<Opinion>,
    /// A lot from 0 to 99 that was drawn for the number, if it may be let through although detection would stop
    /// it: see [`crate::detect::dial::DetectionPolicy::lets_through`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<u8>,
    /// What happened at the end user's address lately.
    #[serde(skip_serializing_if = "Fact::not_asked")]
    pub address: Fact<AddressHistory>,
    /// How often lately, without this request.
    #[serde(skip_serializing_if = "Fact::not_asked")]
    pub velocities: Fact<Velocities>,
    /// Limits and budgets that the request would exceed; empty means that all were charged.
    pub limits: Fact<Vec<Exceeded>>,
}
