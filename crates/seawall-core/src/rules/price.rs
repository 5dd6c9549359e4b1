//! Messages that cost more than the subaccount or the caller is willing to pay.

use super::{Report, of_subaccount};
use crate::facts::Facts;
use crate::policy::Policy;
use crate::reason::{Reason, ReasonCode};
use crate::request::Request;
use crate::time::Timestamp;

pub(super) fn check(policy: &Policy, request: &Request, _: &Facts, _: Timestamp, report: &mut Report<'_>) {
    // Without a price there is nothing to hold against the bound.
    let Some(price) = request.price.filter(|_| request.operation.sends()) else { return };
    let own = of_subaccount(policy, request);
    let bounds = [
        (request.terms.max_price, "the request's max_price"),
        (own.max_price.of(request.country), "the subaccount's max_price"),
    ];
    for (most, whose) in bounds.into_iter().filter_map(|(most, whose)| Some((most?, whose))) {
        if price > most {
            report(reason(request, price, most, whose), None);
        }
    }
}

fn reason(request: &Request, price: i64, most: i64, whose: &str) -> Reason {
    let country = request.country;
    let detail = format!("a message to {country} costs {price} micro-units, and {whose} is {most}");
    Reason {
        value: u64::try_from(price).ok(),
        limit: u64::try_from(most).ok(),
        ..Reason::new(ReasonCode::PriceTooHigh, detail).about(country.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_ip::ClientIp;
    use crate::country::Country;
    use crate::msisdn::Msisdn;
    use crate::policy::SubaccountPolicy;
    use crate::request::Operation;

    #[test]
    fn the_narrower_bound_counts_and_a_price_that_nobody_knows_is_not_held_against_it() {
        let mut own = SubaccountPolicy::default();
        own.max_price.default = Some(100);
        own.max_price.countries.insert(Country::parse("SG").unwrap(), 300);
        let policy = Policy { subaccounts: [("acme_hq".to_owned(), own)].into(), ..Policy::default() };
        let reasons = |to: &str, price, most| {
            let to = Msisdn::parse(to, None).unwrap();
            let caller = ClientIp::parse("198.51.100.1").unwrap();
            let mut ask = Request::new(Operation::SmsSend, "acme_hq", "key_1", &to, caller);
            (ask.price, ask.terms.max_price) = (price, most);
            let mut found = Vec::new();
            check(&policy, &ask, &Facts::default(), Timestamp::default(), &mut |r, _| found.push(r.limit));
            found
        };
        assert_eq!(reasons("+6591234567", Some(300), None), []);
        assert_eq!(reasons("+6591234567", Some(301), None), [Some(300)]);
        assert_eq!(reasons("+6591234567", Some(301), Some(200)), [Some(200), Some(300)]);
        assert_eq!(reasons("+998931234567", Some(101), Some(0)), [Some(0), Some(100)]);
        assert_eq!(reasons("+998931234567", None, Some(0)), []);
    }
}
