//! A message's way: claimed for sending, then changed by what providers say.

use rusqlite::params;
use seawall_core::id::{Id, IdKind};
use seawall_core::message::MessageState;
use seawall_core::time::Timestamp;

use super::accept::waiting;
use super::hot::Waiting;
use super::messages;
use super::writer::Turn;
use super::{codec, hooks};
use crate::records::{Attempt, Change, MessageRecord};
use crate::{Result, StoreError};

/// Moves what may be sent now to `submitting`, or to `expired`.
pub(super) fn claim(turn: &mut Turn<'_>, now: Timestamp, limit: usize) -> Result<Vec<MessageRecord>> {
    let next = turn.hot().queue.next(now.as_millis(), limit);
    let mut claimed = Vec::with_capacity(next.len());
    for (row, place) in next {
        let Some(mut record) = current(turn, row)? else {
            turn.hot().queue.remove(row, place);
            continue;
        };
        let late = record.expires_at.is_some_and(|end| end <= now);
        record.state = if late { MessageState::Expired } else { MessageState::Submitting };
        record.progress.changed_at = Some(now);
        let sql = "UPDATE messages SET state = ?2, changed = ?3 WHERE row = ?1";
        turn.view.conn.prepare_cached(sql)?.execute(params![row, record.state.as_u8(), now.as_millis()])?;
        step(turn, Some(place), &record);
        claimed.push(record);
    }
    Ok(claimed)
}

/// A message as it is now, from memory if it is there. A row that is gone was pruned or never committed.
fn current(turn: &Turn<'_>, row: i64) -> Result<Option<MessageRecord>> {
    if let Some(record) = turn.hot().records.get(row) {
        return Ok(Some(record.clone()));
    }
    let found = messages::by_row(turn.view, row)?;
    Ok(found.map(|record| MessageRecord { decision: None, ..record }))
}

/// Keeps memory in step with a changed row.
fn step(turn: &mut Turn<'_>, before: Option<Waiting>, record: &MessageRecord) {
    let row = record.id.row();
    let after = waiting(record.state, record.due.map(|at| at.as_millis()));
    {
        let mut hot = turn.hot();
        if let Some(place) = before {
            hot.queue.remove(row, place);
        }
        if let Some(place) = after {
            hot.queue.add(row, place);
        }
        if record.state.is_final() {
            hot.records.remove(row);
        } else if let Some(cached) = hot.records.get_mut(row) {
            cached.state = record.state;
            cached.due = record.due;
            cached.progress.clone_from(&record.progress);
        } else {
            hot.records.insert(record.clone());
        }
    }
    turn.on_rollback(move |hot| {
        hot.records.remove(row);
        after.into_iter().for_each(|place| hot.queue.remove(row, place));
        before.into_iter().for_each(|place| hot.queue.add(row, place));
    });
}

/// A change whose deliveries are sealed already.
pub(super) struct SealedChange {
    /// The change, without its deliveries.
    pub(super) change: Change,
    /// Its deliveries.
    pub(super) hooks: Vec<hooks::SealedHook>,
}

/// Applies what the state machine allows; returns the changed messages.
pub(super) fn settle(turn: &mut Turn<'_>, changes: Vec<SealedChange>) -> Result<Vec<MessageRecord>> {
    let mut changed = Vec::with_capacity(changes.len());
    for sealed in changes {
        let Some(mut record) = current(turn, sealed.change.id.row())?.filter(|r| r.id == sealed.change.id)
        else {
            continue;
        };
        let before = waiting(record.state, record.due.map(|at| at.as_millis()));
        if !apply(&mut record, &sealed.change) {
            continue;
        }
        write(turn, &record)?;
        if let Some(attempt) = &sealed.change.attempt {
            write_reference(turn, record.id, attempt)?;
        }
        hooks::insert(turn, sealed.hooks)?;
        step(turn, before, &record);
        changed.push(record);
    }
    Ok(changed)
}

/// False when the state machine refuses the change: a late or repeated receipt.
fn apply(record: &mut MessageRecord, change: &Change) -> bool {
    if let Some(state) = change.state {
        if !record.state.may_become(state) {
            return false;
        }
        record.state = state;
        record.progress.changed_at = Some(change.at);
        record.due = change.due.or(record.due.filter(|_| state != MessageState::Queued));
    }
    if let Some(attempt) = &change.attempt {
        record.progress.attempts.push(attempt.clone());
    }
    if let Some((code, words)) = &change.error {
        record.progress.error_code = Some(*code);
        record.progress.error_message = Some(words.clone());
    }
    if change.outcome.is_some() {
        record.progress.outcome.clone_from(&change.outcome);
    }
    true
}

fn write(turn: &Turn<'_>, record: &MessageRecord) -> Result<()> {
    let sql = "UPDATE messages SET state = ?2, changed = ?3, due = ?4, progress = ?5 WHERE row = ?1";
    let rows = turn.view.conn.prepare_cached(sql)?.execute(params![
        record.id.row(),
        record.state.as_u8(),
        record.progress.changed_at.map(|at| at.as_millis()),
        record.due.map(|at| at.as_millis()),
        codec::progress_text(&record.progress)?,
    ])?;
    if rows == 1 { Ok(()) } else { Err(StoreError::Corrupt("a message lost its row".to_owned())) }
}

/// Makes the provider's reference findable, unless it is the message's own id in some spelling.
fn write_reference(turn: &Turn<'_>, id: Id, attempt: &Attempt) -> Result<()> {
    let Some(reference) = attempt.reference.as_deref().filter(|r| own_id(r) != Some(id)) else {
        return Ok(());
    };
    let bucket = turn.hot().buckets.of(id.row());
    let hash = messages::reference_hash(turn.view.vault(), &attempt.provider, reference);
    let sql = "INSERT OR REPLACE INTO provider_refs (bucket, hash, row) VALUES (?1, ?2, ?3)";
    turn.view.conn.prepare_cached(sql)?.execute([bucket, hash, id.row()])?;
    Ok(())
}

/// A reference read as one of our message ids.
pub(super) fn own_id(reference: &str) -> Option<Id> {
    Id::parse(IdKind::Message, reference).or_else(|| Id::parse_hex(reference))
}
