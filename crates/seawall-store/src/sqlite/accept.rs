//! Accepting messages: checks first, then rows, then what is kept in memory.

use rusqlite::params;
use seawall_core::message::MessageState;
use seawall_core::verification::VerificationState;

use super::codec::{self, SealedMessage};
use super::hot::Waiting;
use super::idempotency::SealedKey;
use super::writer::Turn;
use crate::records::{Acceptance, MessageRecord, VerificationRecord, VerificationWrite};
use crate::vault::Vault;
use crate::{Result, StoreError};

/// Everything sealed, ready for the writer.
pub(super) struct Sealed {
    messages: Vec<SealedMessage>,
    verification: Option<SealedVerification>,
    key: Option<SealedKey>,
}

struct SealedVerification {
    record: VerificationRecord,
    new: bool,
    number: i64,
    body: Vec<u8>,
}

impl Sealed {
    /// Seals an acceptance.
    pub(super) fn new(vault: &Vault, acceptance: Acceptance) -> Result<Self> {
        let verification = match acceptance.verification {
            None => None,
            Some(VerificationWrite::Begin(record)) => Some(SealedVerification::new(vault, record, true)?),
            Some(VerificationWrite::Update(record)) => Some(SealedVerification::new(vault, record, false)?),
        };
        let seal = |record| codec::seal_message(vault, record);
        let messages = acceptance.messages.into_iter().map(seal).collect::<Result<_>>()?;
        let key = acceptance.idempotent.map(|answer| SealedKey::new(vault, &answer)).transpose()?;
        Ok(Sealed { messages, verification, key })
    }

    /// About how many rows it writes.
    pub(super) fn weight(&self) -> usize {
        self.messages.len() + 1
    }
}

impl SealedVerification {
    fn new(vault: &Vault, mut record: VerificationRecord, new: bool) -> Result<Self> {
        let body = codec::seal_verification(vault, &mut record)?;
        Ok(SealedVerification { number: codec::number_hash(vault, record.to), record, new, body })
    }

    /// The number has no other open one, or the stored revision is the one that the caller saw.
    fn check(&self, turn: &Turn<'_>) -> Result<()> {
        let sub = turn.hot().subs.id(&self.record.subaccount);
        let row = self.record.id.row();
        if self.new {
            let now = self.record.lifecycle.sent_at.as_millis();
            let open = sub.and_then(|sub| turn.hot().open.get((sub, self.number), now));
            return if open.is_none() { Ok(()) } else { Err(StoreError::Conflict) };
        }
        let conn = turn.view.conn;
        let mut select = conn.prepare_cached(
            "SELECT count(*) FROM verifications WHERE row = ?1 AND tail = ?2 AND sub = ?3 AND revision = ?4",
        )?;
        let revision = self.record.revision.cast_signed();
        let tail = self.record.id.tail().cast_signed();
        let as_seen: i64 = select.query_row(params![row, tail, sub, revision], |r| r.get(0))?;
        if as_seen == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }
}

/// Writes it all, or nothing with `Conflict`.
pub(super) fn accept(turn: &mut Turn<'_>, sealed: Sealed) -> Result<()> {
    if let Some(verification) = &sealed.verification {
        verification.check(turn)?;
    }
    if let Some(key) = &sealed.key
        && !key.insert(turn)?
    {
        return Err(StoreError::Conflict);
    }
    if let Some(verification) = sealed.verification {
        let sub = intern(turn, &verification.record.subaccount)?;
        let insert = if verification.new { INSERT_VERIFICATION } else { UPDATE_VERIFICATION };
        write_verification(turn, insert, sub, verification.number, &verification.record, &verification.body)?;
    }
    insert_messages(turn, sealed.messages)
}

const INSERT_VERIFICATION: &str = "INSERT INTO verifications \
     (row, tail, sub, number, state, expires, verified, given_until, revision, body) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
