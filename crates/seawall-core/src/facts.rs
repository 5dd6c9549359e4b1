//! What the rules may know, and how a fact can be missing.

use serde::Serialize;

use crate::limit::Exceeded;
use crate::time::Timestamp;

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
    /// The open verification of this number, if any.
    pub open_verification: bool,
    /// The state of limits (asked only once nothing else refuses).
    pub limits: bool,
}

/// The answers to [`Needs`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// Whether the number opted out of this subaccount's messages, and whether that covers codes.
    pub opt_out: Fact<bool>,
    /// From when the open verification of this number may be sent again.
    pub resend_after: Fact<Option<Timestamp>>,
    /// Limits that the request would exceed; empty means that all were charged.
    pub limits: Fact<Vec<Exceeded>>,
}
