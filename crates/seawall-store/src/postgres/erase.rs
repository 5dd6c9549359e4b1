//! Everything about one number is erased, in bounded steps; see the same in SQLite. What is written over or
//! deleted stands in dead rows until PostgreSQL vacuums them, sealed.

use seawall_core::id::Id;
use seawall_core::message::MessageState;
use seawall_core::msisdn::Msisdn;

use super::conn::{Conn, Db};
use super::{decisions, hooks, known, messages, opt_outs};
use crate::records::{Cursor, Erasing, ErasureJob, MessageRecord, OptOut};
use crate::sealed::answers;
use crate::sealed::erasing::{emptied, open, seal};
use crate::sealed::messages::seal_body;
use crate::sealed::number_hash;
use crate::{Result, StoreError};

/// Messages that one step empties.
const MESSAGES: usize = 500;
/// Rows without an index that one step looks at.
const ROWS: i64 = 200;

/// One step; the cursor says where the next one goes on.
pub(super) async fn step(db: &Db, number: Msisdn, erasing: Erasing) -> Result<Erasing> {
    let mut next = erasing;
    let mut conn = db.patient().await?;
    conn.begin().await?;
    match next.cursor {
        Cursor::Messages => of_index(&mut conn, db, number, &mut next).await?,
        Cursor::Decisions(from) => decisions::erase(&mut conn, db, number, (from, ROWS), &mut next).await?,
        Cursor::Answers(_, hash) => of_answers(&mut conn, db, number, hash, &mut next).await?,
        Cursor::Hooks(from) => hooks::erase(&mut conn, db, number, (from, ROWS), &mut next).await?,
        Cursor::Done => {}
    }
    conn.commit().await?;
    Ok(next)
}

/// Messages, verifications, lookups and notes, by the keyed hash of the number.
async fn of_index(conn: &mut Conn, db: &Db, number: Msisdn, next: &mut Erasing) -> Result<()> {
    let hash = number_hash(&db.vault, number);
    conn.lock_number(hash).await?;
    let mut left = MESSAGES;
    next.erased.under_way = 0;
    let sql =
        format!("SELECT {} FROM messages WHERE number = $1 ORDER BY key DESC FOR UPDATE", messages::COLUMNS);
    for row in conn.rows(&sql, &[&hash]).await? {
        let record = messages::read(&db.vault, &row)?;
        match empty(conn, db, record, Some(number)).await? {
            _ if left == 0 => return Ok(()),
            Outcome::Emptied => (next.erased.messages, left) = (next.erased.messages + 1, left - 1),
            Outcome::UnderWay => next.erased.under_way += 1,
            Outcome::Nothing => {}
        }
    }
    next.erased.lookups += conn.run("DELETE FROM lookups WHERE number = $1", &[&hash]).await?;
    next.erased.known += u64::from(known::forget(conn, hash).await?);
    next.erased.notes += conn.run("DELETE FROM notes WHERE number = $1", &[&hash]).await?;
    next.erased.masking += super::masking::erase(conn, hash).await?;
    for entry in opt_outs::of_number(conn, &db.vault, hash).await? {
        // They stay in force by their keyed hash; the number in them goes, and the note, a person's words.
        if entry.msisdn == number {
            opt_outs::rewrite(conn, &db.vault, &OptOut { msisdn: Msisdn::ERASED, note: None, ..entry })
                .await?;
            next.erased.opt_outs += 1;
        }
    }
    if next.erased.under_way == 0 {
        next.cursor = Cursor::Decisions(0);
    }
    Ok(())
}

/// What became of a message that was to be emptied.
enum Outcome {
    /// It holds nothing any more.
    Emptied,
    /// It waits, or a provider is being handed it this moment.
    UnderWay,
    /// It is of another number, or was emptied before.
    Nothing,
}

