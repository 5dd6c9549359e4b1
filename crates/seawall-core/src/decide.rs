//! `needs` and `decide`: screening is arithmetic on facts.

use std::time::Duration;

use crate::blind::BlindIndex;
use crate::consent::Category;
use crate::decision::{Decision, Verdict};
use crate::facts::{Facts, Needs};
use crate::limit::{Charge, ChargedTo, Dimensions, Mode, Per, back_off_charge};
use crate::message::Channel;
use crate::policy::{BACK_OFF_WINDOW, Policy};
use crate::reason::{Class, Reason, ReasonCode};
use crate::request::{Operation, Request};
use crate::rules;
pub use crate::rules::operator::{Answers, ask};
use crate::time::Timestamp;

/// Which facts the rules will ask for.
pub fn needs(policy: &Policy, request: &Request) -> Needs {
    let asked = if request.terms.risk_check { policy.rules.needs() } else { Needs::default() };
    Needs {
        opt_out: request.operation.sends(),
        opted_in: request.category == Category::Marketing
            && rules::of_subaccount(policy, request).consent.marketing_needs_opt_in,
        open_verification: request.operation == Operation::VerifyStart,
        history: request.operation.sends() || asked.history,
        lists: request.operation.sends() || asked.lists,
        evidence: request.operation.is_message() && policy.detection.mode != Mode::Off,
        address: request.client.ip.is_some() && policy.limits.iter().any(|l| l.per.is(Per::ClientIp)),
        velocities: asked.velocities,
        line: asked.line && request.operation.is_message(),
        // An allow that is redeemed was charged when it was given.
        limits: request.terms.redeems.is_none(),
    }
}

/// The charges that a request makes against its limits and budgets, back-off included. While the operator
/// only observes, a full limit keeps nothing from being charged; a full budget does.
pub fn charges(
    policy: &Policy,
    request: &Request,
    facts: &Facts,
    dimensions: &Dimensions,
    index: &BlindIndex,
    now: Timestamp,
) -> Vec<Charge> {
    let enforced = !policy.observes(now);
    let widened = facts.address.known().map_or(1, |address| address.widened());
    let limits = policy.limits_for(request.operation, &request.subaccount, Some(&request.key));
    let mut charges: Vec<Charge> = limits
        .flat_map(|(position, limit, holder)| {
            let to = ChargedTo { holder: holder.map(|h| h.of(dimensions)), widened, enforced };
            limit.charges(position, dimensions, index, to)
        })
        .collect();
    let budgets = policy.budgets.iter().enumerate().filter(|(_, budget)| budget.covers(request));
    charges.extend(budgets.map(|(position, budget)| budget.charge(position, dimensions, index)));
    if request.operation == Operation::VerifyStart && policy.backoff.mode != Mode::Off {
        charges.push(back_off_charge(
            dimensions,
            index,
            policy.backoff.delays.clone(),
            policy.backoff.max_unconfirmed,
            BACK_OFF_WINDOW,
            policy.backoff.mode == Mode::Enforce && enforced,
        ));
    }
    charges
}

/// Decides. Total: it cannot fail, block, or read a clock. Facts that were not asked for decide nothing,
/// facts that are unavailable refuse.
pub fn decide(policy: &Policy, request: &Request, facts: &Facts, now: Timestamp) -> Decision {
    conclude(policy, request, facts, &ask(policy, request, facts, now), now)
}

