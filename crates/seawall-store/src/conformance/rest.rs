//! Keys, deliveries, recovery, retention.

use std::sync::Arc;
use std::time::Duration;

use seawall_core::decision::Verdict;
use seawall_core::id::Id;
use seawall_core::limit::Dimensions;
use seawall_core::message::MessageState;
use seawall_core::msisdn::Msisdn;
use seawall_core::reason::ReasonCode;

use super::Backend;
use super::directory::{audit, document};
use super::fixtures::{acceptance, at, change, decision, id, message, msisdn, verification};
use crate::notes::Note;
use crate::records::{
    Acceptance, Allowed, AuditEntry, Cursor, DecisionFilter, DecisionRecord, Erasing, HookDelivery,
    Idempotent, Looked, MessageFilter, OptOut, Page, Recovery, Retention,
};
use crate::{Directory, Ledger, Result, StoreError};

fn answer(key: &str) -> Idempotent {
    let (key, body) = (key.to_owned(), "{\"id\":1}".to_owned());
    Idempotent { key, fingerprint: 42, status: 202, body, at: at(0) }
}

fn keyed(ms: i64, key: &str) -> Result<Acceptance> {
    Ok(Acceptance { messages: vec![message(ms, 1, "x")?], verification: None, idempotent: Some(answer(key)) })
}

pub(super) async fn an_answer_is_kept_under_its_key_once(ledger: &Arc<dyn Ledger>) -> Result<()> {
    assert_eq!(ledger.idempotent("a").await?, None);
    ledger.accept(keyed(1, "a")?).await?;
    assert!(matches!(ledger.accept(keyed(2, "a")?).await, Err(StoreError::Conflict)));
    ledger.accept(keyed(3, "b")?).await?;
    assert_eq!(ledger.idempotent("a").await?, Some(answer("a")));
    assert_eq!(ledger.census(None).await?.values().sum::<u64>(), 2);
    let (soon, late) = (at(3_600_000), at(86_400_000 * 2));
    ledger.prune(soon, &Retention::default()).await?;
    assert!(ledger.idempotent("a").await?.is_some());
    ledger.prune(late, &Retention::default()).await?;
    assert!(ledger.idempotent("a").await?.is_none());
    Ok(())
}

pub(super) async fn a_number_is_erased(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let (one, other) = (msisdn(1)?, msisdn(2)?);
    let mut mine = message(1, 1, "the canary")?;
    mine.state = MessageState::Delivered;
    let (waits, theirs) = (message(2, 1, "later")?, message(3, 2, "the canary")?);
    let body = format!("{{\"to\": \"{}\"}}", one.to_e164());
    let kept = Idempotent { body: body.clone(), ..answer("a") };
    let messages = vec![mine.clone(), waits.clone(), theirs.clone()];
    ledger.accept(Acceptance { messages, verification: None, idempotent: Some(kept) }).await?;
    ledger.add_hooks(vec![HookDelivery { body, ..hook(4) }, hook(5)]).await?;
    ledger
        .keep_looked(one, "main", Looked { corrected: Some(String::new()), ..Looked::default() }, at(1))
        .await?;
    let first = ledger.erase_step(one, Erasing::default()).await?;
    assert_eq!(
        (first.cursor, first.erased.under_way),
        (Cursor::Messages, 1),
        "a waiting message is waited for"
    );
    ledger.settle(vec![change(waits.id, MessageState::Canceled, 6)]).await?;
    let mut erasing = first;
    while erasing.cursor != Cursor::Done {
        erasing = ledger.erase_step(one, erasing).await?;
    }
    let erased = &erasing.erased;
    assert_eq!((erased.messages, erased.answers, erased.hooks, erased.lookups), (2, 1, 1, 1));
    let emptied = ledger.message(None, mine.id).await?.ok_or(StoreError::Conflict)?;
    assert_eq!((emptied.to, emptied.content, emptied.state), (Msisdn::ERASED, None, MessageState::Delivered));
    let of = |to| MessageFilter { to: Some(to), ..MessageFilter::default() };
    let page = Page { before: None, limit: 10 };
    assert!(ledger.messages(of(one), page).await?.is_empty());
    assert_eq!(ledger.messages(of(other), page).await?.len(), 1);
    let kept = ledger.idempotent("a").await?.ok_or(StoreError::Conflict)?;
    assert!(!kept.body.contains(&one.digits()) && kept.fingerprint == 42);
    assert_eq!(ledger.due_hooks(at(10), at(20), 10).await?.len(), 1);
    assert_eq!(ledger.looked(one, "main").await?, None);
    assert_eq!(ledger.erase_message("main", mine.id).await?, None, "nothing is left in it");
    assert_eq!(ledger.erase_message("main", theirs.id).await?, Some(false), "it waits");
    Ok(())
}

