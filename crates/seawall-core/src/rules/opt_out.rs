//! Nobody who said STOP is written to again.

use super::{Report, of_subaccount};
use crate::consent::{Category, OptOutScope};
use crate::facts::{Fact, Facts};
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
    let codes = request.category == Category::Code && of_subaccount(policy, request).codes_despite_opt_out;
    match &facts.opt_out {
        // An opt-out from codes by name is meant for codes.
        Fact::Known(Some(scope)) if !codes || scope.category.is_some() => {
            report(Reason::new(ReasonCode::OptOut, detail(request, scope)), None);
        }
        Fact::Unavailable => {
            let detail = "the list of opt-outs did not answer, so nothing is sent";
            report(Reason::new(ReasonCode::StoreUnavailable, detail).about("opt-outs"), None);
        }
        _ => {}
    }
}

/// Advertising needs an opt-in where the subaccount says so.
pub(super) fn opted_in(_: &Policy, request: &Request, facts: &Facts, _: Timestamp, report: &mut Report<'_>) {
    match facts.opted_in {
        Fact::Known(false) => {
            let detail = format!("{} gave {} no opt-in to marketing", request.to, request.subaccount);
            report(Reason::new(ReasonCode::NoOptIn, detail), None);
        }
        Fact::Unavailable => {
            let detail = "the list of opt-ins did not answer, so nothing is sent";
            report(Reason::new(ReasonCode::StoreUnavailable, detail).about("opt-ins"), None);
        }
        _ => {}
    }
}

fn detail(request: &Request, scope: &OptOutScope) -> String {
    let of = scope.category.map_or(String::new(), |category| format!("{} ", category.as_str()));
    let under = scope.sender.as_ref().map_or(String::new(), |sender| format!(" under \"{sender}\""));
    let until = scope.until.map_or(String::new(), |until| format!(" until {until}"));
    format!("{} opted out of {of}messages{under}{until}", request.to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_ip::ClientIp;
    use crate::decide::{decide, needs};
    use crate::decision::Verdict;
    use crate::msisdn::Msisdn;
    use crate::policy::{ConsentPolicy, SubaccountPolicy};
    use crate::request::Operation;

    fn policy() -> Policy {
        let consent = ConsentPolicy { marketing_needs_opt_in: true, ..ConsentPolicy::default() };
        let own = SubaccountPolicy { consent, codes_despite_opt_out: true, ..SubaccountPolicy::default() };
        let mut policy = Policy::default();
        policy.subaccounts.insert("shop".to_owned(), own);
        policy
    }

    fn ask(category: Category) -> Request {
        let operation = if category == Category::Code { Operation::VerifyStart } else { Operation::SmsSend };
        let to = Msisdn::parse("+6591234567", None).unwrap();
        let request = Request::new(operation, "shop", "key_1", &to, ClientIp::parse("198.51.100.1").unwrap());
        Request { category, ..request }
    }

    fn verdict(category: Category, facts: &Facts) -> (Verdict, Option<ReasonCode>) {
        let now = Timestamp::parse("2026-01-05T10:00:00Z").unwrap();
        let decision = decide(&policy(), &ask(category), facts, now);
        (decision.verdict, decision.reasons.first().map(|reason| reason.code))
    }

    #[test]
    fn only_advertising_needs_an_opt_in() {
        assert!(needs(&policy(), &ask(Category::Marketing)).opted_in);
        assert!(!needs(&policy(), &ask(Category::Transactional)).opted_in);
        assert!(!needs(&Policy::default(), &ask(Category::Marketing)).opted_in);
        let facts = |opted_in| Facts { opted_in, ..Facts::default() };
        let refused = (Verdict::Block, Some(ReasonCode::NoOptIn));
        assert_eq!(verdict(Category::Marketing, &facts(Fact::Known(false))), refused);
        assert_eq!(verdict(Category::Marketing, &facts(Fact::Known(true))), (Verdict::Allow, None));
        let unknown = verdict(Category::Marketing, &facts(Fact::Unavailable));
        assert_eq!(unknown, (Verdict::Throttle, Some(ReasonCode::StoreUnavailable)));
    }

    #[test]
    fn codes_go_despite_an_opt_out_unless_it_names_codes() {
        let facts = |scope| Facts { opt_out: Fact::Known(Some(scope)), ..Facts::default() };
        let refused = (Verdict::Block, Some(ReasonCode::OptOut));
        assert_eq!(verdict(Category::Code, &facts(OptOutScope::default())), (Verdict::Allow, None));
        assert_eq!(verdict(Category::Transactional, &facts(OptOutScope::default())), refused);
        let not_me = OptOutScope { category: Some(Category::Code), ..OptOutScope::default() };
        assert_eq!(verdict(Category::Code, &facts(not_me)), refused);
    }
}
