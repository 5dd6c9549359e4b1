//! Budgets: what the atomic charge answered, in words, and messages that a budget cannot add up.

use super::Report;
use crate::budget::Budget;
use crate::facts::Facts;
use crate::limit::{ChargeKind, Exceeded, Mode};
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
    for budget in policy.budgets.iter().filter(|b| b.refuses_unpriced() && b.covers(request)) {
        if budget.lacks_price(request) {
            report(unpriced(budget, request), None);
        }
    }
    for one in facts.limits.known().into_iter().flatten() {
        let ChargeKind::Budget(position) = one.kind else { continue };
        if let Some(budget) = policy.budgets.get(position) {
            let mode = if one.enforced { Mode::Enforce } else { Mode::Shadow };
            report(exceeded(budget, one).in_mode(mode), Some(one.retry_at));
        }
    }
}

fn unpriced(budget: &Budget, request: &Request) -> Reason {
    let (label, country) = (budget.label(), request.country);
    let wanted = budget.currency.map(|c| format!(" in {c}")).unwrap_or_default();
    let found = match request.cost() {
        Some(cost) => format!(", only one in {}", cost.currency),
        None => String::new(),
    };
    let what = if request.operation.sends() { "message" } else { "lookup" };
    let detail =
        format!("budget \"{label}\" covers this {what}, and there is no price for {country}{wanted}{found}");
    Reason::new(ReasonCode::BudgetUnpriced, detail).about(label)
}

fn exceeded(budget: &Budget, one: &Exceeded) -> Reason {
    let (label, window) = (budget.label(), budget.window);
    let (spent, amount) = (budget.shown(one.count), budget.shown(one.quota));
    let frees = one.retry_at;
    let detail = format!("budget \"{label}\": {spent} of {amount} spent in {window}; it frees at {frees}");
    Reason {
        value: Some(one.count),
        limit: Some(one.quota),
        window: Some(window.to_string()),
        ..Reason::new(ReasonCode::BudgetExceeded, detail).about(label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{OnExceed, Unpriced};
    use crate::client_ip::ClientIp;
    use crate::decide::decide;
    use crate::decision::Verdict;
    use crate::facts::Fact;
    use crate::money::Currency;
    use crate::msisdn::Msisdn;
    use crate::request::Operation;

    fn request() -> Request {
        let to = Msisdn::parse("+6591234567", None).unwrap();
        Request::new(Operation::SmsSend, "acme", "key_1", &to, ClientIp::parse("198.51.100.1").unwrap())
    }

    fn policy(change: impl Fn(&mut Budget)) -> Policy {
        let written = serde_json::json!({
            "id": "bud_1", "name": "day", "amount": 5_000_000, "currency": "USD", "window": "day"
        });
        let mut budget: Budget = serde_json::from_value(written).unwrap();
        change(&mut budget);
        Policy { budgets: vec![budget], ..Policy::default() }
    }

    fn at() -> Timestamp {
        Timestamp::parse("2026-01-05T10:00:00Z").unwrap()
    }

    #[test]
    fn what_has_no_price_is_refused_with_what_to_do() {
        let decision = decide(&policy(|_| {}), &request(), &Facts::default(), at());
        assert_eq!(
            (decision.verdict, decision.reasons[0].code),
            (Verdict::Block, ReasonCode::BudgetUnpriced)
        );
        let mut euros = request();
        (euros.price, euros.currency) = (Some(1), Currency::parse("EUR"));
        let decision = decide(&policy(|_| {}), &euros, &Facts::default(), at());
        assert_eq!(
            decision.reasons[0].detail,
            "budget \"day\" covers this message, and there is no price for SG in USD, only one in EUR"
        );
        for change in [
            (|b| b.unpriced = Unpriced::Ignore) as fn(&mut Budget),
            |b| b.on_exceed = OnExceed::Alert,
            |b| b.subaccount_id = Some("other".to_owned()),
            |b| b.unit = crate::budget::Unit::Messages,
        ] {
            assert_eq!(decide(&policy(change), &request(), &Facts::default(), at()).verdict, Verdict::Allow);
        }
    }

    #[test]
    fn a_full_budget_says_how_much_and_until_when_also_while_observing() {
        let retry_at = Timestamp::parse("2026-01-06T00:00:00Z").unwrap();
        let (kind, enforced) = (ChargeKind::Budget(0), true);
        let full =
            Exceeded { kind, count: 4_900_000, quota: 5_000_000, retry_at, quota_used_up: true, enforced };
        let facts = Facts { limits: Fact::Known(vec![full]), ..Facts::default() };
        let mut observing = policy(|b| b.unpriced = Unpriced::Ignore);
        observing.observe_until = Some(retry_at);
        let decision = decide(&observing, &request(), &facts, at());
        assert_eq!((decision.verdict, decision.send), (Verdict::Block, None));
        assert_eq!(
            decision.reasons[0].detail,
            "budget \"day\": 4.9 USD of 5 USD spent in day; it frees at 2026-01-06T00:00:00.000Z"
        );
    }
}
