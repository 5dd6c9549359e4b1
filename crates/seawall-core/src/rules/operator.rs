//! The operator's rules. Every one that matches is a reason; what outranks what is settled in one place,
//! [`crate::decide`].

use super::Report;
use crate::facts::Facts;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::request::Request;
use crate::rule::{Action, Missing, Rule, Seen};
use crate::time::Timestamp;

/// What the rules said. It does not depend on limits, so that they need not be asked again once these are known.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Positions of those that matched.
    matched: Vec<usize>,
    /// What they looked for and did not find.
    pub(crate) missing: Vec<Missing>,
}

/// Asks them.
pub fn ask(policy: &Policy, request: &Request, facts: &Facts, now: Timestamp) -> Answers {
    if policy.rules.is_empty() || !request.terms.risk_check {
        return Answers::default();
    }
    let mut matched = Vec::new();
    let seen = Seen::live(request, facts, now);
    let missing = policy.rules.ask(&seen, now, &mut |position| matched.push(position));
    Answers { matched, missing }
}

/// Every one that matched is a reason.
pub(crate) fn report(policy: &Policy, answers: &Answers, now: Timestamp, report: &mut Report<'_>) {
    for rule in answers.matched.iter().filter_map(|position| policy.rules.rules().get(*position)) {
        let retry_at = (rule.action == Action::Throttle).then(|| now.plus(rule.retry_after));
        report(reason(rule), retry_at);
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::client_ip::ClientIp;
    use crate::consent::OptOutScope;
    use crate::country::Country;
    use crate::decide::{decide, needs};
    use crate::decision::Verdict;
    use crate::facts::Fact;
    use crate::limit::{ChargeKind, Exceeded, Mode};
    use crate::list::{ListEffect, ListHit, ListKind};
    use crate::msisdn::Msisdn;
    use crate::policy::{CountryState, SubaccountPolicy, built_in_limits};
    use crate::reason::ReasonCode;
    use crate::request::Operation;
    use crate::rule::{RuleSet, compile};
    use crate::velocity::{Metric, Span, Tallies, Velocities, VelocityKey};

    fn now() -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000)
    }

    fn rule(action: Action, mode: Mode, when: &str, at: usize) -> Rule {
        Rule {
            id: format!("rule_{at}"),
            name: format!("r{at}"),
            action,
            mode,
            subaccount: None,
            expires_at: None,
            retry_after: Duration::from_secs(60),
            program: Arc::new(compile(when).unwrap()),
        }
    }

    fn policy(rules: Vec<Rule>, off: bool) -> Policy {
        let mut policy =
            Policy { limits: built_in_limits(), rules: RuleSet::new(rules), ..Policy::default() };
        let mut own = SubaccountPolicy::default();
        if off {
            own.country_policy.countries.insert(Country::parse("SG").unwrap(), CountryState::Off);
        }
        policy.subaccounts.insert("acme_hq".to_owned(), own);
        policy
    }

    fn request(user: Option<String>, price: Option<i64>) -> Request {
        let to = Msisdn::parse("+6591234567", None).unwrap();
        let caller = ClientIp::parse("198.51.100.1").unwrap();
        let mut ask = Request::new(Operation::VerifyStart, "acme_hq", "key_1", &to, caller);
        (ask.client.user, ask.price) = (user, price);
        ask
    }

    fn hit(effect: ListEffect) -> ListHit {
        ListHit { list: "l".to_owned(), kind: ListKind::Msisdn, effect, entry: "ent_1".to_owned() }
    }

    /// Conditions that hold for some of the requests, and those that only grow with tallies.
    const GROWING: [&str; 3] = [
        "velocity.ip.sends_1h >= 5",
        "velocity.ip.sends_1h > 2 && number.country == \"SG\"",
        "velocity.ip.sends_1h + velocity.ip.requests_1h > 9 || velocity.ip.requests_1h > 7",
    ];
    const ANY: [&str; 5] = [
        "true",
        "client.user == \"a\"",
        "request.price > 50000",
        "in_list(\"l\") && !has(client.user)",
        "!(client.user in [\"a\", \"b\"]) || client.hosting",
    ];

    fn any_rules(conditions: &'static [&'static str], allow: bool) -> impl Strategy<Value = Vec<Rule>> {
        let first = usize::from(!allow);
        let one = (first..Action::ALL.len(), 0..conditions.len(), any::<bool>());
        prop::collection::vec(one, 0..6).prop_map(move |all| {
            let made = all.into_iter().enumerate().map(|(at, (action, when, shadow))| {
                let mode = if shadow { Mode::Shadow } else { Mode::Enforce };
                rule(Action::ALL[action], mode, conditions[when], at)
            });
            made.collect()
        })
    }

    fn any_request() -> impl Strategy<Value = Request> {
        (prop::option::of("[abc]"), prop::option::of(0i64..100_000))
            .prop_map(|(user, price)| request(user, price))
    }

    fn any_facts() -> impl Strategy<Value = Facts> {
        let effects = [ListEffect::Allow, ListEffect::Deny, ListEffect::Named];
        let hits = prop::collection::vec((0usize..3).prop_map(move |n| hit(effects[n])), 0..3);
        (hits, any::<bool>(), 0usize..3, 0u32..10, 0u32..10).prop_map(
            |(hits, opt_out, full, sends, requests)| {
                let mut ip = Tallies::default();
                ip.set(Metric::Sends, Span::Hour, sends);
                ip.set(Metric::Requests, Span::Hour, requests);
                let mut velocities = Velocities::default();
                velocities.set(VelocityKey::Ip, ip);
                Facts {
                    lists: Fact::Known(hits),
                    opt_out: Fact::Known(opt_out.then(OptOutScope::default)),
                    limits: Fact::Known((0..full).map(|_| full_limit()).collect()),
                    velocities: Fact::Known(velocities),
                    ..Facts::default()
                }
            },
        )
    }

    fn full_limit() -> Exceeded {
        let retry_at = now().plus(Duration::from_secs(30));
        Exceeded {
            kind: ChargeKind::Limit(0),
            count: 20,
            quota: 20,
            retry_at,
            quota_used_up: true,
            enforced: true,
        }
    }

    proptest! {
        #[test]
        fn the_same_inputs_give_the_same_bytes_and_a_refusal_has_a_reason(
            rules in any_rules(&ANY, true), ask in any_request(), facts in any_facts(), off: bool,
        ) {
            let policy = policy(rules, off);
            let decision = decide(&policy, &ask, &facts, now());
            let bytes = |d: &crate::decision::Decision| serde_json::to_vec(d).unwrap();
            prop_assert_eq!(bytes(&decision), bytes(&decide(&policy, &ask, &facts, now())));
            let strongest = decision.reasons.iter().filter(|r| r.in_force()).map(|r| r.code.verdict()).max();
            prop_assert_eq!(decision.verdict, strongest.unwrap_or(Verdict::Allow));
            prop_assert_eq!(decision.verdict == Verdict::Throttle, decision.retry_at.is_some());
        }

        #[test]
        fn no_rule_lifts_a_deny_entry_an_opt_out_a_limit_or_policy(
            rules in any_rules(&ANY, true), ask in any_request(), facts in any_facts(), off: bool,
        ) {
            let without = decide(&policy(Vec::new(), off), &ask, &facts, now());
            let with = decide(&policy(rules, off), &ask, &facts, now());
            prop_assert!(with.verdict >= without.verdict, "{:?}", with.reasons);
            let denied = facts.lists.known().is_some_and(|hits| hits.iter().any(|h| h.effect == ListEffect::Deny));
            prop_assert!(!denied || with.verdict == Verdict::Block);
        }

        #[test]
        fn shadow_never_changes_an_answer(
            rules in any_rules(&ANY, true), ask in any_request(), facts in any_facts(), off: bool,
        ) {
            let shadowed = rules.into_iter().map(|rule| Rule { mode: Mode::Shadow, ..rule }).collect();
            let without = decide(&policy(Vec::new(), off), &ask, &facts, now());
            let with = decide(&policy(shadowed, off), &ask, &facts, now());
            prop_assert_eq!((with.verdict, with.send, with.enforced, with.retry_at),
                (without.verdict, without.send, without.enforced, without.retry_at));
            let own = |r: &&Reason| !matches!(r.mode, Mode::Shadow);
            prop_assert!(with.reasons.iter().filter(own).eq(without.reasons.iter().filter(own)));
        }

        #[test]
        fn higher_tallies_never_loosen(
            rules in any_rules(&GROWING, false), ask in any_request(), facts in any_facts(), more in 0u32..9, off: bool,
        ) {
            let policy = policy(rules, off);
            let before = decide(&policy, &ask, &facts, now());
            let mut worse = facts.clone();
            if let Fact::Known(velocities) = &mut worse.velocities {
                let mut ip = *velocities.tallies(VelocityKey::Ip).unwrap();
                ip.set(Metric::Sends, Span::Hour, ip.get(Metric::Sends, Span::Hour) + more);
                velocities.set(VelocityKey::Ip, ip);
            }
            if let Fact::Known(limits) = &mut worse.limits {
                limits.push(full_limit());
            }
            prop_assert!(decide(&policy, &ask, &worse, now()).verdict >= before.verdict);
        }

        #[test]
        fn one_more_stricter_rule_never_loosens(
            rules in any_rules(&ANY, true), ask in any_request(), facts in any_facts(), at in 1usize..5, when in 0usize..5,
        ) {
            let before = decide(&policy(rules.clone(), false), &ask, &facts, now());
            let mut more = rules;
            more.push(rule(Action::ALL[at], Mode::Enforce, ANY[when], 99));
            prop_assert!(decide(&policy(more, false), &ask, &facts, now()).verdict >= before.verdict);
        }

        /// What a back-test computes from recorded codes is what `decide` does with the rule.
        #[test]
        fn a_back_test_decides_as_the_rule_would(
            rules in any_rules(&ANY, true), ask in any_request(), facts in any_facts(), at in 0usize..5, off: bool,
        ) {
            let recorded = decide(&policy(rules.clone(), off), &ask, &facts, now());
            let draft = rule(Action::ALL[at], Mode::Enforce, "true", 99);
            let codes = recorded.reasons.iter().filter(|r| r.mode == Mode::Enforce).map(|r| r.code);
            let told = crate::decide::with_rule(codes, draft.action.reason());
            let mut all = rules;
            all.push(draft);
            let live = decide(&policy(all, off), &ask, &facts, now());
            prop_assert_eq!((told.without, told.with), (recorded.verdict, live.verdict));
            let own = live.reasons.iter().find(|r| r.key.as_deref() == Some("r99")).unwrap();
            prop_assert_eq!(told.lifted, own.overruled);
        }
    }

    #[test]
    fn only_what_rules_look_at_is_asked_for() {
        let asks = |when: &str| {
            let ask = request(None, None);
            needs(&policy(vec![rule(Action::Block, Mode::Shadow, when, 0)], false), &ask)
        };
        assert!(!asks("true").velocities && asks("velocity.ip.sends_1h > 1").velocities);
        let mut off = request(None, None);
        off.terms.risk_check = false;
        let policy =
            policy(vec![rule(Action::Block, Mode::Enforce, "velocity.ip.sends_1h > 1 || true", 0)], false);
        assert!(!needs(&policy, &off).velocities);
        assert_eq!(decide(&policy, &off, &Facts::default(), now()).verdict, Verdict::Allow);
        assert_eq!(decide(&policy, &request(None, None), &Facts::default(), now()).verdict, Verdict::Block);
    }

    #[test]
    fn rules_keep_to_their_subaccount_and_end() {
        let ask = request(None, None);
        let verdict = |change: fn(&mut Rule)| {
            let mut one = rule(Action::Block, Mode::Enforce, "true", 0);
            change(&mut one);
            decide(&policy(vec![one], false), &ask, &Facts::default(), now()).verdict
        };
        assert_eq!(verdict(|_| ()), Verdict::Block);
        assert_eq!(verdict(|r| r.subaccount = Some("other".to_owned())), Verdict::Allow);
        assert_eq!(verdict(|r| r.expires_at = Some(now())), Verdict::Allow);
        assert_eq!(verdict(|r| r.expires_at = Some(now().plus(Duration::from_millis(1)))), Verdict::Block);
        let throttled = policy(vec![rule(Action::Throttle, Mode::Enforce, "true", 0)], false);
        let decision = decide(&throttled, &ask, &Facts::default(), now());
        assert_eq!(decision.retry_at, Some(now().plus(Duration::from_secs(60))));
        assert_eq!(decision.reasons[0].code, ReasonCode::RuleThrottle);
    }
}