/// Decides, given what the operator's rules said: they see everything but limits, and so are asked once for a
/// request that is decided before and after its limits are charged.
pub fn conclude(
    policy: &Policy,
    request: &Request,
    facts: &Facts,
    answers: &Answers,
    now: Timestamp,
) -> Decision {
    let mut reasons = Vec::new();
    let mut waits = Vec::new();
    let mut report = |reason, at: Option<Timestamp>| {
        // A store that does not answer gives no time; a second is when the next try makes sense.
        waits.push(at.unwrap_or_else(|| now.plus(Duration::from_secs(1))));
        reasons.push(reason);
    };
    for (_, rule) in rules::ALL {
        rule(policy, request, facts, now, &mut report);
    }
    rules::operator::report(policy, answers, now, &mut report);
    if policy.observes(now) {
        observe(&mut reasons);
    }
    let verdict = overrule(&mut reasons);
    let throttles = |r: &Reason| r.in_force() && r.code.verdict() == Verdict::Throttle;
    let retry_at = reasons.iter().zip(waits).filter(|(r, _)| throttles(r)).map(|(_, at)| at).max();
    let (send, enforced) = carried_out(policy, request, verdict);
    Decision {
        verdict,
        send,
        enforced,
        reasons,
        risk: facts.evidence.known().map_or(0, rules::risk),
        retry_at: retry_at.filter(|_| verdict == Verdict::Throttle),
        policy_version: policy.version,
        missing: answers.missing.clone(),
    }
}

/// While an operator only observes, nothing but guardrails refuses.
fn observe(reasons: &mut [Reason]) {
    for reason in reasons.iter_mut().filter(|r| r.code.class() != Class::Guardrail) {
        reason.mode = Mode::Shadow;
    }
}

/// What stands above other reasons, by the codes in force.
#[derive(Clone, Copy)]
struct Above {
    entry: bool,
    rule: bool,
}

impl Above {
    fn of(codes: impl Iterator<Item = ReasonCode>) -> Self {
        let (mut above, mut denied) = (Above { entry: false, rule: false }, false);
        for code in codes {
            above.entry |= code == ReasonCode::AllowEntry;
            above.rule |= code == ReasonCode::RuleAllow;
            denied |= code.class() == Class::Deny;
        }
        if denied { Above { entry: false, rule: false } } else { above }
    }

    /// An allow entry lifts policy, rules and detection, an allow rule other rules and detection; deny entries,
    /// limits and guardrails stand, and a deny entry beside them takes their effect away.
    fn lifts(self, code: ReasonCode) -> bool {
        match code.class() {
            Class::Rule | Class::Detection => self.entry || self.rule,
            Class::Policy => self.entry,
            Class::Guardrail | Class::Deny | Class::Limit | Class::Allow => false,
        }
    }
}

/// Marks what is lifted, and says what is left.
fn overrule(reasons: &mut [Reason]) -> Verdict {
    let above = Above::of(reasons.iter().filter(|r| r.in_force()).map(|r| r.code));
    for reason in reasons.iter_mut() {
        reason.overruled |= above.lifts(reason.code);
    }
    let in_force = reasons.iter().filter(|r| r.in_force());
    in_force.map(|r| r.code.verdict()).max().unwrap_or(Verdict::Allow)
}

/// What one more rule does to a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WithRule {
    /// The verdict without it.
    pub without: Verdict,
    /// The verdict with it.
    pub with: Verdict,
    /// Whether something stands above it, so that it has no effect at all.
    pub lifted: bool,
}

/// Decides again by the reasons that were in force, with and without one more rule: for back-tests.
pub fn with_rule(codes: impl Iterator<Item = ReasonCode> + Clone, rule: ReasonCode) -> WithRule {
    let both = codes.clone().chain(std::iter::once(rule));
    let lifted = Above::of(both.clone()).lifts(rule);
    WithRule { without: verdict_of(codes), with: verdict_of(both), lifted }
}

fn verdict_of(codes: impl Iterator<Item = ReasonCode> + Clone) -> Verdict {
    let above = Above::of(codes.clone());
    let left = codes.filter(|code| !above.lifts(*code));
    left.map(ReasonCode::verdict).max().unwrap_or(Verdict::Allow)
}

