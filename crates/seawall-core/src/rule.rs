//! An operator's rules: conditions in the Common Expression Language (CEL) over what is known of a request.
//!
//! A condition is parsed with the `cel` crate and checked when its rule is saved ([`compile`]); what is
//! evaluated for a request is a small typed tree of ours ([`Program`]). Missing attributes make a comparison
//! false and are counted; nothing can fail while a request is decided.

mod attribute;
mod check;
mod compare;
mod error;
mod parse;
mod program;
pub mod reference;
mod seen;
mod set;
pub(crate) mod suggest;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use attribute::{Attribute, Kind, Plain};
pub use check::compile;
pub use error::RuleError;
pub use parse::MAX_SOURCE;
pub use program::{Outcome, Program};
pub use seen::{Envelope, Range, Seen, Value};
pub use set::{Missing, RuleSet};

use crate::limit::Mode;
use crate::reason::ReasonCode;
use crate::request::Operation;
use crate::time::Timestamp;

/// Rules that an installation may have.
pub const MAX_RULES: usize = 200;
/// How long a throttling rule asks to wait when it does not say.
pub const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(60);

/// What a rule does with the requests that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Lifts other rules and detection.
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

impl Action {
    /// Every action.
    pub const ALL: [Action; 5] =
        [Self::Allow, Self::Challenge, Self::Alternative, Self::Throttle, Self::Block];

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

    /// The reason that a match is recorded as.
    pub fn reason(self) -> ReasonCode {
        match self {
            Self::Allow => ReasonCode::RuleAllow,
            Self::Challenge => ReasonCode::RuleChallenge,
            Self::Alternative => ReasonCode::RuleAlternative,
            Self::Throttle => ReasonCode::RuleThrottle,
            Self::Block => ReasonCode::RuleBlock,
        }
    }
}

/// A rule, ready to be asked.
#[derive(Clone, Debug)]
pub struct Rule {
    /// `rule_…`
    pub id: String,
    /// Unique; what its reasons name.
    pub name: String,
    /// What it does.
    pub action: Action,
    /// Whether that has its effect.
    pub mode: Mode,
    /// Only for this subaccount.
    pub subaccount: Option<String>,
    /// It does nothing from then on.
    pub expires_at: Option<Timestamp>,
    /// For a throttle: how long to wait.
    pub retry_after: Duration,
    /// Its condition.
    pub program: Arc<Program>,
}

impl Rule {
    /// Whether it is asked about a request. What sends nothing is asked about only when the condition looks at
    /// the operation: a rule about countries must not keep codes that were sent from being checked.
    pub fn applies(&self, operation: Operation, subaccount: &str, now: Timestamp) -> bool {
        self.mode != Mode::Off
            && self.program.covers(operation)
            && self.expires_at.is_none_or(|end| now < end)
            && self.subaccount.as_deref().is_none_or(|own| own == subaccount)
    }
}
