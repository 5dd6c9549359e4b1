//! Lists: newest first, a page at a time, by filter.

use std::sync::Arc;

use seawall_core::country::Country;
use seawall_core::decision::Verdict;
use seawall_core::message::MessageState;
use seawall_core::reason::ReasonCode;
use seawall_core::verification::VerificationState;

use super::fixtures::{acceptance, at, change, decision, id, ip, message, msisdn, verification};
use crate::records::{Acceptance, DecisionFilter, DecisionRecord, MessageFilter, Page, VerificationFilter};
use crate::{Ledger, Result};

const ALL: Page = Page { before: None, limit: 1000 };

pub(super) async fn messages_page_and_filter(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let batch = id(0);
    let mut all = (1..=30).map(|i| message(i, i.unsigned_abs() % 3, "x")).collect::<Result<Vec<_>>>()?;
    for m in all.iter_mut().take(10) {
        m.batch = Some(batch);
    }
    if let Some(m) = all.last_mut() {
        m.subaccount = "other".to_owned();
        m.country = Country::GLOBAL;
    }
    ledger.accept(Acceptance { messages: all.clone(), ..Acceptance::default() }).await?;
    let (v, of_v) = verification(40, 1)?;
    ledger.accept(acceptance(v.clone(), of_v.clone())).await?;
    ledger.settle(vec![change(of_v.id, MessageState::Canceled, 50)]).await?;
    let count = async |filter: MessageFilter| ledger.messages(filter, ALL).await.map(|found| found.len());
    let filter = MessageFilter::default;
    assert_eq!(count(filter()).await?, 31);
    assert_eq!(count(MessageFilter { to: Some(msisdn(1)?), ..filter() }).await?, 11);
    assert_eq!(count(MessageFilter { to: Some(msisdn(1)?), batch: Some(batch), ..filter() }).await?, 4);
    assert_eq!(count(MessageFilter { to: Some(msisdn(99)?), ..filter() }).await?, 0);
    assert_eq!(count(MessageFilter { batch: Some(batch), ..filter() }).await?, 10);
    assert_eq!(count(MessageFilter { verification: Some(v.id), ..filter() }).await?, 1);
    assert_eq!(count(MessageFilter { state: Some(MessageState::Canceled), ..filter() }).await?, 1);
    assert_eq!(count(MessageFilter { subaccount: Some("other".to_owned()), ..filter() }).await?, 1);
    assert_eq!(count(MessageFilter { subaccount: Some("none".to_owned()), ..filter() }).await?, 0);
    assert_eq!(count(MessageFilter { countries: vec![Country::GLOBAL], ..filter() }).await?, 1);
    assert_eq!(count(MessageFilter { from: Some(at(5)), to_time: Some(at(9)), ..filter() }).await?, 4);
    for filter in [filter(), MessageFilter { to: Some(msisdn(1)?), ..filter() }] {
        let (mut before, mut paged) = (None, Vec::new());
        loop {
            let page = ledger.messages(filter.clone(), Page { before, limit: 4 }).await?;
            let Some(last) = page.last() else { break };
            before = Some(last.id.row());
            paged.extend(page);
        }
        assert_eq!(paged, ledger.messages(filter, ALL).await?);
        assert!(paged.is_sorted_by(|a, b| a.id > b.id));
    }
    Ok(())
}

