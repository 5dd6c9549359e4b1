//! What a provider is asked about a number, and what it may say: the operator that carries it now, and what
//! the network knows of the phone at this moment.

use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Secret;

/// How much is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// Which operator carries the number.
    Operator,
    /// Also what its phone does right now.
    Live,
}

/// A number that is asked about. It exists in clear only here and at the provider.
#[derive(Clone, Debug)]
pub struct Asked {
    /// E.164 with `+`.
    pub number: Secret,
    /// How much is asked for.
    pub depth: Depth,
}

/// An operator's network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Mobile country code, three digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcc: Option<String>,
    /// Mobile network code, two or three digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mnc: Option<String>,
    /// Its country, two letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

impl Network {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Network::default()
    }
}

/// What is known of a number. What nobody said is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NumberState {
    /// Whether it was taken from one operator to another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ported: Option<bool>,
    /// The operator that its range was first given to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_operator: Option<Network>,
    /// The operator that carries it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<Network>,
    /// Whether its phone is in a foreign network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roaming: Option<bool>,
    /// That network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roaming_operator: Option<Network>,
    /// Whether its phone is switched on and can be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reachable: Option<bool>,
    /// When its SIM card was last replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sim_swapped_at: Option<Timestamp>,
    /// When it was last given to another owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reassigned_at: Option<Timestamp>,
    /// Whether its calls are forwarded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_forwarding: Option<bool>,
}

impl NumberState {
    /// This, and what the other one adds to it.
    pub fn or(self, other: NumberState) -> NumberState {
        NumberState {
            ported: self.ported.or(other.ported),
            original_operator: self.original_operator.or(other.original_operator),
            operator: self.operator.or(other.operator),
            roaming: self.roaming.or(other.roaming),
            roaming_operator: self.roaming_operator.or(other.roaming_operator),
            reachable: self.reachable.or(other.reachable),
            sim_swapped_at: self.sim_swapped_at.or(other.sim_swapped_at),
            reassigned_at: self.reassigned_at.or(other.reassigned_at),
            call_forwarding: self.call_forwarding.or(other.call_forwarding),
        }
    }

    /// What the network said of the phone taken away: the part that stays true for days.
    pub fn lasting(&self) -> NumberState {
        NumberState { roaming: None, roaming_operator: None, reachable: None, ..self.clone() }
    }
}

macro_rules! failures {
    ($( $(#[doc = $doc:literal])+ $name:ident = $code:literal, $word:literal, $say:literal; )+) => {
        /// Why a provider said nothing. Numbers as 8x8 has them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum LookupFailure { $( $(#[doc = $doc])+ $name, )+ }

        impl LookupFailure {
            /// Every failure by the word that settings and answers use.
            pub const ALL: &'static [(&'static str, LookupFailure)] = &[ $( ($word, LookupFailure::$name), )+ ];

            /// The word.
            pub fn as_str(self) -> &'static str { match self { $( Self::$name => $word, )+ } }

            /// 8x8's number for it.
            pub fn code(self) -> u16 { match self { $( Self::$name => $code, )+ } }

            /// In a sentence.
            pub fn message(self) -> &'static str { match self { $( Self::$name => $say, )+ } }
        }
    };
}

failures! {
    /// Nothing better is known.
    Internal = 2000, "internal", "Internal error, or a provider's error that is not known";
    /// No answer within the deadline.
    Timeout = 2004, "timeout", "The lookup provider did not answer in time";
    /// The provider answered with an error.
    Provider = 2005, "error", "The lookup provider answered with an error";
    /// No provider that looks numbers up is set up.
    NoProvider = 2006, "no-provider", "No lookup provider is set up for this subaccount";
    /// The provider wants to be paid first.
    Balance = 2007, "insufficient-balance", "Insufficient balance: the account at the lookup provider, or a budget of the gateway, is empty";
    /// The number's operator answers no such questions now.
    Unavailable = 6000, "operator-unavailable", "Destination operator is currently not available";
    /// The phone is off.
    SimOffline = 6001, "sim-offline", "SIM card is offline";
    /// The phone cannot be reached.
    NotReachable = 6002, "not-reachable", "Mobile subscriber is not reachable";
    /// The SIM card was given up.
    SimDeactivated = 6003, "sim-deactivated", "SIM card is deactivated";
    /// The question could not be routed.
    Routing = 6004, "routing-error", "Routing error";
    /// The SIM card is full.
    SimFull = 6005, "sim-full", "SIM card is full";
}

/// What came of asking.
pub type Looked = Result<NumberState, LookupFailure>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_first_stands() {
        let known = NumberState { ported: Some(true), ..NumberState::default() };
        let more =
            NumberState { ported: Some(false), roaming: Some(true), reachable: Some(false), ..known.clone() };
        let both = known.or(more.clone());
        assert_eq!((both.ported, both.roaming), (Some(true), Some(true)));
        assert_eq!(more.lasting(), NumberState { ported: Some(false), ..NumberState::default() });
    }

    #[test]
    fn words_and_numbers_are_unique() {
        let codes: std::collections::BTreeSet<u16> =
            LookupFailure::ALL.iter().map(|(_, failure)| failure.code()).collect();
        assert_eq!(codes.len(), LookupFailure::ALL.len());
        for (word, failure) in LookupFailure::ALL {
            assert_eq!(failure.as_str(), *word);
        }
    }
}
