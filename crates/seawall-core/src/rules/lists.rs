//! Deny and allow entries. What an allow entry lifts is settled in one place, [`crate::decide`].

use super::Report;
use crate::facts::{Fact, Facts};
use crate::list::{ListEffect, ListHit};
use crate::policy::Policy;
use crate::reason::{Reason, ReasonCode};
use crate::request::Request;
use crate::time::Timestamp;

pub(super) fn check(_: &Policy, _: &Request, facts: &Facts, _: Timestamp, report: &mut Report<'_>) {
    match &facts.lists {
        Fact::Known(hits) => hits.iter().filter_map(reason).for_each(|reason| report(reason, None)),
        Fact::Unavailable => {
            let detail = "the lists did not answer, so nothing is sent";
            report(Reason::new(ReasonCode::StoreUnavailable, detail).about("lists"), None);
        }
        Fact::NotAsked => {}
    }
}

fn reason(hit: &ListHit) -> Option<Reason> {
    let (code, word) = match hit.effect {
        ListEffect::Allow => (ReasonCode::AllowEntry, "allows"),
        ListEffect::Deny => (ReasonCode::DenyEntry, "denies"),
        ListEffect::Named => return None,
    };
    let detail = format!("entry {} of list \"{}\" {word} this", hit.entry, hit.list);
    Some(Reason::new(code, detail).about(hit.list.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_ip::ClientIp;
    use crate::consent::OptOutScope;
    use crate::decide::decide;
    use crate::decision::{Decision, Verdict};
    use crate::id::Id;
    use crate::intel::NumberFacts;
    use crate::limit::{ChargeKind, Exceeded, Mode};
    use crate::list::{List, ListIndex, ListKind, Part, Subject};
    use crate::msisdn::Msisdn;
    use crate::policy::{CountryState, SubaccountPolicy, built_in_limits};
    use crate::reason::Class;
    use crate::request::Operation;
    use crate::suspension::{Scope, Suspension, Suspensions};
    use proptest::prelude::*;
    use std::time::Duration;

    fn now() -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000)
    }

    fn hit(effect: ListEffect, entry: u8) -> ListHit {
        let entry = format!("ent_{entry}");
        ListHit { list: effect.as_str().to_owned(), kind: ListKind::Msisdn, effect, entry }
    }

    /// Everything that a request can meet, by numbers.
    #[derive(Clone, Debug)]
    struct Case {
        closed: bool,
        suspended: Option<Mode>,
        disposable: Option<bool>,
        price: Option<i64>,
        needs_ip: bool,
        opt_out: u8,
        exceeded: Vec<(u8, bool)>,
        hits: Vec<ListEffect>,
    }

    fn cases() -> impl Strategy<Value = Case> {
        let effect = prop_oneof![Just(ListEffect::Allow), Just(ListEffect::Deny), Just(ListEffect::Named)];
        let mode = prop_oneof![Just(Mode::Enforce), Just(Mode::Shadow)];
        let exceeded = prop::collection::vec((0u8..3, any::<bool>()), 0..3);
        let parts = (
            any::<bool>(),
            prop::option::of(mode),
            prop::option::of(any::<bool>()),
            prop::option::of(0i64..100),
        );
        (parts, any::<bool>(), 0u8..4, exceeded, prop::collection::vec(effect, 0..4)).prop_map(
            |((closed, suspended, disposable, price), needs_ip, opt_out, exceeded, hits)| Case {
                closed,
                suspended,
                disposable,
                price,
                needs_ip,
                opt_out,
                exceeded,
                hits,
            },
        )
    }

    impl Case {
        fn policy(&self) -> Policy {
            let mut own =
                SubaccountPolicy { require_client_ip: self.needs_ip, ..SubaccountPolicy::default() };
            own.refuse_disposable = self.disposable == Some(true);
            own.max_price.default = Some(50);
            if self.closed {
                own.country_policy.default = CountryState::Off;
            }
            let budget = r#"{"id": "bud_1", "amount": 5, "unit": "messages", "window": "1h"}"#;
            let suspension = |mode| Suspension {
                id: "sus_1".to_owned(),
                scope: Scope::parse("country", "SG").unwrap().unwrap(),
                subaccount_id: None,
                expires_at: now().plus(Duration::from_secs(60)),
                mode,
            };
            Policy {
                limits: built_in_limits(),
                budgets: vec![serde_json::from_str(budget).unwrap()],
                subaccounts: [("acme_hq".to_owned(), own)].into(),
                suspensions: Suspensions::new(self.suspended.map(suspension)),
                ..Policy::default()
            }
        }

        fn facts(&self) -> Facts {
            let exceeded = |&(kind, enforced): &(u8, bool)| Exceeded {
                kind: [ChargeKind::Limit(1), ChargeKind::BackOff, ChargeKind::Budget(0)][usize::from(kind)],
                count: 9,
                quota: 9,
                retry_at: now().plus(Duration::from_secs(30)),
                quota_used_up: true,
                enforced,
            };
            let entries = self.hits.iter().zip(0u8..);
            Facts {
                lists: Fact::Known(entries.map(|(effect, n)| hit(*effect, n)).collect()),
                number: self.disposable.map(|_| NumberFacts { disposable: true, ..NumberFacts::default() }),
                opt_out: [
                    Fact::Known(None),
                    Fact::Known(None),
                    Fact::Known(Some(OptOutScope::default())),
                    Fact::Unavailable,
                ][usize::from(self.opt_out)]
                .clone(),
                limits: Fact::Known(self.exceeded.iter().map(exceeded).collect()),
                ..Facts::default()
            }
        }

        fn request(&self) -> Request {
            let to = Msisdn::parse("+6591234567", None).unwrap();
            let caller = ClientIp::parse("198.51.100.1").unwrap();
            Request { price: self.price, ..Request::new(Operation::SmsSend, "acme_hq", "key_1", &to, caller) }
        }

        fn decide(&self) -> Decision {
            decide(&self.policy(), &self.request(), &self.facts(), now())
        }

        fn with(&self, effect: ListEffect) -> Case {
            let mut more = self.clone();
            more.hits.push(effect);
            more
        }
    }

    /// The strongest verdict of what no allow entry may lift.
    fn standing(decision: &Decision) -> Verdict {
        let stands = |class| matches!(class, Class::Guardrail | Class::Deny | Class::Limit);
        let reasons = decision.reasons.iter().filter(|r| r.mode == Mode::Enforce && stands(r.code.class()));
        reasons.map(|r| r.code.verdict()).max().unwrap_or(Verdict::Allow)
    }

    proptest! {
        #[test]
        fn a_deny_entry_never_allows(case in cases()) {
            let decision = case.with(ListEffect::Deny).decide();
            prop_assert_eq!((decision.verdict, decision.send), (Verdict::Block, None));
            let before = case.decide();
            prop_assert!(decision.verdict >= before.verdict);
        }

        #[test]
        fn an_allow_entry_lifts_no_opt_out_budget_limit_or_malformed_input(case in cases()) {
            let before = case.decide();
            let after = case.with(ListEffect::Allow).decide();
            prop_assert_eq!(standing(&after), standing(&before));
            prop_assert!(after.verdict >= standing(&before), "{:?}", after);
            // And it lifts the rest, unless something is denied.
            if !case.hits.contains(&ListEffect::Deny) {
                prop_assert_eq!(after.verdict, standing(&before));
            }
        }

        #[test]
        fn an_entry_that_has_expired_does_nothing(case in cases(), allow: bool, gone_ms in 0u64..100_000) {
            let effect = if allow { ListEffect::Allow } else { ListEffect::Deny };
            let list = List { id: "lst_1".to_owned(), name: "l".to_owned(), kind: ListKind::Msisdn, effect };
            let mut index = ListIndex::default();
            index.define([list]);
            let part = Part::parse(ListKind::Msisdn, "+6591234567").unwrap();
            index.add("lst_1", &part, Id::new(1, 1), Some(now().minus(Duration::from_millis(gone_ms))));
            let request = case.request();
            let mut facts = case.facts();
            let expired = index.hits(&Subject::of(&request, None, None), now());
            if let Fact::Known(hits) = &mut facts.lists {
                hits.extend(expired);
            }
            let with = decide(&case.policy(), &request, &facts, now());
            prop_assert_eq!(with, case.decide());
        }

        #[test]
        fn what_is_in_shadow_or_named_changes_no_answer(case in cases()) {
            let none = Case { suspended: None, disposable: None, ..case.clone() };
            let shadow = Case { suspended: Some(Mode::Shadow), disposable: Some(false), ..case };
            let shadow = shadow.with(ListEffect::Named);
            let (quiet, recorded) = (none.decide(), shadow.decide());
            prop_assert_eq!((quiet.verdict, quiet.send, quiet.retry_at), (recorded.verdict, recorded.send, recorded.retry_at));
            prop_assert_eq!(recorded.reasons.len(), quiet.reasons.len() + 2, "and yet it is recorded");
        }
    }
}
