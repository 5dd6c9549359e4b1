//! What the operator decides about consent.

use std::time::Duration;

use seawall_core::consent::{Category, OptOutScope};
use seawall_core::time::span;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::bindings::settings::BindingSettings;

/// How far a STOP reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopScope {
    /// All messages of all subaccounts.
    #[default]
    All,
    /// Messages of the subaccount that wrote last.
    Subaccount,
    /// Messages under the sender ID that was answered.
    Sender,
    /// Advertising of all subaccounts.
    Marketing,
}

impl StopScope {
    /// As an opt-out has it.
    pub fn scope(self, subaccount: &str, sender: &str) -> OptOutScope {
        match self {
            Self::All => OptOutScope::default(),
            Self::Subaccount => OptOutScope::of(Some(subaccount)),
            Self::Sender => OptOutScope { sender: Some(sender.to_owned()), ..OptOutScope::default() },
            Self::Marketing => OptOutScope { category: Some(Category::Marketing), ..OptOutScope::default() },
        }
    }
}

/// What is answered; absent: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Answers {
    /// To STOP, once: that no more will come.
    pub stop: Option<String>,
    /// To START.
    pub start: Option<String>,
    /// To HELP: who writes, and how to make it stop.
    pub help: Option<String>,
    /// To the YES of a double opt-in.
    pub confirmed: Option<String>,
}

/// What the operator decides about consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsentSettings {
    /// How far a STOP reaches.
    pub stop_scope: StopScope,
    /// What is answered.
    pub answers: Answers,
    /// What a double opt-in asks when the request has no text of its own.
    pub question: String,
    /// How long a double opt-in waits for its YES.
    #[serde(with = "span")]
    pub question_valid: Duration,
    /// How long a number gets no codes after it said that it did not ask for one.
    #[serde(with = "span")]
    pub not_me: Duration,
    /// How long answers wait for a person.
    #[serde(with = "span")]
    pub reviews_kept: Duration,
    /// Numbers that were confirmed long ago.
    pub reconfirm: Reconfirm,
    /// New numbers of users.
    pub bindings: BindingSettings,
}

/// Which numbers have to be confirmed again, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reconfirm {
    /// After so many months: 3, 6 or 12; `None`: only after a lookup says that the number has another owner.
    pub months: Option<u8>,
    /// How long a number that is due is still known.
    #[serde(with = "span")]
    pub grace: Duration,
    /// Whether a number is asked as soon as it is due.
    pub ask: bool,
    /// What it is asked when the request has no text of its own.
    pub question: String,
}

impl Default for Reconfirm {
    fn default() -> Self {
        Reconfirm {
            months: None,
            grace: Duration::from_secs(14 * 24 * 3600),
            ask: false,
            question: "Is this still your number? Reply YES to keep it, NO if you do not know us.".to_owned(),
        }
    }
}

impl Default for ConsentSettings {
    fn default() -> Self {
        ConsentSettings {
            stop_scope: StopScope::All,
            answers: Answers::default(),
            question: "Reply YES to receive our messages, STOP for none.".to_owned(),
            question_valid: Duration::from_secs(24 * 3600),
            not_me: Duration::from_secs(24 * 3600),
            reviews_kept: Duration::from_secs(90 * 24 * 3600),
            reconfirm: Reconfirm::default(),
            bindings: BindingSettings::default(),
        }
    }
}
