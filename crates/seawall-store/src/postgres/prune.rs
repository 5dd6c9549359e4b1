//! Erasing what is older than its retention: days of messages as a whole, the rest a little at a time. One node
//! does it at a time.

use std::time::Duration;

use seawall_core::id::Id;
use seawall_core::time::Timestamp;

use super::conn::{Conn, Db, Lock, OURS};
use super::{audit, partitions, verifications};
use crate::Result;
use crate::records::Retention;

/// Rows of each kind that one step erases.
const STEP: i64 = 2_000;

/// One step; true while there is more.
pub(super) async fn step(db: &Db, now: Timestamp, retention: &Retention) -> Result<bool> {
    let today = partitions::day_of(Id::first_row(now));
    db.days.ensure(db, [today, today + 1]).await?;
    let mut conn = db.patient().await?;
    conn.begin().await?;
    let lock =
        conn.row("SELECT pg_try_advisory_xact_lock($1, $2)", &[&OURS, &Lock::Retention.number()]).await?;
    if !lock.map(|row| row.try_get(0)).transpose()?.unwrap_or(false) {
        conn.commit().await?;
        return Ok(false);
    }
    let before = |age: Duration| Id::first_row(now.minus(age));
    let messages = before(retention.messages);
    let mut most = verifications::erase_given(&mut conn, &db.vault, now.as_millis(), STEP).await?;
    most = most.max(erase_texts(&mut conn, before(retention.texts)).await?);
    let (gone, more) = delete_messages(&mut conn, db, messages).await?;
    most = most.max(gone);
    most = most.max(delete_verifications(&mut conn, messages).await?);
    most = most.max(delete(&mut conn, "decision_batches", "first", messages).await?);
    most = most.max(audit::prune(&mut conn, &db.vault, before(retention.audit), STEP).await?);
    most =
        most.max(delete(&mut conn, "idempotency", "at", now.minus(retention.idempotency).as_millis()).await?);
    most = most.max(delete(&mut conn, "open_verifications", "expires", now.as_millis()).await?);
    conn.run("DELETE FROM claims WHERE until < $1", &[&now.as_millis()]).await?;
    let sql = "DELETE FROM lookups WHERE (number, sub) IN \
         (SELECT number, sub FROM lookups WHERE at < $1 AND sub <> '' ORDER BY at LIMIT $2)";
    most = most.max(conn.run(sql, &[&now.minus(retention.texts).as_millis(), &STEP]).await?);
    conn.commit().await?;
    Ok(more || most >= STEP.unsigned_abs())
}

async fn watermark(conn: &mut Conn) -> Result<i64> {
    let row = conn.row("SELECT value FROM meta WHERE name = 'texts_erased_below'", &[]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0))
}

async fn erase_texts(conn: &mut Conn, until: i64) -> Result<u64> {
    let from = watermark(conn).await?;
    let sql = "SELECT coalesce(max(key), 0), count(*), min(key) FILTER (WHERE state < 3) FROM \
         (SELECT key, state FROM messages WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3) s";
    let Some(row) = conn.row(sql, &[&from, &until, &STEP]).await? else { return Ok(0) };
    let (last, rows, held): (i64, i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if rows == 0 {
        return Ok(0);
    }
    let sql = "UPDATE messages SET content = NULL \
         WHERE key >= $1 AND key <= $2 AND content IS NOT NULL AND state >= 3";
    conn.run(sql, &[&from, &last]).await?;
    // A message that waits keeps its text, and the next step begins with it.
    let next = held.unwrap_or(last + 1);
    if next <= from {
        return Ok(0);
    }
    let sql = "INSERT INTO meta (name, value) VALUES ('texts_erased_below', $1) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    conn.run(sql, &[&next]).await?;
    Ok(rows.unsigned_abs())
}

/// Drops days that are over, and deletes messages that wait for nothing from the day that is ending and from
/// days that something waits in. Says how many rows, and whether a day was dropped.
async fn delete_messages(conn: &mut Conn, db: &Db, until: i64) -> Result<(u64, bool)> {
    let sql = "DELETE FROM messages WHERE key IN \
         (SELECT key FROM messages WHERE key < $1 AND state >= 3 ORDER BY key LIMIT $2) AND key < $1";
    for day in partitions::days(conn).await? {
        if !partitions::is_below(day, until) {
            break;
        }
        if partitions::drop_day(db, conn, day).await? {
            return Ok((0, true));
        }
    }
    let gone = conn.run(sql, &[&until, &STEP]).await?;
    Ok((gone, false))
}

/// Deletes verifications whose first message is gone: it would show the verification as it was begun.
async fn delete_verifications(conn: &mut Conn, until: i64) -> Result<u64> {
    let sql = "DELETE FROM verifications WHERE key IN (SELECT key FROM verifications v WHERE key < $1 \
         AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.key = v.key) ORDER BY key LIMIT $2)";
    conn.run(sql, &[&until, &STEP]).await
}

async fn delete(conn: &mut Conn, table: &str, column: &str, until: i64) -> Result<u64> {
    let sql = format!(
        "DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {column} < $1 \
         ORDER BY {column} LIMIT $2))"
    );
    conn.run(&sql, &[&until, &STEP]).await
}
