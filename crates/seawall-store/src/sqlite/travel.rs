//! A message's way: claimed for sending, then changed by what providers say.

use rusqlite::OptionalExtension;
use seawall_core::id::Id;
use seawall_core::message::MessageState;
use seawall_core::time::Timestamp;

use super::accept::{set_scheduled, waiting};
use super::hot::{Waiting, Way};
use super::read_from::{self, ReadFrom};
use super::writer::Turn;
use super::{codec, hooks, messages};
use crate::records::{Attempt, MessageRecord, Moved};
use crate::sealed::way::{SealedChange, own_id, reference_hash};
use crate::{Result, StoreError};

/// Moves what may be sent now to `submitting`, or to `expired`.
pub(super) fn claim(turn: &mut Turn<'_>, now: Timestamp, limit: usize) -> Result<Vec<MessageRecord>> {
    let next = turn.hot().queue.next(now.as_millis(), limit);
    let mut claimed = Vec::with_capacity(next.len());
    for (row, place) in next {
        let Some(mut record) = waiting_record(turn, row)? else {
            turn.hot().queue.remove(row, place);
            continue;
        };
        let late = record.expires_at.is_some_and(|end| end <= now);
        record.state = if late { MessageState::Expired } else { MessageState::Submitting };
        record.progress.changed_at = Some(now);
        let way = Way {
            tail: record.id.tail(),
            state: record.state,
            due: record.due.map(Timestamp::as_millis),
            progress: record.progress.clone(),
        };
        write(turn, row, Some(place), way)?;
        claimed.push(record);
    }
    Ok(claimed)
}

/// A waiting message, from memory if it is there. A row that is gone was pruned or never committed.
fn waiting_record(turn: &Turn<'_>, row: i64) -> Result<Option<MessageRecord>> {
    let kept = turn.hot().records.take(row);
    if let Some(record) = kept {
        return Ok(Some(*record));
    }
    let found = messages::by_row(turn.view, row)?;
    Ok(found.map(|record| MessageRecord { decision: None, ..record }))
}

/// How a message travels, from memory if it is there.
pub(super) fn way(turn: &Turn<'_>, row: i64) -> Result<Option<Way>> {
    let kept = turn.hot().ways.take(row);
    if kept.is_some() {
        return Ok(kept);
    }
    let sql = format!("SELECT {} WHERE row = ?1", codec::WAY_COLUMNS);
    let mut select = turn.view.conn.prepare_cached(&sql)?;
    select.query_row([row], |r| Ok(codec::way(r))).optional()?.transpose()
}

/// Writes how a message travels now, and keeps memory in step.
pub(super) fn write(turn: &mut Turn<'_>, row: i64, before: Option<Waiting>, way: Way) -> Result<()> {
    let after = waiting(way.state, way.due);
    turn.on_rollback(move |hot| {
        hot.ways.take(row);
        hot.records.take(row);
        after.into_iter().for_each(|place| hot.queue.remove(row, place));
        before.into_iter().for_each(|place| hot.queue.add(row, place));
    });
    if turn.prepared.change_message(row, &way)? != 1 {
        return Err(StoreError::Corrupt("a message lost its row".to_owned()));
    }
    if matches!(before, Some(Waiting::Later(_, true))) && !matches!(after, Some(Waiting::Later(_, true))) {
        set_scheduled(turn, row, false)?;
        if after.is_some() {
            // From now on it waits like any other, but it is old.
            read_from::reach(turn, ReadFrom { waiting: row, open: i64::MAX })?;
        }
    }
    let mut hot = turn.hot();
    before.into_iter().for_each(|place| hot.queue.remove(row, place));
    after.into_iter().for_each(|place| hot.queue.add(row, place));
    if way.state.is_final() {
        // One from before would bring it back.
        hot.ways.take(row);
    } else {
        hot.ways.insert(row, way);
    }
    Ok(())
}

/// Applies what the state machine allows; returns what changed.
pub(super) fn settle(turn: &mut Turn<'_>, changes: Vec<SealedChange>) -> Result<Vec<Moved>> {
    let mut moved = Vec::with_capacity(changes.len());
    for SealedChange { change, hooks } in changes {
        let (id, row) = (change.id, change.id.row());
        let Some(mut way) = way(turn, row)? else { continue };
        let (before, tries) = (waiting(way.state, way.due), change.attempt.is_some());
        if id.tail() != way.tail || !way.apply(change) {
            if !way.state.is_final() {
                turn.hot().ways.insert(row, way);
            }
            continue;
        }
        if let Some(attempt) = way.progress.attempts.last().filter(|_| tries) {
            write_reference(turn, id, attempt)?;
        }
        // A waiting record in memory would be sent as it was.
        turn.hot().records.take(row);
        let state = way.state;
        write(turn, row, before, way)?;
        hooks::insert(turn, hooks)?;
        moved.push(Moved { id, state });
    }
    Ok(moved)
}

/// Makes the provider's reference findable, unless it is the message's own id in some spelling.
fn write_reference(turn: &Turn<'_>, id: Id, attempt: &Attempt) -> Result<()> {
    let Some(reference) = attempt.reference.as_deref().filter(|r| own_id(r) != Some(id)) else {
        return Ok(());
    };
    let bucket = turn.hot().buckets.of(id.row());
    let hash = reference_hash(turn.view.vault(), &attempt.provider, reference);
    let sql = "INSERT OR REPLACE INTO provider_refs (bucket, hash, row) VALUES (?1, ?2, ?3)";
    turn.view.conn.prepare_cached(sql)?.execute([bucket, hash, id.row()])?;
    Ok(())
}
