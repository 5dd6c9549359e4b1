//! Deny and allow entries. What an allow entry lifts is settled in one place, [`crate::decide`].

use super::Report;
use crate::facts::{Fact, Facts};
use crate::list::{ListEffect, ListHit};
use crate::policy::Policy;
use crate::reason::{Reason, ReasonCode};
use crate::request::Request;
use crate::time::Timestamp;

pub(super) fn check(_: &Policy, _: &Request, facts: &Facts, _: Timestamp, report: &mut Report<'_>) {
    match &facts.lists {
        Fact::Known(hits) => hits.iter().filter_map(reason).for_each(|reason| report(reason, None)),
        Fact::Unavailable => {
            let detail = "the lists did not answer, so nothing is sent";
            report(Reason::new(ReasonCode::StoreUnavailable, detail).about("lists"), None);
        }
        Fact::NotAsked => {}
    }
}

fn reason(hit: &ListHit) -> Option<Reason> {
    let (code, word) = match hit.effect {
        ListEffect::Allow => (ReasonCode::AllowEntry, "allows"),
        ListEffect::Deny => (ReasonCode::DenyEntry, "denies"),
        ListEffect::Named => return None,
    };
    let detail = format!("entry {} of list \"{}\" {word} this", hit.entry, hit.list);
    Some(Reason::new(code, detail).about(hit.list.clone()))
}
