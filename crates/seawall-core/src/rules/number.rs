//! Number types that cost the sender more than a message, numbers that anybody reads, and numbers outside
//! their country's plan.

use super::{Report, of_subaccount};
use crate::facts::Facts;
use crate::limit::Mode;
use crate::policy::Policy;
use crate::reason::{Reason, ReasonCode};
use crate::request::Request;
use crate::time::Timestamp;

pub(super) fn check(
    policy: &Policy,
    request: &Request,
    facts: &Facts,
    _: Timestamp,
    report: &mut Report<'_>,
) {
    if !request.operation.sends() {
        return;
    }
    let own = of_subaccount(policy, request);
    if own.refused_number_types.contains(&request.kind) {
        let kind = request.kind.as_str();
        let detail = format!("{} is a {kind} number, and those are not sent to", request.to);
        report(Reason::new(ReasonCode::NumberTypeRefused, detail).about(kind), None);
    }
    if facts.number.as_ref().is_some_and(|number| number.disposable) {
        let mode = if own.refuse_disposable { Mode::Enforce } else { Mode::Shadow };
        let detail = format!("{} is a number of a public receive-SMS site", request.to);
        report(Reason::new(ReasonCode::NumberDisposable, detail).in_mode(mode), None);
    }
    if !request.valid {
        // Plans grow before the metadata does: an unknown number is a hint, not a refusal.
        let detail =
            format!("{} is not in the numbering plan of {} as far as is known", request.to, request.country);
        report(Reason::new(ReasonCode::NumberNotInPlan, detail).in_mode(Mode::Shadow), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_ip::ClientIp;
    use crate::intel::NumberFacts;
    use crate::msisdn::{Msisdn, NumberKind};
    use crate::policy::SubaccountPolicy;
    use crate::request::Operation;

    fn reasons(own: SubaccountPolicy, operation: Operation, disposable: bool) -> Vec<(ReasonCode, Mode)> {
        let policy = Policy { subaccounts: [("acme_hq".to_owned(), own)].into(), ..Policy::default() };
        let to = Msisdn::parse("+6591234567", None).unwrap();
        let mut ask =
            Request::new(operation, "acme_hq", "key_1", &to, ClientIp::parse("198.51.100.1").unwrap());
        ask.kind = NumberKind::Voip;
        let number = Some(NumberFacts { disposable, ..NumberFacts::default() });
        let facts = Facts { number, ..Facts::default() };
        let mut found = Vec::new();
        check(&policy, &ask, &facts, Timestamp::default(), &mut |r, _| found.push((r.code, r.mode)));
        found
    }

    #[test]
    fn what_a_subaccount_does_not_send_to_is_refused_and_a_public_number_only_on_request() {
        let own = SubaccountPolicy::default();
        assert_eq!(reasons(own.clone(), Operation::SmsSend, false), []);
        let shadow = [(ReasonCode::NumberDisposable, Mode::Shadow)];
        assert_eq!(reasons(own.clone(), Operation::SmsSend, true), shadow);
        assert_eq!(reasons(own.clone(), Operation::Lookup, true), []);
        let strict =
            SubaccountPolicy { refuse_disposable: true, refused_number_types: vec![NumberKind::Voip], ..own };
        let both =
            [(ReasonCode::NumberTypeRefused, Mode::Enforce), (ReasonCode::NumberDisposable, Mode::Enforce)];
        assert_eq!(reasons(strict, Operation::VerifyStart, true), both);
    }
}
