//! Limits and back-off: what the atomic charge answered, in words.

use super::Report;
use crate::facts::{Fact, Facts};
use crate::limit::{Exceeded, Mode};
use crate::policy::{BACK_OFF_WINDOW, Policy};
use crate::reason::{Reason, ReasonCode};
use crate::request::Request;
use crate::time::{Timestamp, span};

pub(super) fn check(
    policy: &Policy,
    request: &Request,
    facts: &Facts,
    now: Timestamp,
    report: &mut Report<'_>,
) {
    match &facts.limits {
        Fact::Known(exceeded) => {
            for one in exceeded {
                let reason = match one.limit.and_then(|position| policy.limits.get(position)) {
                    Some(limit) => limit_reason(limit, one, now),
                    None => back_off_reason(policy, request, one, now),
                };
                let mode = if one.enforced { Mode::Enforce } else { Mode::Shadow };
                report(reason.in_mode(mode), Some(one.retry_at));
            }
        }
        Fact::Unavailable => {
            let detail = "the counters did not answer, so nothing is sent";
            report(Reason::new(ReasonCode::StoreUnavailable, detail).about("counters"), None);
        }
        Fact::NotAsked => {}
    }
}

fn limit_reason(limit: &crate::limit::Limit, one: &Exceeded, now: Timestamp) -> Reason {
    let window = span::format(limit.window);
    let wait = seconds(one.retry_at, now);
    let detail = format!(
        "limit \"{}\" admits {} in any {window} and holds {}; there is room in {wait} s",
        limit.name, limit.quota, one.count
    );
    Reason {
        value: Some(u64::from(one.count)),
        limit: Some(u64::from(limit.quota)),
        window: Some(window),
        ..Reason::new(ReasonCode::LimitExceeded, detail).about(limit.name.clone())
    }
}

fn back_off_reason(policy: &Policy, request: &Request, one: &Exceeded, now: Timestamp) -> Reason {
    let wait = seconds(one.retry_at, now);
    let (code, detail) = if one.quota_used_up {
        let detail = format!(
            "{} had {} unconfirmed codes in {}; the next may go in {wait} s",
            request.to,
            one.count,
            span::format(BACK_OFF_WINDOW)
        );
        (ReasonCode::TooManyUnconfirmed, detail)
    } else {
        let detail =
            format!("{} has {} unconfirmed code(s); the next may go in {wait} s", request.to, one.count);
        (ReasonCode::BackOff, detail)
    };
    Reason {
        value: Some(u64::from(one.count)),
        limit: Some(u64::from(policy.backoff.max_unconfirmed)),
        window: Some(span::format(BACK_OFF_WINDOW)),
        ..Reason::new(code, detail)
    }
}

fn seconds(at: Timestamp, now: Timestamp) -> u128 {
    at.since(now).as_millis().div_ceil(1000)
}
