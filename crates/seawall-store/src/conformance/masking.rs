//! Masking: a pair of caller and virtual number names one session.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use seawall_core::masking::call::{Call, CallResult, Progress};
use seawall_core::masking::{Direction, Party, Session};
use seawall_core::msisdn::Msisdn;
use tokio::task::JoinSet;

use super::Backend;
use super::fixtures::{at, id, msisdn};
use crate::masking::{CallFilter, CallRecord, KeepAnswer, MaskFilter, MaskRecord, Recording};
use crate::records::{Cursor, Erasing, Idempotent, Page};
use crate::{Directory, Result, StoreError};

fn record(ms: i64, a: u64, b: u64) -> Result<MaskRecord> {
    Ok(MaskRecord {
        id: id(ms),
        subaccount: "main".to_owned(),
        pool: "pool".to_owned(),
        session: Session {
            a: msisdn(a)?,
            b: msisdn(b)?,
            mask: Msisdn::ERASED,
            direction: Direction::TwoWay,
            expires_at: Some(at(10_000)),
            closed_at: None,
        },
        hold: Duration::from_secs(5),
        record: true,
        reference: Some("order 7".to_owned()),
        metadata: BTreeMap::from([("driver".to_owned(), "12".to_owned())]),
        messages: 0,
        veiled: true,
        over: false,
        revision: 0,
    })
}

fn masks(count: u64) -> Result<Vec<Msisdn>> {
    (0..count).map(|n| msisdn(900_000 + n)).collect()
}

fn call(ms: i64, session: &MaskRecord, reference: &str) -> CallRecord {
    CallRecord {
        id: id(ms),
        session: Some(session.id),
        subaccount: "main".to_owned(),
        from: session.session.a,
        to: Some(session.session.b),
        mask: session.session.mask,
        via: "sip".to_owned(),
        reference: reference.to_owned(),
        call: Call::begun(Some(Party::A), at(ms)),
        refusal: None,
        decision: Some(id(ms)),
        recordings: Vec::new(),
        revision: 0,
    }
}

const ALL: Page = Page { before: None, limit: 100 };

pub(super) async fn a_session_is_found_by_either_pair(directory: &Arc<dyn Directory>) -> Result<()> {
    let pool = masks(2)?;
    let first = directory
        .open_mask(record(1, 1, 2)?, pool.clone(), at(1), None)
        .await?
        .ok_or(StoreError::Conflict)?;
    let (a, b, mask) = (first.session.a, first.session.b, first.session.mask);
    assert!(pool.first() == Some(&mask) && first.revision == 1);
    assert_eq!(directory.mask(first.id).await?.as_ref(), Some(&first));
    for caller in [a, b] {
        assert_eq!(directory.mask_of(caller, mask).await?.as_ref(), Some(&first));
    }
    assert_eq!(directory.mask_of(msisdn(3)?, mask).await?, None);
    // Another of the same party gets another virtual number, then none; one of others shares.
    let second = directory
        .open_mask(record(2, 2, 3)?, pool.clone(), at(1), None)
        .await?
        .ok_or(StoreError::Conflict)?;
    assert!(pool.last() == Some(&second.session.mask));
    assert_eq!(
        directory.open_mask(record(3, 4, 2)?, pool.clone(), at(1), None).await?,
        None,
        "the pool is exhausted"
    );
    let third = directory
        .open_mask(record(3, 4, 5)?, pool.clone(), at(1), None)
        .await?
        .ok_or(StoreError::Conflict)?;
    assert!(third.session.mask == mask);
    let of = |party| MaskFilter { party: Some(party), ..MaskFilter::default() };
    assert_eq!(directory.masks(of(b), ALL).await?, [second.clone(), first.clone()]);
    let open = MaskFilter { open: Some(true), subaccount: Some("main".to_owned()), ..MaskFilter::default() };
    assert_eq!(directory.masks(open.clone(), ALL).await?.len(), 3);
    // The end, and the time in which the pair leads to nobody else.
    let mut ended = first.clone();
    ended.session.closed_at = Some(at(2_000));
    ended.over = true;
    let kept = directory.change_mask(ended.clone()).await?;
    assert_eq!(kept.revision, 2);
    assert!(matches!(directory.change_mask(ended).await, Err(StoreError::Conflict)));
    assert_eq!(directory.masks(open, ALL).await?.len(), 2);
    assert_eq!(directory.mask_of(a, mask).await?, Some(kept), "a late call is told that it is over");
    assert_eq!(
        directory
            .open_mask(record(4, 1, 6)?, pool.iter().take(1).cloned().collect(), at(6_999), None)
            .await?,
        None
    );
    assert!(
        directory
            .open_mask(record(4, 1, 6)?, pool.iter().take(1).cloned().collect(), at(7_000), None)
            .await?
            .is_some()
    );
    assert_eq!(directory.masks_due(at(9_999), 9).await?.len(), 0);
    let due = directory.masks_due(at(10_000), 9).await?;
    assert_eq!(due.len(), 3, "those that expire and were not noted");
    Ok(())
}

