//! Limits and back-off: what the atomic charge answered, in words.

use super::Report;
use crate::facts::{Fact, Facts};
use crate::limit::{ChargeKind, Counts, Exceeded, Limit, Mode, Per};
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
                let reason = match one.kind {
                    ChargeKind::Limit(position) => match policy.limits.get(position) {
                        Some(limit) => limit_reason(limit, facts, one, now),
                        None => continue,
                    },
                    ChargeKind::BackOff => back_off_reason(policy, request, one, now),
                    ChargeKind::Budget(_) | ChargeKind::ApiRate => continue,
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

fn limit_reason(limit: &Limit, facts: &Facts, one: &Exceeded, now: Timestamp) -> Reason {
    let window = span::format(limit.window);
    let (wait, quota) = (seconds(one.retry_at, now), one.quota);
    let note = note(limit, facts, quota);
    let (code, holds) = match limit.counts {
        Counts::Failures => (ReasonCode::CheckBudgetExhausted, "wrong codes"),
        Counts::Sends | Counts::Requests => (ReasonCode::LimitExceeded, ""),
    };
    let what = if holds.is_empty() { String::new() } else { format!(" {holds}") };
    let detail = format!(
        "limit \"{}\" admits {quota}{what} in any {window} and holds {}{note}; there is room in {wait} s",
        limit.name, one.count
    );
    Reason {
        value: Some(one.count),
        limit: Some(quota),
        window: Some(window),
        ..Reason::new(code, detail).about(limit.name.clone())
    }
}

/// Why a quota is not the one that the limit says.
fn note(limit: &Limit, facts: &Facts, quota: u64) -> String {
    let widened = facts.address.known().map_or(1, |address| address.widened());
    let plain = u64::from(limit.quota);
    let shared = widened > 1 && limit.per.is(Per::ClientIp);
    match (quota == plain, shared) {
        (_, true) if quota == plain * u64::from(widened.div_ceil(2)) => {
            format!(" for one fingerprint at a shared address (quota {plain} → {quota})")
        }
        (_, true) => format!(" (shared address: quota {plain} → {quota})"),
        (true, false) => String::new(),
        (false, false) => format!(" (network: quota {plain} → {quota})"),
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
        value: Some(one.count),
        limit: Some(u64::from(policy.backoff.max_unconfirmed)),
        window: Some(span::format(BACK_OFF_WINDOW)),
        ..Reason::new(code, detail)
    }
}

fn seconds(at: Timestamp, now: Timestamp) -> u128 {
    at.since(now).as_millis().div_ceil(1000)
}
