//! Reading the ledger from one end to the other.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use seawall_core::decision::Verdict;
use seawall_core::id::Id;
use seawall_core::limit::Mode;
use seawall_core::reason::{Reason, ReasonCode};
use seawall_core::verification::VerificationState;

use super::fixtures::{acceptance, at, decision, id, ip, message, verification};
use crate::records::{Acceptance, DecisionFilter, DecisionRecord, Page, Scanned};
use crate::{Ledger, Result, StoreError};

/// Everything that a scan lends, as text, and how often it was lent.
type Found = BTreeMap<Id, (String, bool, Option<(i64, String)>, u64)>;

fn shown(scanned: &Scanned<'_>) -> String {
    let reasons: Vec<String> =
        scanned.reasons.iter().map(|r| format!("{} {:?} {:?}", r.code.as_str(), r.key, r.mode)).collect();
    let s = scanned;
    format!(
        "{:?} {} {} {} {} {:?} {:?} {reasons:?} {} {} {}",
        s.operation,
        s.subaccount,
        s.key,
        s.block,
        s.caller_ip,
        s.client_ip,
        s.verdict,
        s.facts,
        s.dry_run,
        s.sent
    )
}

fn expected(record: &DecisionRecord) -> String {
    let b = &record.body;
    let reasons: Vec<String> = b
        .reasons
        .iter()
        .map(|r| format!("{} {:?} {:?}", r.code.as_str(), r.key.as_deref(), r.mode))
        .collect();
    format!(
        "{:?} {} {} {} {} {:?} {:?} {reasons:?} {} {} {}",
        b.operation,
        b.subaccount_id,
        b.key_id,
        b.block,
        b.caller_ip,
        b.client_ip,
        b.verdict,
        b.facts.text(),
        b.dry_run,
        b.sent
    )
}

async fn scan(ledger: &Arc<dyn Ledger>, from: i64, to: i64, at_most: usize) -> Result<Found> {
    let found: Arc<Mutex<Found>> = Arc::default();
    let into = found.clone();
    let each = move |scanned: &Scanned<'_>| {
        let mut found = into.lock().unwrap_or_else(PoisonError::into_inner);
        let (Ok(id), Ok(confirmed)) = (scanned.later.id(), scanned.later.confirmed()) else {
            return ControlFlow::Break(());
        };
        assert_eq!(id.at(), scanned.at);
        let price = scanned.price.map(|(total, currency)| (total, currency.to_owned()));
        assert!(found.insert(id, (shown(scanned), confirmed, price, scanned.count)).is_none(), "lent twice");
        if found.len() < at_most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    ledger.scan_decisions(at(from), at(to), Box::new(each)).await?;
    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *found))
}

pub(super) async fn a_scan_lends_what_lists_show(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let mut refused = Vec::new();
    for i in 0..600 {
        ledger
            .accept(Acceptance { messages: vec![message(i * 2, 1, "x")?], ..Acceptance::default() })
            .await?;
        let mut body = decision(Verdict::Throttle, Some(ReasonCode::LimitExceeded))?;
        body.reasons.push(Reason::new(ReasonCode::OptOut, "n").in_mode(Mode::Shadow));
        body.caller_ip = ip(&format!("203.0.113.{}", i % 250))?;
        body.count = (i == 7).then_some(40);
        refused.push(DecisionRecord { id: id(i * 2 + 1), body });
    }
    ledger.record_decisions(refused.split_off(300)).await?;
    ledger.record_decisions(refused).await?;
    let (v, m) = verification(1300, 5)?;
    let (confirmed, wrong) = (m.id, verification(1301, 6)?);
    ledger.accept(acceptance(v.clone(), m)).await?;
    ledger.accept(acceptance(wrong.0, wrong.1)).await?;
    let step = Box::new(|v: &mut crate::records::VerificationRecord, _: &mut _| {
        v.lifecycle.state = VerificationState::Verified;
        v.lifecycle.verified_at = Some(at(2000));
        seawall_core::verification::Checked::Right
    });
    ledger.check("main", v.id, step).await?;

    let all = Page { before: None, limit: 10_000 };
    let listed = ledger.decisions(DecisionFilter::default(), all).await?;
    let found = scan(ledger, -1, 5_000, usize::MAX).await?;
    assert_eq!((listed.len(), found.len()), (1202, 1202));
    for record in &listed {
        let Some((text, was_confirmed, price, count)) = found.get(&record.id) else {
            return Err(StoreError::Corrupt("a decision was not lent".to_owned()));
        };
        assert_eq!(*text, expected(record));
        assert_eq!(*was_confirmed, record.id == confirmed);
        assert_eq!(price.as_ref().map(|(total, _)| *total), record.body.sent.then_some(31_200));
        assert_eq!(*count, record.body.count.unwrap_or(1));
    }
    let some = scan(ledger, 100, 200, usize::MAX).await?;
    assert_eq!(some.len(), 100, "both ends are kept, the later one is not included");
    assert!(some.keys().all(|id| (at(100)..at(200)).contains(&id.at())));
    assert_eq!(scan(ledger, -1, 5_000, 10).await?.len(), 10, "it ends when it is told to");
    Ok(())
}
