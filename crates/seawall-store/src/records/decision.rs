//! Decisions as they are kept and shown.

use seawall_core::client_ip::ClientIp;
use seawall_core::decision::Verdict;
use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;
use seawall_core::msisdn::veil::veil;
use seawall_core::reason::{Reason, ReasonCode};
use seawall_core::request::Operation;
use seawall_core::time::Timestamp;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// JSON as text, written once and passed on as it is: a tree of it would be built for every decision only to
/// be written out and thrown away.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Writes a value; what cannot be written is `null`.
    pub fn of(value: &impl Serialize) -> Self {
        serde_json::value::to_raw_value(value).map(Json).unwrap_or_default()
    }

    /// The text.
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// Text that was written by [`Json::of`]; `None` if it is no JSON.
    pub fn from_text(text: &str) -> Option<Self> {
        RawValue::from_string(text.to_owned()).ok().map(Json)
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

/// Everything about a decision but its id.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionBody {
    /// What was asked for.
    pub operation: Operation,
    /// Whose.
    pub subaccount_id: String,
    /// Which API key.
    pub key_id: String,
    /// The recipient's block: its digits without the last four.
    pub block: u64,
    /// Keyed hash of the recipient, for filters.
    pub to_hash: u64,
    /// Where the request came from.
    pub caller_ip: ClientIp,
    /// The end user's address.
    pub client_ip: Option<ClientIp>,
    /// What was decided.
    pub verdict: Verdict,
    /// Whether the verdict had its effect.
    pub enforced: bool,
    /// 0 to 100.
    pub risk: u8,
    /// All reasons.
    pub reasons: Vec<Reason>,
    /// What was known.
    pub facts: Json,
    /// The policy that decided.
    pub policy_version: u64,
    /// Whether it was only asked, not done.
    pub dry_run: bool,
    /// When a throttled request would fit.
    pub retry_at: Option<Timestamp>,
    /// Whether a message was made of it: `msg_…` with the number of this `dec_…`.
    pub sent: bool,
    /// The verification that it belongs to.
    pub verification: Option<Id>,
    /// For an aggregate of refusals: how many it stands for.
    pub count: Option<u64>,
    /// Whether the recipient came encrypted: who asked for it is not shown its range.
    pub veiled: bool,
}

impl DecisionBody {
    /// The recipient, masked, as [`Msisdn::masked`] spells it.
    pub fn to(&self) -> String {
        let masked = format!("+{}xxxx", self.block);
        if self.veiled { veil(&self.block.to_string(), &masked) } else { masked }
    }
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
    /// With this verdict.
    pub verdict: Option<Verdict>,
    /// With this reason.
    pub reason: Option<ReasonCode>,
    /// To whom.
    pub to: Option<Msisdn>,
    /// From which client or caller address.
    pub ip: Option<ClientIp>,
    /// Not older.
    pub from: Option<Timestamp>,
    /// Older.
    pub to_time: Option<Timestamp>,
}
