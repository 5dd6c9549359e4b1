//! Trained models: one that says "campaign" as surely as the operator's dial asks for blocks, if it may; else it is
//! recorded in shadow. It stands beside the engine: what the engine says counts as it would without a model.

use super::Report;
use super::detection::percent;
use crate::facts::Facts;
use crate::limit::Mode;
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
    let Some(evidence) = facts.evidence.known() else { return };
    let dial = &policy.detection;
    // Models know codes: messages without one have no outcome to learn from.
    let asked = request.terms.risk_check
        && request.operation == Operation::VerifyStart
        && request.terms.redeems.is_none()
        && dial.mode != Mode::Off;
    if !asked {
        return;
    }
    let from = dial.thresholds(evidence.price).block;
    for opinion in facts.opinions.iter().filter(|opinion| f64::from(opinion.probability) >= from) {
        let mut reason = Reason::new(ReasonCode::CampaignModel, opinion.detail()).about(&opinion.model);
        reason.value = Some(percent(f64::from(opinion.probability)));
        reason.limit = Some(percent(from));
        report(reason.in_mode(if opinion.enforced { dial.mode } else { Mode::Shadow }), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_ip::ClientIp;
    use crate::decide::decide;
    use crate::decision::Verdict;
    use crate::detect::Evidence;
    use crate::facts::Fact;
    use crate::model::{Contribution, Opinion};
    use crate::msisdn::Msisdn;

    fn decided(
        probability: f32,
        enforced: bool,
        mode: Mode,
        operation: Operation,
    ) -> crate::decision::Decision {
        let to = Msisdn::parse("+998934123456", None).unwrap();
        let caller = ClientIp::parse("198.51.100.1").unwrap();
        let request = Request::new(operation, "acme_hq", "key_1", &to, caller);
        let contributions = vec![Contribution {
            feature: "block.confirmed".to_owned(),
            detail: "block 99893412xxxx confirmed 0".to_owned(),
            adds: 1.24,
        }];
        let opinion = Opinion { model: "fraud".to_owned(), enforced, probability, contributions };
        let evidence = Evidence { price: 141_100, ..Evidence::default() };
        let facts = Facts { evidence: Fact::Known(evidence), opinions: vec![opinion], ..Facts::default() };
        let mut policy = Policy::default();
        policy.detection.mode = mode;
        decide(&policy, &request, &facts, Timestamp::default())
    }

    #[test]
    fn an_enforced_model_blocks_and_says_why() {
        let decision = decided(0.93, true, Mode::Enforce, Operation::VerifyStart);
        assert_eq!(decision.verdict, Verdict::Block);
        let reason = &decision.reasons[0];
        assert_eq!(reason.detail, "model fraud: 0.93; block 99893412xxxx confirmed 0 +1.2");
        assert_eq!((reason.value, reason.key.as_deref()), (Some(93), Some("fraud")));
        assert!(decided(0.5, true, Mode::Enforce, Operation::VerifyStart).reasons.is_empty());
        assert!(decided(0.93, true, Mode::Enforce, Operation::SmsSend).reasons.is_empty(), "codes only");
    }

    #[test]
    fn in_shadow_it_changes_nothing() {
        for (enforced, mode) in [(false, Mode::Enforce), (true, Mode::Shadow)] {
            let decision = decided(0.99, enforced, mode, Operation::VerifyStart);
            assert_eq!((decision.verdict, decision.reasons[0].mode), (Verdict::Allow, Mode::Shadow));
        }
        assert!(decided(0.99, true, Mode::Off, Operation::VerifyStart).reasons.is_empty());
    }
}
