//! Detection: evidence becomes reasons. The probability is held against what the operator's dial says, and
//! evidence that is not narrow never blocks.

use super::{Report, of_subaccount};
use crate::decision::Verdict;
use crate::detect::dial::{Answer, DetectionPolicy};
use crate::detect::{Evidence, Exposure, KeyKind};
use crate::facts::{Fact, Facts};
use crate::limit::Mode;
use crate::policy::{CountryState, Policy};
use crate::reason::{Reason, ReasonCode};
use crate::request::Request;
use crate::time::Timestamp;

/// Budgets are at least so many times what is usual: a good day must not be stopped.
const TIMES_USUAL: i64 = 4;

pub(super) fn check(
    policy: &Policy,
    request: &Request,
    facts: &Facts,
    _: Timestamp,
    report: &mut Report<'_>,
) {
    let Fact::Known(evidence) = &facts.evidence else { return };
    let dial = &policy.detection;
    if !request.terms.risk_check {
        return;
    }
    // An allow that is redeemed was weighed when it was given.
    if dial.mode == Mode::Off || !request.operation.sends() || request.terms.redeems.is_some() {
        return;
    }
    if let Some(reason) = campaign(dial, evidence) {
        let stops = reason.code.verdict() > Verdict::Challenge && dial.mode == Mode::Enforce;
        let canary = stops && dial.lets_through(facts.lot, evidence.price);
        report(Reason { overruled: canary, ..reason.in_mode(dial.mode) }, None);
        if canary {
            report(Reason::new(ReasonCode::Canary, let_through(dial)), None);
        }
    }
    let state = of_subaccount(policy, request).country_policy.state(request.country);
    for exposure in &evidence.exposure {
        let Some(budget) = budget(dial, state, exposure) else { continue };
        if exposure.outstanding > budget {
            report(overdrawn(exposure, budget).in_mode(dial.mode), None);
        }
    }
}

/// What the probability of a campaign leads to, if anything.
pub(crate) fn campaign(dial: &DetectionPolicy, evidence: &Evidence) -> Option<Reason> {
    let (all, narrow) = (f64::from(evidence.probability), f64::from(evidence.narrow));
    let may_block = evidence.ceiling >= Verdict::Block;
    let (answer, from) = dial.answer(all, narrow, may_block, evidence.price);
    let code = match answer {
        Answer::Block => ReasonCode::CampaignBlock,
        Answer::Alternative => ReasonCode::CampaignAlternative,
        Answer::Challenge => ReasonCode::CampaignChallenge,
        Answer::Send => return None,
    };
    let causes: Vec<&str> = evidence.signals.iter().map(|signal| signal.detail.as_str()).collect();
    let mut reason = Reason::new(code, causes.join("; "));
    reason.key = evidence.signals.first().map(|signal| signal.key.clone());
    (reason.value, reason.limit) = (Some(percent(all)), Some(percent(from)));
    Some(reason)
}

fn let_through(dial: &DetectionPolicy) -> String {
    format!(
        "sent although detection would stop it: {} % of such messages are, to see whether they are confirmed",
        dial.canary_percent
    )
}

/// A probability in whole percent.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100")]
pub(crate) fn percent(p: f64) -> u64 {
    (100.0 * p.clamp(0.0, 1.0)).round() as u64
}

/// How much may be outstanding here, in micro-units; `None`: as much as likes.
fn budget(dial: &DetectionPolicy, state: CountryState, exposure: &Exposure) -> Option<i64> {
    let set = match exposure.kind {
        KeyKind::Country => (state == CountryState::Protected).then_some(dial.exposure_budget),
        KeyKind::Operator => dial.operator_exposure_budget,
        _ => dial.subaccount_exposure_budget,
    };
    let usual = exposure.usual.saturating_mul(TIMES_USUAL);
    set.map(|set| set.max(usual))
}

fn overdrawn(exposure: &Exposure, budget: i64) -> Reason {
    let what = match exposure.kind {
        KeyKind::Country => "messages to ",
        KeyKind::Operator => "messages to operator ",
        _ => "messages of subaccount ",
    };
    let detail = format!(
        "{what}{}: {} of the last hour would be unconfirmed; the budget is {}",
        exposure.key,
        money(exposure.outstanding),
        money(budget)
    );
    let mut reason = Reason::new(ReasonCode::ExposureBudget, detail).about(exposure.key.clone());
    reason.value = u64::try_from(exposure.outstanding).ok();
    reason.limit = u64::try_from(budget).ok();
    reason.window = Some("1h".to_owned());
    reason
}

