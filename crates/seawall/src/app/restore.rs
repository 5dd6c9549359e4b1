//! What a restored store must not do again. Since the backup was made, the gateway that it was made of went on: what
//! waited there has left, codes were confirmed, numbers were erased. Nothing of that is in the backup.

use std::collections::{HashMap, HashSet};

use seawall_core::message::MessageState;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_core::verification::{Checked, VerificationState};
use seawall_store::records::{
    Change, Erasing, ErasureJob, MessageFilter, MessageRecord, Page, VerificationFilter, VerificationRecord,
};
use seawall_store::{Store, StoreError};
use serde_json::json;

use super::audit::Actor;
use super::consent::kind;
use super::contacts;
use super::tombstones::Tombstone;
use crate::ids::IdSource;

/// Rows read at a time.
const PAGE: usize = 1000;

/// What was ended or asked for again.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Restored {
    /// Messages that waited or were being sent, and may have left since: `unknown` now.
    pub unknown: usize,
    /// Messages whose time to be sent had passed: `expired` now.
    pub expired: usize,
    /// Messages scheduled for later, which will be sent then.
    pub scheduled: usize,
    /// Verifications that were open: canceled now, so that no code is accepted twice.
    pub verifications: usize,
    /// Numbers that are erased again, at the next start.
    pub erased_again: usize,
    /// Erased numbers of which the backup holds nothing to erase.
    pub not_found: usize,
}

/// Ends what may have gone on elsewhere. `went_on`: whether the gateway may have run after the backup.
pub async fn settle(
    store: &Store,
    now: Timestamp,
    went_on: bool,
    erased: &[Tombstone],
) -> Result<Restored, StoreError> {
    let mut done = Restored::default();
    if went_on {
        messages(store, now, &mut done).await?;
        verifications(store, now, &mut done).await?;
    }
    erase_again(store, now, erased, &mut done).await?;
    let detail = json!({"unknown": done.unknown, "expired": done.expired, "canceled": done.verifications,
        "erased_again": done.erased_again});
    let entry = Actor { name: "cli".to_owned(), ip: None }.entry(now, "store.restore", "store", detail);
    store.directory.note_audit(entry).await?;
    Ok(done)
}

/// What is due is claimed as if it were to be sent, and then nobody knows what became of it.
async fn messages(store: &Store, now: Timestamp, done: &mut Restored) -> Result<(), StoreError> {
    loop {
        let claimed = store.ledger.claim(now, PAGE).await?;
        if claimed.is_empty() {
            break;
        }
        done.expired += claimed.iter().filter(|message| message.state == MessageState::Expired).count();
    }
    // What waits for its next try may have had it.
    loop {
        let filter = MessageFilter { state: Some(MessageState::Queued), ..MessageFilter::default() };
        let queued = store.ledger.messages(filter, Page { before: None, limit: PAGE }).await?;
        if queued.is_empty() {
            break;
        }
        store.ledger.settle(queued.iter().map(|message| submitting(message, now)).collect()).await?;
    }
    done.unknown = store.ledger.recover(now).await?.unknown;
    let census = store.ledger.census(None).await?;
    let scheduled = census.get(MessageState::Scheduled.as_str()).copied().unwrap_or(0);
    done.scheduled = usize::try_from(scheduled).unwrap_or(usize::MAX);
    Ok(())
}

fn submitting(message: &MessageRecord, now: Timestamp) -> Change {
    Change {
        id: message.id,
        state: Some(MessageState::Submitting),
        attempt: None,
        error: None,
        outcome: None,
        at: now,
        hooks: Vec::new(),
        again: None,
    }
}

/// A code that was confirmed since must not be confirmed a second time.
async fn verifications(store: &Store, now: Timestamp, done: &mut Restored) -> Result<(), StoreError> {
    let filter =
        VerificationFilter { state: Some(VerificationState::Pending), ..VerificationFilter::default() };
    let mut before = None;
    loop {
        let page = store.ledger.verifications(filter.clone(), Page { before, limit: PAGE }).await?;
        let Some(last) = page.last() else { return Ok(()) };
        before = Some(last.id.row());
        for open in page.iter().filter(|open| open.lifecycle.expires_at > now) {
            let cancel = Box::new(move |v: &mut VerificationRecord, _: &mut _| {
                if v.lifecycle.cancel(now) {
                    v.given_code = None;
                }
                Checked::Final
            });
            store.ledger.check(&open.subaccount, open.id, cancel).await?;
            done.verifications += 1;
        }
    }
}

/// Erasures that the backup does not know are asked for again; the next start carries them out before long.
async fn erase_again(
    store: &Store,
    now: Timestamp,
    erased: &[Tombstone],
    done: &mut Restored,
) -> Result<(), StoreError> {
    let mut hashes: HashSet<u64> = erased.iter().filter_map(Tombstone::hash).collect();
    let mut numbers: HashSet<Msisdn> = erased.iter().filter_map(Tombstone::number).collect();
    hashes.retain(|hash| !numbers.iter().any(|number| store.vault.index().msisdn(*number) == *hash));
    let found = numbers_of(store, &hashes).await?;
    done.not_found = hashes.len() - found.len();
    numbers.extend(found.into_values());
    let ids = IdSource::new(store.ledger.newest_row().await?, store);
    for number in numbers {
        let job = ErasureJob {
            id: ids.next(now)?,
            number: Some(number.as_u64()),
            asked_at: now,
            actor: "restore".to_owned(),
            erasing: Erasing::default(),
            receipt: None,
        };
        store.ledger.save_erasure(job).await?;
        done.erased_again += 1;
    }
    Ok(())
}

/// The numbers behind keyed hashes, as far as something in the store names them.
async fn numbers_of(store: &Store, wanted: &HashSet<u64>) -> Result<HashMap<u64, Msisdn>, StoreError> {
    let mut found = HashMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let mut see = |number: Msisdn| {
        let hash = store.vault.index().msisdn(number);
        if number != Msisdn::ERASED && wanted.contains(&hash) {
            found.insert(hash, number);
        }
    };
    let mut before = None;
    loop {
        let page = store.ledger.messages(MessageFilter::default(), Page { before, limit: PAGE }).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.id.row());
        page.iter().for_each(|message| see(message.to));
    }
    let mut before = None;
    loop {
        let page = store.directory.opt_outs(Page { before, limit: PAGE }).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.id.row());
        page.iter().for_each(|opt_out| see(opt_out.msisdn));
    }
    for kind in [kind::CONSENT, kind::ASKED, kind::REVIEW, contacts::KIND] {
        let mut before = None;
        loop {
            let page = store.directory.notes(kind, Page { before, limit: PAGE }).await?;
            let Some(last) = page.last() else { break };
            before = Some(last.id.row());
            page.iter().for_each(|note| see(note.number));
        }
    }
    Ok(found)
}