/// Takes the same parameters as the insertion.
pub(super) const UPDATE_VERIFICATION: &str = "UPDATE verifications SET state = ?5, expires = ?6, verified = ?7, \
     given_until = ?8, revision = ?9 + 1, body = ?10 WHERE row = ?1 AND tail = ?2 AND sub = ?3 AND number = ?4";

/// Writes a verification's row and keeps the map of open ones in step.
pub(super) fn write_verification(
    turn: &mut Turn<'_>,
    statement: &str,
    sub: i64,
    number: i64,
    record: &VerificationRecord,
    body: &[u8],
) -> Result<()> {
    let life = &record.lifecycle;
    let (row, expires) = (record.id.row(), life.expires_at.as_millis());
    turn.view.conn.prepare_cached(statement)?.execute(params![
        row,
        record.id.tail().cast_signed(),
        sub,
        number,
        life.state.as_u8(),
        expires,
        life.verified_at.map(|at| at.as_millis()),
        record.given_code.as_ref().map(|_| expires),
        record.revision.cast_signed(),
        body,
    ])?;
    let pending = life.state == VerificationState::Pending;
    let key = (sub, number);
    let before = {
        let mut hot = turn.hot();
        hot.open.sweep(turn.view.shared.latest());
        let before = hot.open.set(key, None);
        let newer = before.filter(|&(other, _)| other > row);
        hot.open.set(key, newer.or(pending.then_some((row, expires))));
        before
    };
    turn.on_rollback(move |hot| {
        hot.open.set(key, before);
    });
    Ok(())
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
    let mut settled_below = None;
    for message in messages {
        let sub = intern(turn, &message.record.subaccount)?;
        let row = message.record.id.row();
        let bucket = turn.hot().buckets.of(row);
        insert(turn, sub, bucket, &message)?;
        let mut hot = turn.hot();
        if let Some(place) = place_of(&message.record) {
            hot.queue.add(row, place);
            hot.records.insert(message.record);
        }
        if hot.buckets.count(row) {
            settled_below = Some(hot.queue.settled_below().unwrap_or(row));
        }
    }
    if let Some(row) = settled_below {
        let sql = "INSERT OR REPLACE INTO meta VALUES ('settled_below', ?1)";
        turn.view.conn.prepare_cached(sql)?.execute([row])?;
    }
    Ok(())
}

fn undo_with_the_group(turn: &mut Turn<'_>, messages: &[SealedMessage]) {
    let rows: Vec<_> = messages.iter().map(|m| (m.record.id.row(), place_of(&m.record))).collect();
    turn.on_rollback(move |hot| {
        for (row, place) in rows {
            hot.records.remove(row);
            place.into_iter().for_each(|place| hot.queue.remove(row, place));
        }
    });
}

fn insert(turn: &Turn<'_>, sub: i64, bucket: i64, message: &SealedMessage) -> Result<()> {
    let (conn, record) = (turn.view.conn, &message.record);
    let row = record.id.row();
    let sql = "INSERT INTO messages (row, tail, sub, number, block, country, bucket, state, changed, due, \
         expires, verification, batch, marks, dims, progress) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
    conn.prepare_cached(sql)?.execute(params![
        row,
        record.id.tail().cast_signed(),
        sub,
        message.number,
        (record.to.as_u64() / 10_000).cast_signed(),
        codec::country_code(record.country),
        bucket,
        record.state.as_u8(),
        record.progress.changed_at.map(|at| at.as_millis()),
        record.due.map(|at| at.as_millis()),
        record.expires_at.map(|at| at.as_millis()),
        record.verification.map(|id| id.row()),
        record.batch.map(|id| id.row()),
        message.marks,
        message.dims,
        message.progress,
    ])?;
    let mut body = conn.prepare_cached("INSERT INTO bodies (row, body, text) VALUES (?1, ?2, ?3)")?;
    body.execute(params![row, message.body, message.text])?;
    Ok(())
}

fn place_of(record: &MessageRecord) -> Option<Waiting> {
    waiting(record.state, record.due.map(|at| at.as_millis()))
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
