//! Accepting messages: checks first, then rows, then what is kept in memory.

use rusqlite::params;
use seawall_core::message::MessageState;
use seawall_core::verification::VerificationState;

use super::codec::SealedMessage;
use super::hot::{Hot, Waiting, Way};
use super::read_from::{self, ReadFrom};
use super::writer::Turn;
use super::{idempotency, numbers, verifications};
use crate::records::{Progress, VerificationRecord};
use crate::sealed::acceptance::{Sealed, SealedVerification};
use crate::{Result, StoreError};

/// The number has no other open one, or the stored revision is the one that the caller saw.
fn check(sealed: &SealedVerification, turn: &Turn<'_>) -> Result<()> {
    let fits = if sealed.new {
        let hot = turn.hot();
        let now = sealed.record.lifecycle.sent_at.as_millis();
        let sub = hot.subs.id(&sealed.record.subaccount);
        sub.and_then(|sub| hot.open.get((sub, sealed.number), now)).is_none()
    } else {
        let stored = verifications::get(turn.view, Some(&sealed.record.subaccount), sealed.record.id)?;
        stored.is_some_and(|stored| stored.revision == sealed.record.revision)
    };
    if fits { Ok(()) } else { Err(StoreError::Conflict) }
}

fn write(sealed: &SealedVerification, turn: &mut Turn<'_>) -> Result<()> {
    let sub = intern(turn, &sealed.record.subaccount)?;
    if !sealed.body.is_empty() {
        let revision = if sealed.new { sealed.record.revision } else { sealed.record.revision + 1 };
        write_verification(turn, sub, sealed.number, &sealed.record, revision, &sealed.body)?;
    }
    note_open(turn, sub, sealed.number, &sealed.record);
    Ok(())
}

/// Writes it all, or nothing with `Conflict`.
pub(super) fn accept(turn: &mut Turn<'_>, sealed: Sealed) -> Result<()> {
    if let Some(verification) = &sealed.verification {
        check(verification, turn)?;
    }
    if let Some(key) = &sealed.key
        && !idempotency::insert(key, turn)?
    {
        return Err(StoreError::Conflict);
    }
    if let Some(verification) = sealed.verification {
        write(&verification, turn)?;
    }
    insert_messages(turn, sealed.messages)
}

/// Writes a verification's own row, whether or not it had one.
pub(super) fn write_verification(
    turn: &mut Turn<'_>,
    sub: i64,
    number: i64,
    record: &VerificationRecord,
    revision: u64,
    body: &[u8],
) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO verifications \
         (row, sub, number, state, expires, verified, given_until, revision, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let life = &record.lifecycle;
    let expires = life.expires_at.as_millis();
    turn.view.conn.prepare_cached(sql)?.execute(params![
        record.id.row(),
        sub,
        number,
        life.state.as_u8(),
        expires,
        life.verified_at.map(|at| at.as_millis()),
        record.given_code.as_ref().map(|_| expires),
        revision.cast_signed(),
        body,
    ])?;
    Ok(())
}

/// Keeps the map of open verifications in step.
pub(super) fn note_open(turn: &mut Turn<'_>, sub: i64, number: i64, record: &VerificationRecord) {
    let (row, key) = (record.id.row(), (sub, number));
    let pending = record.lifecycle.state == VerificationState::Pending;
    let expires = record.lifecycle.expires_at.as_millis();
    let before = {
        let mut hot = turn.hot();
        hot.open.sweep(turn.view.shared.latest());
        let before = hot.open.set(key, pending.then_some((row, expires)));
        if let Some(newer) = before.filter(|&(other, _)| other > row) {
            hot.open.set(key, Some(newer));
        }
        before
    };
    turn.on_rollback(move |hot| {
        hot.open.set(key, before);
    });
}

/// The small number of a subaccount's name; a new name gets a row.
pub(super) fn intern(turn: &mut Turn<'_>, name: &str) -> Result<i64> {
    if let Some(id) = turn.hot().subs.id(name) {
        return Ok(id);
    }
    let conn = turn.view.conn;
    conn.prepare_cached("INSERT INTO subaccounts (name) VALUES (?1)")?.execute([name])?;
    let id = conn.last_insert_rowid();
    turn.hot().subs.insert(id, name);
    turn.on_rollback(move |hot| hot.subs.remove(id));
    Ok(id)
}

fn insert_messages(turn: &mut Turn<'_>, messages: Vec<SealedMessage>) -> Result<()> {
    undo_with_the_group(turn, &messages);
    for message in &messages {
        let sub = intern(turn, &message.subaccount)?;
        turn.prepared.insert_message(sub, message)?;
        if message.state == MessageState::Scheduled {
            set_scheduled(turn, message.id.row(), true)?;
        }
    }
    numbers::add(turn, messages.iter().map(|m| (m.number, m.id.row())))?;
    let Some(oldest) = messages.iter().map(|message| message.id.row()).min() else { return Ok(()) };
    let newest = keep_in_memory(&mut turn.hot(), messages);
    if let Some(newest) = newest {
        read_from::advance(turn, newest)?;
    }
    read_from::reach(turn, ReadFrom { waiting: oldest, open: oldest })
}

/// Notes in the table of scheduled messages that one joins or leaves them.
pub(super) fn set_scheduled(turn: &Turn<'_>, row: i64, scheduled: bool) -> Result<()> {
    let sql = match scheduled {
        true => "INSERT OR IGNORE INTO scheduled (row) VALUES (?1)",
        false => "DELETE FROM scheduled WHERE row = ?1",
    };
    turn.view.conn.prepare_cached(sql)?.execute([row])?;
    Ok(())
}

/// Now and then gives the row of the newest, where it is time to move on from where a start reads.
fn keep_in_memory(hot: &mut Hot, messages: Vec<SealedMessage>) -> Option<i64> {
    let mut newest = None;
    for message in messages {
        let (row, state, due) = (message.id.row(), message.state, message.due);
        if let Some(place) = waiting(state, due) {
            hot.queue.add(row, place);
        }
        match message.waits {
            Some(record) => hot.records.insert(row, record),
            // It goes at once, and its outcome is written soon.
            None if state == MessageState::Submitting => {
                let way = Way { tail: message.id.tail(), state, due, progress: Progress::default() };
                hot.ways.insert(row, way);
            }
            None => {}
        }
        if hot.buckets.count(row) {
            newest = Some(row);
        }
    }
    newest
}

fn undo_with_the_group(turn: &mut Turn<'_>, messages: &[SealedMessage]) {
    let rows: Vec<_> = messages.iter().map(|m| (m.id.row(), waiting(m.state, m.due))).collect();
    turn.on_rollback(move |hot| {
        for (row, place) in rows {
            hot.records.take(row);
            hot.ways.take(row);
            hot.numbers.forget(row);
            place.into_iter().for_each(|place| hot.queue.remove(row, place));
        }
    });
}

/// Where a message of this state waits, if it does.
pub(super) fn waiting(state: MessageState, due: Option<i64>) -> Option<Waiting> {
    match (state, due) {
        (MessageState::Queued, None) => Some(Waiting::Ready),
        (MessageState::Queued, Some(due)) => Some(Waiting::Later(due, false)),
        (MessageState::Scheduled, due) => Some(Waiting::Later(due.unwrap_or(0), true)),
        (MessageState::Submitting, _) => Some(Waiting::Submitting),
        _ => None,
    }
}