/// Micro-units as an amount with two decimals.
fn money(micros: i64) -> String {
    let cents = micros / 10_000;
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_ip::ClientIp;
    use crate::detect::{Family, Signal};
    use crate::msisdn::Msisdn;
    use crate::request::Operation;

    fn request() -> Request {
        let to = Msisdn::parse("+998934123456", None).unwrap();
        Request::new(
            Operation::VerifyStart,
            "acme_hq",
            "key_1",
            &to,
            ClientIp::parse("198.51.100.1").unwrap(),
        )
    }

    fn evidence(probability: f32, narrow: f32) -> Evidence {
        let signal = Signal {
            family: Family::Concentration,
            kind: KeyKind::Block10k,
            key: "99893412xxxx".to_owned(),
            probability,
            seen: 14.0,
            expected: 0.3,
            detail: "10k block 99893412xxxx: 14 numbers from 13 networks in 6 h where 0.3 are expected"
                .to_owned(),
        };
        Evidence {
            probability,
            narrow,
            ceiling: Verdict::Block,
            signals: vec![signal],
            price: 141_100,
            ..Evidence::default()
        }
    }

    fn verdicts(policy: &Policy, evidence: Evidence) -> Vec<(ReasonCode, Mode, String)> {
        let facts = Facts { evidence: Fact::Known(evidence), ..Facts::default() };
        let mut all = Vec::new();
        check(policy, &request(), &facts, Timestamp::default(), &mut |reason, _| {
            all.push((reason.code, reason.mode, reason.detail));
        });
        all
    }

    #[test]
    fn only_narrow_evidence_blocks() {
        let policy = Policy::default();
        assert_eq!(verdicts(&policy, evidence(0.99, 0.99))[0].0, ReasonCode::CampaignBlock);
        assert_eq!(verdicts(&policy, evidence(0.99, 0.4))[0].0, ReasonCode::CampaignAlternative);
        assert_eq!(verdicts(&policy, evidence(0.2, 0.2))[0].0, ReasonCode::CampaignChallenge);
        assert!(verdicts(&policy, evidence(0.02, 0.02)).is_empty());
    }

    #[test]
    fn a_canary_is_let_through_by_lot_and_never_a_dear_one() {
        let mut policy = Policy::default();
        (policy.detection.canary_percent, policy.detection.canary_max_price) = (2, 141_100);
        let with_lot = |policy: &Policy, lot| {
            let facts = Facts { evidence: Fact::Known(evidence(0.99, 0.99)), lot, ..Facts::default() };
            let mut all = Vec::new();
            let mut report = |reason: Reason, _| all.push((reason.code, reason.in_force()));
            check(policy, &request(), &facts, Timestamp::default(), &mut report);
            all
        };
        let stopped = vec![(ReasonCode::CampaignBlock, true)];
        let canary = vec![(ReasonCode::CampaignBlock, false), (ReasonCode::Canary, true)];
        assert_eq!(with_lot(&policy, Some(1)), canary);
        assert_eq!(with_lot(&policy, Some(2)), stopped);
        assert_eq!(with_lot(&policy, None), stopped, "an alarmed number draws no lot");
        policy.detection.canary_max_price = 141_099;
        assert_eq!(with_lot(&policy, Some(1)), stopped);
        policy.detection.mode = Mode::Shadow;
        assert!(with_lot(&policy, Some(1)).iter().all(|(code, _)| *code != ReasonCode::Canary));
    }

    #[test]
    fn shadow_records_and_off_says_nothing() {
        let mut policy = Policy::default();
        policy.detection.mode = Mode::Shadow;
        assert_eq!(verdicts(&policy, evidence(0.99, 0.99))[0].1, Mode::Shadow);
        policy.detection.mode = Mode::Off;
        assert!(verdicts(&policy, evidence(0.99, 0.99)).is_empty());
    }

    #[test]
    fn a_protected_country_has_a_budget_of_unconfirmed_messages() {
        let exposed = |outstanding, usual| {
            let exposure = Exposure { kind: KeyKind::Country, key: "UZ".to_owned(), outstanding, usual };
            Evidence { exposure: vec![exposure], ..evidence(0.0, 0.0) }
        };
        let policy = Policy::default();
        assert!(verdicts(&policy, exposed(20_000_000, 0)).is_empty());
        let over = verdicts(&policy, exposed(20_100_000, 0));
        assert_eq!(over[0].0, ReasonCode::ExposureBudget);
        assert_eq!(
            over[0].2,
            "messages to UZ: 20.10 of the last hour would be unconfirmed; the budget is 20.00"
        );
        assert!(verdicts(&policy, exposed(20_100_000, 6_000_000)).is_empty(), "a good day is no attack");
        let mut open = policy.clone();
        let mut own = crate::policy::SubaccountPolicy::default();
        own.country_policy.default = CountryState::Open;
        open.subaccounts.insert("acme_hq".to_owned(), own);
        assert!(verdicts(&open, exposed(99_000_000, 0)).is_empty());
    }
}
