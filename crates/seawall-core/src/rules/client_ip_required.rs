//! A subaccount may insist on the end user's address.

use super::{Report, of_subaccount};
use crate::facts::Facts;
use crate::policy::Policy;
use crate::reason::{Reason, ReasonCode};
use crate::request::Request;
use crate::time::Timestamp;

pub(super) fn check(policy: &Policy, request: &Request, _: &Facts, _: Timestamp, report: &mut Report<'_>) {
    if request.operation.is_message()
        && request.client.ip.is_none()
        && of_subaccount(policy, request).require_client_ip
    {
        let detail = "this subaccount requires the end user's address (clientIp), and the request has none";
        report(Reason::new(ReasonCode::ClientIpRequired, detail), None);
    }
}