/// Over which channel a verdict sends, and whether it has its effect.
fn carried_out(policy: &Policy, request: &Request, verdict: Verdict) -> (Option<Channel>, bool) {
    let own = rules::of_subaccount(policy, request);
    match verdict {
        Verdict::Allow => (Some(request.channel), true),
        Verdict::Challenge if own.challenges => (None, true),
        Verdict::Challenge => (Some(request.channel), false),
        Verdict::Alternative => (next_channel(&own.workflow, request.channel), true),
        Verdict::Throttle | Verdict::Block => (None, true),
    }
}

/// The channel that comes after this one in the workflow; the first one for a channel that is not in it.
fn next_channel(workflow: &[Channel], asked: Channel) -> Option<Channel> {
    let next = workflow.iter().position(|c| *c == asked).map_or(0, |at| at + 1);
    workflow.get(next).copied().filter(|c| *c != asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_ip::ClientIp;
    use crate::consent::OptOutScope;
    use crate::country::Country;
    use crate::facts::Fact;
    use crate::limit::{ChargeKind, Counts, Exceeded, Limit, Per};
    use crate::list::{ListEffect, ListHit, ListKind};
    use crate::msisdn::{Msisdn, NumberKind};
    use crate::policy::{CountryState, SubaccountPolicy, built_in_limits};
    use crate::reason::ReasonCode;
    use proptest::prelude::*;

    fn request(operation: Operation, kind: NumberKind) -> Request {
        let to = Msisdn::parse("+6591234567", None).unwrap();
        let caller = ClientIp::parse("198.51.100.1").unwrap();
        let mut ask = Request::new(operation, "acme_hq", "key_1", &to, caller);
        ask.kind = kind;
        ask.client.ip = ClientIp::parse("203.0.113.9");
        ask
    }

    fn policy() -> Policy {
        Policy { version: 7, limits: built_in_limits(), ..Policy::default() }
    }

    fn now() -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000)
    }

    fn exceeded(limit: Option<usize>, count: u64, wait_ms: u64, enforced: bool) -> Exceeded {
        let retry_at = now().plus(Duration::from_millis(wait_ms));
        let kind = limit.map_or(ChargeKind::BackOff, ChargeKind::Limit);
        Exceeded { kind, count, quota: 20, retry_at, quota_used_up: true, enforced }
    }

    fn any_facts() -> impl Strategy<Value = Facts> {
        let limits = prop::collection::vec((0usize..4, 0u64..50, 1u64..9_999_999, any::<bool>()), 0..4);
        (any::<u8>(), any::<u8>(), 0i64..100_000, any::<u8>(), limits).prop_map(|(o, r, ms, l, limits)| {
            let which = |n: u8| n % 3;
            let exceeded =
                limits.into_iter().map(|(i, c, w, e)| exceeded((i < 3).then_some(i), c, w, e)).collect();
            Facts {
                opt_out: [
                    Fact::NotAsked,
                    Fact::Known((o > 99).then(OptOutScope::default)),
                    Fact::Unavailable,
                ][usize::from(which(o))]
                .clone(),
                resend_after: match which(r) {
                    0 => Fact::NotAsked,
                    1 => Fact::Known(Some(Timestamp::from_millis(1_700_000_000_000 - 50_000 + ms))),
                    _ => Fact::Unavailable,
                },
                limits: match which(l) {
                    0 => Fact::NotAsked,
                    1 => Fact::Known(exceeded),
                    _ => Fact::Unavailable,
                },
                ..Facts::default()
            }
        })
    }

    proptest! {
        #[test]
        fn every_verdict_above_allow_has_a_reason_in_force(facts in any_facts()) {
            let decision = decide(&policy(), &request(Operation::VerifyStart, NumberKind::Mobile), &facts, now());
            let strongest = decision.reasons.iter().filter(|r| r.in_force()).map(|r| r.code.verdict()).max();
            prop_assert_eq!(decision.verdict, strongest.unwrap_or(Verdict::Allow));
            prop_assert_eq!(decision.verdict == Verdict::Throttle, decision.retry_at.is_some());
        }

        #[test]
        fn the_same_inputs_give_the_same_bytes(facts in any_facts()) {
            let ask = request(Operation::SmsSend, NumberKind::Mobile);
            let bytes = || serde_json::to_vec(&decide(&policy(), &ask, &facts, now())).unwrap();
            prop_assert_eq!(bytes(), bytes());
        }

        #[test]
        fn a_missing_answer_never_allows(facts in any_facts()) {
            let missing = [facts.opt_out == Fact::Unavailable, facts.resend_after == Fact::Unavailable,
                facts.limits == Fact::Unavailable].contains(&true);
            let decision = decide(&policy(), &request(Operation::VerifyStart, NumberKind::Mobile), &facts, now());
            prop_assert!(!missing || decision.verdict >= Verdict::Throttle);
        }

        #[test]
        fn one_more_exceeded_limit_never_loosens(facts in any_facts(), count in 0u64..9, wait in 1u64..9999) {
            let ask = request(Operation::VerifyStart, NumberKind::Mobile);
            let before = decide(&policy(), &ask, &facts, now());
            let mut worse = facts;
            if let Fact::Known(all) = &mut worse.limits {
                all.push(exceeded(Some(0), count, wait, true));
            }
            let after = decide(&policy(), &ask, &worse, now());
            prop_assert!(after.verdict >= before.verdict);
            prop_assert!(after.verdict != Verdict::Throttle || after.retry_at >= before.retry_at);
        }
    }

    #[test]
    fn premium_numbers_and_closed_countries_are_refused_by_default_and_by_policy() {
        let facts = Facts::default();
        for kind in [NumberKind::PremiumRate, NumberKind::SharedCost, NumberKind::TollFree] {
            let decision = decide(&policy(), &request(Operation::SmsSend, kind), &facts, now());
            assert_eq!(decision.verdict, Verdict::Block, "{kind:?}");
        }
        let decision = decide(&closed(), &request(Operation::SmsSend, NumberKind::Mobile), &facts, now());
        assert_eq!(decision.reasons[0].code, ReasonCode::CountryOff);
        assert_eq!(
            decide(&policy(), &request(Operation::SmsSend, NumberKind::Mobile), &facts, now()).verdict,
            Verdict::Allow
        );
    }

    #[test]
    fn a_limit_in_shadow_is_recorded_and_changes_nothing() {
        let facts =
            Facts { limits: Fact::Known(vec![exceeded(Some(1), 10, 60_000, false)]), ..Facts::default() };
        let decision = decide(&policy(), &request(Operation::VerifyStart, NumberKind::Mobile), &facts, now());
        assert_eq!((decision.verdict, decision.reasons.len()), (Verdict::Allow, 1));
        assert_eq!(decision.reasons[0].mode, Mode::Shadow);
    }

    #[test]
    fn an_ipv6_client_is_charged_by_its_64_and_eight_times_by_its_48() {
        let limit = Limit { per: Per::ClientIp.into(), ..built_in_limits().remove(0) };
        assert_eq!(limit.counts, Counts::Sends);
        let only = Policy { limits: vec![limit], ..Policy::default() };
        let index = BlindIndex::new([3; 16]);
        let charges_of = |ip: &str| {
            let mut ask = request(Operation::VerifyStart, NumberKind::Mobile);
            ask.client.ip = ClientIp::parse(ip);
            let mut quiet = only.clone();
            quiet.backoff.mode = Mode::Off;
            charges(&quiet, &ask, &Facts::default(), &Dimensions::of(&ask, &index, &[]), &index, now())
        };
        let (a, b, c) =
            (charges_of("2001:db8:1:1::1"), charges_of("2001:db8:1:1::2"), charges_of("2001:db8:1:2::1"));
        assert_eq!(a, b);
        assert_ne!(a[0].key, c[0].key);
        assert_eq!(a[1].key, c[1].key);
        assert_eq!((a[0].rule.quota(), a[1].rule.quota()), (20, 160));
        assert_eq!(charges_of("203.0.113.9").len(), 1);
    }

    #[test]
    fn the_wait_of_a_back_off_is_said_in_seconds() {
        let mut facts =
            Facts { limits: Fact::Known(vec![exceeded(None, 1, 20_000, true)]), ..Facts::default() };
        if let Fact::Known(all) = &mut facts.limits {
            all[0].quota_used_up = false;
        }
        let decision = decide(&policy(), &request(Operation::VerifyStart, NumberKind::Mobile), &facts, now());
        assert_eq!(decision.reasons[0].code, ReasonCode::BackOff);
        assert_eq!(
            decision.reasons[0].detail,
            "+659123xxxx has 1 unconfirmed code(s); the next may go in 20 s"
        );
    }

    fn hit(effect: ListEffect) -> ListHit {
        ListHit { list: "l".to_owned(), kind: ListKind::Msisdn, effect, entry: "ent_1".to_owned() }
    }

    fn closed() -> Policy {
        let mut closed = policy();
        let mut own = SubaccountPolicy::default();
        own.country_policy.countries.insert(Country::parse("SG").unwrap(), CountryState::Off);
        closed.subaccounts.insert("acme_hq".to_owned(), own);
        closed
    }

    #[test]
    fn an_allow_entry_lifts_policy_and_nothing_else() {
        let with = |hits: Vec<ListHit>, opt_out: bool| {
            let facts = Facts {
                lists: Fact::Known(hits),
                opt_out: Fact::Known(opt_out.then(OptOutScope::default)),
                ..Facts::default()
            };
            decide(&closed(), &request(Operation::SmsSend, NumberKind::Mobile), &facts, now())
        };
        let allowed = with(vec![hit(ListEffect::Allow)], false);
        assert_eq!((allowed.verdict, allowed.send), (Verdict::Allow, Some(Channel::Sms)));
        assert!(allowed.reasons.iter().any(|r| r.code == ReasonCode::CountryOff && r.overruled));
        assert_eq!(with(vec![hit(ListEffect::Allow)], true).verdict, Verdict::Block, "opted out");
        let denied = with(vec![hit(ListEffect::Allow), hit(ListEffect::Deny)], false);
        assert_eq!((denied.verdict, denied.send), (Verdict::Block, None));
        assert!(denied.reasons.iter().all(|r| !r.overruled));
        assert_eq!(with(vec![hit(ListEffect::Named)], false).verdict, Verdict::Block);
    }

    #[test]
    fn while_observing_only_guardrails_refuse() {
        let mut observing = closed();
        observing.observe_until = Some(now().plus(Duration::from_secs(60)));
        let ask = request(Operation::SmsSend, NumberKind::Mobile);
        let decision = decide(&observing, &ask, &Facts::default(), now());
        assert_eq!((decision.verdict, decision.reasons[0].mode), (Verdict::Allow, Mode::Shadow));
        let facts = Facts { opt_out: Fact::Known(Some(OptOutScope::default())), ..Facts::default() };
        assert_eq!(decide(&observing, &ask, &facts, now()).verdict, Verdict::Block);
        let after = now().plus(Duration::from_secs(60));
        assert_eq!(decide(&observing, &ask, &Facts::default(), after).verdict, Verdict::Block);
    }

    #[test]
    fn an_alternative_goes_over_the_next_channel_of_the_workflow() {
        assert_eq!(next_channel(&[], Channel::Sms), None);
        assert_eq!(next_channel(&[Channel::Call], Channel::Sms), Some(Channel::Call));
        assert_eq!(next_channel(&[Channel::Sms, Channel::Call], Channel::Sms), Some(Channel::Call));
        assert_eq!(next_channel(&[Channel::Sms, Channel::Call], Channel::Call), None);
    }
}
