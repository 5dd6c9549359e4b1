//! Why a request is decided as it is, check by check, and the smallest change that would make it milder.

use serde::Serialize;

use crate::decide::decide;
use crate::decision::{Decision, Verdict};
use crate::facts::{Fact, Facts};
use crate::limit::Exceeded;
use crate::list::{ListEffect, ListHit, ListKind};
use crate::message::Channel;
use crate::policy::Policy;
use crate::reason::{Reason, ReasonCode};
use crate::request::Request;
use crate::rules;
use crate::time::Timestamp;

/// One check and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// Which: `opt-out`, `country`, `detection`, …
    pub check: &'static str,
    /// What came of it.
    pub result: CheckResult,
    /// Why, when it says anything.
    pub reasons: Vec<Reason>,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckResult {
    /// Nothing speaks against the request.
    Pass,
    /// It speaks against the request, or for it, and counts.
    Counts,
    /// It would count, but is in shadow or overruled.
    Shadow,
}

/// Something that could be different, and the verdict then.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// What would have to change.
    #[serde(flatten)]
    pub change: ChangeKind,
    /// In words.
    pub detail: String,
    /// The verdict that it leads to.
    pub verdict: Verdict,
}

/// What would have to change.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum ChangeKind {
    /// Time passes.
    Wait {
        /// Until then.
        until: Timestamp,
    },
    /// The message travels over another channel.
    Channel {
        /// Which.
        channel: Channel,
    },
    /// The request names the end user's address.
    ClientIp,
    /// The device shows the token of an earlier verification of this number.
    DeviceToken,
    /// The number opts in again.
    OptIn,
    /// A deny entry is deleted.
    DeleteDenyEntry {
        /// `ent_…`
        entry: String,
    },
    /// The operator adds an allow entry.
    AllowEntry,
}

/// Every check in order, with its reasons.
pub fn checks(policy: &Policy, request: &Request, facts: &Facts, now: Timestamp) -> Vec<Check> {
    let decided = decide(policy, request, facts, now);
    let mut checks: Vec<Check> = rules::ALL
        .iter()
        .map(|(check, rule)| {
            let mut codes = Vec::new();
            rule(policy, request, facts, now, &mut |reason, _| codes.push(reason.code));
            of(check, &decided, &codes)
        })
        .collect();
    let operator = [
        ReasonCode::RuleAllow,
        ReasonCode::RuleBlock,
        ReasonCode::RuleThrottle,
        ReasonCode::RuleAlternative,
        ReasonCode::RuleChallenge,
    ];
    checks.push(of("rules", &decided, &operator));
    checks
}

/// A check's reasons as the decision has them: overruled, or in shadow while the operator observes.
fn of(check: &'static str, decided: &Decision, codes: &[ReasonCode]) -> Check {
    let reasons: Vec<Reason> = decided.reasons.iter().filter(|r| codes.contains(&r.code)).cloned().collect();
    let result = match (reasons.is_empty(), reasons.iter().any(Reason::in_force)) {
        (true, _) => CheckResult::Pass,
        (false, true) => CheckResult::Counts,
        (false, false) => CheckResult::Shadow,
    };
    Check { check, result, reasons }
}

/// The single changes that lead to a milder verdict, the mildest verdict first, then the smallest effort.
/// Each is tried by the very function that decides: none is promised that would not help.
pub fn would_change(policy: &Policy, request: &Request, facts: &Facts, now: Timestamp) -> Vec<Change> {
    let decided = decide(policy, request, facts, now);
    if decided.verdict == Verdict::Allow {
        return Vec::new();
    }
    let mut changes: Vec<Change> = candidates(request, facts, &decided, now)
        .into_iter()
        .filter_map(|tried| {
            let verdict = decide(policy, &tried.request, &tried.facts, tried.now).verdict;
            let milder = verdict < decided.verdict;
            milder.then_some(Change { change: tried.change, detail: tried.detail, verdict })
        })
        .collect();
    changes.sort_by_key(|c| c.verdict);
    changes
}

/// A changed request.
struct Tried {
    change: ChangeKind,
    detail: String,
    request: Request,
    facts: Facts,
    now: Timestamp,
}