/// Empties a message, and deletes the verification that it belongs to. `of`: only if it is to this number.
async fn empty(conn: &mut Conn, db: &Db, record: MessageRecord, of: Option<Msisdn>) -> Result<Outcome> {
    if record.to == Msisdn::ERASED || of.is_some_and(|number| record.to != number) {
        return Ok(Outcome::Nothing);
    }
    if matches!(record.state, MessageState::Submitting | MessageState::Queued | MessageState::Scheduled) {
        return Ok(Outcome::UnderWay);
    }
    if let Some(verification) = record.verification {
        conn.run(
            "DELETE FROM open_verifications WHERE key = $1 AND sub = $2 AND number = $3",
            &[&verification.row(), &record.subaccount, &number_hash(&db.vault, record.to)],
        )
        .await?;
        conn.run("DELETE FROM verifications WHERE key = $1", &[&verification.row()]).await?;
    }
    let key = record.id.row();
    let body = seal_body(&db.vault, &emptied(record))?;
    let sql = "UPDATE messages SET body = $2, content = NULL, verification = NULL WHERE key = $1";
    conn.run(sql, &[&key, &body]).await?;
    Ok(Outcome::Emptied)
}

/// Masks a number in the next kept answers; sets the cursor behind them.
async fn of_answers(conn: &mut Conn, db: &Db, number: Msisdn, from: i64, next: &mut Erasing) -> Result<()> {
    let sql = "SELECT hash, body FROM idempotency WHERE hash > $1 ORDER BY hash LIMIT $2";
    let rows = conn.rows(sql, &[&from, &ROWS]).await?;
    for row in &rows {
        let hash: i64 = row.try_get(0)?;
        if let Some(body) = answers::mask(&db.vault, hash, row.try_get(1)?, number)? {
            conn.run("UPDATE idempotency SET body = $2 WHERE hash = $1", &[&hash, &body]).await?;
            next.erased.answers += 1;
        }
    }
    next.cursor = match rows.last().map(|row| row.try_get(0)).transpose().map_err(StoreError::from)? {
        Some(hash) => Cursor::Answers(0, hash),
        None => Cursor::Hooks(0),
    };
    Ok(())
}

/// Erases what one message says of a person; `None` when there is none, or nothing is left in it.
pub(super) async fn one(db: &Db, subaccount: &str, id: Id) -> Result<Option<bool>> {
    let mut conn = db.soon().await?;
    conn.begin().await?;
    let sql = format!("SELECT {} FROM messages WHERE key = $1 FOR UPDATE", messages::COLUMNS);
    let row = conn.row(&sql, &[&id.row()]).await?;
    let found = row.map(|row| messages::read(&db.vault, &row)).transpose()?;
    let found = found.filter(|m| m.id == id && m.subaccount == subaccount && m.to != Msisdn::ERASED);
    let done = match found {
        Some(record) => Some(matches!(empty(&mut conn, db, record, None).await?, Outcome::Emptied)),
        None => None,
    };
    conn.commit().await?;
    Ok(done)
}

/// The erasures that are not done, oldest first; or one, done or not.
pub(super) async fn jobs(db: &Db, one: Option<Id>) -> Result<Vec<ErasureJob>> {
    let sql = match one {
        Some(_) => "SELECT key, tail, body FROM erasures WHERE key = $1",
        None => "SELECT key, tail, body FROM erasures WHERE NOT done AND key > $1 ORDER BY key LIMIT 100",
    };
    let rows = db.soon().await?.rows(sql, &[&one.map_or(-1, Id::row)]).await?;
    let read = |row: &tokio_postgres::Row| open(&db.vault, row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let mut found = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
    found.retain(|job| one.is_none_or(|wanted| wanted == job.id));
    Ok(found)
}

/// Writes an erasure as it stands.
pub(super) async fn save(db: &Db, job: &ErasureJob) -> Result<()> {
    let (key, tail, done) = (job.id.row(), job.id.tail().cast_signed(), job.receipt.is_some());
    let sql = "INSERT INTO erasures (key, tail, done, body) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (key) DO UPDATE SET done = excluded.done, body = excluded.body";
    db.soon().await?.run(sql, &[&key, &tail, &done, &seal(&db.vault, job)?]).await.map(drop)
}
