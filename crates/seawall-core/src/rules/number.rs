//! Number types that cost the sender more than a message, and numbers outside their country's plan.

use super::{Report, of_subaccount};
use crate::facts::Facts;
use crate::limit::Mode;
use crate::policy::Policy;
use crate::reason::{Reason, ReasonCode};
use crate::request::Request;
use crate::time::Timestamp;

pub(super) fn check(policy: &Policy, request: &Request, _: &Facts, _: Timestamp, report: &mut Report<'_>) {
    if !request.operation.sends() {
        return;
    }
    if of_subaccount(policy, request).refused_number_types.contains(&request.kind) {
        let kind = request.kind.as_str();
        let detail = format!("{} is a {kind} number, and those are not sent to", request.to);
        report(Reason::new(ReasonCode::NumberTypeRefused, detail).about(kind), None);
    }
    if !request.valid {
        // Plans grow before the metadata does: an unknown number is a hint, not a refusal.
        let detail =
            format!("{} is not in the numbering plan of {} as far as is known", request.to, request.country);
        report(Reason::new(ReasonCode::NumberNotInPlan, detail).in_mode(Mode::Shadow), None);
    }
}
