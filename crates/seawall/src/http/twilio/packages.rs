//! The data packages of a lookup as Twilio spells them. What nobody knows is null.

use std::time::Duration;

use seawall_connect::lookup::{Depth, LookupFailure, Network};
use seawall_core::msisdn::NumberKind;
use seawall_core::reason::ReasonCode;
use seawall_core::time::Timestamp;
use serde_json::{Value, json};

use crate::app::lookup::{LookedUp, carrier};

/// Every package that Twilio has, in its order, and how deep one has to ask for it. Those without an entry in
/// [`package`] stay null.
pub(super) const ALL: [(&str, Option<Depth>); 11] = [
    ("validation", None),
    ("caller_name", None),
    ("sim_swap", Some(Depth::Live)),
    ("call_forwarding", Some(Depth::Live)),
    ("line_status", Some(Depth::Live)),
    ("line_type_intelligence", Some(Depth::Operator)),
    ("identity_match", None),
    ("reassigned_number", Some(Depth::Live)),
    ("sms_pumping_risk", None),
    ("phone_number_quality_score", None),
    ("pre_fill", None),
];

/// Twilio's number for a package that could not be had.
const NOT_HAD: u32 = 60600;

/// One package of a number that was looked up. `verified`: the day since which its owner is in question.
pub(super) fn package(name: &str, found: &LookedUp, verified: Option<Timestamp>, now: Timestamp) -> Value {
    match name {
        "sim_swap" => sim_swap(found, now),
        "call_forwarding" => {
            json!({"call_forwarding_enabled": found.state.call_forwarding, "error_code": error(found)})
        }
        "line_status" => json!({"status": line_status(found), "error_code": error(found)}),
        "line_type_intelligence" => line_type(found),
        "reassigned_number" => reassigned(found, verified.or(found.last_confirmed_at)),
        "sms_pumping_risk" => pumping_risk(found),
        _ => Value::Null,
    }
}

fn error(found: &LookedUp) -> Option<u32> {
    found.failure.map(|_| NOT_HAD)
}

fn network(found: &LookedUp) -> Network {
    carrier(&found.format, &found.state).unwrap_or_default()
}

fn sim_swap(found: &LookedUp, now: Timestamp) -> Value {
    let last = found.state.sim_swapped_at.map(|at| {
        json!({"last_sim_swap_date": at.to_rfc3339(), "swapped_period": period(now.since(at)), "swapped_in_period": true})
    });
    let carrier = network(found);
    json!({
        "last_sim_swap": last,
        "carrier_name": carrier.name,
        "mobile_country_code": carrier.mcc,
        "mobile_network_code": carrier.mnc,
        "error_code": error(found),
    })
}

/// `PT26H3M4S`, by ISO 8601.
fn period(span: Duration) -> String {
    let seconds = span.as_secs();
    format!("PT{}H{}M{}S", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn line_status(found: &LookedUp) -> &'static str {
    match (found.failure, found.state.reachable) {
        (Some(LookupFailure::SimDeactivated), _) => "inactive",
        (Some(LookupFailure::SimOffline | LookupFailure::NotReachable), _) | (None, Some(false)) => {
            "unreachable"
        }
        (None, Some(true)) => "reachable",
        _ => "unknown",
    }
}

fn line_type(found: &LookedUp) -> Value {
    let carrier = network(found);
    json!({
        "carrier_name": carrier.name,
        "mobile_country_code": carrier.mcc,
        "mobile_network_code": carrier.mnc,
        "type": kind(found.format.number.kind, carrier.mnc.is_some()),
        "error_code": error(found),
    })
}

/// `mobile_network`: whether a mobile network is known to carry it, where its country's plan does not tell.
fn kind(kind: NumberKind, mobile_network: bool) -> &'static str {
    match kind {
        NumberKind::FixedLine => "landline",
        NumberKind::Mobile => "mobile",
        NumberKind::FixedLineOrMobile if mobile_network => "mobile",
        // The plan does not tell whose address is fixed; the careful guess.
        NumberKind::Voip => "nonFixedVoip",
        NumberKind::PersonalNumber => "personal",
        NumberKind::TollFree => "tollFree",
        NumberKind::PremiumRate => "premium",
        NumberKind::SharedCost => "sharedCost",
        NumberKind::Uan => "uan",
        NumberKind::Voicemail => "voicemail",
        NumberKind::Pager => "pager",
        NumberKind::FixedLineOrMobile | NumberKind::Unknown => "unknown",
    }
}

fn reassigned(found: &LookedUp, since: Option<Timestamp>) -> Value {
    let is = match (found.state.reassigned_at, since) {
        (Some(at), Some(since)) if at > since => "yes",
        (Some(_), Some(_)) => "no",
        _ => "no_data_available",
    };
    let day = since.map(|at| at.to_rfc3339().chars().take(10).collect::<String>());
    json!({"last_verified_date": day, "is_number_reassigned": is, "error_code": error(found)})
}

/// Our own risk. Blocked is what a deny entry or detection would block now; what was blocked before is not kept by number.
fn pumping_risk(found: &LookedUp) -> Value {
    let score = found.risk.score;
    let blocks = |code| matches!(code, ReasonCode::DenyEntry | ReasonCode::CampaignBlock);
    let blocked = found.risk.reasons.iter().any(|reason| blocks(reason.code));
    let category = match score {
        0..60 => "low",
        60..75 => "moderate",
        _ => "high",
    };
    json!({
        "carrier_risk_category": category,
        "number_blocked": blocked,
        "number_blocked_date": null,
        "number_blocked_last_3_months": blocked.then_some(true),
        "sms_pumping_risk_score": score,
        "error_code": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_by_iso_8601() {
        assert_eq!(period(Duration::from_secs(93_784)), "PT26H3M4S");
        assert_eq!(period(Duration::ZERO), "PT0H0M0S");
    }

    #[test]
    fn a_plan_that_does_not_tell_is_settled_by_the_network() {
        assert_eq!(kind(NumberKind::FixedLineOrMobile, true), "mobile");
        assert_eq!(kind(NumberKind::FixedLineOrMobile, false), "unknown");
    }
}