pub(super) async fn lookups_are_kept_by_subaccount(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let said = |at_ms: i64| Looked { operator: Some((at(at_ms), "{}".to_owned())), ..Looked::default() };
    let (one, other) = (msisdn(1)?, msisdn(2)?);
    ledger.keep_looked(one, "main", said(1), at(1)).await?;
    ledger.keep_looked(one, "main", said(2), at(2)).await?;
    let correction = Looked { corrected: Some("{}".to_owned()), ..Looked::default() };
    ledger.keep_looked(one, "", correction.clone(), at(2)).await?;
    assert_eq!(ledger.looked(one, "main").await?, Some(said(2)));
    assert_eq!(ledger.looked(one, "second").await?, None);
    assert_eq!(ledger.looked(other, "main").await?, None);
    ledger.prune(at(86_400_000 * 8), &Retention::default()).await?;
    assert_eq!(ledger.looked(one, "main").await?, None);
    assert_eq!(ledger.looked(one, "").await?, Some(correction));
    ledger.keep_looked(one, "", Looked::default(), at(3)).await?;
    assert_eq!(ledger.looked(one, "").await?, None);
    Ok(())
}

fn hook(ms: i64) -> HookDelivery {
    HookDelivery {
        id: id(ms),
        url: "https://app.example/hook".to_owned(),
        webhook: None,
        subaccount: "main".to_owned(),
        body: "{}".to_owned(),
        tries: 0,
        due: at(ms),
    }
}

pub(super) async fn hooks_are_leased(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let m = message(1, 1, "x")?;
    ledger.accept(Acceptance { messages: vec![m.clone()], ..Acceptance::default() }).await?;
    let (first, second, unwritten) = (hook(2), hook(5), hook(3));
    let mut canceled = change(m.id, MessageState::Canceled, 2);
    canceled.hooks = vec![first.clone()];
    let mut refused = change(m.id, MessageState::Delivered, 3);
    refused.hooks = vec![unwritten];
    ledger.settle(vec![canceled, refused]).await?;
    ledger.add_hooks(vec![second.clone()]).await?;
    assert!(ledger.due_hooks(at(1), at(100), 10).await?.is_empty());
    assert_eq!(ledger.due_hooks(at(10), at(100), 10).await?, [first.clone(), second.clone()]);
    assert!(ledger.due_hooks(at(99), at(200), 10).await?.is_empty(), "leased");
    ledger.settle_hook(first.id, None).await?;
    ledger.settle_hook(second.id, Some(at(300))).await?;
    let again = ledger.due_hooks(at(300), at(400), 10).await?;
    assert_eq!(again, [HookDelivery { tries: 1, due: at(300), ..second }]);
    Ok(())
}

