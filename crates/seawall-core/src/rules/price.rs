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
