//! Messages on their way.

use std::collections::HashSet;
use std::sync::Arc;

use seawall_core::message::MessageState;

use super::fixtures::{at, change, id, message};
use crate::records::{Acceptance, Again, Attempt, Change, MessageRecord};
use crate::{Ledger, Result};

async fn accept(ledger: &Arc<dyn Ledger>, messages: Vec<MessageRecord>) -> Result<()> {
    ledger.accept(Acceptance { messages, ..Acceptance::default() }).await
}

pub(super) async fn an_accepted_message_is_there(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let mut m = message(1, 1, "hello")?;
    m.batch = Some(id(0));
    m.dimensions.ranges = vec![(6, 77)];
    m.dimensions.to = 0;
    accept(ledger, vec![m.clone()]).await?;
    let mut found = ledger.message(Some("main"), m.id).await?;
    if let Some(found) = &mut found {
        // The number's dimension is its keyed hash, whatever the caller wrote.
        assert_ne!(found.dimensions.to, 0);
        found.dimensions.to = 0;
    }
    assert_eq!(found, Some(m.clone()));
    assert_eq!(ledger.message(Some("other"), m.id).await?, None);
    let guessed = seawall_core::id::Id::new(m.id.row(), m.id.tail() ^ 1);
    assert_eq!(ledger.message(None, guessed).await?, None);
    Ok(())
}

pub(super) async fn a_message_is_claimed_once_and_oldest_first(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let all = (0..300).map(|i| message(i, 1, "x")).collect::<Result<Vec<_>>>()?;
    accept(ledger, all.iter().rev().cloned().collect()).await?;
    let first = ledger.claim(at(1000), 5).await?;
    assert!(first.iter().all(|m| m.decision.is_none() && m.content.is_some()));
    assert!(
        first.iter().zip(&all).all(|(got, want)| got.id == want.id && got.state == MessageState::Submitting)
    );
    assert_eq!(first.len(), 5);
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let ledger = ledger.clone();
            tokio::spawn(async move { ledger.claim(at(1000), 10).await })
        })
        .collect();
    let mut seen: HashSet<_> = first.iter().map(|m| m.id).collect();
    for task in tasks {
        for message in task.await.map_err(|_| crate::StoreError::Conflict)?? {
            assert!(seen.insert(message.id), "claimed twice");
        }
    }
    assert_eq!(seen.len(), 300);
    assert!(ledger.claim(at(2000), 10).await?.is_empty());
    let state = ledger.message(None, all.first().map_or_else(|| id(0), |m| m.id)).await?.map(|m| m.state);
    assert_eq!(state, Some(MessageState::Submitting));
    Ok(())
}

pub(super) async fn scheduled_and_expired_messages_are_claimed_in_time(
    ledger: &Arc<dyn Ledger>,
) -> Result<()> {
    let (mut later, mut late) = (message(1, 1, "x")?, message(2, 2, "y")?);
    later.state = MessageState::Scheduled;
    later.due = Some(at(500));
    late.expires_at = Some(at(100));
    accept(ledger, vec![later.clone(), late.clone()]).await?;
    let claimed = ledger.claim(at(100), 10).await?;
    assert_eq!(
        claimed.iter().map(|m| (m.id, m.state)).collect::<Vec<_>>(),
        [(late.id, MessageState::Expired)]
    );
    assert!(ledger.claim(at(499), 10).await?.is_empty());
    let claimed = ledger.claim(at(500), 10).await?;
    assert_eq!(
        claimed.iter().map(|m| (m.id, m.state)).collect::<Vec<_>>(),
        [(later.id, MessageState::Submitting)]
    );
    Ok(())
}

pub(super) async fn only_allowed_moves_are_written(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let m = message(1, 1, "x")?;
    accept(ledger, vec![m.clone()]).await?;
    assert!(
        ledger.settle(vec![change(m.id, MessageState::Delivered, 2)]).await?.is_empty(),
        "never submitted"
    );
    ledger.claim(at(3), 1).await?;
    let mut sent = change(m.id, MessageState::Sent, 4);
    sent.attempt = Some(attempt("ref-1"));
    let changed = ledger.settle(vec![sent, change(m.id, MessageState::Delivered, 5)]).await?;
    assert_eq!(
        changed.iter().map(|m| m.state).collect::<Vec<_>>(),
        [MessageState::Sent, MessageState::Delivered]
    );
    let mut failed = change(m.id, MessageState::Failed, 6);
    failed.error = Some((12, "late".to_owned()));
    assert!(ledger.settle(vec![failed, change(id(9), MessageState::Sent, 6)]).await?.is_empty());
    let mut outcome = change(m.id, MessageState::Sent, 7);
    (outcome.state, outcome.outcome) = (None, Some("success".to_owned()));
    ledger.settle(vec![outcome]).await?;
    let found = ledger.message(None, m.id).await?;
    let progress = found.as_ref().map(|m| &m.progress);
    assert_eq!(found.as_ref().map(|m| m.state), Some(MessageState::Delivered));
    assert_eq!(progress.map(|p| p.attempts.len()), Some(1));
    assert_eq!(progress.and_then(|p| p.outcome.as_deref()), Some("success"));
    assert_eq!(progress.and_then(|p| p.error_code), None);
    assert_eq!(progress.and_then(|p| p.changed_at), Some(at(5)));
    Ok(())
}