fn answering(key: &str) -> KeepAnswer {
    let (key, kept) = (key.to_owned(), key.to_owned());
    let render = move |record: &MaskRecord| Idempotent {
        key: kept.clone(),
        fingerprint: 7,
        status: 201,
        body: record.session.mask.to_e164(),
        at: at(1),
    };
    KeepAnswer { key, render: Arc::new(render) }
}

/// With a key, a session and its answer are kept together or not at all.
pub(super) async fn a_session_and_its_answer_are_one(backend: &Backend) -> Result<()> {
    let (directory, ledger) = (&backend.directory, &backend.ledger);
    let open = |ms, a, b, pool: u64, key| {
        let ask = record(ms, a, b).and_then(|record| Ok((record, masks(pool)?)));
        async move {
            let (record, pool) = ask?;
            directory.open_mask(record, pool, at(1), Some(answering(key))).await
        }
    };
    let first = open(1, 1, 2, 1, "one").await?.ok_or(StoreError::Conflict)?;
    let kept = ledger.idempotent("one").await?.ok_or(StoreError::Conflict)?;
    assert_eq!(kept.body, first.session.mask.to_e164());
    assert!(matches!(open(2, 3, 4, 1, "one").await, Err(StoreError::Conflict)));
    assert_eq!(directory.masks(MaskFilter::default(), ALL).await?.len(), 1, "the other was not opened");
    assert!(open(3, 3, 4, 1, "two").await?.is_some(), "its virtual number was not taken");
    assert_eq!(open(4, 3, 4, 1, "three").await?, None, "the pool is exhausted");
    assert_eq!(ledger.idempotent("three").await?, None, "a refusal is not kept");
    Ok(())
}

/// A session and a call.
pub(super) async fn some(directory: &Arc<dyn Directory>) -> Result<(MaskRecord, CallRecord)> {
    let session =
        directory.open_mask(record(1, 1, 2)?, masks(1)?, at(1), None).await?.ok_or(StoreError::Conflict)?;
    let call = directory.keep_call(call(5, &session, "c1")).await?;
    Ok((session, call))
}

/// They are what they were.
pub(super) async fn some_are_there(
    directory: &Arc<dyn Directory>,
    (session, call): (MaskRecord, CallRecord),
) -> Result<()> {
    assert_eq!(directory.mask_of(session.session.b, session.session.mask).await?.as_ref(), Some(&session));
    let of = CallFilter { party: Some(session.session.b), ..CallFilter::default() };
    assert_eq!(directory.calls(of, ALL).await?, std::slice::from_ref(&call));
    let of = CallFilter { party: Some(msisdn(77)?), ..CallFilter::default() };
    assert!(directory.calls(of, ALL).await?.is_empty());
    assert_eq!(directory.call(call.id).await?, Some(call));
    Ok(())
}

pub(super) async fn calls_are_kept_once_and_say_how_a_number_does(
    directory: &Arc<dyn Directory>,
) -> Result<()> {
    let session =
        directory.open_mask(record(1, 1, 2)?, masks(1)?, at(1), None).await?.ok_or(StoreError::Conflict)?;
    let first = directory.keep_call(call(5, &session, "c1")).await?;
    assert_eq!(directory.keep_call(call(6, &session, "c1")).await?, first, "a repeated question");
    let other = directory.keep_call(call(7, &session, "c2")).await?;
    let mut ended = first.clone();
    ended.call.note(Progress::Answered, at(10));
    ended.call.note(Progress::Ended(None), at(20));
    let url = Some("https://recordings.example/1".to_owned());
    ended.recordings = vec![Recording {
        id: "r".to_owned(),
        status: "ready".to_owned(),
        url,
        seconds: Some(3),
        started_at: None,
    }];
    let ended = directory.change_call(ended).await?;
    assert!(matches!(directory.change_call(first.clone()).await, Err(StoreError::Conflict)));
    assert_eq!(directory.call(first.id).await?.as_ref(), Some(&ended));
    assert_eq!(directory.call_named("sip", "c1").await?.as_ref(), Some(&ended));
    assert_eq!(directory.call_named("twilio", "c1").await?, None);
    let of = CallFilter { session: Some(session.id), ..CallFilter::default() };
    assert_eq!(directory.calls(of, ALL).await?, [other, ended]);
    let mask = CallFilter {
        mask: Some(session.session.mask),
        subaccount: Some("other".to_owned()),
        ..CallFilter::default()
    };
    assert!(directory.calls(mask, ALL).await?.is_empty());
    let results = directory.last_results(session.session.mask, 9).await?;
    assert_eq!(results, [(at(5), CallResult::Completed)]);
    Ok(())
}

