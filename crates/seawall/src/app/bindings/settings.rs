//! What the operator decides about new numbers of users.

use std::time::Duration;

use seawall_core::time::span;
use serde::{Deserialize, Serialize};

/// How users change their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BindingSettings {
    /// How long a user waits who lost the old number; `None`: without the old number nothing is changed.
    #[serde(with = "span::option")]
    pub lost_delay: Option<Duration>,
    /// So long after a number got another SIM card or another owner, it is not bound, and proves nothing.
    #[serde(with = "span")]
    pub hold: Duration,
    /// What the new number gets; with `{code}`.
    pub new_text: String,
    /// What the old number gets; with `{code}`.
    pub old_text: String,
    /// What the old number is told when it is said to be lost.
    pub notice: String,
}

impl Default for BindingSettings {
    fn default() -> Self {
        BindingSettings {
            lost_delay: None,
            hold: Duration::from_secs(7 * 24 * 3600),
            new_text: "{code} is your code to confirm this number.".to_owned(),
            old_text: "{code} is the code to MOVE your account to another number. If that is not you, tell it nobody and \
                       reply NOT ME."
                .to_owned(),
            notice: "Your account is about to be moved to another number. If that is not you, reply NOT ME to stop it."
                .to_owned(),
        }
    }
}
