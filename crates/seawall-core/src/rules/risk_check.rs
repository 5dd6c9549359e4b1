//! Says of a send that rules and detection were not asked about it, because its caller may say so and did.

use super::Report;
use crate::facts::Facts;
use crate::policy::Policy;
use crate::reason::{Reason, ReasonCode};
use crate::request::Request;
use crate::time::Timestamp;

pub(super) fn check(_: &Policy, request: &Request, _: &Facts, _: Timestamp, report: &mut Report<'_>) {
    if !request.terms.risk_check {
        let detail = "the caller switched rules and detection off for this request";
        report(Reason::new(ReasonCode::RiskCheckOff, detail).about(request.key.clone()), None);
    }
}
