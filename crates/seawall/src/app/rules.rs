//! Operator rules at work: compiled when what is set up changes, counted while requests are decided.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use seawall_core::decision::Decision;
use seawall_core::policy::Policy;
use seawall_core::reason::ReasonCode;
use seawall_core::rule::{Attribute, DEFAULT_RETRY_AFTER, Program, Rule, RuleSet, compile};
use seawall_core::time::Timestamp;

use super::App;
use super::collections::rules::StoredRule;
use super::snapshot::Snapshot;

/// What one rule looked for and did not find, by its attributes, since the last drain.
#[derive(Debug)]
pub struct Misses {
    rule: String,
    program: Arc<Program>,
    counts: Box<[AtomicU64]>,
}

impl Misses {
    fn new(rule: &Rule) -> Self {
        let counts = rule.program.attributes().iter().map(|_| AtomicU64::new(0)).collect();
        Misses { rule: rule.id.clone(), program: rule.program.clone(), counts }
    }
}

/// The id under which it is counted how often a rule misses an attribute.
pub fn miss_id(rule: &str, attribute: &Attribute) -> String {
    format!("{rule} {}", attribute.name())
}

/// What the app knows of the rules in force, beside the policy.
#[derive(Debug, Default)]
pub struct RunningRules {
    /// In the order of the policy's rules.
    misses: Vec<Arc<Misses>>,
    /// Conditions as they were written and compiled, by id.
    sources: HashMap<String, (String, Arc<Program>)>,
}

impl RunningRules {
    /// The compiled condition of a rule, if it runs as it was written.
    pub fn program(&self, id: &str, when: &str) -> Option<Arc<Program>> {
        self.sources.get(id).filter(|(source, _)| source == when).map(|(_, program)| program.clone())
    }
}

/// Compiles what is stored. Conditions that did not change are taken from what runs; one that cannot be used
/// any more is left out, loudly: the others still protect.
pub fn build(stored: Vec<StoredRule>, old: &RunningRules) -> (RuleSet, RunningRules) {
    let (mut rules, mut running) = (Vec::with_capacity(stored.len()), RunningRules::default());
    for one in stored {
        let Some(program) = old.program(&one.id, &one.when).or_else(|| compiled(&one)) else { continue };
        let rule = rule(&one, program.clone());
        let same = |m: &&Arc<Misses>| m.rule == rule.id && Arc::ptr_eq(&m.program, &program);
        let misses = old.misses.iter().find(same).cloned();
        running.misses.push(misses.unwrap_or_else(|| Arc::new(Misses::new(&rule))));
        running.sources.insert(one.id, (one.when, program));
        rules.push(rule);
    }
    (RuleSet::new(rules), running)
}

fn compiled(stored: &StoredRule) -> Option<Arc<Program>> {
    match compile(&stored.when) {
        Ok(program) => Some(Arc::new(program)),
        Err(error) => {
            tracing::error!(rule = stored.name, %error, "a rule cannot be used and is not in force");
            None
        }
    }
}

/// A stored rule with its compiled condition.
pub fn rule(stored: &StoredRule, program: Arc<Program>) -> Rule {
    Rule {
        id: stored.id.clone(),
        name: stored.name.clone(),
        action: stored.action,
        mode: stored.mode,
        subaccount: stored.subaccount_id.clone(),
        expires_at: stored.expires_at,
        retry_after: stored.retry_after.unwrap_or(DEFAULT_RETRY_AFTER),
        program,
    }
}

/// Counts what matched and what was missing.
pub fn count(app: &App, snapshot: &Snapshot, decision: &Decision, at: Timestamp) {
    for missing in &decision.missing {
        let Some(misses) = snapshot.rules.misses.get(missing.rule) else { continue };
        let set = |bit: usize| u32::try_from(bit).is_ok_and(|bit| missing.attributes >> bit & 1 == 1);
        for (_, count) in misses.counts.iter().enumerate().filter(|(bit, _)| set(*bit)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
    for reason in decision.reasons.iter().filter(|reason| is_rule(reason.code)) {
        if let Some(id) = reason.key.as_deref().and_then(|name| id_of(&snapshot.policy, name)) {
            app.hits.note(id, reason.in_force(), at);
        }
    }
}

/// Whether a reason is an operator rule's.
pub fn is_rule(code: ReasonCode) -> bool {
    seawall_core::rule::Action::ALL.iter().any(|action| action.reason() == code)
}

fn id_of<'p>(policy: &'p Policy, name: &str) -> Option<&'p str> {
    policy.rules.rules().iter().find(|rule| rule.name == name).map(|rule| rule.id.as_str())
}

/// Moves what was missing to the counts of hits and to the metrics.
pub fn drain(app: &App) {
    let now = app.now();
    for misses in &app.snapshot.load().rules.misses {
        for (attribute, count) in misses.program.attributes().iter().zip(&misses.counts) {
            let count = count.swap(0, Ordering::Relaxed);
            if count > 0 {
                app.hits.note_many(&miss_id(&misses.rule, attribute), count, 0, now);
                app.metrics.missed(attribute.family(), count);
            }
        }
    }
}