/// What may be changed, from the least effort to the most.
fn candidates(request: &Request, facts: &Facts, decided: &Decision, now: Timestamp) -> Vec<Tried> {
    let mut all = Vec::new();
    let mut add = |change, detail: String, turn: &dyn Fn(&mut Request, &mut Facts) -> Timestamp| {
        let (mut request, mut facts) = (request.clone(), facts.clone());
        let now = turn(&mut request, &mut facts);
        all.push(Tried { change, detail, request, facts, now });
    };
    if let Some(until) = longest_wait(facts, decided, now) {
        let seconds = until.since(now).as_millis().div_ceil(1000);
        add(ChangeKind::Wait { until }, format!("wait {seconds} s"), &|_, facts| passed(facts, until));
    }
    if request.client.ip.is_none() {
        add(ChangeKind::ClientIp, "name the end user's address".to_owned(), &|request, _| {
            request.client.ip = Some(request.caller_ip);
            now
        });
    }
    if facts.history.known().is_some_and(|h| h.known && !h.trusted) {
        let detail = "show the device token of an earlier verification of this number".to_owned();
        add(ChangeKind::DeviceToken, detail, &|_, facts| {
            if let Fact::Known(history) = &mut facts.history {
                history.trusted = true;
            }
            now
        });
    }
    for channel in [Channel::Sms, Channel::Call].into_iter().filter(|c| *c != request.channel) {
        let detail = format!("send it by {}", channel.as_str());
        add(ChangeKind::Channel { channel }, detail, &|request, _| {
            request.channel = channel;
            now
        });
    }
    if matches!(facts.opt_out, Fact::Known(Some(_))) {
        add(ChangeKind::OptIn, "the number answers START".to_owned(), &|_, facts| {
            facts.opt_out = Fact::Known(None);
            now
        });
    }
    for hit in facts.lists.known().into_iter().flatten().filter(|h| h.effect == ListEffect::Deny) {
        let change = ChangeKind::DeleteDenyEntry { entry: hit.entry.clone() };
        let detail = format!("delete entry {} of list \"{}\"", hit.entry, hit.list);
        add(change, detail, &|_, facts| {
            if let Fact::Known(hits) = &mut facts.lists {
                hits.retain(|h| h.entry != hit.entry);
            }
            now
        });
    }
    let detail = format!("add an allow entry for {} or its range", request.to);
    add(ChangeKind::AllowEntry, detail, &|_, facts| {
        let entry = ListHit {
            list: "allow-msisdn".to_owned(),
            kind: ListKind::Msisdn,
            effect: ListEffect::Allow,
            entry: "(new)".to_owned(),
        };
        match &mut facts.lists {
            Fact::Known(hits) => hits.push(entry),
            other => *other = Fact::Known(vec![entry]),
        }
        now
    });
    all
}

/// When the last of what time heals is healed. Other reasons may hide the verdict's own time.
fn longest_wait(facts: &Facts, decided: &Decision, now: Timestamp) -> Option<Timestamp> {
    let limits = facts.limits.known().into_iter().flatten().filter(|e| e.enforced).map(|e| e.retry_at);
    let resend = facts.resend_after.known().copied().flatten();
    limits.chain(resend).chain(decided.retry_at).max().filter(|at| *at > now)
}

/// Time passes: windows that have room by then no longer refuse.
fn passed(facts: &mut Facts, until: Timestamp) -> Timestamp {
    if let Fact::Known(exceeded) = &mut facts.limits {
        exceeded.retain(|e: &Exceeded| e.retry_at > until);
    }
    until
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_ip::ClientIp;
    use crate::consent::OptOutScope;
    use crate::facts::History;
    use crate::msisdn::Msisdn;
    use crate::policy::SubaccountPolicy;
    use crate::request::Operation;
    use std::time::Duration;

    fn now() -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000)
    }

    fn request() -> Request {
        let to = Msisdn::parse("+6591234567", None).unwrap();
        Request::new(Operation::SmsSend, "acme", "key_1", &to, ClientIp::parse("198.51.100.1").unwrap())
    }

    fn kinds(policy: &Policy, request: &Request, facts: &Facts) -> Vec<&'static str> {
        let name = |c: &Change| match c.change {
            ChangeKind::Wait { .. } => "wait",
            ChangeKind::Channel { .. } => "channel",
            ChangeKind::ClientIp => "client ip",
            ChangeKind::DeviceToken => "token",
            ChangeKind::OptIn => "opt in",
            ChangeKind::DeleteDenyEntry { .. } => "delete",
            ChangeKind::AllowEntry => "allow",
        };
        would_change(policy, request, facts, now()).iter().map(name).collect()
    }

    #[test]
    fn only_what_helps_is_named() {
        let policy = Policy::default();
        let opted_out = Facts { opt_out: Fact::Known(Some(OptOutScope::default())), ..Facts::default() };
        assert_eq!(kinds(&policy, &request(), &opted_out), ["opt in"], "an allow entry would not help");
        let early = Facts {
            resend_after: Fact::Known(Some(now().plus(Duration::from_secs(30)))),
            history: Fact::Known(History { known: true, ..History::default() }),
            ..Facts::default()
        };
        assert_eq!(kinds(&policy, &request(), &early), ["wait"]);
        assert!(kinds(&policy, &request(), &Facts::default()).is_empty(), "nothing to make milder");
        let denied = ListHit {
            list: "deny-msisdn".to_owned(),
            kind: ListKind::Msisdn,
            effect: ListEffect::Deny,
            entry: "ent_1".to_owned(),
        };
        let facts = Facts { lists: Fact::Known(vec![denied]), ..Facts::default() };
        assert_eq!(kinds(&policy, &request(), &facts), ["delete"]);
    }

    #[test]
    fn a_missing_address_and_a_number_type_have_their_own_remedies() {
        let mut policy = Policy::default();
        let own = SubaccountPolicy { require_client_ip: true, ..SubaccountPolicy::default() };
        policy.subaccounts.insert("acme".to_owned(), own);
        assert_eq!(kinds(&policy, &request(), &Facts::default()), ["client ip"]);
        let mut premium = request();
        premium.kind = crate::msisdn::NumberKind::PremiumRate;
        premium.client.ip = ClientIp::parse("203.0.113.9");
        assert_eq!(kinds(&policy, &premium, &Facts::default()), ["allow"]);
        let all = checks(&policy, &premium, &Facts::default(), now());
        let number = all.iter().find(|c| c.check == "number").unwrap();
        assert_eq!((number.result, number.reasons.len()), (CheckResult::Counts, 1));
        assert!(all.iter().any(|c| c.check == "opt-out" && c.result == CheckResult::Pass));
        assert_eq!(all.len(), rules::ALL.len() + 1);
    }
}
