//! How risky a number is, 0 to 100, and why: what its range has been doing, the operator's lists, and what its
//! digits say. Nothing here is about one person's past with somebody else: the evidence is asked for the range
//! ([`range`]), so that a number answers the same whether or not another subaccount has ever sent to it.

use serde::Serialize;

use super::Format;
use crate::detect::Evidence;
use crate::detect::dial::DetectionPolicy;
use crate::list::{ListEffect, ListHit};
use crate::msisdn::{Msisdn, NumberKind};
use crate::reason::ReasonCode;
use crate::rules::detection;

/// What a number of a public receive-SMS site adds: anybody may read along.
const DISPOSABLE: f64 = 0.8;
/// What a number outside of its country's plan adds: most belong to nobody, and plans change.
const NOT_IN_PLAN: f64 = 0.6;
/// What a line adds that pays its owner for being reached, or that no person carries.
const COSTLY: f64 = 0.7;
/// Digits of a number that [`range`] passes over.
const RANGE: u64 = 1000;

/// A risk with its reasons.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Risk {
    /// 0 to 100.
    pub score: u8,
    /// What it consists of, the greatest part first. A range that does what it usually does is no reason.
    pub reasons: Vec<RiskReason>,
}

/// One part of a risk.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RiskReason {
    /// A code of the closed list.
    pub code: ReasonCode,
    /// One sentence for a person. Never a full number.
    pub detail: String,
    /// What it alone would make the score.
    pub score: u8,
}

/// The number that stands for the range of another one: evidence about it is evidence about the range.
pub fn range(number: Msisdn) -> Msisdn {
    let first = number.as_u64() / RANGE * RANGE;
    Msisdn::from_u64(first).unwrap_or(number)
}

/// Parts are taken as independent: the score is 1 − Π(1 − part), in percent. A deny entry makes it 100; an allow
/// entry 0, unless a deny entry stands beside it.
pub fn risk(format: &Format, evidence: &Evidence, lists: &[ListHit], dial: &DetectionPolicy) -> Risk {
    let listed = |effect| lists.iter().find(|hit| hit.effect == effect);
    if let Some(hit) = listed(ListEffect::Deny) {
        return entry(ReasonCode::DenyEntry, "denies", hit, 100);
    }
    if let Some(hit) = listed(ListEffect::Allow) {
        return entry(ReasonCode::AllowEntry, "allows", hit, 0);
    }
    let seen = f64::from(evidence.probability).clamp(0.0, 1.0);
    let mut parts = of_digits(format);
    let campaign = detection::campaign(dial, evidence);
    parts.extend(campaign.map(|reason| (reason.code, reason.detail, seen)));
    let of_digits: f64 =
        parts.iter().filter(|(code, ..)| !is_campaign(*code)).map(|(.., p)| 1.0 - p).product();
    parts.sort_by(|a, b| b.2.total_cmp(&a.2));
    let reasons = parts.into_iter().map(|(code, detail, p)| RiskReason { code, detail, score: percent(p) });
    Risk { score: percent(1.0 - (1.0 - seen) * of_digits), reasons: reasons.collect() }
}

fn is_campaign(code: ReasonCode) -> bool {
    matches!(
        code,
        ReasonCode::CampaignBlock | ReasonCode::CampaignAlternative | ReasonCode::CampaignChallenge
    )
}

fn of_digits(format: &Format) -> Vec<(ReasonCode, String, f64)> {
    let (number, mut parts) = (&format.number, Vec::new());
    if format.disposable {
        let detail = format!("{} is a number of a public receive-SMS site", number.msisdn);
        parts.push((ReasonCode::NumberDisposable, detail, DISPOSABLE));
    }
    if !number.valid {
        let detail = format!("{} is not in the numbering plan of {}", number.msisdn, number.country);
        parts.push((ReasonCode::NumberNotInPlan, detail, NOT_IN_PLAN));
    }
    let costly = matches!(
        number.kind,
        NumberKind::PremiumRate | NumberKind::SharedCost | NumberKind::Uan | NumberKind::Pager
    );
    if costly {
        let detail = format!("{} is a {} number", number.msisdn, number.kind.as_str());
        parts.push((ReasonCode::NumberTypeRefused, detail, COSTLY));
    }
    parts
}

fn entry(code: ReasonCode, word: &str, hit: &ListHit, score: u8) -> Risk {
    let detail = format!("entry {} of list \"{}\" {word} it", hit.entry, hit.list);
    Risk { score, reasons: vec![RiskReason { code, detail, score }] }
}

fn percent(p: f64) -> u8 {
    u8::try_from(detection::percent(p)).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::ListKind;
    use proptest::prelude::*;

    fn about(text: &str) -> Format {
        super::super::read(text, None).unwrap()
    }

    fn seen(probability: f32) -> Evidence {
        Evidence { probability, narrow: probability, ..Evidence::default() }
    }

    fn of(text: &str, probability: f32) -> (u8, Vec<&'static str>) {
        let risk = risk(&about(text), &seen(probability), &[], &DetectionPolicy::default());
        (risk.score, risk.reasons.iter().map(|reason| reason.code.as_str()).collect())
    }

    #[test]
    fn digits_and_evidence_add_up() {
        assert_eq!(of("+6591234567", 0.01), (1, vec![]));
        let (score, codes) = of("+6591234567", 0.9);
        assert!(score == 90 && codes.len() == 1 && codes[0].starts_with("campaign-"), "{score} {codes:?}");
        assert_eq!(of("+33753707041", 0.0), (80, vec!["number-disposable"]));
        assert_eq!(of("+6511111111", 0.0), (60, vec!["number-not-in-plan"]));
        assert_eq!(of("+6511111111", 0.5).0, 80);
        assert_eq!(of("+6519001234567", 0.0).1, ["number-type-refused"]);
    }

    #[test]
    fn an_entry_settles_it_and_deny_stands_above_allow() {
        let hit = |effect| ListHit {
            list: "vip".to_owned(),
            kind: ListKind::Msisdn,
            effect,
            entry: "ent_1".to_owned(),
        };
        let of = |hits: &[ListHit]| {
            risk(&about("+33753707041"), &seen(0.7), hits, &DetectionPolicy::default()).score
        };
        assert_eq!(of(&[hit(ListEffect::Allow)]), 0);
        assert_eq!(of(&[hit(ListEffect::Allow), hit(ListEffect::Deny)]), 100);
        assert_eq!(of(&[hit(ListEffect::Named)]), of(&[]));
    }

    #[test]
    fn neighbours_share_a_range() {
        let number = |text: &str| Msisdn::from_e164(text).unwrap();
        assert_eq!(range(number("+6591234567")), number("+6591234000"));
        assert_eq!(range(number("+6591234999")), number("+6591234000"));
    }

    proptest! {
        #[test]
        fn no_part_lowers_it(p in 0.0_f32..1.0, more in 0.0_f32..0.5) {
            let score = |text: &str, p: f32| of(text, p).0;
            prop_assert!(score("+6591234567", p) <= score("+6591234567", (p + more).min(1.0)));
            prop_assert!(score("+6591234567", p) <= score("+33753707041", p));
        }
    }
}