pub(super) async fn recovery_marks_what_nobody_can_know(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let all = (0..3).map(|i| message(i, 1, "x")).collect::<Result<Vec<_>>>()?;
    ledger.accept(Acceptance { messages: all, ..Acceptance::default() }).await?;
    let claimed = ledger.claim(at(5), 1).await?;
    assert_eq!(ledger.recover(at(6)).await?, Recovery { unknown: 1, waiting: 2 });
    for m in &claimed {
        let found = ledger.message(None, m.id).await?;
        assert_eq!(found.as_ref().map(|m| m.state), Some(MessageState::Unknown));
        assert_eq!(found.and_then(|m| m.progress.changed_at), Some(at(6)));
        let changed = ledger.settle(vec![change(m.id, MessageState::Delivered, 7)]).await?;
        assert_eq!(changed.len(), 1, "a late receipt still tells");
    }
    assert_eq!(ledger.claim(at(7), 9).await?.len(), 2);
    Ok(())
}

pub(super) async fn checkpoints_are_kept_until_forgotten(ledger: &Arc<dyn Ledger>) -> Result<()> {
    ledger.checkpoint(vec![(1, at(1)), (2, at(2))], at(0)).await?;
    ledger.checkpoint(vec![(3, at(2))], at(0)).await?;
    ledger.checkpoint(vec![(4, at(9))], at(0)).await?;
    assert_eq!(ledger.past_checkpoints(at(2)).await?, [(2, at(2)), (3, at(2)), (4, at(9))]);
    ledger.checkpoint(Vec::new(), at(5)).await?;
    assert_eq!(ledger.past_checkpoints(at(0)).await?, [(4, at(9))]);
    Ok(())
}

pub(super) async fn the_newest_row_and_the_census_are_right(ledger: &Arc<dyn Ledger>) -> Result<()> {
    assert_eq!(ledger.newest_row().await?, 0);
    ledger.ping().await?;
    let (m, mut n) = (message(1, 1, "x")?, message(2, 1, "x")?);
    n.subaccount = "other".to_owned();
    ledger.accept(Acceptance { messages: vec![m.clone(), n.clone()], ..Acceptance::default() }).await?;
    assert_eq!(ledger.newest_row().await?, n.id.row());
    let refused = DecisionRecord { id: id(9), body: decision(Verdict::Block, Some(ReasonCode::OptOut))? };
    ledger.record_decisions(vec![refused.clone()]).await?;
    assert_eq!(ledger.newest_row().await?, refused.id.row());
    ledger.settle(vec![change(n.id, MessageState::Canceled, 3)]).await?;
    let census = ledger.census(None).await?;
    assert_eq!((census.get("queued"), census.get("canceled"), census.len()), (Some(&1), Some(&1), 10));
    assert_eq!(ledger.queued().await?, 1);
    assert_eq!(ledger.census(Some("other")).await?.values().sum::<u64>(), 1);
    assert_eq!(ledger.census(Some("none")).await?.values().sum::<u64>(), 0);
    Ok(())
}

pub(super) async fn retention_erases_in_steps(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let all = (0..4_500).map(|i| message(i, 1, "secret")).collect::<Result<Vec<_>>>()?;
    let first = all.first().map_or_else(|| id(0), |m| m.id);
    ledger.accept(Acceptance { messages: all, ..Acceptance::default() }).await?;
    ledger.claim(at(5_000), 4_499).await?;
    ledger.recover(at(5_001)).await?;
    ledger
        .record_decisions(vec![DecisionRecord {
            id: id(1),
            body: decision(Verdict::Block, Some(ReasonCode::OptOut))?,
        }])
        .await?;
    let day = 86_400_000;
    let retention = Retention::default();
    assert!(ledger.prune(at(8 * day), &retention).await?);
    while ledger.prune(at(8 * day), &retention).await? {}
    let erased = ledger.message(None, first).await?;
    assert!(erased.is_some_and(|m| m.content.is_none()));
    while ledger.prune(at(91 * day), &retention).await? {}
    assert_eq!(ledger.message(None, first).await?, None);
    let left = ledger.messages(MessageFilter::default(), Page { before: None, limit: 10 }).await?;
    assert_eq!(left.len(), 1, "what still waits is kept");
    assert!(left.iter().all(|m| m.content.is_some()));
    let decisions = ledger.decisions(DecisionFilter::default(), Page { before: None, limit: 10 }).await?;
    assert_eq!(decisions.len(), 1);
    Ok(())
}