pub(super) async fn verifications_page_and_filter(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let mut newest = None;
    for i in 0..6 {
        let (v, m) = verification(i, i.unsigned_abs())?;
        newest = Some(v.id);
        ledger.accept(acceptance(v, m)).await?;
    }
    let newest = newest.unwrap_or_else(|| id(0));
    ledger.check("main", newest, Box::new(|v, budget| v.lifecycle.present(true, budget, 6, at(9)))).await?;
    let state = |state| VerificationFilter { state: Some(state), ..VerificationFilter::default() };
    assert_eq!(ledger.verifications(VerificationFilter::default(), ALL).await?.len(), 6);
    assert_eq!(ledger.verifications(state(VerificationState::Pending), ALL).await?.len(), 5);
    assert_eq!(ledger.verifications(state(VerificationState::Verified), ALL).await?.len(), 1);
    let of_number = VerificationFilter { to: Some(msisdn(5)?), ..VerificationFilter::default() };
    let found = ledger.verifications(of_number, ALL).await?;
    assert_eq!(found.iter().map(|v| v.id).collect::<Vec<_>>(), [newest]);
    let foreign =
        VerificationFilter { subaccount: Some("other".to_owned()), ..VerificationFilter::default() };
    assert!(ledger.verifications(foreign, ALL).await?.is_empty());
    let page = ledger
        .verifications(VerificationFilter::default(), Page { before: Some(newest.row()), limit: 2 })
        .await?;
    assert_eq!(page.len(), 2);
    assert!(page.is_sorted_by(|a, b| a.id > b.id) && page.iter().all(|v| v.id < newest));
    // Nobody looked at the others, but their time is over.
    ledger.claim(at(400_000), 0).await?;
    assert_eq!(ledger.verifications(state(VerificationState::Expired), ALL).await?.len(), 5);
    assert!(ledger.verifications(state(VerificationState::Pending), ALL).await?.is_empty());
    Ok(())
}

pub(super) async fn decisions_come_from_both_sources(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let mut want = Vec::new();
    let mut refused = Vec::new();
    for i in 0..20 {
        let m = message(i * 2, 1, "x")?;
        want.push(m.id);
        ledger.accept(Acceptance { messages: vec![m], ..Acceptance::default() }).await?;
        let mut body = decision(Verdict::Throttle, Some(ReasonCode::LimitExceeded))?;
        body.caller_ip = ip(&format!("203.0.113.{i}"))?;
        refused.push(DecisionRecord { id: id(i * 2 + 1), body });
    }
    want.extend(refused.iter().map(|d| d.id));
    want.sort_unstable_by(|a, b| b.cmp(a));
    let (even, odd): (Vec<_>, Vec<_>) = refused.iter().cloned().partition(|d| d.id.at().as_millis() % 4 == 1);
    ledger.record_decisions(even).await?;
    ledger.record_decisions(odd).await?;
    ledger.record_decisions(Vec::new()).await?;
    for decision in &refused {
        assert_eq!(ledger.decision(decision.id).await?.as_ref(), Some(decision));
    }
    let all = ledger.decisions(DecisionFilter::default(), ALL).await?;
    assert_eq!(all.iter().map(|d| d.id).collect::<Vec<_>>(), want);
    let (mut before, mut paged) = (None, Vec::new());
    while let page = ledger.decisions(DecisionFilter::default(), Page { before, limit: 7 }).await?
        && !page.is_empty()
    {
        before = page.last().map(|d| d.id.row());
        paged.extend(page);
    }
    assert_eq!(paged, all);
    let count = async |filter: DecisionFilter| ledger.decisions(filter, ALL).await.map(|found| found.len());
    let filter = DecisionFilter::default;
    assert_eq!(count(DecisionFilter { verdict: Some(Verdict::Throttle), ..filter() }).await?, 20);
    assert_eq!(count(DecisionFilter { verdict: Some(Verdict::Allow), ..filter() }).await?, 20);
    assert_eq!(count(DecisionFilter { reason: Some(ReasonCode::LimitExceeded), ..filter() }).await?, 20);
    assert_eq!(count(DecisionFilter { ip: Some(ip("203.0.113.7")?), ..filter() }).await?, 1);
    assert_eq!(count(DecisionFilter { ip: Some(ip("192.0.2.1")?), ..filter() }).await?, 20);
    assert_eq!(count(DecisionFilter { to: Some(msisdn(1)?), ..filter() }).await?, 20);
    assert_eq!(count(DecisionFilter { from: Some(at(10)), to_time: Some(at(20)), ..filter() }).await?, 10);
    Ok(())
}
