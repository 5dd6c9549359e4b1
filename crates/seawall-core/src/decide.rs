//! `needs` and `decide`: screening is arithmetic on facts.

use std::time::Duration;

use crate::blind::BlindIndex;
use crate::decision::{Decision, Verdict};
use crate::facts::{Facts, Needs};
use crate::limit::{Charge, Dimensions, Mode, back_off_charge};
use crate::policy::{BACK_OFF_WINDOW, Policy};
use crate::request::{Operation, Request};
use crate::rules;
use crate::time::Timestamp;

/// Which facts the rules will ask for.
pub fn needs(_policy: &Policy, request: &Request) -> Needs {
    Needs {
        opt_out: request.operation.sends(),
        open_verification: request.operation == Operation::VerifyStart,
        limits: true,
    }
}

/// The charges that a request makes against its limits, back-off included.
pub fn charges(
    policy: &Policy,
    request: &Request,
    dimensions: &Dimensions,
    index: &BlindIndex,
) -> Vec<Charge> {
    let mut charges: Vec<Charge> = policy
        .limits_for(request)
        .flat_map(|(position, limit)| limit.charges(position, dimensions, index))
        .collect();
    if request.operation == Operation::VerifyStart && policy.backoff.mode != Mode::Off {
        charges.push(back_off_charge(
            dimensions,
            index,
            policy.backoff.delays.clone(),
            policy.backoff.max_unconfirmed,
            BACK_OFF_WINDOW,
            policy.backoff.mode == Mode::Enforce,
        ));
    }
    charges
}

/// Decides. Total: it cannot fail, block, or read a clock. Facts that were not asked for decide nothing,
/// facts that are unavailable refuse.
pub fn decide(policy: &Policy, request: &Request, facts: &Facts, now: Timestamp) -> Decision {
    let mut reasons = Vec::new();
    let mut retry_at: Option<Timestamp> = None;
    for rule in rules::ALL {
        rule(policy, request, facts, now, &mut |reason, at| {
            // A store that does not answer gives no time; a second is when the next try makes sense.
            let at = at.unwrap_or_else(|| now.plus(Duration::from_secs(1)));
            if reason.in_force() && reason.code.verdict() == Verdict::Throttle {
                retry_at = retry_at.max(Some(at));
            }
            reasons.push(reason);
        });
    }
    let verdict =
        reasons.iter().filter(|r| r.in_force()).map(|r| r.code.verdict()).max().unwrap_or(Verdict::Allow);
    let retry_at = if verdict == Verdict::Throttle { retry_at } else { None };
    Decision { verdict, reasons, risk: 0, retry_at, policy_version: policy.version }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_ip::ClientIp;
    use crate::country::Country;
    use crate::facts::Fact;
    use crate::limit::{Counts, Exceeded, Limit, Per};
    use crate::message::Channel;
    use crate::msisdn::{Msisdn, NumberKind};
    use crate::policy::{CountryState, SubaccountPolicy, built_in_limits};
    use crate::reason::ReasonCode;
    use proptest::prelude::*;

    fn request(operation: Operation, kind: NumberKind) -> Request {
        Request {
            operation,
            subaccount: "acme_hq".to_owned(),
            key: "key_1".to_owned(),
            to: Msisdn::from_e164("+6591234567").unwrap(),
            country: Country::parse("SG").unwrap(),
            kind,
            valid: true,
            channel: Channel::Sms,
            client_ip: ClientIp::parse("203.0.113.9"),
            caller_ip: ClientIp::parse("198.51.100.1").unwrap(),
            user: None,
            fingerprint: None,
            purpose: None,
            segments: 1,
            dry_run: false,
        }
    }

    fn policy() -> Policy {
        Policy { version: 7, limits: built_in_limits(), ..Policy::default() }
    }

    fn now() -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000)
    }

    fn exceeded(limit: Option<usize>, count: u32, wait_ms: u64, enforced: bool) -> Exceeded {
        let retry_at = now().plus(Duration::from_millis(wait_ms));
        Exceeded { limit, count, retry_at, quota_used_up: true, enforced }
    }

    fn any_facts() -> impl Strategy<Value = Facts> {
        let limits = prop::collection::vec((0usize..4, 0u32..50, 1u64..9_999_999, any::<bool>()), 0..4);
        (any::<u8>(), any::<u8>(), 0i64..100_000, any::<u8>(), limits).prop_map(|(o, r, ms, l, limits)| {
            let which = |n: u8| n % 3;
            let exceeded =
                limits.into_iter().map(|(i, c, w, e)| exceeded((i < 3).then_some(i), c, w, e)).collect();
            Facts {
                opt_out: [Fact::NotAsked, Fact::Known(o > 99), Fact::Unavailable][usize::from(which(o))],
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
        fn one_more_exceeded_limit_never_loosens(facts in any_facts(), count in 0u32..9, wait in 1u64..9999) {
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
        let mut closed = policy();
        let mut own = SubaccountPolicy::default();
        own.country_policy.countries.insert(Country::parse("SG").unwrap(), CountryState::Off);
        closed.subaccounts.insert("acme_hq".to_owned(), own);
        let decision = decide(&closed, &request(Operation::SmsSend, NumberKind::Mobile), &facts, now());
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
        let limit = Limit { per: Per::ClientIp, ..built_in_limits().remove(0) };
        assert_eq!(limit.counts, Counts::Sends);
        let only = Policy { limits: vec![limit], ..Policy::default() };
        let index = BlindIndex::new([3; 16]);
        let charges_of = |ip: &str| {
            let mut ask = request(Operation::VerifyStart, NumberKind::Mobile);
            ask.client_ip = ClientIp::parse(ip);
            let mut quiet = only.clone();
            quiet.backoff.mode = Mode::Off;
            charges(&quiet, &ask, &Dimensions::of(&ask, &index, &[]), &index)
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
}