/// What else holds sealed values.
struct More {
    decision: DecisionRecord,
    note: Note,
    looked: Looked,
    evidence: u64,
}

async fn more(directory: &Arc<dyn Directory>, ledger: &Arc<dyn Ledger>) -> Result<More> {
    let decision = DecisionRecord { id: id(31), body: self::decision(Verdict::Block, None)? };
    ledger.record_decisions(vec![decision.clone()]).await?;
    let (kind, scope, body) = ("consent".to_owned(), "a".to_owned(), "{}".to_owned());
    let note = Note { id: id(32), kind, number: msisdn(5)?, scope, when: at(5), body };
    directory.keep_notes(vec![note.clone()]).await?;
    let looked = Looked { operator: Some((at(33), "{}".to_owned())), ..Looked::default() };
    ledger.keep_looked(msisdn(5)?, "main", looked.clone(), at(33)).await?;
    directory.touch_keys(vec![("key_1".to_owned(), at(34), "203.0.113.7".to_owned())]).await?;
    let evidence = ledger.append_evidence(b"a batch".to_vec()).await?;
    Ok(More { decision, note, looked, evidence })
}

async fn more_is_there(directory: &Arc<dyn Directory>, ledger: &Arc<dyn Ledger>, more: More) -> Result<()> {
    assert_eq!(ledger.decision(more.decision.id).await?, Some(more.decision));
    assert_eq!(directory.notes_of("consent", more.note.number).await?, [more.note]);
    assert_eq!(ledger.looked(msisdn(5)?, "main").await?, Some(more.looked));
    assert_eq!(directory.key_uses().await?.len(), 1);
    assert_eq!(ledger.evidence_after(more.evidence - 1).await?, [(more.evidence, b"a batch".to_vec())]);
    Ok(())
}

pub(super) async fn everything_is_there_after_a_restart(open: impl Fn() -> Backend) -> Result<()> {
    let Backend { directory, ledger } = open();
    let sent = (0..5).map(|i| message(i, 1, "x")).collect::<Result<Vec<_>>>()?;
    let mut scheduled = message(10, 1, "x")?;
    (scheduled.state, scheduled.due) = (MessageState::Scheduled, Some(at(50_000)));
    let (v, m) = verification(20, 7)?;
    ledger.accept(Acceptance { messages: sent.clone(), ..Acceptance::default() }).await?;
    ledger.accept(Acceptance { messages: vec![scheduled], ..Acceptance::default() }).await?;
    ledger.accept(acceptance(v.clone(), m)).await?;
    ledger.accept(keyed(30, "k")?).await?;
    ledger.claim(at(40), 2).await?;
    ledger.add_hooks(vec![hook(41)]).await?;
    ledger.checkpoint(vec![(1, at(41))], at(0)).await?;
    let version = directory.create(document("a", Some("name")), audit(1)).await?;
    let opt_out = OptOut {
        id: id(42),
        msisdn: msisdn(3)?,
        scope: seawall_core::consent::OptOutScope::default(),
        source: "stop".to_owned(),
        note: None,
        at: at(42),
    };
    directory.add_opt_out(opt_out, audit(2)).await?;
    let rest = more(&directory, &ledger).await?;
    let masked = super::masking::some(&directory).await?;
    let newest = ledger.newest_row().await?;
    ledger.close().await;
    assert!(matches!(ledger.ping().await, Err(StoreError::Unavailable(_))), "closed");
    drop((directory, ledger));

    let Backend { directory, ledger } = open();
    assert_eq!(ledger.newest_row().await?, newest);
    assert_eq!(ledger.recover(at(100)).await?, Recovery { unknown: 2, waiting: 6 });
    assert_eq!(ledger.claim(at(100), 99).await?.len(), 5);
    assert_eq!(ledger.claim(at(50_000), 99).await?.len(), 1);
    assert_eq!(ledger.open_verification("main", v.to, at(100)).await?, Some(v));
    assert!(ledger.idempotent("k").await?.is_some());
    assert_eq!(ledger.due_hooks(at(100), at(200), 9).await?.len(), 1);
    assert_eq!(ledger.past_checkpoints(at(0)).await?.len(), 1);
    assert_eq!((directory.version().await?, directory.documents("limits").await?.len()), (version, 1));
    assert!(directory.opted_out(msisdn(3)?).await?.len() == 1);
    let log: Vec<AuditEntry> = directory.audit_log(Page { before: None, limit: 9 }).await?;
    assert_eq!(log.len(), 2);
    more_is_there(&directory, &ledger, rest).await?;
    super::masking::some_are_there(&directory, masked).await?;
    let retained = Retention { messages: Duration::ZERO, ..Retention::default() };
    while ledger.prune(at(60_000), &retained).await? {}
    assert_eq!(Id::new(newest, 0).at(), at(42));
    ledger.close().await;
    Ok(())
}

