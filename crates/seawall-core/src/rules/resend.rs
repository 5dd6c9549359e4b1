//! A verification is not sent again before its own resending interval ends.

use super::Report;
use crate::facts::{Fact, Facts};
use crate::policy::Policy;
use crate::reason::{Reason, ReasonCode};
use crate::request::Request;
use crate::time::Timestamp;

pub(super) fn check(_: &Policy, request: &Request, facts: &Facts, now: Timestamp, report: &mut Report<'_>) {
    match facts.resend_after {
        Fact::Known(Some(at)) if at > now => {
            let wait = at.since(now).as_millis().div_ceil(1000);
            let detail = format!("a code to {} may be asked for again in {wait} s", request.to);
            report(Reason::new(ReasonCode::ResendTooEarly, detail), Some(at));
        }
        Fact::Unavailable => {
            let detail = "the open verifications did not answer, so nothing is sent";
            report(Reason::new(ReasonCode::StoreUnavailable, detail).about("verifications"), None);
        }
        _ => {}
    }
}
