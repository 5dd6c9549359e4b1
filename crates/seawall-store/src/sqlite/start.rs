//! Starting: what is kept in memory is read back, and what was under way when the process ended is mended.

use rusqlite::Connection;
use seawall_core::id::SEQUENCE_BITS;
use seawall_core::message::MessageState;
use seawall_core::time::Timestamp;

use super::accept::waiting;
use super::db::View;
use super::hot::{Buckets, Hot, Waiting};
use super::read_from::ReadFrom;
use super::writer::Turn;
use super::{codec, numbers, travel};
use crate::Result;
use crate::records::Recovery;
use crate::sealed::charges::LONGEST_VERIFICATION;
use crate::vault::Vault;

/// Reads what is kept in memory.
pub(super) fn load(conn: &Connection, vault: &Vault) -> Result<Hot> {
    super::lists::forget_unpublished(conn)?;
    let mut hot = Hot::default();
    each(conn, "SELECT id, name FROM subaccounts", |r| {
        hot.subs.insert(r.get(0)?, &r.get::<_, String>(1)?);
        Ok(())
    })?;
    super::opt_outs::load(conn, vault, &mut hot)?;
    each(conn, "SELECT row, due FROM hooks", |r| {
        hot.hooks.set(r.get(0)?, Some(r.get(1)?));
        Ok(())
    })?;
    each(conn, "SELECT DISTINCT bucket FROM idempotency", |r| {
        hot.key_buckets.insert(r.get(0)?);
        Ok(())
    })?;
    hot.last_audit = conn.query_row("SELECT coalesce(max(row), 0) FROM audit", [], |r| r.get(0))?;
    hot.buckets = buckets(conn)?;
    hot.numbers = numbers::load(conn)?;
    super::known::load(conn, &mut hot)?;
    hot.read_from = ReadFrom::load(conn)?;
    load_queue(conn, &mut hot)?;
    load_open(conn, &mut hot)?;
    Ok(hot)
}

fn each(
    conn: &Connection,
    sql: &str,
    mut take: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<()>,
) -> Result<()> {
    let mut select = conn.prepare(sql)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
}

/// Jumps from one bucket to the next instead of reading the whole index.
fn buckets(conn: &Connection) -> Result<Buckets> {
    let mut starts = Vec::new();
    let mut next = conn.prepare("SELECT min(bucket) FROM provider_refs WHERE bucket > ?1")?;
    let mut last = -1i64;
    while let Some(start) = next.query_row([last], |r| r.get::<_, Option<i64>>(0))? {
        starts.push(start);
        last = start;
    }
    let newest = conn.query_row("SELECT coalesce(max(row), 0) FROM messages", [], |r| r.get(0))?;
    Ok(Buckets::load(starts, newest))
}

/// Queued messages and those being submitted are found by reading on from where everything is settled;
/// scheduled ones by their table.
fn load_queue(conn: &Connection, hot: &mut Hot) -> Result<()> {
    let mut select = conn.prepare(
        "SELECT row, state, due FROM messages NOT INDEXED WHERE row >= ?1 AND state IN (0, 2)
         UNION ALL SELECT row, state, due FROM messages WHERE row IN (SELECT row FROM scheduled)",
    )?;
    let mut rows = select.query([hot.read_from.waiting])?;
    while let Some(row) = rows.next()? {
        if let Some(place) = waiting(codec::state(row.get(1)?)?, row.get(2)?) {
            hot.queue.add(row.get(0)?, place);
        }
    }
    Ok(())
}

/// Pending verifications that were valid when the last message was accepted.
fn load_open(conn: &Connection, hot: &mut Hot) -> Result<()> {
    let newest: i64 = conn.query_row("SELECT coalesce(max(row), 0) FROM messages", [], |r| r.get(0))?;
    let now = newest >> SEQUENCE_BITS;
    let begun = (now - LONGEST_VERIFICATION).max(0) << SEQUENCE_BITS;
    let mut select = conn.prepare(
        "SELECT sub, number, row, expires FROM verifications WHERE state = 0 AND expires > ?1
         UNION ALL SELECT sub, number, row, expires FROM messages m
           WHERE row >= ?2 AND verification = row AND expires > ?1
             AND NOT EXISTS (SELECT 1 FROM verifications v WHERE v.row = m.row)
         ORDER BY row",
    )?;
    let mut rows = select.query([now, hot.read_from.open.max(begun)])?;
    while let Some(row) = rows.next()? {
        hot.open.set((row.get(0)?, row.get(1)?), Some((row.get(2)?, row.get(3)?)));
    }
    Ok(())
}

/// Marks what was being submitted as `unknown`.
pub(super) fn recover(turn: &mut Turn<'_>, now: Timestamp) -> Result<Recovery> {
    let (rows, waiting) = {
        let hot = turn.hot();
        (hot.queue.submitting(), hot.queue.waiting())
    };
    let mut unknown = 0;
    for row in rows {
        let Some(mut way) = travel::way(turn, row)? else {
            turn.hot().queue.remove(row, Waiting::Submitting);
            continue;
        };
        way.state = MessageState::Unknown;
        way.progress.changed_at = Some(now);
        travel::write(turn, row, Some(Waiting::Submitting), way)?;
        unknown += 1;
    }
    Ok(Recovery { unknown, waiting })
}

/// The newest key of any row that an id became.
pub(super) fn newest_row(view: View<'_>) -> Result<i64> {
    let sql = "SELECT max(
        (SELECT coalesce(max(row), 0) FROM messages), (SELECT coalesce(max(row), 0) FROM verifications),
        (SELECT coalesce(max(row), 0) FROM hooks), (SELECT coalesce(max(row), 0) FROM audit),
        (SELECT coalesce(max(row), 0) FROM opt_outs), (SELECT coalesce(max(row), 0) FROM list_entries),
        (SELECT coalesce(max(row), 0) FROM checkpoints), (SELECT coalesce(max(row), 0) FROM allows),
        (SELECT coalesce(max(row), 0) FROM notes),
        (SELECT coalesce(max(last), 0) FROM (SELECT last FROM decision_batches ORDER BY first DESC LIMIT 16)))";
    Ok(view.conn.prepare_cached(sql)?.query_row([], |r| r.get(0))?)
}
