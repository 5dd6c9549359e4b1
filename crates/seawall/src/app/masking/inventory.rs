//! Virtual numbers and pools, as they are set up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use seawall_core::masking::Refusal;
use seawall_core::masking::health::HealthRule;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::{Timestamp, span};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::entities::Webhook;

/// A number that stands between two parties.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VirtualNumber {
    /// `vno_…`
    pub id: String,
    /// A keyed hash of the number: there is one of each.
    pub key: String,
    /// E.164 with `+`.
    pub msisdn: String,
    /// Name of its pool.
    pub pool: String,
    /// Whether calls go through it.
    pub voice: bool,
    /// Whether texts go through it.
    pub sms: bool,
    /// Whether sessions may get it; those that have it keep it.
    pub enabled: bool,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
}

/// What becomes of a party's own number in its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextNumbers {
    /// It is replaced.
    #[default]
    Hide,
    /// It stays: a party may tell the other what it likes.
    Keep,
}

/// What callers hear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = MaskingAnnouncements)]
pub struct Announcements {
    /// Language of the texts, BCP 47.
    #[schema(example = "en-US")]
    pub language: String,
    /// No session has the caller and the number.
    pub no_session: String,
    /// The session is over.
    pub ended: String,
    /// Only the other party may call.
    pub one_way: String,
    /// The call is not let through.
    pub refused: String,
    /// Before a call that is recorded; empty: nothing.
    pub recording: String,
}

impl Default for Announcements {
    fn default() -> Self {
        let text = str::to_owned;
        Announcements {
            language: text("en-US"),
            no_session: text("This number is not in service for you."),
            ended: text("This number can no longer be used to reach the other person."),
            one_way: text("You cannot call this number. You will be called."),
            refused: text("Your call cannot be connected."),
            recording: text("This call is recorded."),
        }
    }
}

impl Announcements {
    /// What a caller hears who is not let through.
    pub fn of(&self, why: Refusal) -> &str {
        match why {
            Refusal::NoSession => &self.no_session,
            Refusal::Ended => &self.ended,
            Refusal::OneWay => &self.one_way,
            Refusal::Refused => &self.refused,
        }
    }
}

/// Virtual numbers of one purpose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumberPool {
    /// `pool_…`
    pub id: String,
    /// Unique; virtual numbers and sessions name it.
    pub name: String,
    /// For one subaccount; absent: for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subaccount_id: Option<String>,
    /// How long after a session its parties get its virtual number from no other.
    #[serde(with = "span")]
    pub reuse_after: Duration,
    /// Whether calls are recorded unless a session says otherwise.
    pub record: bool,
    /// What becomes of numbers in texts.
    pub text_numbers: TextNumbers,
    /// What callers hear.
    pub announcements: Announcements,
    /// When a virtual number counts as failing.
    pub health: HealthRule,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What is set up for masking, as requests use it.
#[derive(Default)]
pub struct Inventory {
    /// By name.
    pub pools: HashMap<String, Arc<NumberPool>>,
    /// By number.
    pub numbers: HashMap<Msisdn, Arc<VirtualNumber>>,
}

impl Inventory {
    /// Puts them together.
    pub fn of(pools: Vec<NumberPool>, numbers: Vec<VirtualNumber>) -> Self {
        let number = |n: VirtualNumber| Some((Msisdn::from_e164(&n.msisdn)?, Arc::new(n)));
        Inventory {
            pools: pools.into_iter().map(|pool| (pool.name.clone(), Arc::new(pool))).collect(),
            numbers: numbers.into_iter().filter_map(number).collect(),
        }
    }

    /// The pool of a virtual number.
    pub fn pool_of(&self, number: &VirtualNumber) -> Option<&Arc<NumberPool>> {
        self.pools.get(&number.pool)
    }

    /// Virtual numbers of a pool that sessions may get, always in the same order.
    pub fn candidates(&self, pool: &str) -> Vec<Msisdn> {
        let mut found: Vec<Msisdn> = self
            .numbers
            .iter()
            .filter(|(_, n)| n.pool == pool && n.enabled)
            .map(|(msisdn, _)| *msisdn)
            .collect();
        found.sort_unstable();
        found
    }

    /// Pools that a subaccount may use, by name.
    pub fn pools_for(&self, subaccount: &str) -> Vec<&Arc<NumberPool>> {
        let mine = |pool: &&Arc<NumberPool>| pool.subaccount_id.as_deref().is_none_or(|s| s == subaccount);
        let mut found: Vec<_> = self.pools.values().filter(mine).collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// Virtual numbers of a subaccount: of its own pools, and of those for all.
    pub fn numbers_for(&self, subaccount: &str) -> Vec<(Msisdn, &Arc<VirtualNumber>)> {
        let mine = |number: &VirtualNumber| {
            self.pool_of(number)
                .is_some_and(|pool| pool.subaccount_id.as_deref().is_none_or(|s| s == subaccount))
        };
        let mut found: Vec<_> = self.numbers.iter().filter(|(_, n)| mine(n)).map(|(m, n)| (*m, n)).collect();
        found.sort_unstable_by_key(|(msisdn, _)| *msisdn);
        found
    }
}

/// 8x8's kinds of voice webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum VoiceEvent {
    /// Voice call action: what to do with a call.
    #[serde(rename = "VCA")]
    Vca,
    /// Voice call status.
    #[serde(rename = "VCS")]
    Vcs,
    /// Voice session summary.
    #[serde(rename = "VSS")]
    Vss,
    /// Voice recording uploaded.
    #[serde(rename = "VRU")]
    Vru,
    /// Virtual number updated.
    #[serde(rename = "VNU")]
    Vnu,
}

impl VoiceEvent {
    /// All of them, by their words.
    pub const ALL: [(&'static str, VoiceEvent); 5] =
        [("VCA", Self::Vca), ("VCS", Self::Vcs), ("VSS", Self::Vss), ("VRU", Self::Vru), ("VNU", Self::Vnu)];

    /// The wire word.
    pub fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, event)| *event == self).map_or("", |(word, _)| word)
    }
}

/// Where one kind of voice event of a subaccount goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VoiceWebhook {
    /// Which kind.
    pub event: VoiceEvent,
    /// Where to, and how it is signed.
    #[serde(flatten)]
    pub hook: Webhook,
}
