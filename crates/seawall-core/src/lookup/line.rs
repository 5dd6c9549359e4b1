//! What networks say of a number's line, as rules see it.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What is known of a line beside its digits. What nobody said is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LineFacts {
    /// Whether it was taken from one operator to another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ported: Option<bool>,
    /// Whether its phone is in a foreign network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roaming: Option<bool>,
    /// Whether its phone can be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reachable: Option<bool>,
    /// Whether its calls are forwarded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_forwarding: Option<bool>,
    /// When its SIM card was last replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sim_swapped_at: Option<Timestamp>,
    /// When it was last given to another owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reassigned_at: Option<Timestamp>,
    /// What asking for it cost, in micro-units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<i64>,
}
