//! Nobody who said STOP is written to again.

use super::{Report, of_subaccount};
use crate::facts::{Fact, Facts};
use crate::policy::Policy;
use crate::reason::{Reason, ReasonCode};
use crate::request::{Operation, Request};
use crate::time::Timestamp;

pub(super) fn check(
    policy: &Policy,
    request: &Request,
    facts: &Facts,
    _: Timestamp,
    report: &mut Report<'_>,
) {
    let exempt =
        request.operation == Operation::VerifyStart && of_subaccount(policy, request).codes_despite_opt_out;
    match facts.opt_out {
        Fact::Known(true) if !exempt => {
            report(Reason::new(ReasonCode::OptOut, format!("{} opted out of messages", request.to)), None);
        }
        Fact::Unavailable => {
            let detail = "the list of opt-outs did not answer, so nothing is sent";
            report(Reason::new(ReasonCode::StoreUnavailable, detail).about("opt-outs"), None);
        }
        _ => {}
    }
}
