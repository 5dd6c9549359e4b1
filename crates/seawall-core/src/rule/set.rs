//! All rules of an installation.

use std::sync::Arc;

use super::{Attribute, Plain, Rule, Seen};
use crate::facts::Needs;
use crate::time::Timestamp;

/// Rules in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    rules: Arc<[Rule]>,
    /// Facts that at least one of them looks at.
    needs: Needs,
}

/// A rule that looked for attributes that the request does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its position in [`RuleSet::rules`].
    pub rule: usize,
    /// See [`super::Outcome::missing`].
    pub attributes: u64,
}

impl RuleSet {
    /// Takes them in this order.
    pub fn new(rules: Vec<Rule>) -> Self {
        let mut needs = Needs::default();
        for attribute in rules.iter().flat_map(|rule| rule.program.attributes()) {
            mention(&mut needs, attribute);
        }
        RuleSet { rules: rules.into(), needs }
    }

    /// All of them, expired ones included.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Which facts they look at.
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// Asks every rule that applies; `matched` is told the position of each that matches. Returns what
    /// was missing.
    pub fn ask(&self, seen: &Seen<'_>, now: Timestamp, matched: &mut dyn FnMut(usize)) -> Vec<Missing> {
        let mut missing = Vec::new();
        let applying = self
            .rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| rule.applies(seen.operation, seen.subaccount, now));
        for (position, rule) in applying {
            let outcome = rule.program.run(seen);
            if outcome.matched {
                matched(position);
            }
            if outcome.missing != 0 {
                missing.push(Missing { rule: position, attributes: outcome.missing });
            }
        }
        missing
    }
}

fn mention(needs: &mut Needs, attribute: &Attribute) {
    match attribute {
        Attribute::Velocity(..) => needs.velocities = true,
        Attribute::Plain(Plain::NumberKnown | Plain::NumberTrusted | Plain::NumberLastConfirmedHours) => {
            needs.history = true;
        }
        Attribute::Plain(Plain::EvidenceRisk | Plain::EvidenceProbability | Plain::EvidenceFamilies) => {
            needs.evidence = true;
        }
        Attribute::Plain(Plain::Lists) => needs.lists = true,
        Attribute::Plain(
            Plain::NumberPorted
            | Plain::NumberRoaming
            | Plain::NumberReachable
            | Plain::NumberCallForwarding
            | Plain::NumberSimSwappedHours
            | Plain::NumberReassignedHours,
        ) => needs.line = true,
        _ => {}
    }
}