pub(super) async fn what_goes_back_to_the_queue_waits(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let (m, n) = (message(1, 1, "x")?, message(2, 1, "x")?);
    accept(ledger, vec![m.clone(), n.clone()]).await?;
    assert_eq!(ledger.settle(vec![change(n.id, MessageState::Canceled, 2)]).await?.len(), 1);
    assert_eq!(ledger.claim(at(2), 9).await?.len(), 1, "the canceled one is not sent");
    let mut again = change(m.id, MessageState::Queued, 3);
    again.again = Some(Again { due: at(100), was: None });
    assert_eq!(ledger.settle(vec![again.clone()]).await?.len(), 1);
    assert!(ledger.claim(at(99), 1).await?.is_empty());
    assert_eq!(ledger.claim(at(100), 1).await?.len(), 1);
    // The answer was lost and it is told again, while somebody else is sending.
    assert!(ledger.settle(vec![again]).await?.is_empty());
    assert!(ledger.claim(at(999), 1).await?.is_empty(), "it is not sent twice");
    let mut next = change(m.id, MessageState::Queued, 101);
    next.again = Some(Again { due: at(200), was: Some(at(100)) });
    ledger.settle(vec![next]).await?;
    assert_eq!(ledger.claim(at(200), 1).await?.len(), 1);
    Ok(())
}

pub(super) async fn what_expires_in_the_queue_never_comes_back(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let m = MessageRecord { expires_at: Some(at(50)), ..message(1, 1, "x")? };
    accept(ledger, vec![m.clone()]).await?;
    assert_eq!(ledger.claim(at(2), 9).await?.len(), 1);
    let mut again = change(m.id, MessageState::Queued, 3);
    again.again = Some(Again { due: at(60), was: None });
    assert_eq!(ledger.settle(vec![again]).await?.len(), 1);
    let late = ledger.claim(at(60), 9).await?;
    assert_eq!(late.iter().map(|m| m.state).collect::<Vec<_>>(), [MessageState::Expired]);
    // Its end is told to the app; that leaves it as it is.
    let told = Change { state: None, ..change(m.id, MessageState::Expired, 61) };
    ledger.settle(vec![told]).await?;
    assert!(ledger.claim(at(100), 9).await?.is_empty());
    assert_eq!(ledger.message(None, m.id).await?.map(|m| m.state), Some(MessageState::Expired));
    Ok(())
}

fn attempt(reference: &str) -> Attempt {
    let (provider, outcome) = ("smpp-1".to_owned(), "accepted".to_owned());
    Attempt { provider, at: at(4), outcome, reference: Some(reference.to_owned()), detail: None }
}

pub(super) async fn references_are_found(ledger: &Arc<dyn Ledger>) -> Result<()> {
    let (m, n) = (message(1, 1, "x")?, message(2, 2, "y")?);
    accept(ledger, vec![m.clone(), n.clone()]).await?;
    ledger.claim(at(3), 2).await?;
    let own = n.id.to_uuid();
    let changes = [(m.id, "abc-1"), (n.id, own.as_str())].map(|(id, reference)| {
        let mut sent = change(id, MessageState::Sent, 4);
        sent.attempt = Some(attempt(reference));
        sent
    });
    ledger.settle(changes.into()).await?;
    assert_eq!(ledger.by_reference("smpp-1", "abc-1").await?, Some(m.id));
    assert_eq!(ledger.by_reference("smpp-1", &own).await?, Some(n.id));
    assert_eq!(ledger.by_reference("smpp-2", "abc-1").await?, None);
    assert_eq!(ledger.by_reference("smpp-2", &own).await?, None);
    assert_eq!(ledger.by_reference("smpp-1", "abc-2").await?, None);
    Ok(())
}
