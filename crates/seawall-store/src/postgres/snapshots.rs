//! What the stream of evidence folds to, for nodes that start: sealed, in parts that a statement can carry.

use super::conn::{Db, Lock};
use crate::vault::Place;
use crate::{Result, StoreError};

const PLACE: [u8; 2] = *b"es";
/// Bytes of a part.
const PART: usize = 4 << 20;
/// More parts than this no snapshot has.
const PARTS: u64 = 4096;

/// A part opens at its own place in its own snapshot only.
fn place(folded: i64, part: i64) -> Place {
    Place::new(PLACE, folded.wrapping_mul(PARTS.cast_signed()).wrapping_add(part))
}

/// Keeps a snapshot in place of older ones. `Conflict` when it is of a stream that came further than this one.
pub(super) async fn keep(db: &Db, folded: u64, snapshot: &[u8]) -> Result<()> {
    let folded = folded.cast_signed();
    let mut conn = db.patient().await?;
    conn.begin().await?;
    conn.lock(Lock::Snapshot).await?;
    let sql =
        "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('evidence', 'seq')::regclass), 0)";
    let last: i64 = conn.row(sql, &[]).await?.ok_or(StoreError::Conflict)?.try_get(0)?;
    if last < folded {
        return Err(StoreError::Conflict);
    }
    let newer = conn.row("SELECT 1 FROM evidence_snapshots WHERE folded >= $1 LIMIT 1", &[&folded]).await?;
    if newer.is_some() {
        return conn.commit().await;
    }
    for (part, bytes) in (0i64..).zip(snapshot.chunks(PART)) {
        let sealed = db.vault.seal(place(folded, part), bytes)?;
        let sql = "INSERT INTO evidence_snapshots (folded, part, body) VALUES ($1, $2, $3)";
        conn.run(sql, &[&folded, &part, &sealed]).await?;
    }
    conn.run("DELETE FROM evidence_snapshots WHERE folded < $1", &[&folded]).await?;
    conn.commit().await
}

/// The newest one.
pub(super) async fn newest(db: &Db) -> Result<Option<(u64, Vec<u8>)>> {
    let sql = "SELECT folded, part, body FROM evidence_snapshots \
         WHERE folded = (SELECT max(folded) FROM evidence_snapshots) ORDER BY part";
    let rows = db.patient().await?.rows(sql, &[]).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let folded: i64 = first.try_get(0)?;
    let mut all = Vec::new();
    for row in &rows {
        all.extend(db.vault.open_sealed(place(folded, row.try_get(1)?), row.try_get(2)?)?);
    }
    Ok(Some((folded.cast_unsigned(), all)))
}