pub(super) async fn evidence_is_a_stream(ledger: &Arc<dyn Ledger>) -> Result<()> {
    assert!(ledger.evidence_after(0).await?.is_empty());
    let mut numbers = Vec::new();
    for batch in [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()] {
        numbers.push(ledger.append_evidence(batch).await?);
    }
    let [first, second, third] = numbers.as_slice() else { return Err(StoreError::Conflict) };
    assert!(first < second && second < third);
    let read = ledger.evidence_after(*first).await?;
    assert_eq!(read, vec![(*second, b"two".to_vec()), (*third, b"three".to_vec())]);
    ledger.forget_evidence(*third).await?;
    assert!(ledger.evidence_after(0).await?.is_empty());
    let next = ledger.append_evidence(b"four".to_vec()).await?;
    assert!(next > *third, "a number is never used again");
    Ok(())
}

pub(super) async fn allows_are_charged_until_they_are_redeemed(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let allow = |ms: i64, to: u64| Allowed {
        id: id(ms),
        subaccount: "main".to_owned(),
        segments: 2,
        dimensions: Dimensions { op: 1, to, ip: Some(9), ..Dimensions::default() },
    };
    // More batches than are read at once.
    let mut given = Vec::new();
    for n in 0..40u8 {
        let two = vec![allow(i64::from(n) * 10, u64::from(n)), allow(i64::from(n) * 10 + 5, 1000)];
        given.extend(two.clone());
        ledger.record_allows(two.into_iter().collect(), at(-5)).await?;
    }
    let redeemed = given.first().map(|allow| allow.id).unwrap_or_else(|| id(0));
    let mut sent = message(500, 1, "x")?;
    sent.dimensions.redeems = Some(redeemed.row().cast_unsigned());
    ledger.accept(Acceptance { messages: vec![sent], ..Acceptance::default() }).await?;
    ledger.note_known(7, at(100)).await?;
    assert_eq!(
        ledger.past_allows(at(0)).await?,
        given.split_off(1),
        "all but the redeemed one, as they were"
    );
    assert_eq!(ledger.past_allows(at(390)).await?.len(), 2);
    let mut seen = Vec::new();
    ledger
        .past_charges(at(0), &mut |charge| seen.push((charge.at, charge.confirmed, charge.dimensions.to)))
        .await?;
    assert_eq!(seen.len(), 80, "79 allows and the message that redeemed one");
    assert_eq!(seen.first().map(|(at, ..)| *at), Some(at(0)), "charged when the allow was given");
    assert!(seen.contains(&(at(70), true, 7)) && seen.contains(&(at(80), false, 8)));
    ledger.record_allows([allow(600, 1)].into_iter().collect(), at(395)).await?;
    assert_eq!(ledger.past_allows(at(0)).await?.len(), 3, "what no window needs is forgotten");
    Ok(())
}
