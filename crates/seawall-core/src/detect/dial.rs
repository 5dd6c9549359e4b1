//! The operator's part of detection: one dial, the value of a good user, from which thresholds follow.
//!
//! With p the probability of a campaign, c what a message to it costs and V the value of a good user, refusing
//! is worth it from p c ≥ (1-p) V on. Milder answers lose only a share of V, and so begin earlier.

use serde::{Deserialize, Serialize};

use crate::limit::Mode;

/// How detection decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectionPolicy {
    /// Whether it decides, only shows what it would, or is not asked.
    pub mode: Mode,
    /// What a good user is worth, in micro-units. Higher: fewer good users meet friction, more fraud passes.
    pub user_value: i64,
    /// Percent of good users that a challenge loses.
    pub challenge_loss: u8,
    /// Percent of good users that another channel loses.
    pub alternative_loss: u8,
    /// Unconfirmed messages of an hour in a country whose policy is `protected` may cost so much, in
    /// micro-units, or four times what is usual there, if that is more.
    pub exposure_budget: i64,
    /// The same for an operator. Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator_exposure_budget: Option<i64>,
    /// The same for a subaccount. Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subaccount_exposure_budget: Option<i64>,
    /// Percent of the messages that would be stopped which are sent all the same, to see whether they are
    /// confirmed.
    pub canary_percent: u8,
    /// No such message costs more than this, in micro-units.
    pub canary_max_price: i64,
}

impl Default for DetectionPolicy {
    fn default() -> Self {
        DetectionPolicy {
            mode: Mode::Enforce,
            user_value: 1_000_000,
            challenge_loss: 5,
            alternative_loss: 30,
            exposure_budget: 20_000_000,
            operator_exposure_budget: None,
            subaccount_exposure_budget: None,
            canary_percent: 0,
            canary_max_price: 60_000,
        }
    }
}

/// Probabilities from which on a request is treated so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// A challenge.
    pub challenge: f64,
    /// Another channel.
    pub alternative: f64,
    /// Refused.
    pub block: f64,
}

/// What a message costs beside its price: reputation with providers, support, cleaning up (micro-units).
const HANDLING: f64 = 20_000.0;
/// A stopped campaign sends no more: milder answers pay before this message alone would justify them.
const AHEAD_CHALLENGE: f64 = 0.5;
const AHEAD_ALTERNATIVE: f64 = 0.75;

/// What is done with a request whose probability and price are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is sent.
    Send,
    /// The client has to prove something.
    Challenge,
    /// Another channel.
    Alternative,
    /// It is refused.
    Block,
}

impl DetectionPolicy {
    /// What this policy does. `all`: the probability, `narrow`: that from narrow keys alone, `may_block`: whether
    /// the evidence is of a kind that may block at all, `price`: of the message, in micro-units. With the threshold
    /// that it crossed.
    pub fn answer(&self, all: f64, narrow: f64, may_block: bool, price: i64) -> (Answer, f64) {
        let at = self.thresholds(price);
        if all >= at.block && may_block && narrow >= at.block {
            (Answer::Block, at.block)
        } else if all >= at.alternative {
            (Answer::Alternative, at.alternative)
        } else if all >= at.challenge {
            (Answer::Challenge, at.challenge)
        } else {
            (Answer::Send, 0.0)
        }
    }

    /// Whether a message that would be stopped is sent all the same. `lot`: 0 to 99, drawn for a number that may
    /// be let through; `None` for one that may not.
    pub fn lets_through(&self, lot: Option<u8>, price: i64) -> bool {
        lot.is_some_and(|lot| lot < self.canary_percent) && price <= self.canary_max_price
    }

    /// The thresholds for a message of this price.
    #[allow(clippy::cast_precision_loss, reason = "money far below 2^53")]
    pub fn thresholds(&self, price: i64) -> Thresholds {
        let cost = price.max(0) as f64 + HANDLING;
        let value = self.user_value.max(0) as f64;
        let worth = |loss: f64| value * loss / (value * loss + cost);
        let share = |percent: u8| f64::from(percent.min(100)) / 100.0;
        let challenge = (AHEAD_CHALLENGE * worth(share(self.challenge_loss))).clamp(0.08, 0.9);
        let alternative = (AHEAD_ALTERNATIVE * worth(share(self.alternative_loss))).clamp(0.25, 0.95);
        let block = worth(1.0).clamp(0.5, 0.97);
        Thresholds { challenge, alternative: alternative.max(challenge), block: block.max(alternative) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_dearer_message_is_stopped_earlier_and_a_dearer_user_later(
            price in 0i64..500_000, more in 1i64..500_000, value in 0i64..50_000_000) {
            let dial = |user_value| DetectionPolicy { user_value, ..DetectionPolicy::default() };
            let (cheap, dear) = (dial(value).thresholds(price), dial(value).thresholds(price + more));
            prop_assert!(dear.block <= cheap.block && dear.alternative <= cheap.alternative);
            let careful = dial(value + more).thresholds(price);
            prop_assert!(careful.block >= cheap.block && careful.challenge >= cheap.challenge);
            prop_assert!(cheap.challenge <= cheap.alternative && cheap.alternative <= cheap.block);
        }
    }

    #[test]
    fn unknown_settings_are_refused() {
        let read = |text: &str| serde_json::from_str::<DetectionPolicy>(text);
        assert_eq!(read(r#"{"mode":"shadow"}"#).unwrap().mode, Mode::Shadow);
        assert!(read(r#"{"mod":"shadow"}"#).unwrap_err().to_string().contains("unknown field `mod`"));
    }
}
