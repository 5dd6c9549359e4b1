//! The answer to a request.

use serde::{Deserialize, Serialize};

use crate::message::Channel;
use crate::reason::Reason;
use crate::rule::Missing;
use crate::time::Timestamp;

/// What is done with a request, from mild to strict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Sent.
    #[default]
    Allow,
    /// The client has to prove something first.
    Challenge,
    /// Sent over another channel.
    Alternative,
    /// Refused for now.
    Throttle,
    /// Refused.
    Block,
}

impl Verdict {
    /// The wire word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Challenge => "challenge",
            Self::Alternative => "alternative",
            Self::Throttle => "throttle",
            Self::Block => "block",
        }
    }
}

/// Verdict and reasons; the same inputs give the same bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The highest verdict over the reasons in force.
    pub verdict: Verdict,
    /// All of them, also those in shadow.
    pub reasons: Vec<Reason>,
    /// Over which channel it is to be sent; absent: it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<Channel>,
    /// Whether the verdict has its effect. A challenge that nobody has set up cannot be asked for.
    pub enforced: bool,
    /// 0 (none) to 100; 0 until detection has an opinion.
    pub risk: u8,
    /// When a throttled request would fit, if nothing else happens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// Version of the policy that decided.
    pub policy_version: u64,
    /// What rules looked for and the request does not have.
    #[serde(skip)]
    pub missing: Vec<Missing>,
}
