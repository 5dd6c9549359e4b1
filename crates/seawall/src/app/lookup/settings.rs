//! What the operator decides about lookups.

use std::time::Duration;

use seawall_connect::lookup::Depth;
use seawall_core::time::span;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is asked of networks for rules that look at a number's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LookupSettings {
    /// How much; `None`: nobody is asked, and rules see what is known already.
    pub ask_for_rules: Option<Depth>,
    /// How long a request waits for the answer.
    #[serde(with = "span")]
    pub deadline: Duration,
}

impl Default for LookupSettings {
    fn default() -> Self {
        LookupSettings { ask_for_rules: None, deadline: Duration::from_secs(1) }
    }
}

/// What is asked of networks for rules that look at `number.ported`, `number.roaming`, `number.reachable`,
/// `number.call_forwarding`, `number.sim_swapped_hours` or `number.reassigned_hours`.
#[derive(ToSchema)]
#[schema(as = LookupSettings)]
#[serde(deny_unknown_fields)]
pub struct LookupSettingsShape {
    /// `operator` or `live`; null: nobody is asked, and rules see what is known already.
    #[schema(example = "operator")]
    pub ask_for_rules: Option<String>,
    /// How long a request waits for the answer, `50ms` to `5s`.
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$", example = "1s")]
    pub deadline: Option<String>,
}
