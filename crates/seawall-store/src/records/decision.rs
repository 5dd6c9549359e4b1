//! Decisions as they are kept and shown.

use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// JSON as text, written once and passed on as it is: a tree of it would be built for every decision only to
/// be written out and thrown away.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Writes a value; what cannot be written is `null`.
    pub fn of(value: &impl Serialize) -> Self {
        serde_json::value::to_raw_value(value).map(Json).unwrap_or_default()
    }

    /// Read into a tree.
    pub fn value(&self) -> Value {
        serde_json::from_str(self.0.get()).unwrap_or_default()
    }
}

impl Default for Json {
    fn default() -> Self {
        Json(RawValue::NULL.to_owned())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

/// Everything about a decision but its id, serialised as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DecisionBody {
    /// `verify.start`, …
    pub operation: String,
    /// Whose.
    pub subaccount_id: String,
    /// Which API key.
    pub key_id: String,
    /// The recipient, masked.
    pub to: String,
    /// Keyed hash of the recipient, for filters.
    pub to_hash: u64,
    /// Where the request came from.
    pub caller_ip: String,
    /// The end user's address.
    pub client_ip: Option<String>,
    /// `allow`, …
    pub verdict: String,
    /// Whether the verdict had its effect.
    pub enforced: bool,
    /// 0 to 100.
    pub risk: u8,
    /// All reasons.
    pub reasons: Vec<Value>,
    /// What was known.
    pub facts: Json,
    /// The policy that decided.
    pub policy_version: u64,
    /// Whether it was only asked, not done.
    pub dry_run: bool,
    /// When a throttled request would fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// `msg_…`, when it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// `ver_…`, when it belongs to a verification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification_id: Option<String>,
    /// For an aggregate of refusals: how many it stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// A decision.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionRecord {
    /// `dec_…`
    pub id: Id,
    /// The rest.
    pub body: DecisionBody,
}

/// Which decisions to list.
#[derive(Clone, Debug, Default)]
pub struct DecisionFilter {
    /// Whose.
    pub subaccount: Option<String>,
    /// `allow`, …
    pub verdict: Option<String>,
    /// With this reason code.
    pub reason: Option<String>,
    /// To whom.
    pub to: Option<Msisdn>,
    /// From which client or caller address.
    pub ip: Option<String>,
    /// Not older.
    pub from: Option<Timestamp>,
    /// Older.
    pub to_time: Option<Timestamp>,
}
