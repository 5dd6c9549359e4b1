//! The rules, one file each. A rule looks at the facts and reports reasons; it decides nothing alone.

mod budgets;
mod client_ip_required;
mod country;
pub(crate) mod detection;
mod enumeration;
mod limits;
mod lists;
mod model;
mod number;
pub(crate) mod operator;
mod opt_out;
mod price;
mod resend;
mod risk_check;
mod sending_window;
mod suspensions;
mod text;

use crate::facts::Facts;
use crate::policy::{Policy, SubaccountPolicy};
use crate::reason::Reason;
use crate::request::Request;
use crate::time::Timestamp;

/// Takes a reason and, for a throttle, when the request would fit.
pub(crate) type Report<'a> = dyn FnMut(Reason, Option<Timestamp>) + 'a;

/// A rule.
pub(crate) type Rule = fn(&Policy, &Request, &Facts, Timestamp, &mut Report<'_>);

/// Every rule with its name, in the order in which reasons are shown.
pub(crate) const ALL: &[(&str, Rule)] = &[
    ("client-ip", client_ip_required::check),
    ("lists", lists::check),
    ("number", number::check),
    ("country", country::check),
    ("suspensions", suspensions::check),
    ("price", price::check),
    ("text", text::check),
    ("sending-window", sending_window::check),
    ("opt-out", opt_out::check),
    ("opt-in", opt_out::opted_in),
    ("detection", detection::check),
    ("model", model::check),
    ("resend", resend::check),
    ("risk-check", risk_check::check),
    ("enumeration", enumeration::check),
    ("budgets", budgets::check),
    ("limits", limits::check),
];

/// The subaccount's own policy, or the default for one that has set nothing.
pub(crate) fn of_subaccount<'a>(
    policy: &'a Policy,
    request: &Request,
) -> std::borrow::Cow<'a, SubaccountPolicy> {
    policy
        .subaccounts
        .get(&request.subaccount)
        .map_or_else(|| std::borrow::Cow::Owned(SubaccountPolicy::default()), std::borrow::Cow::Borrowed)
}

/// Risk from 0 to 100.
pub(crate) fn risk(evidence: &crate::detect::Evidence) -> u8 {
    u8::try_from(detection::percent(f64::from(evidence.probability))).unwrap_or(100)
}
