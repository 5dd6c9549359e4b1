//! Answers kept under idempotency keys. Rows lead with a stretch of time, so that inserts stay close together
//! and whole stretches are pruned; a look-up asks each stretch that holds anything.

use rusqlite::{OptionalExtension, params};
use seawall_core::msisdn::Msisdn;

use super::db::View;
use super::writer::Turn;
use crate::Result;
use crate::records::{Cursor, Erasing, Idempotent};
use crate::sealed::answers::{self, SealedKey};

/// Six hours.
const STRETCH: i64 = 6 * 3_600_000;
/// Writes an answer. False when the key is taken; nothing is written then.
pub(super) fn insert(key: &SealedKey, turn: &mut Turn<'_>) -> Result<bool> {
    let bucket = key.at / STRETCH;
    if is_taken(turn.view, key.hash)? {
        return Ok(false);
    }
    let sql = "INSERT INTO idempotency (bucket, hash, body) VALUES (?1, ?2, ?3)";
    turn.view.conn.prepare_cached(sql)?.execute(params![bucket, key.hash, key.body])?;
    // A stretch that holds nothing after a rollback costs one look-up and is no error.
    turn.hot().key_buckets.insert(bucket);
    Ok(true)
}

/// Whether an answer is kept under a key, by its hash.
pub(super) fn is_taken(view: View<'_>, hash: i64) -> Result<bool> {
    Ok(find(view, hash)?.is_some())
}

fn find(view: View<'_>, hash: i64) -> Result<Option<Vec<u8>>> {
    let buckets: Vec<i64> = view.hot().key_buckets.iter().rev().copied().collect();
    let mut select =
        view.conn.prepare_cached("SELECT body FROM idempotency WHERE bucket = ?1 AND hash = ?2")?;
    for bucket in buckets {
        if let Some(body) = select.query_row([bucket, hash], |r| r.get(0)).optional()? {
            return Ok(Some(body));
        }
    }
    Ok(None)
}

/// The answer given under a key.
pub(super) fn get(view: View<'_>, key: &str) -> Result<Option<Idempotent>> {
    let hash = answers::hash(view.vault(), key);
    find(view, hash)?.map(|sealed| answers::open(view.vault(), hash, &sealed)).transpose()
}

/// Masks a number in the next answers; sets the cursor behind them. The answer stays under its key: without it
/// the same request would send a second time.
pub(super) fn erase(
    turn: &mut Turn<'_>,
    number: Msisdn,
    (bucket, hash): (i64, i64),
    limit: i64,
    next: &mut Erasing,
) -> Result<()> {
    let sql = "SELECT bucket, hash, body FROM idempotency WHERE (bucket, hash) > (?1, ?2) \
         ORDER BY bucket, hash LIMIT ?3";
    let mut select = turn.view.conn.prepare_cached(sql)?;
    let read =
        |r: &rusqlite::Row<'_>| Ok((r.get::<_, i64>(0)?, r.get::<_, i64>(1)?, r.get::<_, Vec<u8>>(2)?));
    let rows = select.query_map(params![bucket, hash, limit], read)?.collect::<rusqlite::Result<Vec<_>>>()?;
    for (bucket, hash, sealed) in &rows {
        let Some(body) = answers::mask(turn.view.vault(), *hash, sealed, number)? else { continue };
        let sql = "UPDATE idempotency SET body = ?3 WHERE bucket = ?1 AND hash = ?2";
        turn.view.conn.prepare_cached(sql)?.execute(params![bucket, hash, body])?;
        next.erased.answers += 1;
    }
    next.cursor = match rows.last() {
        Some((bucket, hash, _)) => Cursor::Answers(*bucket, *hash),
        None => Cursor::Hooks(0),
    };
    Ok(())
}

/// Deletes up to `limit` answers of stretches that ended before `cutoff`; returns how many.
pub(super) fn prune(turn: &mut Turn<'_>, cutoff: i64, limit: i64) -> Result<u64> {
    let oldest = turn.hot().key_buckets.first().copied();
    let Some(bucket) = oldest.filter(|bucket| (bucket + 1) * STRETCH <= cutoff) else {
        return Ok(0);
    };
    let sql = "DELETE FROM idempotency WHERE bucket = ?1 AND hash IN \
         (SELECT hash FROM idempotency WHERE bucket = ?1 LIMIT ?2)";
    let gone = turn.view.conn.prepare_cached(sql)?.execute([bucket, limit])?;
    let gone = u64::try_from(gone).unwrap_or(0);
    if gone < limit.unsigned_abs() {
        turn.hot().key_buckets.remove(&bucket);
        turn.on_rollback(move |hot| {
            hot.key_buckets.insert(bucket);
        });
    }
    Ok(gone)
}
