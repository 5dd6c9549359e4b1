//! Whether a virtual number works, by how its last calls ended: one that fails is left out when sessions get their
//! number, and comes back when its failures are old.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::call::CallResult;
use crate::time::Timestamp;

/// How many of the last calls are looked at.
pub const LOOKED_AT: usize = 30;
/// Calls below which nothing is said.
const ENOUGH: u32 = 5;

/// When a virtual number counts as failing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthRule {
    /// Older calls say nothing; so long after its failures a number gets another chance.
    pub window: Duration,
    /// So many percent of failed calls, or more, are too many.
    pub failed_percent: u32,
    /// Fewer percent of answered calls are too few, once there were twice as many calls as say anything.
    pub answered_percent: u32,
}

impl Default for HealthRule {
    fn default() -> Self {
        HealthRule { window: Duration::from_secs(15 * 60), failed_percent: 50, answered_percent: 5 }
    }
}

/// What the last calls say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Calls that say something: the caller waited for an end, and the gateway let them through.
    pub calls: u32,
    /// In which the two spoke.
    pub answered: u32,
    /// That the network could not carry.
    pub failed: u32,
    /// The newest of them.
    pub last_at: Option<Timestamp>,
    /// Whether it is left out for the time being.
    pub failing: bool,
}

/// Judges a virtual number by its last calls, in any order.
pub fn judge(calls: &[(Timestamp, CallResult)], rule: &HealthRule, now: Timestamp) -> Health {
    let mut health = Health::default();
    let since = now.minus(rule.window);
    let telling = |result: CallResult| !matches!(result, CallResult::Canceled | CallResult::Refused);
    for (at, result) in calls.iter().filter(|(at, result)| *at > since && telling(*result)) {
        health.calls = health.calls.saturating_add(1);
        health.answered = health.answered.saturating_add(u32::from(*result == CallResult::Completed));
        health.failed = health.failed.saturating_add(u32::from(*result == CallResult::Failed));
        health.last_at = health.last_at.max(Some(*at));
    }
    let percent = |part: u32| part.saturating_mul(100).checked_div(health.calls).unwrap_or(0);
    let fails = health.calls >= ENOUGH && percent(health.failed) >= rule.failed_percent;
    let silent = health.calls >= ENOUGH.saturating_mul(2) && percent(health.answered) < rule.answered_percent;
    Health { failing: fails || silent, ..health }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CallResult::{Busy, Canceled, Completed, Failed, NoAnswer, Refused};
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn calls(results: &[CallResult]) -> Vec<(Timestamp, CallResult)> {
        results.iter().map(|result| (at(1000), *result)).collect()
    }

    fn failing(results: &[CallResult], now: i64) -> bool {
        judge(&calls(results), &HealthRule::default(), at(now)).failing
    }

    #[test]
    fn a_number_that_fails_is_left_out_and_comes_back() {
        assert!(!failing(&[Failed; 4], 1001), "too few to say");
        assert!(failing(&[Failed; 5], 1001));
        assert!(failing(&[Completed, Completed, Failed, Failed, Failed], 1001));
        assert!(!failing(&[Completed, Completed, Completed, Failed, Failed], 1001));
        assert!(!failing(&[Failed; 5], 1000 + 15 * 60), "its failures are old");
    }

    #[test]
    fn a_number_that_nobody_answers_is_left_out() {
        assert!(!failing(&[NoAnswer; 9], 1001));
        assert!(failing(&[NoAnswer; 10], 1001));
        assert!(failing(&[Busy; 10], 1001));
        assert!(!failing(&[&[NoAnswer; 9][..], &[Completed]].concat(), 1001));
        assert!(
            !failing(&[&[Canceled; 9][..], &[Refused; 9]].concat(), 1001),
            "says nothing about the number"
        );
    }

    proptest! {
        #[test]
        fn one_more_answered_call_never_makes_it_worse(results in prop::collection::vec(0u8..6, 0..30)) {
            let results: Vec<CallResult> = results.into_iter().filter_map(CallResult::from_u8).collect();
            let more = [&results[..], &[Completed]].concat();
            prop_assume!(results.len() >= 10);
            prop_assert!(failing(&results, 1001) || !failing(&more, 1001) || results.iter().filter(|r| !matches!(r, Canceled | Refused)).count() < 10);
        }
    }
}
