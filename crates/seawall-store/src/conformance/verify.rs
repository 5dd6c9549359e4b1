//! Verifications and their checks.

use std::sync::Arc;

use seawall_core::id::Id;
use seawall_core::verification::{Checked, VerificationState};

use super::fixtures::{acceptance, at, id, message, verification};
use crate::records::{Acceptance, Content, KnownNumber, VerificationRecord, VerificationWrite};
use crate::{CheckStep, Ledger, Result, StoreError};

fn present(right: bool, ms: i64) -> CheckStep {
    Box::new(move |v, budget| v.lifecycle.present(right, budget, 6, at(ms)))
}

async fn begin(ledger: &Arc<dyn Ledger>, ms: i64, n: u64) -> Result<VerificationRecord> {
    let (v, m) = verification(ms, n)?;
    ledger.accept(acceptance(v.clone(), m)).await?;
    Ok(v)
}

pub(super) async fn one_open_verification_of_a_number(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let tasks: Vec<_> = (0..20)
        .map(|i| {
            let ledger = ledger.clone();
            tokio::spawn(async move { begin(&ledger, i, 1).await })
        })
        .collect();
    let mut begun = Vec::new();
    for task in tasks {
        match task.await.map_err(|_| StoreError::Conflict)? {
            Ok(v) => begun.push(v),
            Err(StoreError::Conflict) => {}
            Err(other) => return Err(other),
        }
    }
    assert_eq!(begun.len(), 1, "exactly one of twenty begins");
    let all: u64 = ledger.census(None).await?.values().sum();
    assert_eq!(all, 1, "a conflict writes no message");
    let v = begun.remove(0);
    assert_eq!(ledger.open_verification("main", v.to, at(30)).await?.as_ref(), Some(&v));
    assert_eq!(ledger.open_verification("other", v.to, at(30)).await?, None);
    let end = v.lifecycle.expires_at;
    assert_eq!(ledger.open_verification("main", v.to, end).await?, None);
    begin(ledger, 301_000, 1).await?;
    begin(ledger, 301_000, 2).await?;
    Ok(())
}

pub(super) async fn a_stale_update_is_a_conflict(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let mut v = begin(ledger, 0, 1).await?;
    v.lifecycle.sends = 2;
    let resend = |v: &VerificationRecord| -> Result<Acceptance> {
        let verification = Some(VerificationWrite::Update(v.clone()));
        Ok(Acceptance { messages: vec![message(11_000, 1, "x")?], verification, idempotent: None })
    };
    ledger.accept(resend(&v)?).await?;
    assert!(matches!(ledger.accept(resend(&v)?).await, Err(StoreError::Conflict)));
    v.revision += 1;
    ledger.accept(resend(&v)?).await?;
    let stored = ledger.verification(Some("main"), v.id).await?.map(|v| (v.revision, v.lifecycle.sends));
    assert_eq!(stored, Some((v.revision + 1, 2)));
    Ok(())
}

pub(super) async fn checks_are_atomic(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let v = begin(ledger, 0, 1).await?;
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let (ledger, id) = (ledger.clone(), v.id);
            tokio::spawn(async move { ledger.check("main", id, present(false, 1)).await })
        })
        .collect();
    let mut wrong = 0;
    for task in tasks {
        let checked = task.await.map_err(|_| StoreError::Conflict)??;
        wrong += u32::from(checked.is_some_and(|(checked, _)| checked == Checked::Wrong));
    }
    assert_eq!(wrong, 5, "of 200 at once no more than the maximum are looked at");
    let state = ledger.verification(None, v.id).await?.map(|v| v.lifecycle.state);
    assert_eq!(state, Some(VerificationState::Failed));
    // The number's budget outlives the verification.
    let second = begin(ledger, 2_000, 1).await?;
    for _ in 0..5 {
        ledger.check("main", second.id, present(false, 2_001)).await?;
    }
    let third = begin(ledger, 3_000, 1).await?;
    let checked = ledger.check("main", third.id, present(true, 3_001)).await?.map(|(checked, _)| checked);
    assert!(matches!(checked, Some(Checked::Exhausted { .. })));
    Ok(())
}

pub(super) async fn a_foreign_or_guessed_id_finds_nothing(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let v = begin(ledger, 0, 1).await?;
    let guessed = Id::new(v.id.row(), v.id.tail() ^ 1);
    assert!(ledger.check("main", guessed, present(true, 1)).await?.is_none());
    assert!(ledger.check("other", v.id, present(true, 1)).await?.is_none());
    assert!(ledger.check("main", id(5), present(true, 1)).await?.is_none());
    assert_eq!(ledger.verification(None, v.id).await?, Some(v));
    Ok(())
}

pub(super) async fn a_confirmed_number_is_known(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let (v, m) = verification(0, 1)?;
    ledger.accept(acceptance(v.clone(), m)).await?;
    assert_eq!(ledger.known_number(v.to).await?, None);
    ledger.check("main", v.id, present(false, 1)).await?;
    assert_eq!(ledger.known_number(v.to).await?, None, "a wrong code confirms nothing");
    ledger.check("main", v.id, present(true, 2)).await?;
    assert_eq!(ledger.known_number(v.to).await?, Some(KnownNumber { first_at: at(2), last_at: at(2) }));
    assert!(ledger.forget_known(v.to).await? && !ledger.forget_known(v.to).await?);
    assert_eq!(ledger.known_number(v.to).await?, None);
    Ok(())
}

pub(super) async fn a_given_code_ends_with_its_verification(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let mut kept = Vec::new();
    for n in 1..3 {
        let (mut v, mut m) = verification(0, n)?;
        v.given_code = Some("918273".to_owned());
        m.content = Some(Content::Text { text: "your code".to_owned() });
        ledger.accept(acceptance(v.clone(), m)).await?;
        kept.push(v.id);
    }
    let [first, second] = kept.as_slice() else {
        return Err(StoreError::Conflict);
    };
    let given = |v: Option<VerificationRecord>| v.and_then(|v| v.given_code);
    assert!(given(ledger.verification(None, *first).await?).is_some());
    let checked = ledger.check("main", *first, present(true, 1)).await?;
    assert_eq!(checked.map(|(checked, v)| (checked, v.given_code)), Some((Checked::Right, None)));
    assert_eq!(given(ledger.verification(None, *first).await?), None);
    let retention = crate::records::Retention::default();
    ledger.prune(at(299_999), &retention).await?;
    assert!(given(ledger.verification(None, *second).await?).is_some());
    ledger.prune(at(300_000), &retention).await?;
    assert_eq!(given(ledger.verification(None, *second).await?), None);
    Ok(())
}

pub(super) async fn a_confirmation_shows_in_past_charges(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let v = begin(ledger, 0, 1).await?;
    begin(ledger, 5, 2).await?;
    ledger.check("main", v.id, present(true, 10)).await?;
    begin(ledger, 20, 1).await?;
    let mut seen = Vec::new();
    ledger
        .past_charges(at(0), &mut |c| seen.push((c.at, c.confirmed, c.subaccount, c.dimensions.key)))
        .await?;
    let want = |ms, confirmed| (at(ms), confirmed, "main".into(), 9);
    assert_eq!(seen, [want(0, true), want(5, false), want(20, false)]);
    let mut later = 0;
    ledger.past_charges(at(6), &mut |_| later += 1).await?;
    assert_eq!(later, 1);
    Ok(())
}
