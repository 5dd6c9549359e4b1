//! Operators, countries, ranges and networks that are suspended for the time being.

use super::Report;
use crate::facts::Facts;
use crate::list::Subject;
use crate::policy::Policy;
use crate::reason::{Reason, ReasonCode};
use crate::request::Request;
use crate::suspension::Suspension;
use crate::time::Timestamp;

pub(super) fn check(
    policy: &Policy,
    request: &Request,
    facts: &Facts,
    now: Timestamp,
    report: &mut Report<'_>,
) {
    if !request.operation.sends() || policy.suspensions.is_empty() {
        return;
    }
    let subject = Subject::of(request, facts.ip.as_ref(), facts.number.as_ref());
    for met in policy.suspensions.met(&subject, &request.subaccount, now) {
        report(reason(met), None);
    }
}

fn reason(met: &Suspension) -> Reason {
    let what = match met.scope.word() {
        "operator" => "the number's operator is",
        "country" => "the number's country is",
        "number_range" => "the number's range is",
        "ip" => "the end user's address is",
        _ => "the network of the end user's address is",
    };
    let detail = format!("{what} suspended until {} ({})", met.expires_at, met.id);
    Reason::new(ReasonCode::Suspended, detail).about(met.id.clone()).in_mode(met.mode)
}
