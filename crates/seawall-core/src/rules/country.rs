//! Countries that a subaccount does not send to.

use super::{Report, of_subaccount};
use crate::facts::Facts;
use crate::policy::{CountryState, Policy};
use crate::reason::{Reason, ReasonCode};
use crate::request::Request;
use crate::time::Timestamp;

pub(super) fn check(policy: &Policy, request: &Request, _: &Facts, _: Timestamp, report: &mut Report<'_>) {
    // What was sent may be checked wherever it went.
    let off = || of_subaccount(policy, request).country_policy.state(request.country) == CountryState::Off;
    if request.operation.sends() && off() {
        let detail = format!("messages to {} are switched off for {}", request.country, request.subaccount);
        report(Reason::new(ReasonCode::CountryOff, detail).about(request.country.as_str()), None);
    }
}
