//! The operator's rules. Every one that matches is a reason; what outranks what is settled in one place,
//! [`crate::decide`].

use super::Report;
use crate::facts::Facts;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::request::Request;
use crate::rule::{Action, Missing, Rule, Seen};
use crate::time::Timestamp;

/// Asks them, and returns what they looked for and did not find.
pub(crate) fn check(
    policy: &Policy,
    request: &Request,
    facts: &Facts,
    now: Timestamp,
    report: &mut Report<'_>,
) -> Vec<Missing> {
    if policy.rules.is_empty() || !request.terms.risk_check {
        return Vec::new();
    }
    let seen = Seen::live(request, facts, now);
    policy.rules.ask(&seen, now, &mut |rule| {
        let retry_at = (rule.action == Action::Throttle).then(|| now.plus(rule.retry_after));
        report(reason(rule), retry_at);
    })
}

fn reason(rule: &Rule) -> Reason {
    let does = match rule.action {
        Action::Allow => "allows this",
        Action::Challenge => "asks for a proof first",
        Action::Alternative => "sends this over another channel",
        Action::Throttle => "throttles this",
        Action::Block => "blocks this",
    };
    let detail = format!("rule \"{}\" {does}", rule.name);
    Reason::new(rule.action.reason(), detail).about(rule.name.clone()).in_mode(rule.mode)
}