pub(super) async fn masks_are_erased_and_forgotten(backend: &Backend) -> Result<()> {
    let directory = &backend.directory;
    let mut all = Vec::new();
    for (n, (a, b)) in [(1, 2), (3, 1), (4, 5)].into_iter().enumerate() {
        let ms = i64::try_from(n).unwrap_or(0);
        let one = directory
            .open_mask(record(ms, a, b)?, masks(4)?, at(1), None)
            .await?
            .ok_or(StoreError::Conflict)?;
        directory.keep_call(call(ms, &one, &format!("c{n}"))).await?;
        all.push(one);
    }
    let mut erasing = Erasing::default();
    while erasing.cursor != Cursor::Done {
        erasing = backend.ledger.erase_step(msisdn(1)?, erasing).await?;
    }
    assert_eq!(erasing.erased.masking, 4, "two sessions and their calls");
    assert_eq!(directory.masks(MaskFilter::default(), ALL).await?.len(), 1);
    assert_eq!(directory.calls(CallFilter::default(), ALL).await?.len(), 1);
    let gone = all.first().ok_or(StoreError::Conflict)?;
    assert_eq!(directory.mask_of(msisdn(2)?, gone.session.mask).await?, None);
    let again = vec![gone.session.mask];
    assert_eq!(
        directory.open_mask(record(9, 2, 8)?, again, at(2), None).await?,
        None,
        "it stays held for the other party"
    );
    let mut last = directory.masks(MaskFilter::default(), ALL).await?.pop().ok_or(StoreError::Conflict)?;
    assert_eq!(
        directory.prune_masks(at(20_000), at(9_000), 100).await?,
        1,
        "the call; the session is not over"
    );
    last.over = true;
    directory.change_mask(last).await?;
    assert!(directory.prune_masks(at(20_000), at(20_000), 100).await? > 0);
    assert!(directory.masks(MaskFilter::default(), ALL).await?.is_empty());
    Ok(())
}

/// So many sessions at once, among few people and over few virtual numbers: every pair names one session, what is
/// refused had nothing free, and each caller finds the session that it was told.
pub async fn allocations_never_collide(
    backend: &Backend,
    sessions: u64,
    people: u64,
    numbers: u64,
) -> Result<()> {
    let pool = masks(numbers)?;
    let mut tasks = JoinSet::new();
    for n in 0..sessions {
        let (directory, pool) = (backend.directory.clone(), pool.clone());
        // A walk over all pairs of people.
        let (a, b) = (n % people, (n % people + 1 + (n / people) % (people - 1)) % people);
        let wished = record(1, a, b)?;
        tasks.spawn(async move {
            let candidates = seawall_core::masking::select::rotated(&pool, n);
            let parties = (wished.session.a, wished.session.b);
            directory.open_mask(wished, candidates, at(1), None).await.map(|opened| (parties, opened))
        });
    }
    let (mut opened, mut refused) = (Vec::new(), Vec::new());
    while let Some(done) = tasks.join_next().await {
        match done.map_err(|e| StoreError::Unavailable(e.to_string()))?? {
            (_, Some(record)) => opened.push(record),
            (parties, None) => refused.push(parties),
        }
    }
    let mut keys = HashSet::new();
    let mut held: HashMap<Msisdn, HashSet<Msisdn>> = HashMap::new();
    for one in &opened {
        for party in [one.session.a, one.session.b] {
            assert!(keys.insert((party, one.session.mask)), "two sessions have the same key");
            held.entry(party).or_default().insert(one.session.mask);
        }
    }
    assert!(!refused.is_empty() && !opened.is_empty(), "{} opened, {} refused", opened.len(), refused.len());
    for one in opened.iter().step_by(37) {
        for party in [one.session.a, one.session.b] {
            let found = backend.directory.mask_of(party, one.session.mask).await?;
            assert_eq!(found.map(|f| f.id), Some(one.id));
        }
    }
    // Whoever was refused had nothing left: between them the two have every virtual number.
    for (a, b) in refused {
        let has = |party: Msisdn, mask: &Msisdn| held.get(&party).is_some_and(|masks| masks.contains(mask));
        assert!(pool.iter().all(|mask| has(a, mask) || has(b, mask)), "refused although one was free");
    }
    Ok(())
}
