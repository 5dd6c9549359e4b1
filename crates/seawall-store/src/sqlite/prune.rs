//! Erasing what is older than its retention, a little at a time, so that requests never wait long.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};
use seawall_core::id::Id;
use seawall_core::time::Timestamp;

use super::writer::Turn;
use super::{audit, idempotency, numbers, verifications};
use crate::Result;
use crate::records::Retention;

/// Rows of each kind that one step erases.
const STEP: i64 = 2_000;
/// Free pages given back to the disk by one step.
const VACUUM_PAGES: u32 = 512;

/// One step; true while there is more.
pub(super) fn step(turn: &mut Turn<'_>, now: Timestamp, retention: &Retention) -> Result<bool> {
    let before = |age: Duration| Id::first_row(now.minus(age));
    let messages = before(retention.messages);
    let mut most = verifications::erase_given(turn, now.as_millis(), STEP)?;
    most = most.max(erase_texts(turn, before(retention.texts))?);
    most = most.max(delete_messages(turn, messages)?);
    most = most.max(delete_verifications(turn, messages)?);
    most = most.max(delete(turn, "decision_batches", "first", messages)?);
    most = most.max(audit::prune(turn, before(retention.audit), STEP)?);
    most = most.max(idempotency::prune(turn, now.minus(retention.idempotency).as_millis(), STEP)?);
    most = most.max(super::lookups::prune(turn, now.minus(retention.texts).as_millis(), STEP)?);
    // The number of rows says how many pages were given back.
    let mut vacuum = turn.view.conn.prepare_cached(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
    let mut pages = vacuum.query([])?;
    while pages.next()?.is_some() {}
    Ok(most >= STEP.unsigned_abs())
}

fn watermark(turn: &Turn<'_>, key: &str) -> Result<i64> {
    let mut select = turn.view.conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(select.query_row([key], |r| r.get(0)).optional()?.unwrap_or(0))
}

fn set_watermark(turn: &Turn<'_>, key: &str, row: i64) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO meta VALUES (?1, ?2)";
    turn.view.conn.prepare_cached(sql)?.execute(params![key, row])?;
    Ok(())
}

/// Where a step that begins at `from` and ends before `until` has to stop, and how many rows it covers.
fn stretch(turn: &Turn<'_>, from: i64, until: i64) -> Result<(i64, u64)> {
    let sql = "SELECT coalesce(max(row), 0), count(*) FROM \
         (SELECT row FROM messages WHERE row >= ?1 AND row < ?2 ORDER BY row LIMIT ?3)";
    let mut select = turn.view.conn.prepare_cached(sql)?;
    let (last, count): (i64, i64) = select.query_row([from, until, STEP], |r| Ok((r.get(0)?, r.get(1)?)))?;
    Ok((last, count.unsigned_abs()))
}

fn erase_texts(turn: &mut Turn<'_>, until: i64) -> Result<u64> {
    let from = watermark(turn, "texts_erased_below")?;
    let (last, rows) = stretch(turn, from, until)?;
    if rows == 0 {
        return Ok(0);
    }
    let sql =
        "UPDATE messages SET text = NULL WHERE row >= ?1 AND row <= ?2 AND text IS NOT NULL AND state >= 3";
    turn.view.conn.prepare_cached(sql)?.execute([from, last])?;
    turn.hot().records.remove_up_to(last);
    let held: Option<i64> = turn
        .view
        .conn
        .prepare_cached("SELECT min(row) FROM messages WHERE row >= ?1 AND row <= ?2 AND state < 3")?
        .query_row([from, last], |r| r.get(0))?;
    // A message that waits keeps its text, and the next step begins with it.
    let next = held.unwrap_or(last + 1);
    if next > from {
        set_watermark(turn, "texts_erased_below", next)?;
    }
    Ok(if next > from { rows } else { 0 })
}

/// Deletes messages that wait for nothing.
fn delete_messages(turn: &mut Turn<'_>, until: i64) -> Result<u64> {
    let conn = turn.view.conn;
    let mut select =
        conn.prepare_cached("SELECT row FROM messages WHERE row < ?1 AND state >= 3 ORDER BY row LIMIT ?2")?;
    let rows: Vec<i64> = select.query_map([until, STEP], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?;
    for &row in &rows {
        conn.prepare_cached("DELETE FROM messages WHERE row = ?1")?.execute([row])?;
        turn.hot().ways.take(row);
    }
    if let Some(last) = rows.last() {
        let oldest: Option<i64> = conn.query_row("SELECT min(row) FROM messages", [], |r| r.get(0))?;
        let oldest = oldest.unwrap_or(*last);
        numbers::prune(turn, oldest)?;
        let bucket = turn.hot().buckets.of(oldest);
        conn.prepare_cached("DELETE FROM provider_refs WHERE bucket < ?1")?.execute([bucket])?;
        turn.hot().buckets.forget_below(bucket);
    }
    Ok(u64::try_from(rows.len()).unwrap_or(0))
}

/// Deletes verifications whose first message is gone: it would show the verification as it was begun.
fn delete_verifications(turn: &Turn<'_>, until: i64) -> Result<u64> {
    let sql = "DELETE FROM verifications WHERE row IN (SELECT row FROM verifications v WHERE row < ?1
         AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.row = v.row) ORDER BY row LIMIT ?2)";
    let gone = turn.view.conn.prepare_cached(sql)?.execute([until, STEP])?;
    Ok(u64::try_from(gone).unwrap_or(0))
}

fn delete(turn: &Turn<'_>, table: &str, key: &str, until: i64) -> Result<u64> {
    let sql = format!(
        "DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {key} < ?1 ORDER BY {key} LIMIT ?2)"
    );
    Ok(turn
        .view
        .conn
        .prepare_cached(&sql)?
        .execute([until, STEP])
        .map(|gone| u64::try_from(gone).unwrap_or(0))?)
}
