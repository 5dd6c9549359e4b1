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
