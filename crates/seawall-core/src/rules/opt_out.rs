//! Nobody who said STOP is written to again.

use super::{Report, of_subaccount};
use crate::consent::{Category, OptOutScope};
use crate::facts::{Fact, Facts};
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
    let codes = request.category == Category::Code && of_subaccount(policy, request).codes_despite_opt_out;
    match &facts.opt_out {
        // An opt-out from codes by name is meant for codes.
        Fact::Known(Some(scope)) if !codes || scope.category.is_some() => {
            report(Reason::new(ReasonCode::OptOut, detail(request, scope)), None);
        }
        Fact::Unavailable => {
            let detail = "the list of opt-outs did not answer, so nothing is sent";
            report(Reason::new(ReasonCode::StoreUnavailable, detail).about("opt-outs"), None);
        }
        _ => {}
    }
}

fn detail(request: &Request, scope: &OptOutScope) -> String {
    let of = scope.category.map_or(String::new(), |category| format!("{} ", category.as_str()));
    let under = scope.sender.as_ref().map_or(String::new(), |sender| format!(" under \"{sender}\""));
    let until = scope.until.map_or(String::new(), |until| format!(" until {until}"));
    format!("{} opted out of {of}messages{under}{until}", request.to)
}
